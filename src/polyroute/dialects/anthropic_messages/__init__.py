"""Anthropic's Messages API: `/v1/messages` and `/v1/messages/count_tokens`."""

from polyroute.dialects.anthropic_messages.dialect import AnthropicMessages

__all__ = ["AnthropicMessages"]
