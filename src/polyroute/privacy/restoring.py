"""Values put back into a stream, also where a placeholder comes in pieces. Only what may be one is held back."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from msgspec.structs import replace

from polyroute.privacy.guard import Guard
from polyroute.privacy.walk import mapped
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

_Delta = TextDelta | RefusalDelta | ThinkingDelta | ToolCallDelta


class Restorer:
    """One per stream."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._held: dict[tuple[int, int], _Delta] = {}  # by choice and part: what may be a placeholder's beginning

    def take(self, chunk: Chunk) -> Iterator[Chunk]:
        match chunk:
            case TextDelta() | RefusalDelta() | ThinkingDelta() | ToolCallDelta():
                yield from self._delta(chunk)
            case PartAdded():
                yield from self._before(chunk.choice, chunk.part)
                yield mapped(chunk, lambda text, path: self._guard.restore(text))
            case ChoiceEnded():
                yield from self._before(chunk.choice, None)
                yield chunk
            case Ended():
                for choice in {choice for choice, _ in self._held}:
                    yield from self._before(choice, None)
                yield chunk
            case _:
                yield chunk

    def _delta(self, chunk: _Delta) -> Iterator[Chunk]:
        place = (chunk.choice, chunk.part)
        before = self._held.pop(place, None)
        if before is None:
            yield from self._before(chunk.choice, chunk.part)
        text = (_words(before) if before is not None else "") + _words(chunk)
        held = self._guard.placeholders.held(text)
        told = text[: len(text) - held]
        if held:
            self._held[place] = _with_words(chunk, text[len(text) - held :], is_rest=True)
        is_bare = isinstance(chunk, ThinkingDelta) and (chunk.signature is not None or chunk.redacted is not None)
        if told or not held or is_bare:
            in_json = self._guard.in_json or isinstance(chunk, ToolCallDelta)
            yield _with_words(chunk, self._guard.placeholders.restore(told, in_json=in_json))

    def _before(self, choice: int, part: int | None) -> Iterator[Chunk]:
        """What other parts of this choice held: a new one begins, or the choice ends."""
        for place in [place for place in self._held if place[0] == choice and place[1] != part]:
            yield self._held.pop(place)


async def restored(chunks: AsyncGenerator[Chunk, None], guard: Guard) -> AsyncGenerator[Chunk, None]:
    """`chunks`, which is closed with this one."""
    restorer = Restorer(guard)
    async with aclosing(chunks):
        async for chunk in chunks:
            for told in restorer.take(chunk):
                yield told


def _words(chunk: _Delta) -> str:
    return chunk.arguments if isinstance(chunk, ToolCallDelta) else chunk.text


def _with_words(chunk: _Delta, words: str, *, is_rest: bool = False) -> _Delta:
    """`is_rest`: without what is told once, beside the words."""
    match chunk:
        case ToolCallDelta():
            return replace(chunk, arguments=words)
        case ThinkingDelta() if is_rest:
            return replace(chunk, text=words, signature=None, redacted=None)
        case TextDelta() if is_rest:
            return replace(chunk, text=words, logprobs=None)
        case _:
            return replace(chunk, text=words)
