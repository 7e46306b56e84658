"""What a deployment has no form for, asked for in one that it has; its answer put back. Canonical on both sides. Pure.

Nothing here knows a wire format. A request that is changed is written anew even where it came in the upstream's own
dialect, so its answer is read, too. Where nothing is to be emulated, nothing is done.
"""

from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects.answer_tool import Answering, answered, ask_otherwise, asks_otherwise
from polyroute.dialects.free_input import Unwrapping, has_free_input, unwrapped, wrapped
from polyroute.ports import Dialect
from polyroute.types.cards import Deployment
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Response


@runtime_checkable
class TakesFreeInput(Protocol):
    """A dialect whose tools may take text in place of JSON."""

    takes_free_input: Literal[True]


class Emulated(Struct, frozen=True, kw_only=True):
    """One attempt's request, and the way back."""

    request: Request
    dropped: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()  # what cannot be emulated either
    answer_tool: str | None = None  # whose input is the answer
    free_tools: frozenset[str] = frozenset()  # whose input is text

    def whole(self, response: Response) -> Response:
        if self.free_tools:
            response = unwrapped(response, self.free_tools)
        return response if self.answer_tool is None else answered(response, self.answer_tool)

    def open(self) -> "Returning":
        return Returning(self)


class Returning:
    """The way back for a stream. One per attempt."""

    __slots__ = ("_answering", "_unwrapping")

    def __init__(self, put: Emulated) -> None:
        self._unwrapping = Unwrapping(put.free_tools) if put.free_tools else None
        self._answering = None if put.answer_tool is None else Answering(put.answer_tool)

    def take(self, chunks: list[Chunk]) -> list[Chunk]:
        if self._unwrapping is not None:
            chunks = self._unwrapping.take(chunks)
        return chunks if self._answering is None else self._answering.take(chunks)


def emulated(request: Request, target: Deployment, dialect: Dialect) -> Emulated | None:
    """None where `target`, asked in `dialect`, takes `request` as it is."""
    is_free = has_free_input(request.tools) and not isinstance(dialect, TakesFreeInput)
    is_formed = asks_otherwise(request, target)
    if not is_free and not is_formed:
        return None
    put = Emulated(request=request)
    if is_free:
        free = wrapped(request, dialect.name)
        put = replace(put, request=free.request, obstacles=free.obstacles, free_tools=free.names)
    if is_formed:
        asked = ask_otherwise(put.request, target)
        put = replace(put, request=asked.request, dropped=asked.notes, answer_tool=asked.tool)
    wire = request.wire
    if wire is not None and wire.dialect == dialect.name:
        put = replace(put, request=replace(put.request, wire=None))
    return put
