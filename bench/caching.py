"""`python -m bench.caching`: what a kept answer costs the gateway, beside a call; and what looking for one adds to it.

CPU of this process per request, from the request's bytes to the answer's, through the gateway's own path and books; a
model is simulated and answers at once, so that the gateway alone is measured. Rounds of each way in turn; medians.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

from bench.__main__ import circumstances
from bench.report import Section, put_section, render, table
from polyroute.config.load import reads
from polyroute.journey import Entry
from polyroute.server.strict_json import loads
from polyroute.types.access import Caller
from polyroute.wiring.build import Built, open_gateway

DOCUMENT = """
server: {auth: open}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models: {m: {provider: sim, model: s, answer: echo, price: {input: 1, output: 2}}}
routes:
  plain: {primary: m}
  kept: {primary: m, cache: {exact: 5m}}
"""
RESULTS = Path(__file__).with_name("RESULTS.md")
DOOR = "openai_chat"
CALLER = Caller(user="bench")
TURNS = ("What does the invoice of May say about the delivery to the northern warehouse?", "It says: two pallets.") * 7
WAYS: Mapping[str, tuple[str, bool]] = {  # the route, and whether every request is a new one
    "no cache": ("plain", True),
    "miss": ("kept", True),
    "hit": ("kept", False),
}
_MOST_MS = 0.2


async def once(built: Built, number: int, route: str, new: bool) -> str:
    """What its cache did."""
    services, dialect = built.services, built.services.dialects[DOOR]
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": turn} for at, turn in enumerate((*TURNS, "And in June?"))
    ]
    if new:
        messages[-1]["content"] += f" ({number})"
    request = dialect.parse_request(loads(orjson.dumps({"model": route, "messages": messages})), {})
    entry = Entry(request_id=services.new_request_id(), arrived_s=time.monotonic(), door=DOOR)
    answer = await services.path.answer(request, CALLER, entry)
    assert answer.reply.wire or dialect.render_response(services.path.read(request, answer.reply), request)
    return answer.receipt.cache


async def measured(rounds: int, count: int) -> dict[str, list[float]]:
    """Milliseconds of CPU per request, for each way and round."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    number = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with open_gateway(reads(DOCUMENT, {}, folder=Path(folder)), {}) as built:
            for _ in range(rounds):
                for way, (route, new) in WAYS.items():
                    await once(built, 0, route, new)
                    started_s, outcomes = time.process_time(), set()
                    for _ in range(count):
                        number += 1
                        outcomes.add(await once(built, number, route, new))
                    found[way].append((time.process_time() - started_s) * 1000 / count)
                    assert outcomes == {"exact" if way == "hit" else "miss"}
                    await built.foundation.ledger.drain()
    return found


def section(found: Mapping[str, list[float]], count: int) -> Section:
    medians = {way: statistics.median(rounds) for way, rounds in found.items()}
    bare = medians["no cache"]
    rows = [
        (way, f"{median:.3f}", f"{median - bare:+.3f}", f"{min(found[way]):.3f}–{max(found[way]):.3f}")
        for way, median in medians.items()
    ]
    text = (
        "CPU of one request from its bytes to the answer's, 2 KB of conversation, books included, the model simulated. "
        f"Goal: a hit adds at most {_MOST_MS} ms to a request of a route without a cache.\n\n"
        + table(("way", "ms CPU, median", "beside no cache", "rounds"), rows)
    )
    return Section(
        name="cache",
        title="Answers given again",
        n=f"{len(found['hit'])} rounds of {count} requests each way, in turn",
        text=text,
        figures={way: list(rounds) for way, rounds in found.items()},
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.caching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="into bench/RESULTS.md")
    options = parser.parse_args()
    logging.getLogger("polyroute").handlers[:] = [logging.NullHandler()]
    under = circumstances()
    found = asyncio.run(measured(options.rounds, options.requests))
    part = section(found, options.requests)
    told = render(part, under)
    sys.stdout.write(f"{told}\n")
    if options.write:
        RESULTS.write_text(put_section(RESULTS.read_text(), part.name, told))
    added_ms = statistics.median(found["hit"]) - statistics.median(found["no cache"])
    return 0 if added_ms <= _MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main())
