"""What is known beforehand: models and their prices, how long a text is, which task wants what."""
