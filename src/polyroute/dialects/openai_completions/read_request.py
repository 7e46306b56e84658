"""A legacy completion's body as a canonical Request: one prompt is one user message.

What chat cannot say (a suffix, an echo, the best of several, more than one prompt, token numbers) is kept as a part
that only this dialect understands: servers of this shape get it as it came, all others are excluded with the reason.
Source: OpenAI API reference, "Create completion".
"""

from typing import Any

from polyroute.dialects.fields import array, boolean, integer, mapping, missing, number, text, wrong
from polyroute.dialects.openai_operation import further, model_of
from polyroute.types.content import Message, Opaque, Part, Text
from polyroute.types.request import Request, Wire

NAME = "openai_completions"
MAX_PROMPTS = 2048
_MAX_TOKENS = 2**31 - 1
_MAX_CHOICES = 128
_MAX_STOPS = 64
_DEFAULT_MAX_TOKENS = 16  # API reference, `max_tokens`
_KNOWN = frozenset({
    "model", "prompt", "max_tokens", "temperature", "top_p", "n", "stream", "stream_options", "logprobs", "echo",
    "stop", "presence_penalty", "frequency_penalty", "best_of", "logit_bias", "user", "seed", "suffix",
})  # fmt: skip


def parse_request(body: dict[str, object]) -> Request:
    given: dict[str, Any] = {name: value for name, value in body.items() if value is not None}
    model = model_of(given)
    prompts = _read_prompt(given.get("prompt"))
    n = integer(given.get("n", 1), "n", 1, _MAX_CHOICES)
    apart = _beyond_chat(given, prompts, n)
    logprobs = given.get("logprobs")
    options = mapping(given.get("stream_options", {}), "stream_options")
    return Request(
        model=model,
        messages=tuple(Message(role="user", parts=(part, *apart)) for part in prompts),
        max_output_tokens=integer(given.get("max_tokens", _DEFAULT_MAX_TOKENS), "max_tokens", 0, _MAX_TOKENS) or 1,
        temperature=_optional(given, "temperature", 0, 2),
        top_p=_optional(given, "top_p", 0, 1),
        presence_penalty=_optional(given, "presence_penalty", -2, 2),
        frequency_penalty=_optional(given, "frequency_penalty", -2, 2),
        n=max(n, integer(given.get("best_of", n), "best_of", 1, _MAX_CHOICES)) * len(prompts),
        stop=_read_stop(given.get("stop", ())),
        seed=integer(given["seed"], "seed") if "seed" in given else None,
        logprobs=logprobs is not None,
        top_logprobs=None if logprobs is None else integer(logprobs, "logprobs", 0, 20),
        logit_bias=_read_bias(given["logit_bias"]) if given.get("logit_bias") else None,
        stream=boolean(given.get("stream", False), "stream"),
        stream_usage=boolean(options.get("include_usage") or False, "stream_options.include_usage"),
        end_user=text(given["user"], "user") if "user" in given else None,
        extensions=further(given, _KNOWN),
        wire=Wire(dialect=NAME, body=body),
    )


def _read_prompt(value: object) -> list[Part]:
    if value is None:
        missing("prompt", "a text, an array of texts, or token numbers")
    if type(value) is str:
        return [Text(text=value)]
    items = array(value, "prompt")
    if items and type(items[0]) is int:
        return [_tokens(items, "prompt")]
    if not 0 < len(items) <= MAX_PROMPTS:
        wrong("prompt", f"1 to {MAX_PROMPTS} prompts", f"{len(items)} prompts", code="out_of_range")
    if type(items[0]) is list:
        return [_tokens(array(item, f"prompt[{at}]"), f"prompt[{at}]") for at, item in enumerate(items)]
    return [Text(text=text(item, f"prompt[{at}]")) for at, item in enumerate(items)]


def _tokens(numbers: list[object], at: str) -> Opaque:
    if not numbers:
        wrong(at, "an array of token numbers that is not empty", numbers, code="invalid_value")
    for place, token in enumerate(numbers):
        if type(token) is not int or not 0 <= token < 2**31:
            integer(token, f"{at}[{place}]", 0, 2**31 - 1)
    return Opaque(dialect=NAME, kind="token numbers", raw={"tokens": numbers})


def _beyond_chat(given: dict[str, Any], prompts: list[Part], n: int) -> list[Opaque]:
    """A part for each thing that no conversation can say."""
    found: dict[str, object] = {}
    if "suffix" in given and text(given["suffix"], "suffix"):
        found["suffix"] = given["suffix"]
    if "echo" in given and boolean(given["echo"], "echo"):
        found["echo"] = True
    if integer(given.get("best_of", n), "best_of", 1, _MAX_CHOICES) > n:
        found["best_of"] = given["best_of"]
    if len(prompts) > 1:
        found["one of several prompts"] = len(prompts)
    if given.get("max_tokens") == 0:
        found["max_tokens: 0"] = 0
    return [Opaque(dialect=NAME, kind=kind, raw={kind: value}) for kind, value in found.items()]


def _optional(given: dict[str, Any], name: str, low: float, high: float) -> float | None:
    return number(given[name], name, low, high) if name in given else None


def _read_stop(value: object) -> tuple[str, ...]:
    if type(value) is str:
        return (value,)
    items = array(list(value) if isinstance(value, tuple) else value, "stop")
    if len(items) > _MAX_STOPS:
        wrong("stop", f"at most {_MAX_STOPS} texts", f"{len(items)} texts", code="out_of_range")
    return tuple(text(item, f"stop[{at}]") for at, item in enumerate(items))


def _read_bias(value: object) -> dict[str, float]:
    bias = mapping(value, "logit_bias")
    return {token: number(weight, f"logit_bias.{token}", -100, 100) for token, weight in bias.items()}
