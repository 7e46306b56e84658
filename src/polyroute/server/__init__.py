"""The HTTP door: a strict front, one table of endpoints, and the dialects' own shapes."""
