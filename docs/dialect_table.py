"""What becomes of each feature between each door and each upstream: found out by asking, never written by hand.

A probe is a request with one feature. It is put into the door's own wire format, read there, checked for obstacles,
written for the upstream and read back in the upstream's format; what arrives is compared with what was asked. Answers
go the other way. `make_reference.py` makes the page of it, and tests/docs compares that with the committed one.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace

from polyroute.dialects.emulation import emulated
from polyroute.errors import InvalidRequest
from polyroute.ports import Dialect
from polyroute.types.cards import Deployment, ModelCard, Price, Rates
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Inline,
    Link,
    Message,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import FreeInput, OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, ask
from polyroute.types.response import Choice, Response, StopReason, TokenLogprob, Usage
from polyroute.wiring.dialects import DIALECTS

EXACT, EMULATED, DROPPED, REFUSED, NONE, LOST = "exact", "emulated", "dropped", "refused", "–", "LOST"
CHATS = {name: one for name, one in DIALECTS.items() if (one.operation, one.name) == ("chat", name)}
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_PDF = b64encode(b"%PDF-1.4\n%%EOF\n").decode()
_FREE = Rates(input=Decimal(0), output=Decimal(0))
_CARD = ModelCard(id="p/m", max_output_tokens=64_000, prices=(Price(rates=_FREE, source="probe"),))
_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_TOOL = Tool(name="weather", description="The weather now", parameters=_SCHEMA)
_CALLS = (
    ToolCall(id="call_one", name="weather", arguments='{"city":"Oslo"}'),
    ToolCall(id="call_two", name="weather", arguments='{"city":"Rome"}'),
)


class Feature(Struct, frozen=True, kw_only=True):
    """One thing a request may say."""

    name: str
    request: Request
    says: Callable[[Request], object]  # what is looked for, in what is asked and in what arrives
    instead: Callable[[Request, bytes], bool] = lambda again, body: False  # whether it arrives in another form
    at_door: Mapping[str, Mapping[str, object]] = {}  # fields of a door's own body that its writer leaves out


class Trait(Struct, frozen=True, kw_only=True):
    """One thing an answer may hold."""

    name: str
    response: Response
    says: Callable[[Response], object]
    instead: Callable[[Response, bytes], bool] = lambda again, body: False


# ── what is asked ─────────────────────────────────────────────────────────────────────────────────────────


def _with(*parts: Part, **fields: Any) -> Request:
    return replace(ask("m", ""), messages=(Message(role="user", parts=(Text(text="Look:"), *parts)),), **fields)


def _plain(**fields: Any) -> Request:
    return replace(ask("m", "Hello"), **fields)


def _told(*parts: Part) -> Request:
    """A conversation in which the model said `parts`."""
    hello, more = Text(text="Hello"), Text(text="Go on")
    said = Message(role="assistant", parts=parts)
    return _plain(messages=(Message(role="user", parts=(hello,)), said, Message(role="user", parts=(more,))))


def _worked(*results: ToolResult) -> Request:
    calls = Message(role="assistant", parts=_CALLS[: len(results)])
    hello = Message(role="user", parts=(Text(text="Hello"),))
    return _plain(messages=(hello, calls, Message(role="tool", parts=results)), tools=(_TOOL,))


def _ran(result: ToolResult) -> Request:
    """A tool was called with a text."""
    call = ToolCall(id="call_one", name="run", arguments="print(1)", is_free=True)
    said = (Message(role="assistant", parts=(call,)), Message(role="tool", parts=(result,)))
    hello = Message(role="user", parts=(Text(text="Hello"),))
    return _plain(messages=(hello, *said), tools=(Tool(name="run", free_input=FreeInput()),))


def _parts(request: Request) -> Iterator[Part]:
    for message in request.messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _media(kind: type[Image] | type[Document]) -> Callable[[Request], object]:
    return lambda request: [part.media for part in _parts(request) if isinstance(part, kind)]


def _field(name: str) -> Callable[[Request], object]:
    return lambda request: getattr(request, name)


def _tool(name: str) -> Callable[[Request], object]:
    return lambda request: [getattr(tool, name) for tool in request.tools if isinstance(tool, Tool)]


def _work(request: Request) -> object:
    """The calls, and each result beside the call it answers; every dialect has an alphabet of ids of its own."""
    calls = [part for part in _parts(request) if isinstance(part, ToolCall)]
    place = {call.id: number for number, call in enumerate(calls)}
    results = [part for part in _parts(request) if isinstance(part, ToolResult)]
    texts = [(place.get(one.call_id), [part.text for part in one.parts if isinstance(part, Text)]) for one in results]
    return [(call.name, orjson.loads(call.arguments)) for call in calls], sorted(texts)


def _shown_by_tools(request: Request) -> object:
    results = [part for part in _parts(request) if isinstance(part, ToolResult)]
    return [part.media for one in results for part in one.parts if isinstance(part, Image)]


def _holds(text: str) -> Callable[[Request, bytes], bool]:
    return lambda again, body: text.encode() in body


_RESULTS = tuple(ToolResult(call_id=call.id, parts=(Text(text=f"sun {call.id[-3:]}"),)) for call in _CALLS)
_PROVIDER_TOOLS: dict[str, dict[str, object]] = {
    "openai_chat": {"web_search_options": {}},
    "openai_responses": {"tools": [{"type": "web_search"}]},
    "anthropic_messages": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "gemini": {"tools": [{"googleSearch": {}}]},
}
FEATURES: tuple[Feature, ...] = (
    Feature(name="text", request=_plain(), says=lambda request: request.last_user_text),
    Feature(
        name="system prompt",
        request=ask("m", "Hello", system="Be brief."),
        says=lambda request: [
            part for one in request.messages if one.role in ("system", "developer") for part in one.parts
        ],
        instead=_holds("Be brief."),
    ),
    Feature(name="image", request=_with(Image(media=Inline(media_type="image/png", data=_PNG))), says=_media(Image)),
    Feature(
        name="image by address",
        request=_with(Image(media=Link(url="https://example.com/a.png"))),
        says=_media(Image),
    ),
    Feature(
        name="PDF",
        request=_with(Document(media=Inline(media_type="application/pdf", data=_PDF), title="a.pdf")),
        says=_media(Document),
    ),
    Feature(
        name="text document",
        request=_with(Document(media=Inline(media_type="text/plain", data=b64encode(b"plain words").decode()))),
        says=_media(Document),
        instead=_holds("plain words"),
    ),
    Feature(
        name="audio",
        request=_with(Audio(data=b64encode(b"RIFF0000WAVE").decode(), format="wav")),
        says=lambda request: [part for part in _parts(request) if isinstance(part, Audio)],
    ),
    Feature(name="tools", request=_plain(tools=(_TOOL,)), says=_tool("name")),
    Feature(name="tools' schemas", request=_plain(tools=(_TOOL,)), says=_tool("parameters")),
    Feature(name="strict tools", request=_plain(tools=(replace(_TOOL, strict=True),)), says=_tool("strict")),
    Feature(
        name="a tool whose input is text",
        request=_plain(tools=(Tool(name="run", free_input=FreeInput()),)),
        says=_tool("free_input"),
        instead=_holds('"input"'),
    ),
    Feature(
        name="a tool whose input has a grammar",
        request=_plain(tools=(Tool(name="run", free_input=FreeInput(syntax="regex", definition="[a-z]+")),)),
        says=_tool("free_input"),
    ),
    Feature(
        name="its call and the result",
        request=_ran(ToolResult(call_id="call_one", parts=(Text(text="done"),))),
        says=lambda request: (
            [(part.arguments, part.is_free) for part in _parts(request) if isinstance(part, ToolCall)],
            [part.parts for part in _parts(request) if isinstance(part, ToolResult)],
        ),
        instead=_holds("print(1)"),
    ),
    Feature(name="parallel calls and their results", request=_worked(*_RESULTS), says=_work),
    Feature(
        name="tool result with an image",
        request=_worked(
            ToolResult(
                call_id="call_one", parts=(Text(text="see"), Image(media=Inline(media_type="image/png", data=_PNG)))
            )
        ),
        says=_shown_by_tools,
        instead=_holds(_PNG),
    ),
    Feature(
        name="tool result that is an error",
        request=_worked(ToolResult(call_id="call_one", parts=(Text(text="no such city"),), is_error=True)),
        says=lambda request: [part.is_error for part in _parts(request) if isinstance(part, ToolResult)],
    ),
    Feature(
        name="some tool must be called",
        request=_plain(tools=(_TOOL,), tool_choice=ToolChoice(mode="required")),
        says=_field("tool_choice"),
    ),
    Feature(
        name="one tool must be called",
        request=_plain(tools=(_TOOL,), tool_choice=ToolChoice(mode="named", name="weather")),
        says=_field("tool_choice"),
        instead=lambda again, body: again.tool_choice is not None and again.tool_choice.mode == "required",
    ),
    Feature(
        name="no tool may be called",
        request=_plain(tools=(_TOOL,), tool_choice=ToolChoice(mode="none")),
        says=_field("tool_choice"),
        instead=lambda again, body: not again.tools,
    ),
    Feature(
        name="one call at a time",
        request=_plain(tools=(_TOOL,), parallel_tool_calls=False),
        says=_field("parallel_tool_calls"),
    ),
    Feature(
        name="JSON schema",
        request=_plain(output=OutputFormat(schema=_SCHEMA, name="place", strict=True)),
        says=lambda request: request.output and request.output.schema,
        instead=_holds("city"),
    ),
    Feature(
        name="JSON of any kind",
        request=_plain(output=OutputFormat()),
        says=lambda request: request.output is not None,
        instead=_holds("JSON"),
        at_door={"openai_responses": {"text": {"format": {"type": "json_object"}}}},
    ),
    Feature(
        name="how much to think, in a word",
        request=_plain(reasoning=Reasoning(effort="high")),
        says=lambda request: request.reasoning and request.reasoning.effort,
        instead=lambda again, body: again.reasoning is not None and again.reasoning.enabled,
    ),
    Feature(
        name="how much to think, in tokens",
        request=_plain(reasoning=Reasoning(budget_tokens=4096)),
        says=lambda request: request.reasoning and request.reasoning.budget_tokens,
        instead=lambda again, body: again.reasoning is not None and again.reasoning.enabled,
    ),
    Feature(
        name="thinking shown before, with its signature",
        request=_told(Thinking(text="Let me see.", signature="c2ln"), Text(text="Hi")),
        says=lambda request: [(part.text, part.signature) for part in _parts(request) if isinstance(part, Thinking)],
    ),
    Feature(
        name="cache marks",
        request=_with(Text(text="A long text.", cache=CacheMark())),
        says=lambda request: [bool(getattr(part, "cache", None)) for part in _parts(request)],
    ),
    Feature(name="longest answer", request=_plain(max_output_tokens=100), says=_field("max_output_tokens")),
    Feature(name="temperature", request=_plain(temperature=0.5), says=_field("temperature")),
    Feature(name="top_p", request=_plain(top_p=0.5), says=_field("top_p")),
    Feature(name="top_k", request=_plain(top_k=5), says=_field("top_k")),
    Feature(name="stop sequences", request=_plain(stop=("END",)), says=_field("stop")),
    Feature(name="seed", request=_plain(seed=7), says=_field("seed")),
    Feature(name="several choices", request=_plain(n=2), says=_field("n")),
    Feature(
        name="logprobs",
        request=_plain(logprobs=True, top_logprobs=2),
        says=lambda one: (one.logprobs, one.top_logprobs),
    ),
    Feature(name="presence penalty", request=_plain(presence_penalty=0.5), says=_field("presence_penalty")),
    Feature(name="frequency penalty", request=_plain(frequency_penalty=0.5), says=_field("frequency_penalty")),
    Feature(name="logit bias", request=_plain(logit_bias={"42": 1.0}), says=_field("logit_bias")),
    Feature(name="end user", request=_plain(end_user="u-1"), says=_field("end_user")),
    Feature(
        name="service tier",
        request=_plain(service_tier="auto"),
        says=lambda request: request.service_tier is not None,
        at_door={"openai_chat": {"service_tier": "auto"}, "openai_responses": {"service_tier": "auto"}},
    ),
    Feature(
        name="metadata",
        request=_plain(metadata={"order": "7"}),
        says=lambda request: request.metadata,
        at_door={"openai_chat": {"metadata": {"order": "7"}}, "openai_responses": {"metadata": {"order": "7"}}},
    ),
    Feature(
        name="a tool the provider runs itself",
        request=_plain(),
        says=lambda request: [tool.kind for tool in request.tools if isinstance(tool, ProviderTool)],
        at_door=_PROVIDER_TOOLS,
    ),
)


# A door that takes a text to be gone on with: no conversation can be put into its format.
_TEXT_ONLY: dict[str, dict[str, dict[str, object]]] = {
    "openai_completions": {
        "text": {},
        "longest answer": {"max_tokens": 100},
        "temperature": {"temperature": 0.5},
        "top_p": {"top_p": 0.5},
        "stop sequences": {"stop": ["END"]},
        "seed": {"seed": 7},
        "several choices": {"n": 2},
        "presence penalty": {"presence_penalty": 0.5},
        "frequency penalty": {"frequency_penalty": 0.5},
        "logit bias": {"logit_bias": {"42": 1}},
        "end user": {"user": "u-1"},
    }
}


# ── what is answered ──────────────────────────────────────────────────────────────────────────────────────


def _answer(*parts: Part, stop: StopReason = StopReason.END, usage: Usage | None = None, **fields: Any) -> Response:
    choice = Choice(parts=parts, stop=stop, **fields)
    return Response(id="a-1", model="m", choices=(choice,), usage=usage or Usage(input_tokens=5, output_tokens=3))


def _first(kind: type[Any], *names: str) -> Callable[[Response], object]:
    return lambda response: [
        tuple(getattr(part, name) for name in names)
        for choice in response.choices[:1]
        for part in choice.parts
        if isinstance(part, kind)
    ]


def _stop(response: Response) -> object:
    return response.choices[0].stop


def _counts(*names: str) -> Callable[[Response], object]:
    return lambda response: response.usage and [getattr(response.usage, name) for name in names]


def _calls_in(response: Response) -> object:
    calls = [part for part in response.choices[0].parts if isinstance(part, ToolCall)]
    return [(call.name, orjson.loads(call.arguments)) for call in calls], len({call.id for call in calls})


_HI = Text(text="Hi")
_CITED = Text(
    text="Hi", citations=({"type": "web_search_result_location", "url": "https://example.com", "title": "T"},)
)
TRAITS: tuple[Trait, ...] = (
    Trait(name="text", response=_answer(_HI), says=lambda response: response.text),
    Trait(name="parallel calls", response=_answer(*_CALLS, stop=StopReason.TOOL_CALLS), says=_calls_in),
    Trait(
        name="a call with text for input",
        response=_answer(
            ToolCall(id="call_one", name="run", arguments="print(1)", is_free=True), stop=StopReason.TOOL_CALLS
        ),
        says=_first(ToolCall, "name", "arguments", "is_free"),
        instead=lambda again, body: b"print(1)" in body,
    ),
    Trait(name="thinking", response=_answer(Thinking(text="Let me see."), _HI), says=_first(Thinking, "text")),
    Trait(
        name="its signature",
        response=_answer(Thinking(text="Let me see.", signature="c2ln"), _HI),
        says=_first(Thinking, "text", "signature"),
    ),
    Trait(
        name="refusal",
        response=_answer(Refusal(text="I cannot."), stop=StopReason.REFUSAL),
        says=_first(Refusal, "text"),
        instead=lambda again, body: b"I cannot." in body,
    ),
    Trait(
        name="citations",
        response=_answer(_CITED),
        says=lambda response: [
            citation.get("url") or citation
            for part in response.choices[0].parts
            if isinstance(part, Text)
            for citation in part.citations
        ],
        instead=lambda again, body: b"https://example.com" in body,
    ),
    Trait(
        name="logprobs",
        response=_answer(_HI, logprobs=(TokenLogprob(token="Hi", logprob=-0.5),)),  # noqa: S106 - a token of text
        says=lambda response: [one.token for one in response.choices[0].logprobs or ()],
    ),
    Trait(
        name="several choices",
        response=replace(
            _answer(_HI),
            choices=(Choice(parts=(_HI,), stop=StopReason.END), Choice(index=1, parts=(_HI,), stop=StopReason.END)),
        ),
        says=lambda response: len(response.choices),
    ),
    Trait(name="stopped at its limit", response=_answer(_HI, stop=StopReason.MAX_TOKENS), says=_stop),
    Trait(
        name="stopped at a stop sequence",
        response=_answer(_HI, stop=StopReason.STOP_SEQUENCE, stop_sequence="END"),
        says=_stop,
        instead=lambda again, body: _stop(again) is StopReason.END,
    ),
    Trait(
        name="stopped by a filter",
        response=_answer(_HI, stop=StopReason.CONTENT_FILTER),
        says=_stop,
        instead=lambda again, body: _stop(again) is StopReason.REFUSAL,
    ),
    Trait(
        name="cached input",
        response=_answer(_HI, usage=Usage(input_tokens=5, cached_input_tokens=3, output_tokens=3)),
        says=_counts("input_tokens", "cached_input_tokens"),
    ),
    Trait(
        name="cache writes",
        response=_answer(_HI, usage=Usage(input_tokens=5, cache_write_tokens=3, output_tokens=3)),
        says=_counts("input_tokens", "cache_write_tokens"),
        instead=lambda again, body: again.usage is not None and again.usage.total_input_tokens == 8,
    ),
    Trait(
        name="thinking tokens",
        response=_answer(_HI, usage=Usage(input_tokens=5, output_tokens=3, reasoning_tokens=2)),
        says=_counts("output_tokens", "reasoning_tokens"),
        instead=lambda again, body: again.usage is not None and again.usage.total_output_tokens == 5,
    ),
)


# ── what becomes of it ────────────────────────────────────────────────────────────────────────────────────


# Where it matters whose model is asked, by its name: Bedrock's fields for thinking and caching differ by maker.
_MODELS = {"bedrock_converse": "anthropic.claude"}


def target(dialect: Dialect) -> Deployment:
    name = _MODELS.get(dialect.name, "m")
    return Deployment(id="m@p", model="m", provider="p", dialect=dialect.name, upstream_model=name, card=_CARD)


def at_door(door: Dialect, feature: Feature) -> Request | None:
    """The request that says it in the door's own words; None where it has none for it."""
    extra = feature.at_door.get(door.name)
    if door.name in _TEXT_ONLY:
        plain = _TEXT_ONLY[door.name].get(feature.name)
        return None if plain is None else door.parse_request({"model": "m", "prompt": "Hello", **plain}, {})
    if door.obstacles(feature.request):
        return None
    if extra is None and feature.at_door is _PROVIDER_TOOLS:
        return None
    written = door.render_request(feature.request, target(door), max_output_tokens=None)
    try:
        asked = door.parse_request({"model": "m", **orjson.loads(written.body), **(extra or {})}, {})
    except InvalidRequest:
        return None
    says = feature.says(asked)
    return asked if (says if feature.at_door is _PROVIDER_TOOLS else says == feature.says(feature.request)) else None


