"""A request for a model's answer, free of any wire format."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from polyroute.types.content import CacheMark, Message, Text, text_of
from polyroute.types.moderation import Ruling
from polyroute.types.response import Units
from polyroute.types.trace import Trace


class FreeInput(Struct, frozen=True, kw_only=True):
    """A tool's input is text in place of JSON (OpenAI's custom tools): any, or what a grammar allows."""

    syntax: str | None = None  # of the grammar: "lark" or "regex"; None: any text
    definition: str = ""


class Tool(Struct, frozen=True, kw_only=True):
    """A function the model may ask the caller to run."""

    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None  # JSON Schema; None where the caller gave none
    strict: bool | None = None
    free_input: FreeInput | None = None  # in place of `parameters`
    cache: CacheMark | None = None


class ProviderTool(Struct, frozen=True, kw_only=True):
    """A tool that one provider runs itself (web search, code execution) or only it defines."""

    dialect: str
    kind: str
    raw: dict[str, object]


class ToolChoice(Struct, frozen=True, kw_only=True):
    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None  # with "named"


class OutputFormat(Struct, frozen=True, kw_only=True):
    """Structured output: any JSON, or JSON that fits a schema."""

    schema: dict[str, object] | None = None  # None: any JSON object
    name: str = "output"
    description: str | None = None
    strict: bool | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much the model may think before it answers; at most one of the two amounts is given."""

    enabled: bool = True
    effort: str | None = None  # "minimal" | "low" | "medium" | "high" ...
    budget_tokens: int | None = None
    adaptive: bool = False  # the model decides how much


class Wire(Struct, frozen=True, kw_only=True):
    """The request as the door received it: what a same-dialect upstream gets, unknown fields and all."""

    dialect: str
    body: dict[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)  # dialect headers only (anthropic-beta)
    is_opened: bool = False  # its streams are read, not passed on: something in them is to be put back


class Reference(Struct, frozen=True, kw_only=True):
    """Something kept at a provider, by its id there."""

    id: str
    field: str  # where the request names it


Operation = Literal["chat", "embeddings", "moderation", "rerank", "image", "transcription", "speech"]


class Request(Struct, frozen=True, kw_only=True):
    model: str  # as asked: a route, a model or provider/model
    messages: tuple[Message, ...]
    rulings: tuple[Ruling, ...] = ()  # of a moderation: what was found of each input
    operation: Operation = "chat"  # other than "chat": `messages` hold the input, one user message for each
    tools: tuple[Tool | ProviderTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    n: int = 1
    refers: tuple[Reference, ...] = ()  # to what a provider keeps of before
    background: bool = False  # the provider is to answer at once and to work on
    stream: bool = False
    stream_usage: bool = False  # the caller asked to see usage in the stream
    units: Units | None = None  # what will be billed otherwise than by tokens, at most
    dimensions: int | None = None  # of each embedding; None: as many as the model gives
    output_modalities: tuple[str, ...] = ()  # "text", "audio"; empty: text
    end_user: str | None = None  # the caller's own id for its user; passed on, never an identity here
    service_tier: str | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    extensions: dict[str, object] = field(default_factory=dict)  # door fields outside the canonical set
    wire: Wire | None = None
    trace: Trace | None = None  # what the provider is told of the trace this call belongs to

    @property
    def last_user_text(self) -> str:
        """Text of the newest user message; empty where there is none."""
        for message in reversed(self.messages):
            if message.role == "user":
                return text_of(message.parts)
        return ""


def ask(model: str, prompt: str, *, system: str | None = None, max_output_tokens: int | None = None) -> Request:
    """The smallest request: one user message, an optional system one before it."""
    messages = [Message(role="system", parts=(Text(text=system),))] if system else []
    messages.append(Message(role="user", parts=(Text(text=prompt),)))
    return Request(model=model, messages=tuple(messages), max_output_tokens=max_output_tokens)


def opened(request: Request) -> Request:
    """The same question, whose answer's stream is read by us and not only passed on."""
    return request if request.wire is None else replace(request, wire=replace(request.wire, is_opened=True))


def without_stream(request: Request) -> Request:
    """The same question, to be answered whole."""
    wire = request.wire
    if wire is not None:
        body = {name: value for name, value in wire.body.items() if name not in ("stream", "stream_options")}
        wire = replace(wire, body=body)
    return replace(request, stream=False, stream_usage=False, wire=wire)


def without_field(request: Request, name: str) -> Request:
    """Without a field of the body that is said to the gateway alone."""
    extensions = {field: value for field, value in request.extensions.items() if field != name}
    wire = request.wire
    if wire is not None:
        wire = replace(wire, body={field: value for field, value in wire.body.items() if field != name})
    return replace(request, extensions=extensions, wire=wire)
