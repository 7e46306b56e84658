"""What a provider's failure would do to this document's traffic, rehearsed with simulated models."""
