"""A body in OpenAI's form made fit for a server that departs from it, quirk by quirk (`types.quirks` has the words).

It works on what would be sent, whoever wrote it: a caller of the same dialect gets the same help in a fallback. What
has another name or place there is moved; what has none is left out and named. It never asks who the server is.
"""

from typing import Any

from polyroute.dialects.json_words import JSON_OBJECT, json_in_words
from polyroute.dialects.openai_chat.fit_messages import MESSAGE_QUIRKS, fit_messages

Body = dict[str, Any]

LIMITS = ("max_tokens", "max_completion_tokens")
_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs")
# What a server does not take at all.
_UNKNOWN_FIELDS = {
    "fixed_sampling": _SAMPLING,
    "no_stop": ("stop",),
    "no_seed": ("seed",),
    "no_logit_bias": ("logit_bias",),
    "no_logprobs": ("logprobs", "top_logprobs"),
    "no_penalties": ("presence_penalty", "frequency_penalty"),
    "no_parallel_tool_calls": ("parallel_tool_calls",),
    "no_effort": ("reasoning_effort",),
    "no_extras": (
        *("user", "store", "metadata", "service_tier", "prediction", "verbosity", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_retention", "moderation", "modalities"),
    ),
}
# Fields that say nothing of their own: leaving them out is not worth telling.
_NEUTRAL: dict[str, object] = {
    "temperature": 1,
    "top_p": 1,
    "logprobs": False,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_SPEAKS_OF_OFF = frozenset({"effort_none", "effort_high", "reasoning_object", "thinking_switch"})


def can_switch_thinking_off(quirks: frozenset[str]) -> bool:
    return not quirks.isdisjoint(_SPEAKS_OF_OFF)


def fit(body: Body, quirks: frozenset[str], dropped: set[str]) -> None:
    """Changes `body` itself; what is inside it may be the caller's, and is replaced instead."""
    if "no_stream_usage" in quirks:
        body.pop("stream_options", None)
    _fit_limit(body, quirks)
    _fit_thinking(body, quirks, dropped)
    for quirk, fields in _UNKNOWN_FIELDS.items():
        if quirk in quirks:
            _leave_out(body, fields, dropped)
    if "no_n" in quirks and body.get("n") == 1:
        del body["n"]
    if "random_seed" in quirks and (seed := body.pop("seed", None)) is not None:
        body.setdefault("random_seed", seed)
    _fit_tools(body, quirks, dropped)
    _fit_output(body, quirks, dropped)
    if not quirks.isdisjoint(MESSAGE_QUIRKS) and isinstance(body.get("messages"), list):
        body["messages"] = fit_messages(body["messages"], quirks, dropped)


def _leave_out(body: Body, fields: tuple[str, ...], dropped: set[str]) -> None:
    for name in fields:
        value = body.pop(name, None)
        if value is not None and value != _NEUTRAL.get(name):
            dropped.add(name)


def _fit_limit(body: Body, quirks: frozenset[str]) -> None:
    """The tighter one counts, where the caller gave both."""
    for name in LIMITS:
        if name in quirks:
            limits = [limit for each in LIMITS if (limit := body.pop(each, None)) is not None]
            if limits:
                body[name] = min(limits)


def _fit_thinking(body: Body, quirks: frozenset[str], dropped: set[str]) -> None:
    effort = body.get("reasoning_effort")
    if "fixed_sampling_thinking" in quirks and effort not in (None, "none"):
        _leave_out(body, _SAMPLING, dropped)
    if effort is None:
        return
    if "reasoning_object" in quirks:
        del body["reasoning_effort"]
        body.setdefault("reasoning", {"enabled": False} if effort == "none" else {"effort": effort})
    elif "thinking_switch" in quirks:
        body.setdefault("thinking", {"type": "disabled" if effort == "none" else "enabled"})
        if effort == "none":
            del body["reasoning_effort"]
    elif "effort_high" in quirks:
        body["reasoning_effort"] = "none" if effort in ("none", "minimal") else "high"
    elif effort == "minimal" and "no_minimal_effort" in quirks:
        body["reasoning_effort"] = "low"


def _fit_tools(body: Body, quirks: frozenset[str], dropped: set[str]) -> None:
    choice = body.get("tool_choice")
    if "tool_choice_any" in quirks and choice == "required":
        body["tool_choice"] = "any"
    elif "tool_choice_auto" in quirks and choice not in (None, "auto", "none"):
        del body["tool_choice"]
        dropped.add("tool_choice")
    tools = body.get("tools")
    if "no_strict" in quirks and isinstance(tools, list):
        body["tools"] = [_without_strict(tool, "function", dropped) for tool in tools]


def _without_strict(value: Any, inner: str, dropped: set[str]) -> Any:
    content = value.get(inner) if isinstance(value, dict) else None
    if not isinstance(content, dict) or "strict" not in content:
        return value
    if content["strict"]:
        dropped.add("strict")
    return {**value, inner: {name: item for name, item in content.items() if name != "strict"}}


def _fit_output(body: Body, quirks: frozenset[str], dropped: set[str]) -> None:
    """A schema that the server cannot be given is put as an instruction; the answer is checked against it later."""
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if "no_strict" in quirks and kind == "json_schema":
        body["response_format"] = _without_strict(wanted, "json_schema", dropped)
    if kind == "json_schema" and ("json_object_only" in quirks or "no_json" in quirks):
        body["response_format"] = {"type": "json_object"}
        described = wanted.get("json_schema") if isinstance(wanted, dict) else None
        given = described if isinstance(described, dict) else {}
        _instruct(body, json_in_words(given.get("schema"), given.get("description")))
        dropped.add("response_format: json_schema as an instruction")
    elif kind == "json_object" and "no_json" in quirks:
        _instruct(body, JSON_OBJECT)
        dropped.add("response_format: json_object as an instruction")
    if "no_json" in quirks:
        body.pop("response_format", None)


def _instruct(body: Body, words: str) -> None:
    """At the end of the first system message, else in one of its own."""
    messages = list(body.get("messages") or ())
    first = messages[0] if messages else None
    if isinstance(first, dict) and first.get("role") in ("system", "developer"):
        content = first.get("content")
        added = [*content, {"type": "text", "text": words}] if isinstance(content, list) else f"{content}\n\n{words}"
        messages[0] = {**first, "content": added}
    else:
        messages.insert(0, {"role": "system", "content": words})
    body["messages"] = messages
