"""Counters that replicas share, in Redis or Valkey: rates and budgets, exact across all of them."""
