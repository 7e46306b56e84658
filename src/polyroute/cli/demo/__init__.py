"""The demo: a gateway of simulated models, three policies, the same prompts through each."""
