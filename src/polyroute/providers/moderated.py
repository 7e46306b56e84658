"""Answers `/v1/moderations` with what a route's moderator has ruled: nobody is called here."""

from collections.abc import AsyncGenerator, Mapping
from secrets import token_hex

from polyroute.dialects.openai_moderations import CATEGORIES, NAME
from polyroute.errors import MalformedReply
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Opaque, Text
from polyroute.types.moderation import Ruling
from polyroute.types.request import Request
from polyroute.types.response import Choice, Chunk, Ended, Reply, Response, StopReason, Usage

MODERATION = "moderation"  # the provider's name, before the route's
_LIKELY = 0.5


class ModeratedProvider:
    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        if request.operation != "moderation":
            return (f"a moderator does no {request.operation}: it answers /v1/moderations",)
        if any(not isinstance(part, Text) for message in request.messages for part in message.parts):
            return ("a moderator reads texts only",)
        return ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        if len(request.rulings) != len(request.messages):
            raise MalformedReply("the moderator has not ruled on every input")
        usage = Usage(input_tokens=0, output_tokens=0)
        choices = tuple(
            Choice(
                index=at,
                parts=(Opaque(dialect=NAME, kind="result", raw=_result(ruling)),),
                stop=StopReason.END,
            )
            for at, ruling in enumerate(request.rulings)
        )
        response = Response(id=f"modr-{token_hex(12)}", model=target.upstream_model, choices=choices, usage=usage)
        return Reply(usage=usage, model=target.upstream_model, stop=StopReason.END, response=response)

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        reply = await self.complete(request, target, deadlines, max_output_tokens)
        yield Ended(usage=reply.usage, model=reply.model)

    async def aclose(self) -> None:
        """Holds nothing open."""


def _result(ruling: Ruling) -> dict[str, object]:
    """OpenAI's categories are always there, so that its SDK finds them; a moderator's own come beside them."""
    scores: Mapping[str, float] = dict.fromkeys(CATEGORIES, 0.0) | ruling.categories
    return {
        "flagged": ruling.flagged,
        "categories": {name: ruling.flagged and score >= _LIKELY for name, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
        "polyroute": {"stage": ruling.stage, "score": ruling.score},
    }
