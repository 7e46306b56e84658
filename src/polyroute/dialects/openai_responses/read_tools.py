"""A caller's `tools` and `tool_choice`. Tools that the provider runs itself are kept as they are.

Source: OpenAI API reference, "Create a model response", `tools` and `tool_choice`.
"""

from typing import Any, cast

from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at, refuse_private
from polyroute.dialects.openai_chat.read_tools import read_custom
from polyroute.dialects.openai_responses.names import NAME
from polyroute.types.request import ProviderTool, Tool, ToolChoice

_MAX_TOOLS = 1024
_MODES = ("auto", "none", "required")


def read_tools(value: object, at: str) -> tuple[Tool | ProviderTool, ...]:
    items = array(value, at)
    if len(items) > _MAX_TOOLS:
        wrong(at, f"at most {_MAX_TOOLS} tools", f"{len(items)} tools", code="out_of_range")
    return tuple(_tool(mapping(item, f"{at}[{index}]"), f"{at}[{index}]") for index, item in enumerate(items))


def _tool(raw: dict[str, object], at: str) -> Tool | ProviderTool:
    if raw.get("type") is None:
        missing(f"{at}.type", "the tool's type, such as `function`")
    kind = text(raw["type"], f"{at}.type")
    if kind == "custom" and (custom := read_custom(raw, at)) is not None:
        return custom
    if kind != "function":
        if raw.get("server_url") is not None:  # of an MCP server, which the provider calls
            media_at(text(raw["server_url"], f"{at}.server_url"), f"{at}.server_url")
        refuse_private(raw, at)
        return ProviderTool(dialect=NAME, kind=kind, raw=raw)
    name, description = raw.get("name"), raw.get("description")
    parameters, strict = raw.get("parameters"), raw.get("strict")
    if not name:
        missing(f"{at}.name", "the function's name")
    return Tool(
        name=text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        parameters=None if parameters is None else mapping(parameters, f"{at}.parameters"),
        strict=None if strict is None else boolean(strict, f"{at}.strict"),
    )


def read_tool_choice(value: object, at: str) -> ToolChoice:
    if type(value) is str:
        return ToolChoice(mode=cast("Any", one_of(value, at, _MODES)))
    if type(value) is not dict:
        wrong(at, "`auto`, `none`, `required` or an object that names a tool", value)
    kind = text(value.get("type"), f"{at}.type")
    if kind == "allowed_tools":
        return ToolChoice(mode=cast("Any", one_of(value.get("mode", "auto"), f"{at}.mode", ("auto", "required"))))
    if kind in ("function", "custom"):
        return ToolChoice(mode="named", name=text(value.get("name"), f"{at}.name"))
    return ToolChoice(mode="named", name=kind)  # a tool of the provider's


def allowed_of(tools: tuple[Tool | ProviderTool, ...], choice: dict[str, Any]) -> tuple[Tool | ProviderTool, ...]:
    """`allowed_tools` keeps the list stable for OpenAI's cache; to everyone else it means a shorter list."""
    names = []
    for index, item in enumerate(array(choice.get("tools"), "tool_choice.tools")):
        entry = mapping(item, f"tool_choice.tools[{index}]")
        names.append(entry.get("name") or entry.get("type"))
    return tuple(tool for tool in tools if (tool.name if isinstance(tool, Tool) else tool.kind) in names)
