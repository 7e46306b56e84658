"""Stage 6: one shape for the caller, and the receipt of how it came about."""
