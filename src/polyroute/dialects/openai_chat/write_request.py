"""A canonical Request as a body for an OpenAI-shaped upstream.

A request of this dialect keeps every field as it came; only the model, the stream's usage and the output limit are
set. Any other is built anew from the canonical form.
"""

from typing import Any

import orjson

from polyroute.dialects.openai_chat.read_messages import NAME
from polyroute.dialects.openai_chat.write_messages import obstacles_in, write_messages
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import ProviderTool, Reasoning, Request, Tool, ToolChoice

_PATH = "/chat/completions"
_LIMITS = ("max_tokens", "max_completion_tokens")
_USAGE = {"include_usage": True}

# A thinking budget as an effort: the thresholds LiteLLM uses between Anthropic's budgets and OpenAI's words
# (BerriAI/litellm: litellm/llms/anthropic/experimental_pass_through/adapters/transformation.py).
_EFFORT_FROM = ((10_000, "high"), (5_000, "medium"), (2_000, "low"), (0, "minimal"))


def obstacles(request: Request) -> tuple[str, ...]:
    if request.wire is not None and request.wire.dialect == NAME:
        return ()
    found = [
        f"the tool `{tool.kind}` is one of {tool.dialect}"
        for tool in request.tools
        if isinstance(tool, ProviderTool) and tool.dialect != NAME
    ]
    for message in request.messages:
        found += obstacles_in(message.parts)
    return tuple(dict.fromkeys(found))


def render_request(request: Request, target: Deployment, max_output_tokens: int | None) -> WireRequest:
    if request.wire is not None and request.wire.dialect == NAME:
        body, dropped = dict(request.wire.body), set[str]()
    else:
        body, dropped = _translated(request, target)
    body["model"] = target.upstream_model
    if "no_stream_usage" in target.quirks:
        body.pop("stream_options", None)  # refused there, and usage comes unasked
    elif request.stream:
        options = body.get("stream_options")
        body["stream_options"] = {**options, **_USAGE} if isinstance(options, dict) else _USAGE
    if "max_tokens" in target.quirks:
        _use_max_tokens(body)
    if max_output_tokens is not None:
        _limit(body, max_output_tokens, target)
    return WireRequest(path=_PATH, body=orjson.dumps(body), headers={}, dropped=tuple(sorted(dropped)))


def _limit(body: dict[str, Any], tokens: int, target: Deployment) -> None:
    """Shortens the caller's own limit, whichever field it is in; sets one where there is none."""
    given = [name for name in _LIMITS if body.get(name) is not None]
    for name in given:
        body[name] = min(body[name], tokens)
    if not given:
        body["max_completion_tokens" if _thinks(target) and "max_tokens" not in target.quirks else "max_tokens"] = (
            tokens
        )


def _use_max_tokens(body: dict[str, Any]) -> None:
    limits = [limit for name in _LIMITS if (limit := body.pop(name, None)) is not None]
    if limits:
        body["max_tokens"] = min(limits)


def _thinks(target: Deployment) -> bool:
    """OpenAI's reasoning models refuse `max_tokens` and sampling fields ("Reasoning models", API guide)."""
    return "thinking" in (target.card.capabilities or ())


def _translated(request: Request, target: Deployment) -> tuple[dict[str, Any], set[str]]:
    dropped = set[str](request.extensions)
    body: dict[str, Any] = {"model": "", "messages": write_messages(request.messages, dropped)}
    if request.tools:
        _write_tools(body, request, dropped)
    if request.output is not None:
        body["response_format"] = _response_format(request)
    if request.reasoning is not None:
        effort = _effort(request.reasoning, target, dropped)
        if effort is not None:
            body["reasoning_effort"] = effort
    if request.max_output_tokens is not None:
        _limit(body, request.max_output_tokens, target)
    for name, value in (
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("presence_penalty", request.presence_penalty),
        ("frequency_penalty", request.frequency_penalty),
    ):
        if value is not None and _thinks(target):
            dropped.add(name)
        elif value is not None:
            body[name] = value
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed
    if request.logit_bias:
        body["logit_bias"] = request.logit_bias
    if request.logprobs:
        body["logprobs"] = True
        if request.top_logprobs is not None:
            body["top_logprobs"] = request.top_logprobs
    if request.n != 1:
        body["n"] = request.n
    if request.end_user is not None:
        body["user"] = request.end_user
    if request.output_modalities:
        body["modalities"] = list(request.output_modalities)
    if request.stream:
        body["stream"] = True
    # Their values mean something at their own provider only.
    dropped.update(name for name in ("top_k", "service_tier", "metadata") if getattr(request, name))
    return body, dropped


def _write_tools(body: dict[str, Any], request: Request, dropped: set[str]) -> None:
    tools: list[dict[str, Any]] = []
    for tool in request.tools:
        match tool:
            case Tool():
                if tool.cache is not None:
                    dropped.add("cache")
                tools.append({"type": "function", "function": _function(tool)})
            case ProviderTool(kind="web_search_options"):
                body["web_search_options"] = tool.raw
            case ProviderTool():
                tools.append(tool.raw)
    if not tools:
        return
    body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode


def _response_format(request: Request) -> dict[str, Any]:
    output = request.output
    if output is None or output.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": output.name, "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _effort(reasoning: Reasoning, target: Deployment, dropped: set[str]) -> str | None:
    """The word for how much to think; None where the model is left to its default."""
    if not reasoning.enabled:
        if _thinks(target):
            dropped.add("reasoning")  # "none" is refused by most models that think
        return None
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        effort = next(word for least, word in _EFFORT_FROM if reasoning.budget_tokens >= least)
    if effort is None:
        return None
    if target.card.capabilities is not None and not _thinks(target):
        dropped.add("reasoning")
        return None
    return "high" if effort == "max" else effort  # Anthropic's word, beyond OpenAI's scale
