"""An upstream's stream to canonical chunks, for a door of another dialect.

`ChoiceEnded` comes only with the stream's end: Gemini has no end mark, and until the connection closes more may come.
"""

from collections.abc import Iterator

from polyroute.dialects.gemini.answers import block_reason, is_blocked, objects_in, parts_of, says_nothing, text_in
from polyroute.dialects.gemini.calls import CallIds
from polyroute.dialects.gemini.citations import is_grounded, read_citations
from polyroute.dialects.gemini.events import read_event, read_rest
from polyroute.dialects.gemini.logprobs import read_logprobs
from polyroute.dialects.gemini.names import Block
from polyroute.dialects.gemini.partial_args import PartialCall, call_in, is_piece
from polyroute.dialects.gemini.stops import BROKEN, read_stop, stop_word
from polyroute.dialects.gemini.usage import read_usage
from polyroute.dialects.sse import EventSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.content import Part, Text, Thinking, ToolCall
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
)


class ChunkReader:
    """One per attempt."""

    __slots__ = ("_blocked", "_calls", "_choices", "_ended", "_model", "_splitter", "_started", "_usage")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._choices: dict[int, _Choice] = {}
        self._calls = CallIds()
        self._started = False
        self._ended = False
        self._blocked: ChoiceEnded | None = None  # the prompt was stopped by the filter
        self._model = ""
        self._usage: object = None

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in self._splitter.feed(data):
            if (value := read_event(event)) is not None:
                self._take(value, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        if self._ended:
            return chunks
        try:
            value = read_rest(self._splitter.rest())
        except MalformedReply as exc:
            raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
        if value is not None:
            self._take(value, chunks)
        endings = [choice.ending() for _, choice in sorted(self._choices.items())]
        if not endings and self._blocked is not None:
            endings = [self._blocked]
        if not endings or None in endings:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        chunks += [ending for ending in endings if ending is not None]
        chunks.append(Ended(usage=read_usage(self._usage), model=self._model))
        self._ended = True
        return chunks

    def _take(self, answer: Block, chunks: list[Chunk]) -> None:
        if not self._started:
            self._started = True
            answer_id, self._model = text_in(answer, "responseId"), text_in(answer, "modelVersion")
            self._calls = CallIds(answer_id)
            chunks.append(Started(id=answer_id, model=self._model))
        self._usage = answer.get("usageMetadata") or self._usage  # counts of the whole so far
        if is_blocked(feedback := answer.get("promptFeedback")):
            self._blocked = ChoiceEnded(stop=StopReason.CONTENT_FILTER, raw_stop=block_reason(feedback))
        for place, candidate in enumerate(objects_in(answer)):
            index = candidate.get("index", place)
            number = index if type(index) is int else place
            choice = self._choices.get(number)
            if choice is None:
                choice = self._choices[number] = _Choice(number)
            choice.read(candidate, self._calls, chunks)


class _Choice:
    """One candidate as it grows."""

    __slots__ = ("_calls_tools", "_finish", "_growing", "_index", "_open", "_part", "_parts", "_text_part", "_texts")

    def __init__(self, index: int) -> None:
        self._index = index
        self._parts = 0
        self._open: type[Part] | None = None  # the kind of the part that further pieces of that kind extend
        self._part = 0  # its number
        self._text_part: int | None = None  # the newest part of text: citations belong to it
        self._texts: list[str] = []
        self._calls_tools = False
        self._growing: tuple[PartialCall, int] | None = None  # a call whose arguments come by pieces, and its part
        self._finish: str | None = None

    def read(self, candidate: Block, calls: CallIds, chunks: list[Chunk]) -> None:
        content = candidate.get("content")
        logprobs = read_logprobs(candidate)
        for part in self._whole_parts(content, calls, chunks) if isinstance(content, dict) else ():
            if not says_nothing(part):
                self._read_part(part, logprobs, chunks)
                logprobs = None
        if is_grounded(candidate) and (citations := read_citations(candidate, "".join(self._texts))):
            cited = self._number(Text) if self._text_part is None else self._text_part
            chunks.append(PartAdded(content=Text(text="", citations=citations), part=cited, choice=self._index))
        word = stop_word(candidate.get("finishReason"))
        if word is not None:
            if word in BROKEN and not self._parts:
                raise MalformedReply(f"the model's answer cannot be used: {word}", code=word)
            self._close_call(chunks)
            self._finish = word

    def ending(self) -> ChoiceEnded | None:
        if self._finish is None:
            return None
        stop = read_stop(self._finish, calls_tools=self._calls_tools)
        return ChoiceEnded(stop=stop, raw_stop=self._finish, choice=self._index)

    def _whole_parts(self, content: Block, calls: CallIds, chunks: list[Chunk]) -> Iterator[Part]:
        """The parts that are not pieces of a call; such pieces are gathered."""
        given = content.get("parts")
        if self._growing is None and not (isinstance(given, list) and any(map(is_piece, given))):
            yield from parts_of(content, calls)
            return
        for part in given if isinstance(given, list) else ():
            call = call_in(part)
            if call is not None and call.get("name"):
                self._close_call(chunks)  # the one before was whole, whatever it promised
            if call is not None and self._growing is not None:
                if not self._growing[0].grow(call):
                    self._close_call(chunks)
            elif call is not None and call.get("name") and is_piece(part):
                self._begin_call(call, parts_of({"parts": [_without_args(part)]}, calls), chunks)
            elif call != {}:  # the last piece of a call that had ended
                yield from parts_of({"parts": [part]}, calls)

    def _begin_call(self, call: Block, named: list[Part], chunks: list[Chunk]) -> None:
        for begun in named:
            assert isinstance(begun, ToolCall)
            self._calls_tools = True
            number = self._number(None)
            chunks.append(
                ToolCallStarted(
                    id=begun.id,
                    name=begun.name,
                    part=number,
                    choice=self._index,
                    thought_signature=begun.thought_signature,
                )
            )
            self._growing = (PartialCall(), number)
            if not self._growing[0].grow(call):
                self._close_call(chunks)

    def _close_call(self, chunks: list[Chunk]) -> None:
        if self._growing is not None:
            (call, number), self._growing = self._growing, None
            chunks.append(ToolCallDelta(arguments=call.arguments(), part=number, choice=self._index))

    def _number(self, kind: type[Part] | None) -> int:
        """The part that a piece of `kind` belongs to: the open one, or a new one."""
        if kind is None or kind is not self._open:
            self._open, self._part = kind, self._parts
            self._parts += 1
            if kind is Text:
                self._text_part = self._part
        return self._part

    def _read_part(self, part: Part, logprobs: tuple[TokenLogprob, ...] | None, chunks: list[Chunk]) -> None:
        match part:
            case Text():
                if part.text:
                    self._texts.append(part.text)
                    number = self._number(Text)
                    chunks.append(TextDelta(text=part.text, part=number, choice=self._index, logprobs=logprobs))
            case Thinking():
                if part.text:
                    chunks.append(ThinkingDelta(text=part.text, part=self._number(Thinking), choice=self._index))
            case ToolCall():
                self._calls_tools = True
                number = self._number(None)
                chunks.append(
                    ToolCallStarted(
                        id=part.id,
                        name=part.name,
                        part=number,
                        choice=self._index,
                        thought_signature=part.thought_signature,
                    )
                )
                chunks.append(ToolCallDelta(arguments=part.arguments, part=number, choice=self._index))
            case _:
                chunks.append(PartAdded(content=part, part=self._number(None), choice=self._index))


def _without_args(part: Block) -> Block:
    """The call's name and id alone, which are read as any call's."""
    call = call_in(part) or {}
    beside = {name: value for name, value in part.items() if name not in ("functionCall", "function_call")}
    return {**beside, "functionCall": {name: value for name, value in call.items() if name in ("id", "name")}}
