"""A caller's `messages` array as canonical messages.

Parts that only this dialect knows are kept as `Opaque`. Source: OpenAI API reference, "Create chat completion",
`messages`; the additions of OpenRouter, Mistral and DeepSeek are marked where they are read.
"""

from typing import cast, get_args

from polyroute.dialects.fields import array, mapping, missing, one_of, text, wrong
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.read_parts import marked, read_part
from polyroute.types.content import (
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

_MAX_MESSAGES = 100_000  # Anthropic's documented limit, the largest of the providers'
_ROLES = (*get_args(Role), "function")
_PLAIN_ROLES = ("user", "assistant", "system", "developer")


def read_messages(value: object, at: str) -> tuple[Message, ...]:
    items = array(value, at)
    if not 0 < len(items) <= _MAX_MESSAGES:
        wrong(at, f"an array of 1 to {_MAX_MESSAGES} messages", f"{len(items)} messages", code="invalid_value")
    messages = []
    legacy_call_id = ""  # functions of 2023 had no ids: each result answers the call before it
    for index, item in enumerate(items):
        if type(item) is dict and len(item) == 2:
            content, role = item.get("content"), item.get("role")
            if type(content) is str and role in _PLAIN_ROLES:  # by far the commonest form
                messages.append(Message(role=role, parts=(Text(text=content),)))
                continue
        place = f"{at}[{index}]"
        message = mapping(item, place)
        if message.get("function_call") is not None:
            legacy_call_id = f"call_{index}"
        messages.append(_read_message(message, place, legacy_call_id))
    return tuple(messages)


def _read_message(message: dict[str, object], at: str, legacy_call_id: str) -> Message:
    if "role" not in message:
        missing(f"{at}.role", "one of " + ", ".join(_ROLES))
    role = one_of(message["role"], f"{at}.role", _ROLES)
    name = None if message.get("name") is None else text(message["name"], f"{at}.name")
    if role == "assistant":
        parts = _assistant_parts(message, at, legacy_call_id)
    elif role == "tool":
        if message.get("tool_call_id") is None:
            missing(f"{at}.tool_call_id", "the id of the tool call that this message answers")
        parts = (_tool_result(message, at, text(message["tool_call_id"], f"{at}.tool_call_id")),)
    elif role == "function":
        role, parts = "tool", (_tool_result(message, at, legacy_call_id or f"call_{name}"),)
    else:
        parts = tuple(_content(message, at))
    if message.get("cache_control") is not None and parts and not isinstance(parts[-1], Thinking):
        parts = (*parts[:-1], marked(parts[-1], message["cache_control"], f"{at}.cache_control"))
    return Message(role=cast("Role", role), parts=parts, name=name)


def _content(message: dict[str, object], at: str) -> list[Part]:
    content = message.get("content")
    if content is None:
        missing(f"{at}.content", "a string or an array of content parts")
    if type(content) is str:
        return [Text(text=content)]
    if type(content) is not list:
        wrong(f"{at}.content", "a string or an array of content parts", content)
    return [read_part(part, f"{at}.content[{index}]") for index, part in enumerate(content)]


def _assistant_parts(message: dict[str, object], at: str, legacy_call_id: str) -> tuple[Part, ...]:
    parts: list[Part] = list(_thinking(message, at))
    if message.get("content"):
        parts += _content(message, at)
    elif message.get("content") is not None and message["content"] != "":
        array(message["content"], f"{at}.content")
    if message.get("refusal") is not None:
        parts.append(Refusal(text=text(message["refusal"], f"{at}.refusal")))
    if message.get("audio") is not None:  # an earlier spoken answer, by its id
        parts.append(Opaque(dialect=NAME, kind="audio", raw=mapping(message["audio"], f"{at}.audio")))
    if message.get("tool_calls") is not None:
        for index, call in enumerate(array(message["tool_calls"], f"{at}.tool_calls")):
            parts.append(_tool_call(mapping(call, f"{at}.tool_calls[{index}]"), f"{at}.tool_calls[{index}]"))
    if message.get("function_call") is not None:
        place = f"{at}.function_call"
        parts.append(_function(mapping(message["function_call"], place), place, legacy_call_id))
    if not parts and message.get("content") is None:
        missing(f"{at}.content", "a string or an array of content parts, unless `tool_calls` is given")
    return tuple(parts)


def _thinking(message: dict[str, object], at: str) -> list[Thinking]:
    """Reasoning that the caller sends back: OpenRouter's details, else DeepSeek's or OpenRouter's plain text."""
    if message.get("reasoning_details"):
        details = array(message["reasoning_details"], f"{at}.reasoning_details")
        return read_reasoning_details(
            [mapping(item, f"{at}.reasoning_details[{index}]") for index, item in enumerate(details)]
        )
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            return [Thinking(text=text(message[name], f"{at}.{name}"))]
    return []


def read_reasoning_details(details: list[dict[str, object]]) -> list[Thinking]:
    """OpenRouter's `reasoning_details`; kinds that say nothing readable are passed over."""
    found = []
    for item in details:
        shown, signature, sealed = item.get("text") or item.get("summary"), item.get("signature"), item.get("data")
        if isinstance(sealed, str):
            found.append(Thinking(text="", redacted=sealed))
        elif isinstance(shown, str) or isinstance(signature, str):
            found.append(
                Thinking(
                    text=shown if isinstance(shown, str) else "",
                    signature=signature if isinstance(signature, str) else None,
                )
            )
    return found


def _tool_call(call: dict[str, object], at: str) -> ToolCall | Opaque:
    if call.get("id") is None:
        missing(f"{at}.id", "the tool call's id")
    call_id = text(call["id"], f"{at}.id")
    kind = "function" if call.get("type") is None else text(call["type"], f"{at}.type")
    if kind == "custom" and isinstance(call.get("custom"), dict):
        custom, place = mapping(call["custom"], f"{at}.custom"), f"{at}.custom"
        given = "" if custom.get("input") is None else text(custom["input"], f"{place}.input")
        return ToolCall(id=call_id, name=text(custom.get("name"), f"{place}.name"), arguments=given, is_free=True)
    if kind != "function":
        return Opaque(dialect=NAME, kind=f"{kind}_tool_call", raw=call)
    if call.get("function") is None:
        missing(f"{at}.function", "an object with `name` and `arguments`")
    return _function(mapping(call["function"], f"{at}.function"), f"{at}.function", call_id)


def _function(function: dict[str, object], at: str, call_id: str) -> ToolCall:
    if not function.get("name"):
        missing(f"{at}.name", "the function's name")
    arguments = function.get("arguments")
    return ToolCall(
        id=call_id,
        name=text(function["name"], f"{at}.name"),
        arguments="" if arguments is None else text(arguments, f"{at}.arguments"),
    )


def _tool_result(message: dict[str, object], at: str, call_id: str) -> ToolResult:
    parts: list[Text | Image | Document | Opaque] = []
    content = _content(message, at) if message.get("role") != "function" or message.get("content") is not None else []
    for index, part in enumerate(content):
        if isinstance(part, Text | Image | Document | Opaque):
            parts.append(part)
        else:
            wrong(f"{at}.content[{index}]", "a text, image or file part in a tool's result", type(part).__name__)
    return ToolResult(call_id=call_id, parts=tuple(parts))
