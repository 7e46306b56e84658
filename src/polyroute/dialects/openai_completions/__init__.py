"""OpenAI's legacy completions: a text that goes on."""

from polyroute.dialects.openai_completions.dialect import OpenAICompletions as OpenAICompletions
