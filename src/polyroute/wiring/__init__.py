"""Builds a running gateway from a document: the only place that knows every implementation."""
