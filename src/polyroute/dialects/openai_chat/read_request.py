"""A caller's request body as a canonical Request. Dispatches over the fields that are present.

Fields outside the canonical set go to `extensions`; fields that would steer the call are refused. Null is absent.
Source: OpenAI API reference, "Create chat completion"; the additions of others are marked where they are read.
"""

from collections.abc import Callable
from typing import Any

from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, one_of, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.read_messages import read_messages
from polyroute.dialects.openai_chat.read_tools import (
    OTHER_FORMATS,
    allowed_of,
    read_function_call,
    read_functions,
    read_response_format,
    read_tool_choice,
    read_tools,
    read_web_search,
)
from polyroute.types.request import Reasoning, Request, Wire

_MAX_TOKENS = 2**31 - 1
_MAX_MODEL_NAME = 512  # characters
_MAX_STOPS = 64
_MAX_CHOICES = 128  # API reference, `n`

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "default")  # "default" is Groq's


def parse_request(body: dict[str, object]) -> Request:
    fields: dict[str, Any] = {}
    extensions: dict[str, object] = {}
    for key, value in body.items():
        if value is None:
            continue
        known = _FIELDS.get(key)
        if known is None:
            extensions[key] = value
            continue
        name, read = known
        meant = read(value, key)
        if meant is not None:
            fields[name] = _SAID_TWICE[name](fields[name], meant) if name in fields else meant
    if "model" not in fields:
        missing("model", "the name of a route or a model")
    if "messages" not in fields:
        missing("messages", "an array of messages")
    if extensions:
        refuse_forbidden(extensions)
        for key in extensions.keys() & _CHECKED.keys():
            _CHECKED[key](extensions[key], key)
        fields["extensions"] = extensions
    form = body.get("response_format")
    if type(form) is dict and form.get("type") in OTHER_FORMATS:
        fields["extensions"] = {**extensions, "response_format": form}
    choice = body.get("tool_choice")
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        fields["tools"] = allowed_of(fields.get("tools", ()), choice)
    return Request(wire=Wire(dialect=NAME, body=body), **fields)


# ── plain fields ──────────────────────────────────────────────────────────────────────────────────────


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


def _penalty(value: object, at: str) -> float:
    return number(value, at, -2, 2)


def _top_k(value: object, at: str) -> int | None:
    """vLLM's and OpenRouter's; 0 and -1 switch it off."""
    return integer(value, at, -1) or None if value != -1 else None


def _choices(value: object, at: str) -> int:
    return integer(value, at, 1, _MAX_CHOICES)


def _logprobs(value: object, at: str) -> bool:
    """A number of alternatives at Together and Fireworks, as in legacy completions."""
    return integer(value, at, 0, 20) > 0 if type(value) is int else boolean(value, at)


def _top_logprobs(value: object, at: str) -> int:
    return integer(value, at, 0, 20)


def _stop(value: object, at: str) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    if type(value) is not list:
        wrong(at, "a string or an array of strings", value)
    if len(value) > _MAX_STOPS:
        wrong(at, f"at most {_MAX_STOPS} strings", f"{len(value)} strings", code="out_of_range")
    return tuple(text(item, f"{at}[{index}]") for index, item in enumerate(value))


def _logit_bias(value: object, at: str) -> dict[str, float]:
    return {token: number(bias, f"{at}.{token}", -100, 100) for token, bias in mapping(value, at).items()}


def _stream_options(value: object, at: str) -> bool | None:
    wanted = mapping(value, at).get("include_usage")
    return None if wanted is None else boolean(wanted, f"{at}.include_usage")


def _modalities(value: object, at: str) -> tuple[str, ...]:
    return tuple(text(item, f"{at}[{index}]") for index, item in enumerate(array(value, at)))


# ── reasoning: one meaning, four spellings ────────────────────────────────────────────────────────────


def _reasoning_effort(value: object, at: str) -> Reasoning:
    effort = one_of(value, at, _EFFORTS)
    if effort == "none":
        return Reasoning(enabled=False)
    return Reasoning(effort=None if effort == "default" else effort)


