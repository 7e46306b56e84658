"""What OpenAI-shaped servers send: a whole answer and a chunk of a stream, with their common additions.

Every field may be absent or null, since servers differ in what they leave out. What a field means is decided
where it is read; this module only says which types are believable.
"""

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

_Index = Annotated[int, Meta(ge=0, le=9999)]  # of a choice or a call: each is remembered
_Byte = Annotated[int, Meta(ge=0, le=255)]


class WireFunction(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some servers send the object itself


class WireCall(Struct):
    id: str | int | None = None  # a number at older Text Generation Inference
    index: _Index | None = None
    type: str | None = None
    function: WireFunction | None = None
    custom: dict[str, Any] | None = None


class WireMessage(Struct):
    """A message, or the delta of one."""

    content: str | list[dict[str, Any]] | None = None  # an array at Mistral: text and thinking
    refusal: str | None = None
    tool_calls: list[WireCall] | None = None
    function_call: WireFunction | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM
    reasoning: str | None = None  # OpenRouter, Ollama, Groq
    reasoning_details: list[dict[str, Any]] | None = None  # OpenRouter
    annotations: list[dict[str, Any]] | None = None
    audio: dict[str, Any] | None = None
    images: list[dict[str, Any]] | None = None  # OpenRouter


class WireLogprob(Struct):
    token: str
    logprob: float | None = None
    bytes: list[_Byte] | None = None
    top_logprobs: list["WireLogprob"] | None = None


class WireLogprobs(Struct):
    content: list[WireLogprob] | None = None
    refusal: list[WireLogprob] | None = None


class WireChoice(Struct):
    index: _Index | None = None
    text: str | None = None  # of a legacy completion, in place of a message
    message: WireMessage | None = None
    delta: WireMessage | None = None
    finish_reason: str | None = None
    finish_details: dict[str, Any] | None = None  # OpenAI's first vision models, in place of finish_reason
    stop_reason: str | int | None = None  # vLLM: which stop sequence, or the number of a stop token
    logprobs: WireLogprobs | float | None = None  # Together's: that of the chunk's one token
    usage: Raw = Raw()  # Moonshot's place for it in a stream
    error: Any = None  # OpenRouter


class WireAnswer(Struct):
    id: str | int | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[WireChoice] | None = None
    usage: Raw = Raw()
    x_groq: dict[str, Raw] | None = None  # Groq reports a stream's usage here too
    citations: list[Any] | None = None  # addresses that the answer as a whole rests on: Perplexity, xAI
    search_results: list[Any] | None = None  # the same with titles: Perplexity
    system_fingerprint: str | None = None
    service_tier: str | None = None
    error: Any = None


ANSWER = Decoder(WireAnswer)

_LATEST_S = 1 << 40


def created_in(answer: WireAnswer) -> int | None:
    created = answer.created
    return int(created) if created is not None and 0 <= created < _LATEST_S else None


def usage_in(answer: WireAnswer) -> Raw | bytes:
    """The answer's usage object as it came; empty where it has none."""
    if answer.usage and answer.usage != b"null":
        return answer.usage
    if answer.x_groq:
        return answer.x_groq.get("usage", b"")
    return next((choice.usage for choice in answer.choices or () if choice.usage and choice.usage != b"null"), b"")


def says_something(message: WireMessage) -> bool:
    """Whether a caller would see anything of it."""
    return bool(
        message.content
        or message.tool_calls
        or message.reasoning_content
        or message.reasoning
        or message.refusal
        or message.function_call
        or message.reasoning_details
        or message.annotations
        or message.audio
        or message.images
    )
