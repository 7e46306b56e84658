"""A caller's body to a checked Request. What has no canonical form is kept: in `wire` whole, by name in `extensions`.

The path's model and verb stand in the body as `model` and `stream`, where the door put them.
A guardrail changes what may be answered: it is kept as a part that no other dialect understands, so that none serves
the request without it.
Source: Amazon Bedrock API reference, "Converse" and "ConverseStream".
"""

from collections.abc import Iterable, Mapping
from itertools import groupby

import orjson
from msgspec.structs import replace

from polyroute.dialects.bedrock_converse.read_content import (
    NAME,
    read_cache_point,
    read_parts,
)
from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden, refuse_private
from polyroute.types.content import Message, Opaque, Part, Role, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, Wire

GUARDRAIL = "guardrailConfig"

_CANONICAL = frozenset({
    "model", "stream", "messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields",
    "outputConfig", "serviceTier", "requestMetadata", GUARDRAIL,
})  # fmt: skip
_INFERENCE = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})
_LONGEST_CONVERSATION = 100_000  # messages
_ROLES: dict[bool, Role] = {True: "tool", False: "user"}


def parse_request(body: dict[str, object], headers: Mapping[str, str]) -> Request:
    extensions = {name: value for name, value in body.items() if name not in _CANONICAL and value is not None}
    refuse_forbidden(extensions)
    get = body.get
    if (model := get("model")) is None:
        missing("model", "the name of a route or a model, in the path")
    inference = _object(get("inferenceConfig"), "inferenceConfig")
    extensions.update({f"inferenceConfig.{name}": inference[name] for name in inference.keys() - _INFERENCE})
    more = _object(get("additionalModelRequestFields"), "additionalModelRequestFields")
    refuse_forbidden(more)
    output_config = _object(get("outputConfig"), "outputConfig")
    tier = get("serviceTier")
    unmarked: list[str] = []
    tools, choice = _read_tools(get("toolConfig"), extensions, unmarked)
    messages = _read_messages(get("system"), get("messages"), get(GUARDRAIL), unmarked)
    extensions.update(dict.fromkeys(unmarked, True))
    limit, stops = inference.get("maxTokens"), inference.get("stopSequences")
    return Request(
        model=text(model, "model"),
        messages=messages,
        tools=tools,
        tool_choice=choice,
        output=_read_output(output_config.get("textFormat")),
        reasoning=_read_reasoning(more, output_config, extensions) if more or output_config else None,
        max_output_tokens=None if limit is None else integer(limit, "inferenceConfig.maxTokens", 1),
        temperature=_share(inference.get("temperature"), "inferenceConfig.temperature"),
        top_p=_share(inference.get("topP"), "inferenceConfig.topP"),
        top_k=_read_top_k(more, extensions) if more else None,
        stop=() if stops is None else _texts(stops, "inferenceConfig.stopSequences"),
        stream=get("stream") is True,
        stream_usage=True,
        service_tier=None if tier is None else text(mapping(tier, "serviceTier").get("type"), "serviceTier.type"),
        metadata=dict(_object(get("requestMetadata"), "requestMetadata")),
        extensions=extensions,
        wire=Wire(dialect=NAME, body=body),
    )


def _read_messages(system: object, value: object, guardrail: object, unmarked: list[str]) -> tuple[Message, ...]:
    messages: list[Message] = []
    if system is not None and (parts := read_parts(system, "system", unmarked)):
        messages.append(Message(role="system", parts=parts))
    if guardrail is not None:
        config = mapping(guardrail, GUARDRAIL)
        messages.append(Message(role="system", parts=(Opaque(dialect=NAME, kind=GUARDRAIL, raw=config),)))
    if value is None:
        missing("messages", "an array of messages")
    turns = array(value, "messages")
    if not 0 < len(turns) <= _LONGEST_CONVERSATION:
        wrong("messages", f"1 to {_LONGEST_CONVERSATION} messages", len(turns), code="out_of_range")
    for index, turn in enumerate(turns):
        at = f"messages[{index}]"
        message = mapping(turn, at)
        parts = read_parts(message.get("content"), f"{at}.content", unmarked)
        match message.get("role"):
            case "user":
                messages.extend(_user_messages(parts))
            case "assistant":
                messages.append(Message(role="assistant", parts=parts))
            case "system":
                messages.append(Message(role="system", parts=parts))
            case other:
                one_of(other, f"{at}.role", ("user", "assistant", "system"))
    return tuple(messages)


def _user_messages(parts: tuple[Part, ...]) -> Iterable[Message]:
    """Tool results answer the model's calls, not the user: they become messages of their own."""
    if ToolResult not in map(type, parts):
        return (Message(role="user", parts=parts),)
    return [
        Message(role=_ROLES[is_result], parts=tuple(run))
        for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult))
    ]


