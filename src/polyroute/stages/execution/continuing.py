"""An answer that broke off after some of it was told: what was told, and how another model is asked for the rest. Pure.

Only plain text is gone on with. Half a tool call, a form that the answer must have, probabilities, several answers at
once or what its provider keeps cannot be sewn together from two models: there the stream ends in an error.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from polyroute.errors import MalformedReply, Overloaded, ProviderError, ProviderTimeout, StreamInterrupted, Unreachable
from polyroute.stages.execution import costs
from polyroute.stages.execution.seam import Seam
from polyroute.types.cards import Deployment
from polyroute.types.content import Message, Text
from polyroute.types.request import Request
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Resumed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    WireBytes,
)

_MENDABLE = (MalformedReply, Overloaded, ProviderTimeout, StreamInterrupted, Unreachable)
_PREFILL = "prefill"  # the capability of going on from an answer's first words
_ANCHOR = 40  # characters that are asked for again, so that the seam is found
_GO_ON = (
    "Your last message was cut off. Go on exactly where it stops, in the same language, form and style. Begin with its "
    "last words, exactly as they stand there, which are:\n\n{anchor}\n\nSay nothing about the interruption, and repeat "
    "nothing else."
)


def may_go_on(request: Request) -> bool:
    """Whether its answer, once told in part, could be gone on with by another model."""
    return (
        request.operation == "chat"
        and request.n == 1
        and request.output is None
        and not (request.logprobs or request.background or request.refers)
        and "audio" not in request.output_modalities
    )


def is_mendable(error: ProviderError) -> bool:
    """Whether another model may go on: not where the answer itself was refused, or the request."""
    return isinstance(error, _MENDABLE)


class Partial:
    """What was told of an answer so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._whole: str | None = ""
        self.parts = 0  # numbers in use
        self.open: int | None = None  # the part of text that further words belong to
        self.has_begun = False
        self.is_plain = True  # text and thoughts, and not ended

    @property
    def text(self) -> str:
        if self._whole is None:
            self._whole = "".join(self._texts)
            self._texts = [self._whole]
        return self._whole

    def take(self, chunk: Chunk) -> None:
        match chunk:
            case TextDelta(choice=0, logprobs=None):
                self._texts.append(chunk.text)
                self._whole = None
                self._turn(chunk.part, is_text=True)
            case PartAdded(choice=0, content=Text(text="")):
                self._turn(chunk.part, is_text=True)
            case ThinkingDelta(choice=0):
                self._turn(chunk.part, is_text=False)
            case Started() | Resumed():
                pass
            case _:
                self.is_plain = False

    def _turn(self, part: int, *, is_text: bool) -> None:
        self.has_begun = True
        self.parts = max(self.parts, part + 1)
        self.open = part if is_text else None


class Rest:
    """A continuation's chunks as those of the answer it goes on with. Its own thoughts are not told."""

    def __init__(self, partial: Partial) -> None:
        self._seam = Seam(partial.text)
        self._base = partial.parts
        self._open = partial.open
        self._parts: dict[int, int] = {}  # of the continuation, to those of the answer

    def take(self, chunk: Chunk) -> Iterator[Chunk]:
        match chunk:
            case Started() | ThinkingDelta() | Ended():
                pass
            case TextDelta():
                part = self._part(chunk.part, is_text=True)
                if words := self._seam.feed(chunk.text):
                    yield replace(chunk, text=words, part=part)
            case PartAdded(content=Text()):
                part = self._part(chunk.part, is_text=True)
                yield from self._close(part)
                yield replace(chunk, part=part)
            case ToolCallStarted() | PartAdded() | RefusalDelta():
                yield from self._close(self._last)
                yield replace(chunk, part=self._part(chunk.part, is_text=False))
            case ToolCallDelta():
                yield replace(chunk, part=self._part(chunk.part, is_text=False))
            case ChoiceEnded():
                yield from self._close(self._last)
                yield chunk
            case WireBytes() | Resumed():
                raise AssertionError("a continuation is read, and is one model's")

    @property
    def _last(self) -> int:
        return next(reversed(self._parts.values()), self._base)

    def _part(self, number: int, *, is_text: bool) -> int:
        found = self._parts.get(number)
        if found is None:
            if is_text and self._open is not None and not self._parts:
                found = self._open
            else:
                found = self._base
                self._base += 1
            self._parts[number] = found
        return found

    def _close(self, part: int) -> Iterator[Chunk]:
        if words := self._seam.close():
            yield TextDelta(text=words, part=part)


def tokens_left(request: Request, text: str) -> int | None:
    """Of the caller's cap on the answer; None where there is none."""
    if request.max_output_tokens is None:
        return None
    return request.max_output_tokens - costs.tokens_of(TextDelta(text=text))


def rest_of(request: Request, text: str, target: Deployment | None = None) -> Request:
    """Asks for what comes after `text`: by its beginning, where `target` goes on from one, else in words.

    Without a `target`, the longer of the two: what anybody may have to read.
    """
    if not text:
        return request
    words = text.rstrip() if _prefills(request, target) else text
    said = [Message(role="assistant", parts=(Text(text=words),))]
    if not _prefills(request, target):
        said.append(Message(role="user", parts=(Text(text=_GO_ON.format(anchor=anchor(text))),)))
    left = tokens_left(request, text)
    return replace(request, messages=(*request.messages, *said), max_output_tokens=left, wire=None)


def anchor(text: str) -> str:
    """The last words of `text`, from the beginning of one."""
    tail = text[-_ANCHOR:]
    if len(tail) < len(text):
        word = next((at for at, mark in enumerate(tail) if mark.isspace()), -1)
        tail = tail[word + 1 :] if tail[word + 1 :].strip() else tail
    return tail


def _prefills(request: Request, target: Deployment | None) -> bool:
    thinks = request.reasoning is not None and request.reasoning.enabled
    return target is not None and not thinks and _PREFILL in (target.card.capabilities or ())
