"""The requests that a drill replays: those of the books, or of a file. What they said is not kept and not needed.

The books know of each request its route, its size, when it came and how it was classified; a prompt of that size stands
for what was said.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from polyroute.errors import PolyrouteError
from polyroute.stores.verify import Entry
from polyroute.types.access import Caller
from polyroute.types.content import Message, Text
from polyroute.types.request import Request
from polyroute.types.routing import Classification, Complexity

LONGEST_GAP_S = 10.0  # quiet hours are no part of a drill
_WORD = "word "  # about a token
_MOST_TOKENS = 200_000
_CHAT_LIKE = ("openai_chat", "anthropic_messages", "openai_responses", "gemini", "bedrock_converse", "python")

Tokens = Annotated[int, Meta(ge=0, le=10_000_000)]


class Asked(Struct, frozen=True, kw_only=True):
    """One request of the past, as far as a drill needs it."""

    model: str  # a route or a model, as it was asked for
    at_s: float  # after the first one
    input_tokens: int
    output_tokens: int
    classification: Classification
    caller: Caller = Caller()

    def request(self) -> Request:
        words = _WORD * max(min(self.input_tokens, _MOST_TOKENS), 1)
        return Request(
            model=self.model,
            messages=(Message(role="user", parts=(Text(text=words),)),),
            max_output_tokens=max(self.output_tokens, 1),
        )


class Row(Struct, frozen=True, kw_only=True):
    """One line of a file of traffic."""

    model: str
    input_tokens: Tokens = 300
    output_tokens: Tokens = 150
    at_s: Annotated[float, Meta(ge=0)] | None = None  # None: a tenth of a second after the one before
    complexity: Complexity = "simple"


def from_books(entries: Iterable[Entry], most: int) -> list[Asked]:
    """The newest `most` requests for chat that a model answered, or tried to, the oldest first."""
    asked: list[Asked] = []
    at_s, before_us = 0.0, None
    for entry in _newest(entries, most):
        receipt, row = entry.receipt, entry.request
        assert receipt is not None  # `_newest` leaves others out
        if before_us is not None:
            at_s += min((row.opened_us - before_us) / 1e6, LONGEST_GAP_S)
        before_us = row.opened_us
        inputs, outputs = _sizes(entry)
        asked.append(
            Asked(
                model=receipt.requested_model,
                at_s=at_s,
                input_tokens=inputs,
                output_tokens=outputs,
                classification=receipt.classification or _guess("simple"),
                caller=Caller(user=row.user, team=row.team, tenant=row.tenant),
            )
        )
    return asked


def from_file(path: Path) -> list[Asked]:
    """Raises PolyrouteError naming the line."""
    asked: list[Asked] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=Row)
        except msgspec.MsgspecError as exc:
            raise PolyrouteError(f"{path}:{number}: {exc}") from exc
        last_s = asked[-1].at_s if asked else -0.1
        asked.append(
            Asked(
                model=row.model,
                at_s=max(last_s, row.at_s) if row.at_s is not None else last_s + 0.1,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                classification=_guess(row.complexity),
            )
        )
    return asked


def _newest(entries: Iterable[Entry], most: int) -> Iterator[Entry]:
    found = [e for e in entries if e.receipt is not None and e.attempts and e.receipt.door in _CHAT_LIKE]
    return iter(found[-most:])


def _sizes(entry: Entry) -> tuple[int, int]:
    """Of its answer, or of what was tried."""
    used = next((a for a in reversed(entry.attempts) if a.input_tokens is not None), None)
    if used is None:
        return 300, 150
    cached = (used.cached_input_tokens or 0) + (used.cache_write_tokens or 0)
    return (used.input_tokens or 0) + cached, used.output_tokens or 1


def _guess(label: Complexity) -> Classification:
    scores: dict[Complexity, float] = {"simple": 0.1, "moderate": 0.5, "complex": 0.9}
    return Classification(label=label, score=scores[label], classifier="drill")
