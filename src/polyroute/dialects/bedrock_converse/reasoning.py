"""How much a model at Bedrock may think, in the words of its maker. Pure.

Claude's are Anthropic's own (`anthropic_messages.thinking`, with the limits and the mapping of efforts to budgets).
Source: Amazon Bedrock user guide, "Extended thinking" and "OpenAI models"; Amazon Nova 2 user guide, "Extended
thinking": low, medium or high, and at high neither temperature nor topP nor maxTokens may be given.
"""

from msgspec import Struct

from polyroute.dialects.anthropic_messages.thinking import write_thinking
from polyroute.dialects.bedrock_converse.makers import Maker
from polyroute.dialects.bedrock_converse.read_content import Block
from polyroute.types.request import Reasoning, Request

_UNLIMITED = 32_000  # tokens to answer with where nobody says: what every thinking Claude can write
_BUDGETS = ((2048, "low"), (12_000, "medium"))  # tokens up to which a budget is that effort; above them it is high
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium"}  # any other is high


class Written(Struct, frozen=True, kw_only=True):
    fields: Block = {}  # of additionalModelRequestFields
    effort: str | None = None  # of outputConfig
    thinks: bool = False
    fixes_sampling: bool = False  # temperature, top_p and top_k stay as by default


def write_reasoning(request: Request, maker: Maker, capabilities: frozenset[str] | None, limit: int | None) -> Written:
    reasoning = request.reasoning
    if reasoning is None:
        return Written()
    match maker.reasoning:
        case "thinking":
            fields = write_thinking(reasoning, request, limit or _UNLIMITED, capabilities)
            effort = fields.pop("effort", None)
            thinks = bool(fields) and fields != {"thinking": {"type": "disabled"}}
            return Written(
                fields=fields,
                effort=effort if isinstance(effort, str) else None,
                thinks=thinks,
                fixes_sampling=thinks,
            )
        case "reasoningConfig":
            if not reasoning.enabled or reasoning.effort == "none":
                return Written(fields={"reasoningConfig": {"type": "disabled"}})
            sampled = request.temperature is not None or request.top_p is not None or limit is not None
            word = _effort(reasoning)
            word = "medium" if word == "high" and sampled else word
            return Written(fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}, thinks=True)
        case "reasoning_effort":
            if not reasoning.enabled or reasoning.effort == "none":
                return Written()
            return Written(fields={"reasoning_effort": _effort(reasoning)}, thinks=True)
        case None:
            return Written()


def _effort(reasoning: Reasoning) -> str:
    if reasoning.budget_tokens is not None:
        return next((word for most, word in _BUDGETS if reasoning.budget_tokens <= most), "high")
    return _EFFORTS.get(reasoning.effort or "medium", "high")
