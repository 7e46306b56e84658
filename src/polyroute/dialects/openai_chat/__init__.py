"""OpenAI's chat completions, as OpenAI defines them and as everyone else speaks them."""

from polyroute.dialects.openai_chat.dialect import OpenAIChat as OpenAIChat
