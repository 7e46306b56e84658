"""A caller's body to a checked Request. What has no canonical form is kept: in `wire` whole, by name in `extensions`.

The model and whether to stream stand in the path; the server puts them into the body as `model` and `stream`.
Source: ai.google.dev, API reference "GenerateContent"; cloud.google.com for Vertex's additions.
"""

from collections.abc import Iterator
from itertools import groupby

from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden
from polyroute.dialects.gemini.calls import CallIds
from polyroute.dialects.gemini.names import NAME, Block, camel, camel_name
from polyroute.dialects.gemini.read_content import items, read_parts
from polyroute.dialects.gemini.read_tools import read_choice, read_tools
from polyroute.dialects.gemini.schemas import from_openapi
from polyroute.dialects.named_ids import named_ids
from polyroute.types.content import Message, Opaque, Role, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Reference, Request, Tool, Wire

_CANONICAL = frozenset({
    "model", "stream", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent",
})  # fmt: skip
_GENERATION = frozenset({
    "maxOutputTokens", "temperature", "topP", "topK", "stopSequences", "seed", "presencePenalty", "frequencyPenalty",
    "candidateCount", "responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig", "responseLogprobs",
    "logprobs", "responseModalities",
})  # fmt: skip
_ROLES: dict[object, Role] = {None: "user", "": "user", "user": "user", "model": "assistant", "function": "tool"}
_LEVELS = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH")
_LONGEST_CONVERSATION = 100_000  # turns
_MAX_TOKENS = 2**31 - 1


def parse_request(given: Block) -> Request:
    body = camel(given)
    extensions = {name: value for name, value in body.items() if name not in _CANONICAL and value is not None}
    if extensions:
        refuse_forbidden({name: value for name, value in given.items() if camel_name(name) not in _CANONICAL})
    get = body.get
    if not get("model"):
        missing("model", "the name of a route or a model, in the path: models/NAME:generateContent")
    tools = () if (value := get("tools")) is None else read_tools(value, "tools")
    choice = read_choice(get("toolConfig"), tools, extensions)
    config: Block = {} if (value := get("generationConfig")) is None else camel(mapping(value, "generationConfig"))
    for name, value in config.items():
        if name not in _GENERATION and value is not None:
            extensions[f"generationConfig.{name}"] = value
    return Request(
        model=text(get("model"), "model"),
        messages=tuple(_messages(body)),
        refers=tuple(_refers(get("cachedContent"), tools)),
        tools=choice.tools,
        tool_choice=choice.choice,
        output=_output(config, extensions),
        reasoning=_reasoning(config.get("thinkingConfig"), extensions),
        max_output_tokens=_integer(config, "maxOutputTokens", 1, _MAX_TOKENS),
        temperature=_number(config, "temperature", 0, 2),
        top_p=_number(config, "topP", 0, 1),
        top_k=None if (k := _number(config, "topK", 0, 1_000_000)) is None else int(k) or None,
        stop=_texts(config.get("stopSequences"), "generationConfig.stopSequences"),
        seed=_integer(config, "seed", -(2**31), 2**31 - 1),
        presence_penalty=_number(config, "presencePenalty", -2, 2),
        frequency_penalty=_number(config, "frequencyPenalty", -2, 2),
        logprobs=(value := config.get("responseLogprobs")) is not None
        and boolean(value, "generationConfig.responseLogprobs"),
        top_logprobs=_integer(config, "logprobs", 0, 20),
        n=_integer(config, "candidateCount", 1, 128) or 1,
        stream=(value := get("stream")) is not None and boolean(value, "stream"),
        stream_usage=True,
        output_modalities=_modalities(config.get("responseModalities")),
        extensions=extensions,
        wire=Wire(dialect=NAME, body=given),
    )


def _refers(cached: object, tools: tuple[Tool | ProviderTool, ...]) -> Iterator[Reference]:
    if cached is not None:
        yield Reference(id=text(cached, "cachedContent"), field="cachedContent")
    for tool in tools:
        if isinstance(tool, ProviderTool):
            yield from named_ids(tool.raw, "tools")


