"""Held answers over HTTP: the caller waits or comes back, a reviewer decides.

202 while nobody has decided; then the door's own answer, 403 where it was rejected, 410 where its time ran out.
`Prefer: wait=SECONDS` (RFC 7240) waits for the decision, on the request itself and on its review.
"""

import asyncio

from msgspec.structs import asdict

from polyroute.errors import AnswerHeld, Forbidden, Gone, InvalidRequest
from polyroute.server.endpoints import Endpoint, Handler
from polyroute.server.exchange import Exchange
from polyroute.server.headers import Headers
from polyroute.server.services import Services
from polyroute.types.encoding import to_json
from polyroute.types.request import ask
from polyroute.types.review import Decision, Review, ReviewState

_LONGEST_WAIT_S = 300.0
_LOOK_S = 0.25
_BODY_BYTES = 4_000_000
STATES: tuple[ReviewState, ...] = ("pending", "approved", "edited", "rejected", "expired")


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method="GET",
            path="/v1/reviews/{id}",
            handler=_answer,
            summary="A held answer, once it is approved",
            action="reviews:read",
        ),
        Endpoint(
            method="GET",
            path="/admin/reviews",
            handler=_every,
            summary="Held answers: ?state=pending",
            action="reviews:read",
        ),
        Endpoint(
            method="GET", path="/admin/reviews/{id}", handler=_one, summary="A held answer", action="reviews:read"
        ),
        *(
            Endpoint(
                method="POST",
                path=f"/admin/reviews/{{id}}/{decision}",
                handler=_decides(decision),
                summary=f"{decision.capitalize()} a held answer",
                action="reviews:decide",
            )
            for decision in _DECISIONS
        ),
    ]


_DECISIONS: tuple[Decision, ...] = ("approve", "edit", "reject")


async def answer_held(exchange: Exchange, services: Services, held: AnswerHeld) -> None:
    """The answer to a request whose own answer is held: its id, or the decision where the caller waits for one."""
    await _tell(exchange, services, held.review_id)


async def _answer(exchange: Exchange, services: Services) -> None:
    await _tell(exchange, services, exchange.variables["id"])


async def _tell(exchange: Exchange, services: Services, review_id: str) -> None:
    left_s = _wait_s(exchange)
    while True:
        review = await asyncio.to_thread(services.reviews.find, exchange.caller, review_id)
        if review.state != "pending" or left_s <= 0:
            break
        await asyncio.sleep(min(_LOOK_S, left_s))
        left_s -= _LOOK_S
    headers: Headers = [
        (b"x-polyroute-request-id", review.request_id.encode()),
        (b"x-polyroute-review", review.state.encode()),
        (b"cache-control", b"no-store"),
    ]
    match review.state:
        case "pending":
            headers.append((b"location", f"/v1/reviews/{review.id}".encode()))
            told = {"id": review.id, "status": "pending", "request_id": review.request_id}
            await exchange.reply(202, to_json({**told, "expires_at": review.expires_at}), headers)
        case "rejected":
            raise Forbidden(f"a reviewer rejected the answer: {review.reason}")
        case "expired":
            raise Gone(f"nobody decided on the answer until {review.expires_at:%Y-%m-%d %H:%M} UTC")
        case "approved" | "edited":
            await exchange.reply(200, review.body or _rendered(review, services), headers)


def _rendered(review: Review, services: Services) -> bytes:
    dialect = services.dialects.get(review.door)
    if dialect is None:  # asked without a wire format
        return to_json({"id": review.request_id, "output": review.answer.text, "model": review.model})
    return dialect.render_response(review.answer, ask(review.answer.model, ""))


def _wait_s(exchange: Exchange) -> float:
    for preference in exchange.headers.get("prefer", "").split(","):
        name, _, value = preference.partition("=")
        if name.strip().lower() == "wait":
            if not value.strip().isdecimal():
                raise InvalidRequest("`Prefer: wait=SECONDS` takes a whole number", field="prefer")
            return min(float(value), _LONGEST_WAIT_S)
    return 0.0


async def _every(exchange: Exchange, services: Services) -> None:
    wanted = exchange.query.get("state")
    state = next((known for known in STATES if known == wanted), None)
    if wanted is not None and state is None:
        raise InvalidRequest(f"`state` must be one of {', '.join(STATES)}", field="state")
    found = await asyncio.to_thread(services.reviews.every, exchange.caller, state)
    await exchange.reply(200, to_json({"data": list(map(shown, found))}), [])


async def _one(exchange: Exchange, services: Services) -> None:
    review = await asyncio.to_thread(services.reviews.find, exchange.caller, exchange.variables["id"])
    await exchange.reply(200, to_json(shown(review)), [])


def _decides(decision: Decision) -> Handler:
    async def decide(exchange: Exchange, services: Services) -> None:
        body = await exchange.json(_BODY_BYTES)
        text, reason = (_text(body, name) for name in ("text", "reason"))
        decided = await asyncio.to_thread(
            lambda: services.reviews.decide(
                exchange.caller, exchange.variables["id"], decision, text=text, reason=reason
            )
        )
        services.tell_reviewed(decided)
        await exchange.reply(200, to_json(shown(decided)), [])

    return decide


def _text(body: dict[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"`{name}` must be a text", field=name)
    return value


def shown(review: Review) -> dict[str, object]:
    """As a reviewer sees it: the words, not their wire format."""
    fields = asdict(review)
    del fields["body"]
    return {**fields, "answer": review.answer.text}
