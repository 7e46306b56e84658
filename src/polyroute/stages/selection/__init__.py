"""Stage 3: which candidates to try, in which order. Pure: the same selection gives the same plan."""
