"""A canonical Request as a body for an OpenAI-shaped upstream.

A request of this dialect keeps every field as it came; only the model, the stream's usage and the output limit are
set. Any other is built anew from the canonical form. Both are then made fit for the server's quirks.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from polyroute.dialects.openai_chat.fitting import LIMITS, can_switch_thinking_off, fit
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.write_messages import obstacles_in, write_messages
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

_PATH = "/chat/completions"
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
    if request.stream:
        options = body.get("stream_options")
        body["stream_options"] = {**options, **_USAGE} if isinstance(options, dict) else _USAGE
    if max_output_tokens is not None:
        _limit(body, max_output_tokens, target)
    if target.quirks:
        fit(body, target.quirks, dropped)
    return WireRequest(path=_PATH, body=orjson.dumps(body), headers={}, dropped=tuple(sorted(dropped)))


def _limit(body: dict[str, Any], tokens: int, target: Deployment) -> None:
    """Shortens the caller's own limit, whichever field it is in; sets one where there is none."""
    given = [name for name in LIMITS if body.get(name) is not None]
    for name in given:
        body[name] = min(body[name], tokens)
    if not given:
        body["max_completion_tokens" if _thinks(target) else "max_tokens"] = tokens


def _thinks(target: Deployment) -> bool:
    """OpenAI's reasoning models refuse `max_tokens` ("Reasoning models", API guide)."""
    return "thinking" in (target.card.capabilities or ())


def _translated(request: Request, target: Deployment) -> tuple[dict[str, Any], set[str]]:
    dropped = set[str](request.extensions)
    body: dict[str, Any] = {"model": "", "messages": write_messages(request.messages, dropped)}
    if request.tools:
        _write_tools(body, request, dropped)
    if request.output is not None:
        body["response_format"] = response_format(request.output)
    if request.reasoning is not None:
        _write_reasoning(body, request.reasoning, target, dropped)
    if request.max_output_tokens is not None:
        _limit(body, request.max_output_tokens, target)
    sampling = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    body.update({name: value for name, value in sampling.items() if value is not None})
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
                tools.append(_tool(tool))
            case ProviderTool(kind="web_search_options"):
                body["web_search_options"] = tool.raw
            case ProviderTool():
                tools.append(tool.raw)
    if not tools:
        return
    body["tools"] = tools
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.free_input is None:
        return {"type": "function", "function": _function(tool)}
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        custom["description"] = tool.description
    if tool.free_input.syntax is not None:
        grammar = {"syntax": tool.free_input.syntax, "definition": tool.free_input.definition}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": custom}


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _tool_choice(choice: ToolChoice, tools: Iterable[Tool | ProviderTool]) -> str | dict[str, Any]:
    if choice.mode != "named":
        return choice.mode
    kind = "custom" if takes_free_input(choice.name, tools) else "function"
    return {"type": kind, kind: {"name": choice.name}}


def takes_free_input(name: str | None, tools: Iterable[Tool | ProviderTool]) -> bool:
    return any(isinstance(tool, Tool) and tool.name == name and tool.free_input is not None for tool in tools)


def response_format(output: OutputFormat) -> dict[str, Any]:
    if output.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": output.name, "schema": output.schema}
    if output.description is not None:
        schema["description"] = output.description
    if output.strict is not None:
        schema["strict"] = output.strict
    return {"type": "json_schema", "json_schema": schema}


def _write_reasoning(body: dict[str, Any], reasoning: Reasoning, target: Deployment, dropped: set[str]) -> None:
    """How much to think, as a word or as an amount; nothing where the model is left to its default."""
    if not reasoning.enabled:
        if can_switch_thinking_off(target.quirks):
            body["reasoning_effort"] = "none"
        elif _thinks(target):
            dropped.add("reasoning")  # "none" is refused by most models that think
        return
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if effort is None and budget is not None:
        effort = next(word for least, word in _EFFORT_FROM if budget >= least)
    if effort is None:
        return
    if target.card.capabilities is not None and not _thinks(target):
        dropped.add("reasoning")
    elif budget is not None and "reasoning_object" in target.quirks:
        body["reasoning"] = {"max_tokens": budget}
    else:
        body["reasoning_effort"] = "high" if effort == "max" else effort  # Anthropic's word, beyond OpenAI's scale
