"""A caller's tools and the word on which of them may be called.

Source: ai.google.dev, API reference "Tool", "FunctionDeclaration", "FunctionCallingConfig".
"""

from typing import Literal

from msgspec import Struct

from polyroute.dialects.fields import array, mapping, missing, one_of, text
from polyroute.dialects.forbidden import refuse_private
from polyroute.dialects.gemini.names import NAME, Block, camel
from polyroute.dialects.gemini.read_content import items
from polyroute.dialects.gemini.schemas import from_openapi
from polyroute.types.request import ProviderTool, Tool, ToolChoice

_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
_CALLING = ("mode", "allowedFunctionNames")


class Chosen(Struct, frozen=True, kw_only=True):
    """The tools that may be called, and how."""

    tools: tuple[Tool | ProviderTool, ...]
    choice: ToolChoice | None = None


def read_tools(value: object, at: str) -> tuple[Tool | ProviderTool, ...]:
    tools: list[Tool | ProviderTool] = []
    for index, item in enumerate(items(value, at)):
        place = f"{at}[{index}]"
        for name, given in camel(mapping(item, place)).items():
            if given is None:
                continue
            if name != "functionDeclarations":
                refuse_private(given, f"{place}.{name}")
                tools.append(ProviderTool(dialect=NAME, kind=name, raw={name: given}))
                continue
            for number, function in enumerate(items(given, f"{place}.{name}")):
                tools.append(_function(function, f"{place}.{name}[{number}]"))
    return tuple(tools)


def read_choice(value: object, tools: tuple[Tool | ProviderTool, ...], extensions: Block) -> Chosen:
    config = {} if value is None else camel(mapping(value, "toolConfig"))
    for name, given in config.items():
        if name != "functionCallingConfig" and given is not None:
            extensions[f"toolConfig.{name}"] = given
    if (calling := config.get("functionCallingConfig")) is None:
        return Chosen(tools=tools)
    at = "toolConfig.functionCallingConfig"
    calling = camel(mapping(calling, at))
    for name, given in calling.items():
        if name not in _CALLING and given is not None:
            extensions[f"{at}.{name}"] = given
    mode = "AUTO" if (word := calling.get("mode")) is None else text(word, f"{at}.mode").upper()
    kind = _MODES[one_of(mode, f"{at}.mode", _MODES)]
    if mode == "VALIDATED":
        extensions[f"{at}.mode"] = mode
    given = calling.get("allowedFunctionNames")
    place = f"{at}.allowedFunctionNames"
    allowed = [] if given is None else [text(name, f"{place}[{i}]") for i, name in enumerate(array(given, place))]
    if not allowed or kind == "none":
        return Chosen(tools=tools, choice=ToolChoice(mode=kind))
    if len(allowed) == 1 and kind == "required":
        return Chosen(tools=tools, choice=ToolChoice(mode="named", name=allowed[0]))
    narrowed = tuple([tool for tool in tools if not isinstance(tool, Tool) or tool.name in allowed])
    return Chosen(tools=narrowed, choice=ToolChoice(mode=kind))


def _function(value: object, at: str) -> Tool:
    function = camel(mapping(value, at))
    if not function.get("name"):
        missing(f"{at}.name", "the function's name")
    description = function.get("description")
    parameters: Block | None = None
    if (schema := function.get("parametersJsonSchema")) is not None:
        parameters = mapping(schema, f"{at}.parametersJsonSchema")
    elif (schema := function.get("parameters")) is not None:
        parameters = from_openapi(mapping(schema, f"{at}.parameters"))
    return Tool(
        name=text(function["name"], f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        parameters=parameters,
    )
