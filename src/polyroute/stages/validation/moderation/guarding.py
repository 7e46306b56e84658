"""What a route does with its moderator: which texts of a request it looks at, and the gate for answers."""

from typing import ClassVar, Literal

from msgspec import Struct

from polyroute.errors import ContentFlagged
from polyroute.ports import CallModel, Monotonic
from polyroute.stages.validation.inquiry import Inquiry
from polyroute.stages.validation.moderation.moderator import Found, Moderator
from polyroute.types.content import text_of
from polyroute.types.request import Request
from polyroute.types.routing import Verdict

OnFlagged = Literal["off", "block", "review"]
GATE = "moderation"


class Guarding(Struct, frozen=True, kw_only=True):
    moderator: Moderator
    prompts: OnFlagged | Literal["answer"] = "block"  # "answer": the rulings are what was asked for

    async def look(self, request: Request, call_model: CallModel, monotonic: Monotonic) -> Found:
        """At every message that is not the assistant's own; at every input, empty ones too, of a moderation."""
        if self.prompts == "answer":
            texts = [text_of(message.parts) for message in request.messages]
        else:
            said = (text_of(message.parts) for message in request.messages if message.role != "assistant")
            texts = [text for text in dict.fromkeys(said) if text.strip()]
        return await self.moderator.rule(texts, call_model, monotonic)


async def refuse(found: Found) -> None:
    """Raises ContentFlagged."""
    worst = max(found.rulings, key=lambda ruling: (ruling.flagged, ruling.score))
    raise ContentFlagged(
        f"the request was flagged by the moderation of this route{_of(worst.categories)}; no model has answered it"
    )


class Moderated(Struct, frozen=True, kw_only=True):
    """Accepts an answer that its moderator does not flag."""

    name: ClassVar[str] = GATE

    moderator: Moderator
    monotonic: Monotonic

    def helpers(self, model: str) -> tuple[str, ...]:
        return self.moderator.asks

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        texts = [text for choice in inquiry.response.choices if (text := text_of(choice.parts)).strip()]
        found = await self.moderator.rule(texts, inquiry.call_model, self.monotonic)
        worst = max(found.rulings, key=lambda ruling: (ruling.flagged, ruling.score), default=None)
        if worst is None:
            return Verdict(gate=self.name, accepted=True)
        reasons = (f"settled by {worst.stage}", *found.told.faults)
        if worst.flagged:
            reasons = (f"flagged{_of(worst.categories)}", *reasons)
        return Verdict(gate=self.name, accepted=not worst.flagged, score=round(1 - worst.score, 4), reasons=reasons)


def _of(categories: dict[str, float]) -> str:
    return f": {max(categories, key=categories.__getitem__)}" if categories else ""
