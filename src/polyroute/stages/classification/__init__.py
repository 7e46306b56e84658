"""Stage 1: what kind of request this is, with confidence and evidence."""