def _messages(body: Block) -> Iterator[Message]:
    if (stored := body.get("cachedContent")) is not None:  # the beginning of the conversation, kept at Google
        raw: Block = {"cachedContent": stored}
        yield Message(role="system", parts=(Opaque(dialect=NAME, kind="cachedContent", raw=raw),))
    calls = CallIds()
    if (value := body.get("systemInstruction")) is not None:
        content = camel(mapping(value, "systemInstruction"))
        yield Message(role="system", parts=tuple(read_parts(content, "systemInstruction", calls)))
    if (value := body.get("contents")) is None:
        missing("contents", "an array of turns, each with `role` and `parts`")
    turns = items(value, "contents")
    if not 0 < len(turns) <= _LONGEST_CONVERSATION:
        wrong("contents", f"1 to {_LONGEST_CONVERSATION} turns", len(turns), code="out_of_range")
    for index, turn in enumerate(turns):
        at = f"contents[{index}]"
        content = mapping(turn, at)
        role = content.get("role")
        if role is not None and (type(role) is not str or role not in _ROLES):
            wrong(f"{at}.role", "`user` or `model`", role, code="invalid_value")
        parts = read_parts(content, at, calls)
        if _ROLES[role] == "assistant":
            yield Message(role="assistant", parts=tuple(parts))
            continue
        if not parts:
            yield Message(role="user", parts=())
        for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult)):
            yield Message(role="tool" if is_result else "user", parts=tuple(run))


# ── generationConfig ──────────────────────────────────────────────────────────────────────────────────


def _output(config: Block, extensions: Block) -> OutputFormat | None:
    kind = config.get("responseMimeType")
    kind = "" if kind is None else text(kind, "generationConfig.responseMimeType")
    if kind not in ("", "text/plain", "application/json"):  # text/x.enum: one word of a list
        extensions["generationConfig.responseMimeType"] = kind
        return None
    if (schema := config.get("responseJsonSchema")) is not None:
        return OutputFormat(schema=mapping(schema, "generationConfig.responseJsonSchema"), strict=True)
    if (schema := config.get("responseSchema")) is not None:
        return OutputFormat(schema=from_openapi(mapping(schema, "generationConfig.responseSchema")), strict=True)
    return OutputFormat() if kind == "application/json" else None


def _reasoning(value: object, extensions: Block) -> Reasoning | None:
    if value is None:
        return None
    at = "generationConfig.thinkingConfig"
    config = camel(mapping(value, at))
    if (shown := config.get("includeThoughts")) is not None:
        extensions[f"{at}.includeThoughts"] = boolean(shown, f"{at}.includeThoughts")
    if (level := config.get("thinkingLevel")) is not None:
        word = one_of(text(level, f"{at}.thinkingLevel").upper(), f"{at}.thinkingLevel", _LEVELS)
        return Reasoning(effort=None if word == _LEVELS[0] else word.lower())
    if (budget := config.get("thinkingBudget")) is None:
        return None
    tokens = integer(budget, f"{at}.thinkingBudget", -1, _MAX_TOKENS)
    if tokens <= 0:  # -1: as much as the model thinks fit
        return Reasoning(enabled=tokens == -1, adaptive=tokens == -1)
    return Reasoning(budget_tokens=tokens)


def _modalities(value: object) -> tuple[str, ...]:
    at = "generationConfig.responseModalities"
    wanted = tuple([word.lower() for word in _texts(value, at)])
    return () if wanted == ("text",) else wanted


def _texts(value: object, at: str) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple([text(item, f"{at}[{index}]") for index, item in enumerate(array(value, at))])


def _integer(config: Block, name: str, low: int, high: int) -> int | None:
    if (value := config.get(name)) is None:
        return None
    if type(value) is float and value.is_integer():  # proto3's JSON mapping: 100.0 is an int32
        value = int(value)
    return integer(value, f"generationConfig.{name}", low, high)


def _number(config: Block, name: str, low: float, high: float) -> float | None:
    return None if (value := config.get(name)) is None else number(value, f"generationConfig.{name}", low, high)
