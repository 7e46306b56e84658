"""A stream as canonical chunks, for callers of another dialect.

`ChoiceEnded` comes only with the stream's end: until then an answer may still prove cut.
"""

from polyroute.dialects.openai_chat.events import DONE, answer_of, data_of
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.read_response import (
    Citations,
    arguments_of,
    content_in,
    images_in,
    read_logprobs,
    sources_in,
    thinking_in,
)
from polyroute.dialects.openai_chat.shape import (
    WireAnswer,
    WireCall,
    WireChoice,
    WireMessage,
    created_in,
    says_something,
    usage_in,
)
from polyroute.dialects.openai_chat.stops import read_stop
from polyroute.dialects.openai_chat.think_tags import Piece, Splitter
from polyroute.dialects.openai_chat.usage import read_usage
from polyroute.dialects.sse import EventSplitter
from polyroute.errors import MalformedReply, StreamInterrupted
from polyroute.types.content import Opaque, Part, Text
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
)


class ChunkReader:
    def __init__(self) -> None:
        self._events = EventSplitter()
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._ended = False
        self._model = ""
        self._fingerprint: str | None = None
        self._usage = b""
        self._sources: Citations = ()

    def feed(self, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        for event in self._events.feed(data):
            if not self._ended:
                self._read(event, chunks)
        return chunks

    def close(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        rest = self._events.rest()
        if rest.strip() and not self._ended:
            try:
                self._read(rest, chunks)
            except MalformedReply as exc:
                raise StreamInterrupted("the provider's stream was cut in the middle of an event") from exc
        if not self._ended:
            self._end(chunks)
        return chunks

    def _read(self, event: bytes, chunks: list[Chunk]) -> None:
        data = data_of(event)
        if data == DONE:
            self._end(chunks)
        elif data:
            answer = answer_of(data)
            self._model = answer.model or self._model
            self._fingerprint = answer.system_fingerprint or self._fingerprint
            self._usage = bytes(usage_in(answer)) or self._usage
            if answer.citations or answer.search_results:  # with every chunk at some, with the last at others
                self._sources = sources_in(answer)
            for choice in answer.choices or ():
                self._start(answer, chunks)
                state = self._choices.setdefault(choice.index or 0, _Choice(choice.index or 0))
                state.read(choice, chunks)

    def _start(self, answer: WireAnswer, chunks: list[Chunk]) -> None:
        if not self._started:
            self._started = True
            chunks.append(Started(id=str(answer.id or ""), model=answer.model or "", created_s=created_in(answer)))

    def _end(self, chunks: list[Chunk]) -> None:
        endings = [choice.ending() for _, choice in sorted(self._choices.items())]
        if not endings or None in endings:
            raise StreamInterrupted("the provider's stream stopped before the answer was finished")
        if self._sources:
            for choice in self._choices.values():
                choice.cite(self._sources, chunks)
        chunks += [ending for ending in endings if ending is not None]
        chunks.append(Ended(usage=read_usage(self._usage), model=self._model, fingerprint=self._fingerprint))
        self._ended = True


class _Choice:
    """One choice as it grows: which part is being written, and how it finished."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._parts = 0
        self._open = ""  # the kind of the part that further deltas of that kind extend
        self._part = 0  # its number
        self._text_part: int | None = None  # the newest part of text: citations belong to it
        self._calls: dict[int, tuple[int, str]] = {}  # by the provider's index: our part, the call's id
        self._call = -1  # the newest of them
        self._refuses = False
        self._cites = False
        self._tags = Splitter()
        self._finish: str | None = None
        self._stop_sequence: str | None = None

    def read(self, choice: WireChoice, chunks: list[Chunk]) -> None:
        delta = choice.delta or choice.message
        if delta is not None and says_something(delta):
            self._read_delta(delta, read_logprobs(choice.logprobs), chunks)
        elif choice.logprobs is not None and (logprobs := read_logprobs(choice.logprobs)):
            chunks.append(TextDelta(text="", part=self._number("text"), choice=self._index, logprobs=logprobs))
        if choice.finish_reason:  # some servers send an empty one with every chunk
            self._add_pieces(self._tags.flush(), None, chunks)
            self._finish = choice.finish_reason
            if isinstance(choice.stop_reason, str):
                self._stop_sequence = choice.stop_reason

    def cite(self, sources: Citations, chunks: list[Chunk]) -> None:
        """What the answer as a whole rests on, where its text did not say more."""
        if not self._cites:
            self._annotate(sources, chunks)

    def ending(self) -> ChoiceEnded | None:
        if self._finish is None:
            return None
        stop = read_stop(self._finish, calls_tools=bool(self._calls), refuses=self._refuses)
        if self._stop_sequence is not None and stop is StopReason.END:
            stop = StopReason.STOP_SEQUENCE
        return ChoiceEnded(stop=stop, stop_sequence=self._stop_sequence, raw_stop=self._finish, choice=self._index)

    def _number(self, kind: str) -> int:
        """The part that a delta of `kind` belongs to: the open one, or a new one."""
        if kind != self._open:
            self._open, self._part = kind, self._parts
            self._parts += 1
            if kind == "text":
                self._text_part = self._part
        return self._part

    def _read_delta(self, delta: WireMessage, logprobs: tuple[TokenLogprob, ...] | None, chunks: list[Chunk]) -> None:
        for thought in thinking_in(delta):
            part = self._number("thinking")
            chunks.append(
                ThinkingDelta(
                    text=thought.text,
                    signature=thought.signature,
                    redacted=thought.redacted,
                    part=part,
                    choice=self._index,
                )
            )
            if thought.signature is not None or thought.redacted is not None:
                self._open = ""  # a signature closes its block
        for piece in content_in(delta):
            if isinstance(piece, Text):
                pieces = [Piece(False, piece.text)] if self._tags.is_done else self._tags.feed(piece.text)
                self._add_pieces(pieces, logprobs, chunks)
                logprobs = None
            else:
                chunks.append(ThinkingDelta(text=piece.text, part=self._number("thinking"), choice=self._index))
        if delta.annotations:
            self._cites = True
            self._annotate(tuple(delta.annotations), chunks)
        if delta.refusal:
            self._refuses = True
            chunks.append(RefusalDelta(text=delta.refusal, part=self._number("refusal"), choice=self._index))
        for image in images_in(delta):
            self._add(image, chunks)
        if delta.audio is not None:
            self._add(Opaque(dialect=NAME, kind="audio", raw=delta.audio), chunks)
        if delta.function_call is not None:
            self._read_call(WireCall(index=0, function=delta.function_call), chunks)
        if delta.tool_calls and not self._tags.is_done:
            self._add_pieces(self._tags.flush(), None, chunks)
        for call in delta.tool_calls or ():
            self._read_call(call, chunks)

    def _add_pieces(self, pieces: list[Piece], logprobs: tuple[TokenLogprob, ...] | None, chunks: list[Chunk]) -> None:
        for is_thinking, text in pieces:
            if is_thinking:
                chunks.append(ThinkingDelta(text=text, part=self._number("thinking"), choice=self._index))
            else:
                part = self._number("text")
                chunks.append(TextDelta(text=text, part=part, choice=self._index, logprobs=logprobs))
                logprobs = None

    def _annotate(self, citations: Citations, chunks: list[Chunk]) -> None:
        part = self._number("text") if self._text_part is None else self._text_part
        self._add(Text(text="", citations=citations), chunks, part)

    def _add(self, part: Part, chunks: list[Chunk], number: int | None = None) -> None:
        if number is None:
            number, self._open = self._parts, ""
            self._parts += 1
        chunks.append(PartAdded(content=part, part=number, choice=self._index))

    def _read_call(self, call: WireCall, chunks: list[Chunk]) -> None:
        """Parallel calls are numbered, or not at all (Mistral), or all 0 (Gemini's form): a new id is a new call."""
        given = "" if call.id is None else str(call.id)
        index = call.index if call.index is not None else self._call + 1 if given else self._call
        known = self._calls.get(index)
        if known is not None and given and given != known[1]:
            index, known = max(self._calls) + 1, None
        function = call.function
        if known is None:
            call_id = given or f"call_{self._index}_{len(self._calls)}"
            known = (self._parts, call_id)
            self._parts += 1
            self._open = ""
            self._calls[index] = known
            is_free = function is None and call.custom is not None
            name = function.name if function is not None else (call.custom or {}).get("name")
            chunks.append(
                ToolCallStarted(id=call_id, name=str(name or ""), part=known[0], choice=self._index, is_free=is_free)
            )
        self._call = index
        arguments = arguments_of(function) if function is not None else str((call.custom or {}).get("input") or "")
        if arguments:
            chunks.append(ToolCallDelta(arguments=arguments, part=known[0], choice=self._index))
