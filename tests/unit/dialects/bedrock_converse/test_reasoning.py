"""How much to think, in each maker's words."""

import pytest

from polyroute.dialects.bedrock_converse.makers import maker_of
from polyroute.dialects.bedrock_converse.reasoning import Written, write_reasoning
from polyroute.types.content import Message, Text
from polyroute.types.request import Reasoning, Request

CLAUDE, NOVA, GPT, LLAMA = "anthropic.claude", "us.amazon.nova-2-lite-v1:0", "openai.gpt-oss-120b", "meta.llama3"


def written(model: str, reasoning: Reasoning | None, limit: int | None = None) -> Written:
    request = Request(model="m", messages=(Message(role="user", parts=(Text(text="q"),)),), reasoning=reasoning)
    return write_reasoning(request, maker_of(model), None, limit)


@pytest.mark.parametrize(
    ("model", "reasoning", "limit", "fields"),
    [
        (CLAUDE, Reasoning(effort="medium"), None, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (CLAUDE, Reasoning(budget_tokens=4000), 4000, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (CLAUDE, Reasoning(adaptive=True), None, {"thinking": {"type": "adaptive"}}),
        (
            NOVA,
            Reasoning(effort="minimal"),
            None,
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
        ),
        (NOVA, Reasoning(effort="high"), None, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA, Reasoning(effort="high"), 99, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        (NOVA, Reasoning(enabled=False), None, {"reasoningConfig": {"type": "disabled"}}),
        (GPT, Reasoning(budget_tokens=1024), None, {"reasoning_effort": "low"}),
        (GPT, Reasoning(budget_tokens=50_000), None, {"reasoning_effort": "high"}),
        (GPT, Reasoning(effort="none"), None, {}),
        (LLAMA, Reasoning(effort="high"), None, {}),
        (CLAUDE, None, None, {}),
    ],
)
def test_write_reasoning(model: str, reasoning: Reasoning | None, limit: int | None, fields: dict[str, object]) -> None:
    found = written(model, reasoning, limit)
    assert found.fields == fields
    assert found.thinks == (bool(fields) and "disabled" not in str(fields))
