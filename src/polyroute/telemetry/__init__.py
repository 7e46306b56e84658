"""How we talk to those who watch."""
