"""How much an Anthropic model may think, where the caller said it in another dialect's words. Pure.

Effort to budget: Google's published mapping of OpenAI's `reasoning_effort` ("OpenAI compatibility",
ai.google.dev, 2025-12): minimal and low 1,024, medium 8,192, high 24,576 tokens; efforts above high are high.
Models that think adaptively (capability "adaptive_thinking") take the effort itself.
Source of the limits: platform.claude.com, "Extended thinking": at least 1,024 tokens, fewer than max_tokens,
temperature and top_k as by default, no forced tool, no prefilled answer, and a turn with tool calls that is
being continued begins with its own thinking.
"""

from polyroute.types.content import Part, Thinking, ToolCall
from polyroute.types.request import Reasoning, Request

LEAST_BUDGET = 1024
_BUDGET = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


def fit_budget(budget: int, limit: int) -> int | None:
    """`budget`, or as much of it as leaves half of `limit` for the answer; None where that is too little to think."""
    if budget < limit:
        return budget
    half = limit // 2
    return half if half >= LEAST_BUDGET else None


def write_thinking(
    reasoning: Reasoning, request: Request, limit: int, capabilities: frozenset[str] | None
) -> dict[str, object]:
    """The fields `thinking` and `effort`; empty where this request cannot be thought about."""
    able = capabilities is None or "thinking" in capabilities
    if not reasoning.enabled or reasoning.effort == "none":
        return {"thinking": {"type": "disabled"}} if able else {}
    adaptive = reasoning.adaptive or (capabilities is not None and "adaptive_thinking" in capabilities)
    if not (able or adaptive) or _is_forced(request):
        return {}
    if adaptive:
        fields: dict[str, object] = {"thinking": {"type": "adaptive"}}
        if reasoning.effort is not None:
            fields["effort"] = reasoning.effort if reasoning.effort in _EFFORTS else "low"
        return fields
    if _continues_foreign_turn(request):
        return {}
    budget = reasoning.budget_tokens or _BUDGET.get(reasoning.effort or "medium", _BUDGET["high"])
    fitting = fit_budget(max(budget, LEAST_BUDGET), limit)
    return {} if fitting is None else {"thinking": {"type": "enabled", "budget_tokens": fitting}}


def _is_forced(request: Request) -> bool:
    """The answer's beginning is prescribed: a tool must be called, or its first words are given."""
    choice = request.tool_choice
    is_prefilled = bool(request.messages) and request.messages[-1].role == "assistant"
    return is_prefilled or (choice is not None and choice.mode in ("required", "named"))


def _continues_foreign_turn(request: Request) -> bool:
    """The last answer called tools, and its thinking is not at hand."""
    for message in reversed(request.messages):
        if message.role == "assistant":
            calls = any(isinstance(part, ToolCall) for part in message.parts)
            return calls and not (request.wire is None and is_signed(message.parts[0]))
    return False


def is_signed(part: Part) -> bool:
    """Whether `part` is thinking that Anthropic would take back."""
    return isinstance(part, Thinking) and bool(part.signature or part.redacted)
