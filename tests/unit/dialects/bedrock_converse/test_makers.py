"""Whose model an id names."""

import pytest

from polyroute.dialects.bedrock_converse.makers import maker_of


@pytest.mark.parametrize(
    ("model", "reasoning", "caches"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "thinking", True),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "thinking", True),
        ("global.anthropic.claude-sonnet-4-5", "thinking", True),
        ("arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-3-7-sonnet", "thinking", True),
        ("us.amazon.nova-2-lite-v1:0", "reasoningConfig", True),
        ("amazon.nova-micro-v1:0", None, True),
        ("openai.gpt-oss-120b-1:0", "reasoning_effort", False),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", None, False),
        ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc123", None, False),
        ("claude", None, False),
    ],
)
def test_maker_of(model: str, reasoning: str | None, caches: bool) -> None:
    maker = maker_of(model)
    assert (maker.reasoning, maker.caches) == (reasoning, caches)