def carried(door: Dialect, upstream: Dialect, feature: Feature) -> str:
    """What becomes of `feature`, asked at `door`, on its way to `upstream`."""
    asked = at_door(door, feature)
    if asked is None:
        return NONE
    if door.name == upstream.name:
        return EXACT
    put = emulated(asked, target(upstream), upstream)
    if (put and put.obstacles) or upstream.obstacles(put.request if put else asked):
        return REFUSED
    sent = upstream.render_request(put.request if put else asked, target(upstream), max_output_tokens=None)
    again = upstream.parse_request({"model": "m", **orjson.loads(sent.body)}, {})
    if feature.says(again) == feature.says(asked):
        return EXACT
    if feature.instead(again, sent.body):
        return EMULATED
    return DROPPED if sent.dropped else LOST


def answered(upstream: Dialect, door: Dialect, trait: Trait) -> str:
    """What becomes of `trait`, answered by `upstream`, on its way to a caller of `door`."""
    native = upstream.parse_response(upstream.render_response(trait.response, ask("m", "Hello")))
    if trait.says(native) != trait.says(trait.response):
        return NONE
    if door.name == upstream.name:
        return EXACT
    body = door.render_response(native, ask("m", "Hello"))
    again = door.parse_response(body)
    if trait.says(again) == trait.says(native):
        return EXACT
    return EMULATED if trait.instead(again, body) else DROPPED


