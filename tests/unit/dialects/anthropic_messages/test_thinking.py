import pytest

from polyroute.dialects.anthropic_messages.thinking import fit_budget, write_thinking
from polyroute.types.content import Message, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import Reasoning, Request, ToolChoice, Wire

USER = Message(role="user", parts=(Text(text="q"),))
CALL = ToolCall(id="i", name="f", arguments="{}")
RESULT = Message(role="tool", parts=(ToolResult(call_id="i", parts=()),))
SIGNED = Thinking(text="hm", signature="s")
ABLE = frozenset({"thinking"})
ADAPTIVE = frozenset({"thinking", "adaptive_thinking"})


def asked(*messages: Message, choice: ToolChoice | None = None, foreign: bool = True) -> Request:
    wire = Wire(dialect="openai_chat", body={}) if foreign else None
    return Request(model="m", messages=messages or (USER,), tool_choice=choice, wire=wire)


@pytest.mark.parametrize(
    ("budget", "limit", "fitting"),
    [(1024, 1025, 1024), (8192, 8193, 8192), (8192, 8192, 4096), (8192, 2048, 1024), (8192, 2047, None)],
)
def test_fit_budget(budget: int, limit: int, fitting: int | None) -> None:
    assert fit_budget(budget, limit) == fitting


@pytest.mark.parametrize(
    ("reasoning", "capabilities", "fields"),
    [
        (Reasoning(effort="minimal"), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (Reasoning(effort="low"), None, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (Reasoning(effort="medium"), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (Reasoning(effort="high"), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 24576}}),
        (Reasoning(effort="xhigh"), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 24576}}),
        (Reasoning(), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (Reasoning(budget_tokens=5000), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (Reasoning(budget_tokens=10), ABLE, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (Reasoning(effort="high"), ADAPTIVE, {"thinking": {"type": "adaptive"}, "effort": "high"}),
        (Reasoning(effort="minimal"), ADAPTIVE, {"thinking": {"type": "adaptive"}, "effort": "low"}),
        (Reasoning(adaptive=True), ABLE, {"thinking": {"type": "adaptive"}}),
        (Reasoning(effort="high"), frozenset({"tools"}), {}),
        (Reasoning(effort="none"), ABLE, {"thinking": {"type": "disabled"}}),
        (Reasoning(enabled=False), ABLE, {"thinking": {"type": "disabled"}}),
        (Reasoning(enabled=False), frozenset({"tools"}), {}),
    ],
)
def test_write_thinking(reasoning: Reasoning, capabilities: frozenset[str] | None, fields: dict[str, object]) -> None:
    assert write_thinking(reasoning, asked(), 60000, capabilities) == fields


@pytest.mark.parametrize(
    ("request_", "thinks"),
    [
        pytest.param(asked(choice=ToolChoice(mode="required")), False, id="a forced tool forbids thinking"),
        pytest.param(asked(choice=ToolChoice(mode="auto")), True, id="a free choice does not"),
        pytest.param(asked(USER, Message(role="assistant", parts=(Text(text="so"),))), False, id="nor a prefill"),
        pytest.param(
            asked(USER, Message(role="assistant", parts=(CALL,)), RESULT), False, id="calls continued without thinking"
        ),
        pytest.param(
            asked(USER, Message(role="assistant", parts=(SIGNED, CALL)), RESULT),
            False,
            id="calls continued with thinking of another dialect",
        ),
        pytest.param(
            asked(USER, Message(role="assistant", parts=(SIGNED, CALL)), RESULT, foreign=False),
            True,
            id="calls continued with their own thinking",
        ),
        pytest.param(
            asked(
                USER,
                Message(role="assistant", parts=(CALL,)),
                RESULT,
                Message(role="assistant", parts=(Text(text="a"),)),
                USER,
            ),
            True,
            id="calls long answered",
        ),
    ],
)
def test_thinking_that_anthropic_would_refuse_is_not_asked_for(request_: Request, thinks: bool) -> None:
    assert bool(write_thinking(Reasoning(effort="low"), request_, 60000, ABLE)) is thinks
