"""A caller's body to a checked Request. What has no canonical form is kept: in `wire` whole, by name in `extensions`.

The name of an extension is its path ("thinking.display"), so that a target which cannot express it can say so.
Source: platform.claude.com, API reference "Create a Message" and "Count tokens in a Message", with their betas.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Literal

from polyroute.dialects.anthropic_messages.read_content import NAME, read_cache_mark, read_parts
from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, one_of, text, wrong
from polyroute.dialects.forbidden import media_at, refuse_forbidden, refuse_private
from polyroute.types.content import Message, Part, Role, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Reference, Request, Tool, ToolChoice, Wire

FORWARDED_HEADERS = ("anthropic-version", "anthropic-beta")

_CANONICAL = frozenset({
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking", "output_config", "output_format",
    "temperature", "top_p", "top_k", "stop_sequences", "stream", "metadata", "service_tier", "mcp_servers",
})  # fmt: skip
_TOOL = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_THINKING_TYPES = ("enabled", "disabled", "adaptive", "between_tools")
_MODES: dict[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "named",
    "none": "none",
}
_LONGEST_CONVERSATION = 100_000  # messages


def parse_request(body: dict[str, object], headers: Mapping[str, str], *, counting: bool = False) -> Request:
    """`counting`: for the token counter, which asks for no `max_tokens`."""
    extensions = {name: value for name, value in body.items() if name not in _CANONICAL and value is not None}
    refuse_forbidden(extensions)
    get = body.get
    if (model := get("model")) is None:
        missing("model", "the name of a route or a model")
    if (limit := get("max_tokens")) is None and not counting:
        missing("max_tokens", "the most tokens to answer with")
    metadata = {} if (given := get("metadata")) is None else mapping(given, "metadata")
    end_user = metadata.get("user_id")
    choice, parallel = _read_choice(get("tool_choice"))
    output_config = {} if (given := get("output_config")) is None else mapping(given, "output_config")
    stops = get("stop_sequences")
    return Request(
        model=text(model, "model"),
        messages=_read_messages(get("system"), get("messages")),
        tools=_read_tools(get("tools"), get("mcp_servers"), extensions),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        output=_read_output(output_config.get("format"), get("output_format")),
        reasoning=_read_reasoning(get("thinking"), output_config, extensions),
        max_output_tokens=None if limit is None else integer(limit, "max_tokens", 0),
        temperature=None if (given := get("temperature")) is None else number(given, "temperature", 0, 1),
        top_p=None if (given := get("top_p")) is None else number(given, "top_p", 0, 1),
        top_k=None if (given := get("top_k")) is None else integer(given, "top_k", 0),
        stop=() if stops is None else _texts(stops, "stop_sequences"),
        stream=(given := get("stream")) is not None and boolean(given, "stream"),
        stream_usage=True,
        end_user=None if end_user is None else text(end_user, "metadata.user_id"),
        service_tier=None if (given := get("service_tier")) is None else text(given, "service_tier"),
        metadata={name: value for name, value in metadata.items() if name != "user_id"},
        refers=_container(extensions["container"]) if "container" in extensions else (),
        extensions=extensions,
        wire=Wire(
            dialect=NAME,
            body=body,
            headers={name: value for name in FORWARDED_HEADERS if (value := headers.get(name)) is not None},
        ),
    )


def _container(value: object) -> tuple[Reference, ...]:
    """Where the provider's tools ran before, and left their files."""
    named, at = (value["id"], "container.id") if isinstance(value, dict) and "id" in value else (value, "container")
    if named is None or isinstance(named, dict):  # a new one, with these skills
        return ()
    return (Reference(id=text(named, at), field=at),)


def _read_messages(system: object, value: object) -> tuple[Message, ...]:
    messages: list[Message] = []
    if system is not None:
        messages.append(Message(role="system", parts=read_parts(system, "system")))
    if value is None:
        missing("messages", "an array of messages")
    turns = array(value, "messages")
    if not 0 < len(turns) <= _LONGEST_CONVERSATION:
        wrong("messages", f"1 to {_LONGEST_CONVERSATION} messages", len(turns), code="out_of_range")
    for index, turn in enumerate(turns):
        at = f"messages[{index}]"
        message = mapping(turn, at)
        parts = read_parts(message.get("content"), f"{at}.content")
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
    roles: dict[bool, Role] = {True: "tool", False: "user"}
    return [
        Message(role=roles[is_result], parts=tuple(run))
        for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult))
    ]


