"""The books in PostgreSQL, shared by gateways on many machines. Each keeps its own journal, and drains it into here."""
