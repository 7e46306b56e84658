"""A streamed answer as the whole one it was, and whether an answer is fit to be given again. Pure."""

from collections.abc import Iterable

from polyroute.types.content import Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Response,
    Resumed,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStarted,
    WireBytes,
)

WHOLE = frozenset({StopReason.END, StopReason.STOP_SEQUENCE, StopReason.TOOL_CALLS})  # told to the end


def is_good(response: Response) -> bool:
    """Whether it may be given again: told to its end, neither cut by its length, nor moderated, nor refused."""
    return bool(response.choices) and all(
        choice.stop in WHOLE and not any(isinstance(part, Refusal) for part in choice.parts)
        for choice in response.choices
    )


class _Half:
    """A choice as far as it was told."""

    def __init__(self) -> None:
        self.parts: dict[int, list[Chunk]] = {}
        self.logprobs: list[TokenLogprob] = []
        self.end: ChoiceEnded | None = None


def gathered(chunks: Iterable[Chunk]) -> Response | None:
    """None where it has no proper end, or is not in canonical form."""
    started, ended, halves = Started(id="", model=""), None, dict[int, _Half]()
    for chunk in chunks:
        match chunk:
            case Started():
                started = chunk
            case Ended():
                ended = chunk
            case Resumed():
                pass  # what follows are the same parts
            case WireBytes():
                return None
            case ChoiceEnded(choice=number):
                halves.setdefault(number, _Half()).end = chunk
            case _:
                half = halves.setdefault(chunk.choice, _Half())
                half.parts.setdefault(chunk.part, []).append(chunk)
                if isinstance(chunk, TextDelta) and chunk.logprobs:
                    half.logprobs += chunk.logprobs
    if ended is None or any(half.end is None for half in halves.values()):
        return None
    return Response(
        id=started.id,
        model=ended.model or started.model,
        choices=tuple(_choice(number, half) for number, half in sorted(halves.items())),
        usage=ended.usage,
        created_s=started.created_s,
        system_fingerprint=ended.fingerprint,
    )


def _choice(number: int, half: _Half) -> Choice:
    assert half.end is not None  # the caller has looked
    return Choice(
        index=number,
        parts=tuple(_part(chunks) for _, chunks in sorted(half.parts.items())),
        stop=half.end.stop,
        stop_sequence=half.end.stop_sequence,
        raw_stop=half.end.raw_stop,
        logprobs=tuple(half.logprobs) or None,
    )


def _part(chunks: list[Chunk]) -> Part:
    """What was told of one part, in order."""
    first = chunks[0]
    match first:
        case ToolCallStarted():
            told = "".join(chunk.arguments for chunk in chunks if isinstance(chunk, ToolCallDelta))
            return ToolCall(
                id=first.id,
                name=first.name,
                arguments=told,
                is_free=first.is_free,
                thought_signature=first.thought_signature,
            )
        case ThinkingDelta():
            thoughts = [chunk for chunk in chunks if isinstance(chunk, ThinkingDelta)]
            return Thinking(
                text="".join(thought.text for thought in thoughts),
                signature=next((thought.signature for thought in thoughts if thought.signature), None),
                redacted=next((thought.redacted for thought in thoughts if thought.redacted), None),
            )
        case RefusalDelta():
            return Refusal(text="".join(chunk.text for chunk in chunks if isinstance(chunk, RefusalDelta)))
        case PartAdded(content=Text() as text) if len(chunks) > 1:
            more = "".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta))
            return Text(text=text.text + more, citations=text.citations, thought_signature=text.thought_signature)
        case PartAdded():
            return first.content
        case _:
            return Text(text="".join(chunk.text for chunk in chunks if isinstance(chunk, TextDelta)))
