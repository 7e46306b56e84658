"""A caller's tools, which of them may be called, and the form its answer must have.

Source: OpenAI API reference, "Create chat completion", `tools`, `tool_choice`, `response_format`; the additions of
others are marked where they are read.
"""

from typing import Any, cast

from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_private
from polyroute.dialects.openai_chat.names import NAME
from polyroute.types.content import CacheMark
from polyroute.types.request import FreeInput, OutputFormat, ProviderTool, Tool, ToolChoice

_MAX_TOOLS = 1024
OTHER_FORMATS = ("grammar", "json", "regex", "structural_tag")  # Fireworks', TGI's and vLLM's
_CHOICE_MODES = ("auto", "none", "required", "any")  # "any" is Mistral's word for "required"


def read_tools(value: object, at: str) -> tuple[Tool | ProviderTool, ...]:
    items = array(value, at)
    if len(items) > _MAX_TOOLS:
        wrong(at, f"at most {_MAX_TOOLS} tools", f"{len(items)} tools", code="out_of_range")
    return tuple(read_tool(mapping(item, f"{at}[{index}]"), f"{at}[{index}]") for index, item in enumerate(items))


def read_tool(raw: dict[str, object], at: str) -> Tool | ProviderTool:
    kind = "function" if raw.get("type") is None else text(raw["type"], f"{at}.type")  # Mistral's may be left out
    if kind == "custom":
        if raw.get("custom") is None:
            missing(f"{at}.custom", "an object with `name`, `description` and `format`")
        tool = read_custom(mapping(raw["custom"], f"{at}.custom"), f"{at}.custom", inner="grammar")
        if tool is not None:
            return tool
    if kind != "function":
        refuse_private(raw, at)
        return ProviderTool(dialect=NAME, kind=kind, raw=raw)
    if raw.get("function") is None:
        missing(f"{at}.function", "an object with `name`, `description` and `parameters`")
    return read_function(mapping(raw["function"], f"{at}.function"), f"{at}.function", raw.get("cache_control"))


def read_functions(value: object, at: str) -> tuple[Tool | ProviderTool, ...]:
    """The form before tools, of 2023."""
    return tuple(
        read_function(mapping(item, f"{at}[{index}]"), f"{at}[{index}]", None)
        for index, item in enumerate(array(value, at))
    )


def read_web_search(value: object, at: str) -> tuple[ProviderTool, ...]:
    """OpenAI's search models take the provider's tool as a field of its own."""
    refuse_private(value, at)
    return (ProviderTool(dialect=NAME, kind=at, raw=mapping(value, at)),)


def read_function(function: dict[str, object], at: str, cache_control: object) -> Tool:
    name, description = function.get("name"), function.get("description")
    parameters, strict = function.get("parameters"), function.get("strict")
    if not name:
        missing(f"{at}.name", "the function's name")
    mark = None
    if cache_control is not None:  # OpenRouter's
        ttl = mapping(cache_control, f"{at}.cache_control").get("ttl")
        mark = CacheMark(ttl=None if ttl is None else text(ttl, f"{at}.cache_control.ttl"))
    return Tool(
        name=text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        parameters=None if parameters is None else mapping(parameters, f"{at}.parameters"),
        strict=None if strict is None else boolean(strict, f"{at}.strict"),
        cache=mark,
    )


def read_custom(custom: dict[str, object], at: str, *, inner: str = "") -> Tool | None:
    """A tool whose input is text; None where its format is one we do not know. `inner` holds a format's own fields."""
    name, description, given = custom.get("name"), custom.get("description"), custom.get("format")
    if not name:
        missing(f"{at}.name", "the tool's name")
    form = {} if given is None else mapping(given, f"{at}.format")
    free = FreeInput()
    if form.get("type") == "grammar":
        place = f"{at}.format.{inner}" if inner else f"{at}.format"
        grammar = mapping(form.get(inner), place) if inner else form
        definition = text(grammar.get("definition"), f"{place}.definition")
        free = FreeInput(syntax=text(grammar.get("syntax"), f"{place}.syntax"), definition=definition)
    elif form.get("type") not in (None, "text"):
        return None
    return Tool(
        name=text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        free_input=free,
    )


def read_tool_choice(value: object, at: str) -> ToolChoice:
    if type(value) is str:
        mode = one_of(value, at, _CHOICE_MODES)
        return ToolChoice(mode="required" if mode == "any" else cast("Any", mode))
    if type(value) is not dict:
        wrong(at, "`auto`, `none`, `required` or an object that names a function", value)
    kind = one_of(value.get("type", "function"), f"{at}.type", ("function", "custom", "allowed_tools"))
    inner = mapping(value.get(kind), f"{at}.{kind}")
    if kind == "allowed_tools":
        mode = one_of(inner.get("mode", "auto"), f"{at}.allowed_tools.mode", ("auto", "required"))
        return ToolChoice(mode=cast("Any", mode))
    return ToolChoice(mode="named", name=text(inner.get("name"), f"{at}.{kind}.name"))


def read_function_call(value: object, at: str) -> ToolChoice:
    """The form before `tool_choice`."""
    if type(value) is str:
        return ToolChoice(mode=cast("Any", one_of(value, at, ("auto", "none"))))
    return ToolChoice(mode="named", name=text(mapping(value, at).get("name"), f"{at}.name"))


def allowed_of(tools: tuple[Tool | ProviderTool, ...], choice: dict[str, Any]) -> tuple[Tool | ProviderTool, ...]:
    """`allowed_tools` keeps the list stable for OpenAI's cache; to everyone else it means a shorter list."""
    at = "tool_choice.allowed_tools.tools"
    names = []
    for index, item in enumerate(array(choice["allowed_tools"].get("tools"), at)):
        entry = mapping(item, f"{at}[{index}]")
        named = entry.get("function") or entry.get("custom")
        names.append(named.get("name") if isinstance(named, dict) else entry.get("type"))
    return tuple(tool for tool in tools if (tool.name if isinstance(tool, Tool) else tool.kind) in names)


def read_response_format(value: object, at: str) -> OutputFormat | None:
    fields = mapping(value, at)
    kind = one_of(fields.get("type"), f"{at}.type", ("text", "json_object", "json_schema", *OTHER_FORMATS))
    if kind == "text" or kind in OTHER_FORMATS:
        return None
    if kind == "json_object":
        return OutputFormat()
    at = f"{at}.json_schema"
    if fields.get("json_schema") is None:
        missing(at, "an object with `name` and `schema`")
    given = mapping(fields["json_schema"], at)
    name, description, strict = given.get("name"), given.get("description"), given.get("strict")
    return OutputFormat(
        schema=None if given.get("schema") is None else mapping(given["schema"], f"{at}.schema"),
        name="output" if name is None else text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        strict=None if strict is None else boolean(strict, f"{at}.strict"),
    )
