"""What a collector is told, over OTLP/HTTP."""
