"""Polyroute: a multi-model gateway and router."""

__version__ = "0.1.0"
