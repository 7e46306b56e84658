"""A model's answer, whole (`Response`) or as it arrives (`Chunk`), free of any wire format."""

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from polyroute.types.content import Part, text_of


class StopReason(Enum):
    END = "end"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"  # a server tool ran long; the caller sends the answer back to go on
    UNKNOWN = "unknown"  # the provider said something new


class Units(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is billed otherwise than by tokens: of an answer, or expected of it before the call."""

    images: int = 0
    image_kind: str = ""  # "hd/1024x1024": quality and size, on which an image's price may depend
    audio_ms: int = 0  # of recorded speech
    likely_audio_ms: int = 0  # where audio_ms is only the most it can be
    characters: int = 0  # of text to be spoken
    searches: int = 0  # of reranked lists
    estimated: bool = False  # the most it can be, rather than the count


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens by disjoint class: each token is counted, and priced, exactly once."""

    input_tokens: int = 0  # text input that was not cached
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0  # five-minute writes, or a provider's only kind
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0  # without reasoning
    reasoning_tokens: int = 0  # 0 also where the provider counts them in output_tokens
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    units: Units | None = None
    estimated: bool = False  # the provider gave no usage; counted by us

    @property
    def total_input_tokens(self) -> int:
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
            + self.input_audio_tokens
        )

    @property
    def total_output_tokens(self) -> int:
        return self.output_tokens + self.reasoning_tokens + self.output_audio_tokens

    @property
    def total_tokens(self) -> int:
        return self.total_input_tokens + self.total_output_tokens

    def gone_on_with(self, others: Iterable["Usage"]) -> "Usage":
        """With the output of those that went on, each from where the one before broke off."""
        whole = self
        for other in others:
            whole = replace(
                whole,
                output_tokens=whole.output_tokens + other.output_tokens,
                reasoning_tokens=whole.reasoning_tokens + other.reasoning_tokens,
                output_audio_tokens=whole.output_audio_tokens + other.output_audio_tokens,
                estimated=whole.estimated or other.estimated,
            )
        return whole


class TokenLogprob(Struct, frozen=True, kw_only=True):
    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple["TokenLogprob", ...] = ()


class Choice(Struct, frozen=True, kw_only=True):
    index: int = 0
    parts: tuple[Part, ...]
    vector: tuple[float, ...] | None = None  # an embedding of input number `index`; its parts are empty
    stop: StopReason
    stop_sequence: str | None = None  # which one, where the provider says
    raw_stop: str | None = None  # the provider's own word
    logprobs: tuple[TokenLogprob, ...] | None = None

    @property
    def text(self) -> str:
        return text_of(self.parts)


class Response(Struct, frozen=True, kw_only=True):
    id: str
    model: str  # the model that answered, in its provider's own name
    choices: tuple[Choice, ...]
    usage: Usage | None  # None: the provider gave none
    created_s: int | None = None  # Unix time
    system_fingerprint: str | None = None
    service_tier: str | None = None

    @property
    def text(self) -> str:
        """Text of the first choice; empty where there is none."""
        return self.choices[0].text if self.choices else ""


# A stream is: Started, then deltas, then one ChoiceEnded per choice, then exactly one Ended. A stream that
# stops without Ended was cut. `part` numbers a choice's parts from 0, in the order they begin; parts may
# interleave only where their numbers differ. Wire chunks replace the deltas when door and upstream speak
# the same dialect.


class Started(Struct, frozen=True, kw_only=True):
    id: str
    model: str
    created_s: int | None = None
    dropped: tuple[str, ...] = ()  # hints this upstream cannot express; set by the provider
    media_type: str | None = None  # of a stream that is no stream of events; set by the provider


class TextDelta(Struct, frozen=True, kw_only=True):
    text: str
    part: int = 0
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class RefusalDelta(Struct, frozen=True, kw_only=True):
    text: str
    part: int = 0
    choice: int = 0


class ThinkingDelta(Struct, frozen=True, kw_only=True):
    text: str = ""
    signature: str | None = None  # arrives once, at the part's end
    redacted: str | None = None
    part: int = 0
    choice: int = 0


class ToolCallStarted(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    part: int
    choice: int = 0
    is_free: bool = False  # as on ToolCall
    thought_signature: str | None = None  # Gemini's


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    arguments: str
    part: int
    choice: int = 0


class PartAdded(Struct, frozen=True, kw_only=True):
    """A whole part at once: what arrives undivided (citations on text, a server tool's block)."""

    content: Part
    part: int
    choice: int = 0


class ChoiceEnded(Struct, frozen=True, kw_only=True):
    stop: StopReason
    stop_sequence: str | None = None
    raw_stop: str | None = None
    choice: int = 0


class Resumed(Struct, frozen=True, kw_only=True):
    """From here on another model goes on, where the one before broke off. Providers never send it."""

    model: str  # in its provider's own name
    name: str  # the document's


class WireBytes(Struct, frozen=True, kw_only=True):
    """Whole events in the door's own dialect, passed as they came."""

    data: bytes
    dropped: tuple[str, ...] = ()  # of a stream's first: hints its upstream was not sent; set by the provider
    kept: tuple[str, ...] = ()  # of a stream's first: as in `Reply`, where its provider works on without its caller


class Ended(Struct, frozen=True, kw_only=True):
    """The provider's proper end, held back until the books are written.

    `wire` is the held tail of a same-dialect stream (the usage event and the end mark), as it came.
    """

    usage: Usage | None
    model: str = ""
    fingerprint: str | None = None
    wire: bytes | None = None
    kept: tuple[str, ...] = ()  # as in `Reply`


Chunk = (
    Started
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | ToolCallStarted
    | ToolCallDelta
    | PartAdded
    | ChoiceEnded
    | Resumed
    | WireBytes
    | Ended
)


class Reply(Struct, frozen=True, kw_only=True):
    """A whole answer as an attempt got it: bytes in the door's own dialect, or the canonical form."""

    usage: Usage | None
    model: str  # the provider's own name of what answered
    stop: StopReason
    wire: bytes | None = None  # set where door and upstream speak the same dialect: the body, untouched
    response: Response | None = None  # always set where `wire` is not
    fingerprint: str | None = None  # where only `wire` holds it
    dropped: tuple[str, ...] = ()
    goes_on: bool = False  # the provider works on after this answer; what it takes is told who asks for it later
    kept: tuple[str, ...] = ()  # ids under which the provider keeps it, and its items; the answer's own comes first
    media_type: str = "application/json"  # of the body that tells it
