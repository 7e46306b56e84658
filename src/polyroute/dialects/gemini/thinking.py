"""How much a Gemini model may think, where the caller said it in another dialect's words. Pure.

Models of the third generation take a level (capability "thinking_level"), those before a budget, which the newer take
too. Effort to budget: Google's mapping of OpenAI's `reasoning_effort` ("OpenAI compatibility", ai.google.dev,
2025-12): minimal and low 1,024, medium 8,192, high 24,576 tokens; to a level likewise, `none` and `minimal` being the
lowest. Which models always think (capability "always_thinks"): "Thinking", the same place.
"""

from polyroute.types.request import Reasoning

_BUDGET = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = frozenset({"minimal", "low", "medium", "high"})
_LEVEL_FROM = ((8192, "high"), (1025, "medium"), (0, "low"))  # the other way round, for a budget
_LARGEST_BUDGET = 24576  # of Flash; Pro takes a little more


def write_thinking(reasoning: Reasoning, capabilities: frozenset[str] | None, dropped: list[str]) -> dict[str, object]:
    """The fields of `thinkingConfig`; none where this model cannot do as it is told."""
    if capabilities is not None and "thinking" not in capabilities:
        if reasoning.enabled:
            dropped.append("reasoning")
        return {}
    takes_level = capabilities is not None and "thinking_level" in capabilities
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if not reasoning.enabled or effort == "none":
        if capabilities is not None and "always_thinks" in capabilities:
            dropped.append("reasoning")
            return {"thinkingLevel": "low"} if takes_level else {"thinkingBudget": 128}
        return {"thinkingBudget": 0}
    shown: dict[str, object] = {"includeThoughts": True}
    if takes_level:
        if effort is None and budget is not None:
            effort = next(word for least, word in _LEVEL_FROM if budget >= least)
        return shown if effort is None else {**shown, "thinkingLevel": effort if effort in _LEVELS else "high"}
    if budget is None and effort is not None:
        budget = _BUDGET.get(effort, _LARGEST_BUDGET)
    if budget is None:
        return {**shown, "thinkingBudget": -1}
    return {**shown, "thinkingBudget": min(budget, _LARGEST_BUDGET)}
