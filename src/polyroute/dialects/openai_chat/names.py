"""The dialect's name."""

NAME = "openai_chat"
