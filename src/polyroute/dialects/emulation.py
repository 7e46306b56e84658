"""What a deployment has no form for, asked for in one that it has; its answer put back. Canonical on both sides. Pure.

Nothing here knows a wire format. A request that is changed is written anew even where it came in the upstream's own
dialect, so its answer is read, too. Where nothing is to be emulated, nothing is done.
"""

from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects import answer_tool
from polyroute.types.cards import Deployment
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Response


class Emulated(Struct, frozen=True, kw_only=True):
    """One attempt's request, and the way back."""

    request: Request
    dropped: tuple[str, ...] = ()
    answer_tool: str | None = None  # whose input is the answer

    def whole(self, response: Response) -> Response:
        return response if self.answer_tool is None else answer_tool.answered(response, self.answer_tool)

    def open(self) -> "Returning":
        return Returning(None if self.answer_tool is None else answer_tool.Answering(self.answer_tool))


class Returning:
    """The way back for a stream. One per attempt."""

    __slots__ = ("_answering",)

    def __init__(self, answering: answer_tool.Answering | None) -> None:
        self._answering = answering

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        return chunks if self._answering is None else self._answering.take(chunks)


def emulated(request: Request, target: Deployment, dialect: str) -> Emulated | None:
    """None where `target` takes `request` as it is. `dialect` is the one it will be asked in."""
    if not answer_tool.asks_otherwise(request, target):
        return None
    asked = answer_tool.ask_otherwise(request, target)
    request, wire = asked.request, asked.request.wire
    if wire is not None and wire.dialect == dialect:
        request = replace(request, wire=None)
    return Emulated(request=request, dropped=asked.notes, answer_tool=asked.tool)
