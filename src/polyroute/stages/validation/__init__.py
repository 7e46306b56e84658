"""Stage 5: whether an answer is good enough, and what to do where it is not."""
