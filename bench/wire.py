"""`wire`: what translation costs for each door and upstream, in process: a request and its answer, a chunk, a megabyte.

Every body is written by the dialects themselves from one question and one answer, so that a dialect that joins
`wiring.dialects` is measured too.
"""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import asdict

import orjson

from bench.figures import Spread, spread, verdict
from bench.processes import BenchError
from bench.report import Section, table
from bench.timing import Timed, timed
from bench.traffic import bodies
from polyroute.ports import Dialect, StreamReader
from polyroute.server import strict_json
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Image, Inline, Message, Text
from polyroute.types.request import Request
from polyroute.types.response import Choice, ChoiceEnded, Chunk, Ended, Response, Started, StopReason, TextDelta, Usage
from polyroute.wiring.dialects import DIALECTS, OPENAI_CHAT

_USAGE = Usage(input_tokens=230, output_tokens=140)
_WORDS = "The first step is to measure, since a rule that nobody can check saves nothing that anybody could show. " * 6
_ANSWER = Response(
    id="answer-1",
    model="bench",
    choices=(Choice(index=0, parts=(Text(text=_WORDS),), stop=StopReason.END),),
    usage=_USAGE,
    created_s=1_700_000_000,
)
_CHUNKS = 40
_MANY = 10  # images of a request of about a megabyte
_IMAGE_BYTES = 75_000

# CPU goals of issue "The wire": milliseconds, microseconds, milliseconds.
_REQUEST_GOAL_MS, _CHUNK_GOAL_US, _MEGABYTE_GOAL_MS = 0.15, 10.0, 15.0
_HEAD = (
    *("door", "upstream", "1 KB request there, ms", "0.7 KB answer back, ms", "both", "one chunk, us"),
    *("1 MB of images, ms", "verdict"),
)


def wire() -> Section:
    chats = {name: d for name, d in DIALECTS.items() if d.operation == "chat" and name == d.name}  # variants once
    rows: list[tuple[str, ...]] = []
    found: list[Timed] = []
    for door in chats.values():
        for upstream in chats.values():
            pair = _pair(door, upstream)
            if pair is not None:
                found += pair.values()
                rows.append(_row(door, upstream, pair))
    return Section(
        name="wire",
        title="Translation, in process: CPU for each door and upstream",
        n="7 rounds of about 50 ms each",
        text=table(_HEAD, rows)
        + f"\nGoals: {_REQUEST_GOAL_MS:g} ms for request and answer, {_CHUNK_GOAL_US:g} us a chunk, "
        f"{_MEGABYTE_GOAL_MS:g} ms for the megabyte, its strict reading included. Where door and upstream are the "
        "same, bytes pass and are only looked at. A door that takes text alone is not among them.\n",
        figures={"wire": [asdict(one) for one in found]},
    )


def _pair(door: Dialect, upstream: Dialect) -> dict[str, Timed] | None:
    """None where one of them cannot say this at all."""
    if door.obstacles(_pictures()) or upstream.obstacles(_pictures()):
        return None
    small, large = _as_door(door, _question()), _as_door(door, _pictures())
    request = door.parse_request(orjson.loads(small), {})
    target = _target(upstream)
    body = strict_json.loads(small)
    answer = upstream.render_response(_ANSWER, request)
    return {
        "request": timed("request", lambda: _render(upstream, door.parse_request(body, {}), target)),
        "answer": timed("answer", _back(door, upstream, answer, request)),
        "chunk": _chunk(door, upstream, request),
        "megabyte": timed(
            "megabyte", lambda: _render(upstream, door.parse_request(strict_json.loads(large), {}), target)
        ),
    }


def _render(upstream: Dialect, request: Request, target: Deployment) -> object:
    return upstream.render_request(request, target, max_output_tokens=None)


def _back(door: Dialect, upstream: Dialect, answer: bytes, request: Request) -> Callable[[], object]:
    if door.name == upstream.name:
        return lambda: upstream.skim_response(answer)
    return lambda: door.render_response(upstream.parse_response(answer), request)


def _chunk(door: Dialect, upstream: Dialect, request: Request) -> Timed:
    """A whole stream of many chunks, over their number: its head and end are in it."""
    is_same = door.name == upstream.name
    given = upstream.open_writer(request)
    events = [sent for chunk in _stream() if (sent := given.write(chunk))]
    events.append(given.end(Ended(usage=_USAGE, model="bench"), {}))

    def relay() -> bool:
        reader, writer = upstream.open_reader(same_dialect=is_same), door.open_writer(request)
        chunks = itertools.chain(itertools.chain.from_iterable(map(reader.feed, events)), _closing(reader))
        for chunk in chunks:
            if isinstance(chunk, Ended):
                if not is_same:
                    writer.end(chunk, {})
                return True
            if not is_same:
                writer.write(chunk)
        return False

    if not relay():
        raise BenchError(f"{upstream.name} does not read its own stream to the end")
    whole = timed("chunk", relay)
    return Timed(name="chunk", calls=whole.calls, rounds_ns=[ns / _CHUNKS for ns in whole.rounds_ns])


def _closing(reader: StreamReader) -> Iterable[Chunk]:
    """What comes with the end of the connection, asked for only there."""
    yield from reader.close()


def _stream() -> Iterable[Chunk]:
    yield Started(id="answer-1", model="bench", created_s=1_700_000_000)
    for number in range(_CHUNKS):
        yield TextDelta(text=f"word {number} of it ", part=0)
    yield ChoiceEnded(stop=StopReason.END)


def _row(door: Dialect, upstream: Dialect, pair: dict[str, Timed]) -> tuple[str, ...]:
    there, back, chunk, large = (
        spread([ns / unit for ns in pair[name].rounds_ns])
        for name, unit in (("request", 1e6), ("answer", 1e6), ("chunk", 1e3), ("megabyte", 1e6))
    )
    both = Spread(median=there.median + back.median, low=there.low + back.low, high=there.high + back.high)
    goals = ((both, _REQUEST_GOAL_MS), (chunk, _CHUNK_GOAL_US), (large, _MEGABYTE_GOAL_MS))
    verdicts = [verdict(measured, goal) for measured, goal in goals]
    said = "met" if set(verdicts) == {"met"} else "; ".join(verdicts)
    return (
        door.name,
        upstream.name,
        there.text(4),
        back.text(4),
        f"{both.median:.4f}",
        chunk.text(2),
        large.text(2),
        said,
    )


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────


def _question() -> Request:
    return OPENAI_CHAT.parse_request(orjson.loads(bodies("chat", "bench", stream=False, count=1)[0]), {})


def _pictures() -> Request:
    noise = random.Random(1)
    images = [
        Image(media=Inline(media_type="image/png", data=base64.b64encode(noise.randbytes(_IMAGE_BYTES)).decode()))
        for _ in range(_MANY)
    ]
    message = Message(role="user", parts=(Text(text="What is on these?"), *images))
    return Request(model="bench", messages=(message,), max_output_tokens=256)


def _as_door(door: Dialect, asked: Request) -> bytes:
    """The question in the door's own words."""
    foreign = Request(
        model="bench",
        messages=asked.messages,
        max_output_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
    )
    written = orjson.loads(door.render_request(foreign, _target(door), max_output_tokens=None).body)
    return orjson.dumps({"model": "bench", **written})


def _target(dialect: Dialect) -> Deployment:
    return Deployment(
        id="bench@bench",
        model="bench",
        provider="bench",
        dialect=dialect.name,
        upstream_model="bench",
        card=ModelCard(id="bench/bench"),
    )
