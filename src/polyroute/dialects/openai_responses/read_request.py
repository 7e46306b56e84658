"""A caller's request body as a canonical Request. Dispatches over the fields that are present.

What lives at the provider (an earlier response, a conversation, a stored prompt) stands in front of the messages as
`Opaque`: no other dialect has it. Further fields go to `extensions`; those that would steer the call are refused.
Null is absent. Source: OpenAI API reference, "Create a model response".
"""

from collections.abc import Callable
from typing import Any

from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden
from polyroute.dialects.named_ids import named_ids
from polyroute.dialects.openai_responses.names import NAME
from polyroute.dialects.openai_responses.read_items import read_input, refer
from polyroute.dialects.openai_responses.read_tools import allowed_of, read_tool_choice, read_tools
from polyroute.types.content import Message, Opaque, Text
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Reference, Request, Wire

LOGPROBS = "message.output_text.logprobs"  # in `include`
_MAX_TOKENS = 2**31 - 1
_MAX_MODEL_NAME = 512  # characters
_INNER = {"reasoning": ("effort",), "text": ("format",)}  # of these objects, the fields with a canonical place


def parse_request(body: dict[str, object]) -> Request:
    fields: dict[str, Any] = {"stream_usage": True}  # a stream's last event always tells it
    extensions: dict[str, object] = {}
    for key, value in body.items():
        if value is None or key in _SPOKEN:
            continue
        known = _FIELDS.get(key)
        if known is None:
            extensions[key] = value
            continue
        name, read = known
        meant = read(value, key)
        if meant is not None:
            fields[name] = meant
    if "model" not in fields:
        missing("model", "the name of a route or a model")
    if extensions:
        refuse_forbidden(extensions)
        for key in extensions.keys() & _CHECKED.keys():
            _CHECKED[key](extensions[key], key)
        included = extensions.get("include")
        fields["logprobs"] = type(included) is list and LOGPROBS in included
    for key, placed in _INNER.items():
        inner = body.get(key)
        if type(inner) is dict:
            extensions |= {f"{key}.{name}": it for name, it in inner.items() if it is not None and name not in placed}
    choice = body.get("tool_choice")
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        fields["tools"] = allowed_of(fields.get("tools", ()), choice)
    refers: list[Reference] = []
    messages = _messages(body, refers)
    for index, tool in enumerate(fields.get("tools", ())):
        if isinstance(tool, ProviderTool):
            refers += named_ids(tool.raw, f"tools[{index}]")
    return Request(
        messages=messages,
        refers=tuple(refers),
        background=body.get("background") is True,
        extensions=extensions,
        wire=Wire(dialect=NAME, body=body),
        **fields,
    )


# ── what is said ──────────────────────────────────────────────────────────────────────────────────────


def _messages(body: dict[str, object], refers: list[Reference]) -> tuple[Message, ...]:
    messages: list[Message] = []
    if body.get("instructions") is not None:
        messages.append(Message(role="system", parts=(Text(text=text(body["instructions"], "instructions")),)))
    for name, check in _STATE.items():
        if (value := body.get(name)) is not None and check(value, name, refers):
            messages.append(Message(role="assistant", parts=(Opaque(dialect=NAME, kind=name, raw={name: value}),)))
    if body.get("input") is not None:
        messages += read_input(body["input"], "input", refers)
    if not messages:
        missing("input", "a string or an array of items")
    return tuple(messages)


def _previous(value: object, at: str, refers: list[Reference]) -> bool:
    refers.append(refer(text(value, at), at, code="previous_response_not_found"))
    return True


def _conversation(value: object, at: str, refers: list[Reference]) -> bool:
    if type(value) is not str:
        at += ".id"
        value = mapping(value, "conversation").get("id")
    refers.append(refer(text(value, at), at))
    return True


def _prompt(value: object, at: str, refers: list[Reference]) -> bool:
    prompt = mapping(value, at)
    text(prompt.get("id"), f"{at}.id")
    refers += named_ids(prompt.get("variables"), f"{at}.variables")
    return True


def _background(value: object, at: str, refers: list[Reference]) -> bool:
    return boolean(value, at)


# Known to one provider alone; each says whether its value asks for anything.
_STATE: dict[str, Callable[[object, str, list[Reference]], bool]] = {
    "previous_response_id": _previous,
    "conversation": _conversation,
    "prompt": _prompt,
    "background": _background,
}
_SPOKEN = frozenset({"instructions", "input", *_STATE})


# ── fields ────────────────────────────────────────────────────────────────────────────────────────────


def _model(value: object, at: str) -> str:
    name = text(value, at)
    if not 0 < len(name) <= _MAX_MODEL_NAME:
        wrong(at, f"a name of 1 to {_MAX_MODEL_NAME} characters", value, code="invalid_value")
    return name


def _max_tokens(value: object, at: str) -> int:
    return integer(value, at, 1, _MAX_TOKENS)


def _temperature(value: object, at: str) -> float:
    return number(value, at, 0, 2)


def _top_p(value: object, at: str) -> float:
    return number(value, at, 0, 1)


def _top_logprobs(value: object, at: str) -> int:
    return integer(value, at, 0, 20)


def _reasoning(value: object, at: str) -> Reasoning | None:
    effort = mapping(value, at).get("effort")
    if effort is None:
        return None
    word = one_of(effort, f"{at}.effort", ("none", "minimal", "low", "medium", "high", "xhigh", "max"))
    return Reasoning(enabled=False) if word == "none" else Reasoning(effort=word)


def _text_format(value: object, at: str) -> OutputFormat | None:
    given = mapping(value, at).get("format")
    if given is None:
        return None
    at = f"{at}.format"
    form = mapping(given, at)
    kind = one_of(form.get("type"), f"{at}.type", ("text", "json_object", "json_schema"))
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat()
    if form.get("schema") is None:
        missing(f"{at}.schema", "a JSON Schema")
    name, description, strict = form.get("name"), form.get("description"), form.get("strict")
    return OutputFormat(
        schema=mapping(form["schema"], f"{at}.schema"),
        name="output" if name is None else text(name, f"{at}.name"),
        description=None if description is None else text(description, f"{at}.description"),
        strict=None if strict is None else boolean(strict, f"{at}.strict"),
    )


_FIELDS: dict[str, tuple[str, Callable[[object, str], object]]] = {
    "model": ("model", _model),
    "tools": ("tools", read_tools),
    "tool_choice": ("tool_choice", read_tool_choice),
    "parallel_tool_calls": ("parallel_tool_calls", boolean),
    "text": ("output", _text_format),
    "reasoning": ("reasoning", _reasoning),
    "max_output_tokens": ("max_output_tokens", _max_tokens),
    "temperature": ("temperature", _temperature),
    "top_p": ("top_p", _top_p),
    "top_logprobs": ("top_logprobs", _top_logprobs),
    "stream": ("stream", boolean),
    "user": ("end_user", text),
    "safety_identifier": ("end_user", text),
    "service_tier": ("service_tier", text),
    "metadata": ("metadata", mapping),
}

# Documented fields that have no canonical place, and their types.
_CHECKED: dict[str, Callable[[object, str], object]] = {
    "include": array,
    "store": boolean,
    "stream_options": mapping,
    "truncation": text,
    "max_tool_calls": integer,
    "prompt_cache_key": text,
    "prompt_cache_retention": text,
}
