"""What each caller may still ask and spend: rate limits, budgets, and the desk that applies both."""