def page(head: str) -> str:
    lines = [
        head,
        "# Dialects\n",
        "What becomes of a feature between a door and an upstream. The columns are upstreams.\n",
        "| word | means |",
        "| --- | --- |",
        "| exact | it arrives as it was said; between the same dialect the bytes themselves do |",
        "| emulated | it arrives in another form that means the same or nearly so |",
        "| dropped | a hint that is left out; `x-polyroute-dropped` and the receipt name it |",
        "| refused | it would change the meaning: such an upstream is no candidate, and the exclusion says why |",
        f"| {NONE} | this door, or for answers this upstream, has no words for it |",
        "\nA model's card may narrow it further: what a model cannot do is an exclusion, whatever its dialect can say.",
        "Why: [decision 0003](../decisions/0003-what-a-dialect-cannot-express.md).",
    ]
    columns = "| " + " | ".join(f"`{name}`" for name in CHATS) + " |"
    rule = "| --- " * (len(CHATS) + 1) + "|"
    for name, door in CHATS.items():
        lines += [f"\n## Asked at `{name}`\n", f"| asked {columns}", rule]
        for feature in FEATURES:
            cells = [carried(door, upstream, feature) for upstream in CHATS.values()]
            if set(cells) != {NONE}:
                lines.append(f"| {feature.name} | {' | '.join(cells)} |")
        lines += [f"\n### Answered to `{name}`\n", f"| answered {columns}", rule]
        for trait in TRAITS:
            cells = [answered(upstream, door, trait) for upstream in CHATS.values()]
            if set(cells) != {NONE}:
                lines.append(f"| {trait.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
