"""What the benches of checked answers share: recorded rows, their two halves, a gateway over them, and the page.

A row belongs to the fitted half where the SHA-256 of its id begins with an even byte, else to the held-out half.
Whatever is chosen (a threshold, a model, an order) is chosen on the fitted half and frozen; figures are of the other.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from polyroute import Gateway
from polyroute.cli.interval import wilson

DATA = Path(__file__).parents[2] / "shared" / "data"
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "checked-answers.md"
HEADING = """# Checked answers

What gates and cascades find on recorded answers of real models. Written by `python -m bench.gates`,
`python -m bench.cascade` and `python -m bench.classify`, through a running gateway with the `replay` provider, and by
`python -m bench.moderation`; the data lie beside the checkout, in `../shared/data`. Whatever was chosen was chosen on
one half of the rows (SHA-256 of the id, even) and frozen; figures are of the other half unless a line says otherwise.
Intervals are Wilson's, 95 %.
"""
_BASE = 'server: {auth: open}\nstore: {database: "sqlite:///books.db"}\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the page."""

    what: str
    value: str
    n: str
    interval: str
    goal: str
    is_met: bool | None  # None: there is no goal

    def cells(self) -> tuple[str, ...]:
        met = "" if self.is_met is None else "met" if self.is_met else "**missed**"
        return (self.what, self.value, self.interval, self.n, self.goal, met)


HEAD = ("what", "measured", "95 % interval", "n", "goal", "")


def share(hits: int, trials: int) -> tuple[str, str]:
    low, high = wilson(hits, trials)
    return f"{hits / trials if trials else 0:.1%}", f"{low:.1%} to {high:.1%}"


def rows(path: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / path, "rt") as lines:
        yield from map(json.loads, lines)


def is_held_out(identity: object) -> bool:
    return sha256(str(identity).encode()).digest()[0] % 2 == 1


@asynccontextmanager
async def gateway(document: str, recordings: Iterable[dict[str, object]]) -> AsyncIterator[Gateway]:
    """Over recorded answers (`recordings.jsonl`), with books of its own."""
    with TemporaryDirectory(prefix="polyroute-bench-") as folder:
        place = Path(folder)
        with (place / "recordings.jsonl").open("w") as out:
            out.writelines(json.dumps(row) + "\n" for row in recordings)
        (place / "polyroute.yaml").write_text(_BASE + document)
        async with Gateway(place / "polyroute.yaml", env={}) as running:
            yield running