def _read_tools(
    value: object, extensions: dict[str, object], unmarked: list[str]
) -> tuple[tuple[Tool | ProviderTool, ...], ToolChoice | None]:
    if value is None:
        return (), None
    config = mapping(value, "toolConfig")
    extensions.update({f"toolConfig.{name}": config[name] for name in config.keys() - {"tools", "toolChoice"}})
    tools: list[Tool | ProviderTool] = []
    given = config.get("tools")
    for index, item in enumerate(() if given is None else array(given, "toolConfig.tools")):
        at = f"toolConfig.tools[{index}]"
        tool = mapping(item, at)
        if "toolSpec" in tool:
            tools.append(_read_tool(mapping(tool["toolSpec"], f"{at}.toolSpec"), f"{at}.toolSpec"))
        elif "cachePoint" in tool:
            mark = read_cache_point(tool["cachePoint"], f"{at}.cachePoint")
            if tools and isinstance(last := tools[-1], Tool):
                tools[-1] = replace(last, cache=mark)
            else:
                unmarked.append("cachePoint")
        elif tool:
            refuse_private(tool, at)
            tools.append(ProviderTool(dialect=NAME, kind=next(iter(tool)), raw=tool))
        else:
            wrong(at, "a toolSpec, systemTool or cachePoint", tool, code="invalid_value")
    return tuple(tools), _read_choice(config.get("toolChoice"))


def _read_tool(spec: dict[str, object], at: str) -> Tool:
    schema = _object(spec.get("inputSchema"), f"{at}.inputSchema").get("json")
    strict, description = spec.get("strict"), spec.get("description")
    return Tool(
        name=text(spec.get("name"), f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        parameters=None if schema is None else mapping(schema, f"{at}.inputSchema.json"),
        strict=None if strict is None else boolean(strict, f"{at}.strict"),
    )


def _read_choice(value: object) -> ToolChoice | None:
    if value is None:
        return None
    choice = mapping(value, "toolConfig.toolChoice")
    if (named := choice.get("tool")) is not None:
        name = mapping(named, "toolConfig.toolChoice.tool").get("name")
        return ToolChoice(mode="named", name=text(name, "toolConfig.toolChoice.tool.name"))
    if choice.get("any") is not None:
        return ToolChoice(mode="required")
    if choice.get("auto") is None:
        wrong("toolConfig.toolChoice", "{auto: {}}, {any: {}} or {tool: {name}}", choice, code="invalid_value")
    return ToolChoice(mode="auto")


def _read_output(value: object) -> OutputFormat | None:
    if value is None:
        return None
    at = "outputConfig.textFormat"
    wanted = mapping(value, at)
    one_of(wanted.get("type"), f"{at}.type", ("json_schema",))
    at += ".structure.jsonSchema"
    given = mapping(_object(wanted.get("structure"), "outputConfig.textFormat.structure").get("jsonSchema"), at)
    name, description = given.get("name"), given.get("description")
    try:
        schema = orjson.loads(text(given.get("schema"), f"{at}.schema"))
    except orjson.JSONDecodeError:
        schema = None
    return OutputFormat(
        schema=schema if isinstance(schema, dict) else wrong(f"{at}.schema", "a JSON object as text", given["schema"]),
        name="output" if name is None else text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        strict=True,
    )


def _read_reasoning(
    more: dict[str, object], output_config: dict[str, object], extensions: dict[str, object]
) -> Reasoning | None:
    """What makers call it differs; what none of these forms fits stays an extension by its path."""
    for name in output_config.keys() - {"textFormat", "effort"}:
        extensions[f"outputConfig.{name}"] = output_config[name]
    effort = None if (given := output_config.get("effort")) is None else text(given, "outputConfig.effort")
    found = None if effort is None else Reasoning(effort=effort)
    for name, value in more.items():
        match name, value:
            case (("thinking" | "reasoning_config"), {"type": "enabled", "budget_tokens": int(budget)}) if budget > 0:
                found = Reasoning(budget_tokens=budget)
            case (("thinking" | "reasoning_config"), {"type": "adaptive"}):
                found = Reasoning(effort=effort, adaptive=True)
            case (("thinking" | "reasoning_config" | "reasoningConfig"), {"type": "disabled"}):
                found = Reasoning(enabled=False)
            case "reasoningConfig", {"type": "enabled", "maxReasoningEffort": str(word)}:
                found = Reasoning(effort=word)
            case "reasoning_effort", str(word):
                found = Reasoning(effort=word)
            case (("top_k" | "inferenceConfig"), _):
                pass  # `_read_top_k`
            case _:
                extensions[f"additionalModelRequestFields.{name}"] = value
    return found


def _read_top_k(more: dict[str, object], extensions: dict[str, object]) -> int | None:
    nested = more.get("inferenceConfig")
    for value in (more.get("top_k"), nested.get("topK") if isinstance(nested, dict) else None):
        if type(value) is int and value >= 0:
            return value
        if value is not None:
            extensions["additionalModelRequestFields.top_k"] = value
    return None


def _object(value: object, at: str) -> dict[str, object]:
    return {} if value is None else mapping(value, at)


def _share(value: object, at: str) -> float | None:
    return None if value is None else number(value, at, 0, 1)


def _texts(value: object, at: str) -> tuple[str, ...]:
    return tuple([text(item, f"{at}[{index}]") for index, item in enumerate(array(value, at))])
