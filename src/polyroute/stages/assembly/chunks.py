"""A whole answer as the stream it would have been: for answers that were held until their gates had judged them."""

from collections.abc import Iterator

from polyroute.types.content import Refusal, Text, Thinking, ToolCall
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    Response,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)


def chunks_of(response: Response) -> Iterator[Chunk]:
    yield Started(id=response.id, model=response.model, created_s=response.created_s)
    for choice in response.choices:
        logprobs = choice.logprobs
        for number, part in enumerate(choice.parts):
            match part:
                case Text(citations=(), thought_signature=None):
                    yield TextDelta(text=part.text, part=number, choice=choice.index, logprobs=logprobs)
                    logprobs = None  # they are the whole choice's, and told once
                case Refusal():
                    yield RefusalDelta(text=part.text, part=number, choice=choice.index)
                case Thinking(thought_signature=None):
                    yield ThinkingDelta(
                        text=part.text,
                        signature=part.signature,
                        redacted=part.redacted,
                        part=number,
                        choice=choice.index,
                    )
                case ToolCall():
                    yield ToolCallStarted(
                        id=part.id,
                        name=part.name,
                        part=number,
                        choice=choice.index,
                        is_free=part.is_free,
                        thought_signature=part.thought_signature,
                    )
                    yield ToolCallDelta(arguments=part.arguments, part=number, choice=choice.index)
                case _:
                    yield PartAdded(content=part, part=number, choice=choice.index)
        yield ChoiceEnded(
            stop=choice.stop, stop_sequence=choice.stop_sequence, raw_stop=choice.raw_stop, choice=choice.index
        )
    yield Ended(usage=response.usage, model=response.model)
