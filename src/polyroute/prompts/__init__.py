"""Prompts under management: templates, variables, versions and labels, and which words a model family gets."""
