"""A request's life in six stages. Each decides purely; only execution and validation await."""