def _reasoning(value: object, at: str) -> Reasoning:
    """OpenRouter's object."""
    fields = mapping(value, at)
    effort, budget, enabled = fields.get("effort"), fields.get("max_tokens"), fields.get("enabled")
    if enabled is not None and not boolean(enabled, f"{at}.enabled"):
        return Reasoning(enabled=False)
    if budget is not None:
        return Reasoning(budget_tokens=integer(budget, f"{at}.max_tokens", 0, _MAX_TOKENS))
    return Reasoning() if effort is None else _reasoning_effort(effort, f"{at}.effort")


def _thinking(value: object, at: str) -> Reasoning:
    """DeepSeek's and Moonshot's switch; the budget is Anthropic's, and taken by gateways."""
    fields = mapping(value, at)
    kind = one_of(fields.get("type"), f"{at}.type", ("enabled", "disabled", "adaptive"))
    budget = fields.get("budget_tokens")
    return Reasoning(
        enabled=kind != "disabled",
        adaptive=kind == "adaptive",
        budget_tokens=None if budget is None else integer(budget, f"{at}.budget_tokens", 0, _MAX_TOKENS),
    )


def _enable_thinking(value: object, at: str) -> Reasoning:
    """Qwen's switch."""
    return Reasoning(enabled=boolean(value, at))


def _more_telling(first: Reasoning, second: Reasoning) -> Reasoning:
    return second if first.effort is None and first.budget_tokens is None else first


_FIELDS: dict[str, tuple[str, Callable[[object, str], object]]] = {
    "model": ("model", _model),
    "messages": ("messages", read_messages),
    "tools": ("tools", read_tools),
    "functions": ("tools", read_functions),
    "web_search_options": ("tools", read_web_search),
    "tool_choice": ("tool_choice", read_tool_choice),
    "function_call": ("tool_choice", read_function_call),
    "parallel_tool_calls": ("parallel_tool_calls", boolean),
    "response_format": ("output", read_response_format),
    "reasoning_effort": ("reasoning", _reasoning_effort),
    "reasoning": ("reasoning", _reasoning),
    "thinking": ("reasoning", _thinking),
    "enable_thinking": ("reasoning", _enable_thinking),
    "max_tokens": ("max_output_tokens", _max_tokens),
    "max_completion_tokens": ("max_output_tokens", _max_tokens),
    "temperature": ("temperature", _temperature),
    "top_p": ("top_p", _top_p),
    "top_k": ("top_k", _top_k),
    "stop": ("stop", _stop),
    "seed": ("seed", integer),
    "random_seed": ("seed", integer),  # Mistral's
    "presence_penalty": ("presence_penalty", _penalty),
    "frequency_penalty": ("frequency_penalty", _penalty),
    "logit_bias": ("logit_bias", _logit_bias),
    "logprobs": ("logprobs", _logprobs),
    "top_logprobs": ("top_logprobs", _top_logprobs),
    "n": ("n", _choices),
    "stream": ("stream", boolean),
    "stream_options": ("stream_usage", _stream_options),
    "modalities": ("output_modalities", _modalities),
    "user": ("end_user", text),
    "safety_identifier": ("end_user", text),
    "service_tier": ("service_tier", text),
    "metadata": ("metadata", mapping),
}

# What is meant where two spellings of one field are both given.
_SAID_TWICE: dict[str, Callable[[Any, Any], object]] = {
    "tools": lambda first, second: first + second,
    "tool_choice": lambda first, _: first,
    "reasoning": _more_telling,
    "max_output_tokens": min,
    "seed": lambda first, _: first,
    "end_user": lambda first, _: first,
}

# Documented fields that have no canonical place, and their types.
_CHECKED: dict[str, Callable[[object, str], object]] = {
    "store": boolean,
    "prediction": mapping,
    "audio": mapping,
    "prompt_cache_key": text,
    "prompt_cache_retention": text,
    "verbosity": text,
}
