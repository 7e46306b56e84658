"""Holds an answer against the form its caller asked for, where the provider could not be held to it.

Only a finished answer is judged: one that calls tools is not one yet, one that was cut at its limit or refused says so
by how it ended, as at a provider that keeps schemas itself. What is accepted goes out without its Markdown fence.
"""

from msgspec import Struct
from msgspec.structs import replace

from polyroute.stages.validation.gates import MatchesSchema
from polyroute.stages.validation.texts import unfenced
from polyroute.types.content import Part, Refusal, Text, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import Choice, Response, StopReason
from polyroute.types.routing import Verdict

_GATE = "json_schema"
_UNFINISHED = {
    StopReason.TOOL_CALLS: "calls tools",
    StopReason.PAUSE: "goes on later",
    StopReason.MAX_TOKENS: "cut at its output limit",
    StopReason.REFUSAL: "refused",
    StopReason.CONTENT_FILTER: "stopped by the provider's filter",
}


class AskedForm(Struct, frozen=True, kw_only=True):
    """A gate over every choice."""

    matches: MatchesSchema

    async def judge(self, request: Request, response: Response) -> Verdict:
        verdict = Verdict(gate=_GATE, accepted=bool(response.choices), score=1.0)
        for choice in response.choices:
            if (why := _unfinished(choice)) is not None:
                verdict = Verdict(gate=_GATE, accepted=True, score=1.0, changes=(f"{why}: passed as it is",))
                continue
            found = await self.matches.judge(request, replace(response, choices=(choice,)))
            if not found.accepted:
                return found
        return verdict

    def bare(self, response: Response) -> Response | None:
        """An accepted answer without its fences; None where it has none."""
        choices = tuple(map(_bare, response.choices))
        if all(new is old for new, old in zip(choices, response.choices, strict=True)):
            return None
        return replace(response, choices=choices)


def _unfinished(choice: Choice) -> str | None:
    if any(isinstance(part, ToolCall) for part in choice.parts):
        return _UNFINISHED[StopReason.TOOL_CALLS]
    if any(isinstance(part, Refusal) for part in choice.parts):
        return _UNFINISHED[StopReason.REFUSAL]
    return _UNFINISHED.get(choice.stop)


def _bare(choice: Choice) -> Choice:
    text = choice.text
    if "```" not in text or _unfinished(choice) is not None:
        return choice
    plain = unfenced(text)
    if plain == text.strip():
        return choice
    # Text once, where the first one stood; log probabilities and citations were of the text before.
    first = next(at for at, part in enumerate(choice.parts) if isinstance(part, Text))
    parts: list[Part] = [part for part in choice.parts if not isinstance(part, Text)]
    parts.insert(first, Text(text=plain.strip()))
    return replace(choice, parts=tuple(parts), logprobs=None)
