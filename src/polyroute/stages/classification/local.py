"""A learned classifier at work in the process of classifiers. What it says comes in time or not at all.

Where it is learned from examples, that is done by a process of its own, once, and begun when it is first asked for.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from polyroute.embedders.minilm import plain
from polyroute.embedders.worker import Worker
from polyroute.errors import WorkerFailed
from polyroute.ports import Monotonic
from polyroute.types.routing import Classed

PROGRAM = "polyroute.stages.classification.child"
MOST_CHARS = 20_000
_PIECE = 16
_LEARN_S = 3_600.0


class Rows(Struct, frozen=True, kw_only=True):
    """What a classifier is learned from. A label of None: of no class."""

    texts: tuple[str, ...]
    labels: tuple[str | None, ...]
    vectors: bool | None = None  # None: where the extra is installed
    rejects: bool = True
    form: bool = False  # look at the text's form too


async def learn(rows: Rows, worker: Worker, into: Path | None = None) -> Path:
    """The file of the classifier; where none is named, one of the cache. Raises WorkerFailed."""
    worker = worker.beside(_LEARN_S)
    try:
        asked = {
            "texts": [plain(text[:MOST_CHARS]) for text in rows.texts],
            "labels": rows.labels,
            "vectors": rows.vectors,
            "rejects": rows.rejects,
            "form": rows.form,
            "into": None if into is None else str(into),
        }
        return Path(str((await worker.ask("learn", asked)).told["file"]))
    finally:
        await worker.aclose()


async def inspect(file: Path, worker: Worker) -> dict[str, Any]:
    """What a classifier's file says of itself. Raises WorkerFailed where it is none."""
    told: dict[str, Any] = (await worker.ask("inspect", {"file": str(file)})).told["told"]  # type: ignore[assignment]  # JSON
    return told


class LocalClassifier:
    """Of `kind` examples or trained. The worker is whoever made it's to close."""

    def __init__(
        self, kind: str, source: Rows | Path, worker: Worker, *, timeout_s: float, monotonic: Monotonic
    ) -> None:
        self._kind = kind
        self._source = source
        self._worker = worker
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._learning: asyncio.Task[Path] | None = None

    async def ready(self) -> Path:
        """Its file, learned where that is still due. Raises WorkerFailed; then the next call tries anew."""
        if isinstance(self._source, Path):
            return self._source
        task = self._learning
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._learning = asyncio.ensure_future(learn(self._source, self._worker))
        return await asyncio.shield(task)

    async def classed(self, text: str) -> Classed:
        started_s = self._monotonic()
        try:
            found = (await asyncio.wait_for(self.classed_all([text]), self._timeout_s))[0]
        except TimeoutError:
            found = self._silent(f"said nothing within {self._timeout_s:g} s")
        except WorkerFailed as exc:
            found = self._silent(exc.message)
        return replace(found, elapsed_ms=round((self._monotonic() - started_s) * 1000, 3))

    async def classed_all(
        self, texts: Sequence[str], on_done: Callable[[int], None] = lambda count: None
    ) -> list[Classed]:
        """`on_done` is told how many are done since."""
        file, found = await self.ready(), list[Classed]()
        for start in range(0, len(texts), _PIECE):
            piece = [plain(text[:MOST_CHARS]) for text in texts[start : start + _PIECE]]
            told: Any = (await self._worker.ask("classify", {"file": str(file), "texts": piece})).told
            name = f"{self._kind}@{told['version']}"
            found += [Classed(label=label, score=score, classifier=name) for label, score in told["classed"]]
            on_done(len(piece))
        return found

    def _silent(self, fault: str) -> Classed:
        return Classed(classifier=self._kind, fault=fault)
