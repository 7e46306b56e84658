"""What a running gateway remembers between requests: keys, limits, budgets. Never touches disk or network."""
