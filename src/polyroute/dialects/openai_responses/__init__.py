"""OpenAI's Responses API, as OpenAI defines it and as others speak it."""

from polyroute.dialects.openai_responses.dialect import OpenAIResponses as OpenAIResponses