def _read_tools(value: object, servers: object, extensions: dict[str, object]) -> tuple[Tool | ProviderTool, ...]:
    tools: list[Tool | ProviderTool] = []
    for index, item in enumerate(() if value is None else array(value, "tools")):
        at = f"tools[{index}]"
        tool = mapping(item, at)
        kind = tool.get("type")
        if kind not in (None, "custom"):
            refuse_private(tool, at)
            tools.append(ProviderTool(dialect=NAME, kind=text(kind, f"{at}.type"), raw=tool))
            continue
        schema, strict, description = tool.get("input_schema"), tool.get("strict"), tool.get("description")
        tools.append(
            Tool(
                name=text(tool.get("name"), f"{at}.name"),
                description=None if description is None else text(description, f"{at}.description"),
                parameters=None if schema is None else mapping(schema, f"{at}.input_schema"),
                strict=None if strict is None else boolean(strict, f"{at}.strict"),
                cache=read_cache_mark(tool, at),
            )
        )
        for name in tool.keys() - _TOOL:
            extensions[f"tools.{name}"] = tool[name]
    for index, item in enumerate(() if servers is None else array(servers, "mcp_servers")):
        server = mapping(item, f"mcp_servers[{index}]")
        if server.get("url") is not None:
            media_at(text(server["url"], f"mcp_servers[{index}].url"), f"mcp_servers[{index}].url")
        tools.append(ProviderTool(dialect=NAME, kind="mcp_server", raw=server))
    return tuple(tools)


def _read_choice(value: object) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are allowed."""
    if value is None:
        return None, None
    choice = mapping(value, "tool_choice")
    kind = one_of(choice.get("type"), "tool_choice.type", _MODES)
    name = text(choice.get("name"), "tool_choice.name") if kind == "tool" else None
    single = choice.get("disable_parallel_tool_use")
    return (
        ToolChoice(mode=_MODES[kind], name=name),
        None if single is None else not boolean(single, "tool_choice.disable_parallel_tool_use"),
    )


def _read_output(current: object, beta: object) -> OutputFormat | None:
    """Structured output as `output_config.format`, or `output_format` as its beta called it."""
    value, at = (beta, "output_format") if current is None else (current, "output_config.format")
    if value is None:
        return None
    wanted = mapping(value, at)
    one_of(wanted.get("type"), f"{at}.type", ("json_schema",))
    return OutputFormat(schema=mapping(wanted.get("schema"), f"{at}.schema"), strict=True)


def _read_reasoning(value: object, output_config: dict[str, object], extensions: dict[str, object]) -> Reasoning | None:
    for name in output_config.keys() - {"format", "effort"}:
        extensions[f"output_config.{name}"] = output_config[name]
    effort = None if (given := output_config.get("effort")) is None else text(given, "output_config.effort")
    if value is None:
        return None if effort is None else Reasoning(effort=effort)
    thinking = mapping(value, "thinking")
    kind = one_of(thinking.get("type"), "thinking.type", _THINKING_TYPES)
    if (display := thinking.get("display")) is not None:
        extensions["thinking.display"] = text(display, "thinking.display")
    if kind != "enabled":
        return Reasoning(enabled=kind != "disabled", effort=effort, adaptive=kind != "disabled")
    if effort is not None:
        extensions["output_config.effort"] = effort
    budget = thinking.get("budget_tokens")
    if budget is None:
        missing("thinking.budget_tokens", "the most tokens to think with")
    return Reasoning(budget_tokens=integer(budget, "thinking.budget_tokens", 1))


def _texts(value: object, at: str) -> tuple[str, ...]:
    return tuple([text(item, f"{at}[{index}]") for index, item in enumerate(array(value, at))])
