"""all-MiniLM-L6-v2 as an `Embedder`: 384 numbers a text, in a process that starts with the first one."""

from collections.abc import Sequence

from polyroute.embedders.weights import DIMENSIONS, EXTRA, lacking
from polyroute.embedders.worker import Worker
from polyroute.errors import WorkerFailed
from polyroute.ports import Vectors

_PIECE = 16  # texts at once; a short question waits for no more than these


class MiniLM:
    """Asks the worker's `embed`. The worker is whoever made it's to close."""

    name = "all-MiniLM-L6-v2/int8@1"
    dimensions = DIMENSIONS

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises WorkerFailed."""
        if missing := lacking():
            raise WorkerFailed(f"there are no local embeddings here without {', '.join(missing)}: {EXTRA}")
        pieces = []
        for start in range(0, len(texts), _PIECE):
            piece = [plain(text) for text in texts[start : start + _PIECE]]
            pieces.append((await self._worker.ask("embed", {"texts": piece})).data)
        return Vectors(count=len(texts), dimensions=self.dimensions, data=b"".join(pieces))


def plain(text: str) -> str:
    """Half of a surrogate pair is no character, and does not leave the process."""
    return text.encode("utf-8", "replace").decode()
