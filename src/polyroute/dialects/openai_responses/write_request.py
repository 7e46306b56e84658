"""A canonical Request as a body for an upstream's Responses API.

A request of this dialect keeps every field as it came; only the model, the output limit and what this gateway itself
had written are changed. Any other is built anew from the canonical form, and is not to be stored: other APIs store
nothing unless asked.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from polyroute.dialects.openai_chat.write_request import takes_free_input
from polyroute.dialects.openai_responses.names import NAME, without_made
from polyroute.dialects.openai_responses.read_request import LOGPROBS
from polyroute.dialects.openai_responses.write_items import obstacles_in, write_input
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

_PATH = "/responses"

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
    if request.n != 1:
        found.append(f"n={request.n}: {NAME} gives one choice")
    if request.stop:
        found.append(f"stop: {NAME} knows no stop sequences")
    if any(modality != "text" for modality in request.output_modalities):
        found.append(f"modalities: {NAME} answers in text only")
    for message in request.messages:
        found += obstacles_in(message.parts)
    return tuple(dict.fromkeys(found))


def render_request(request: Request, target: Deployment, max_output_tokens: int | None) -> WireRequest:
    dropped = set[str]()
    if request.wire is not None and request.wire.dialect == NAME:
        body: dict[str, Any] = dict(request.wire.body)
        given = body.get("input")
        if type(given) is list:
            kept = without_made(given)
            body["input"] = kept
            if len(kept) != len(given):
                dropped.add("thinking")
    else:
        body = _translated(request, target, dropped)
    body["model"] = target.upstream_model
    if max_output_tokens is not None:
        asked = body.get("max_output_tokens")
        body["max_output_tokens"] = max_output_tokens if asked is None else min(asked, max_output_tokens)
    return WireRequest(path=_PATH, body=orjson.dumps(body), headers={}, dropped=tuple(sorted(dropped)))


def _translated(request: Request, target: Deployment, dropped: set[str]) -> dict[str, Any]:
    dropped.update(request.extensions)
    items = write_input(request.messages, dropped)
    body: dict[str, Any] = {"model": "", "input": items, "store": False}
    if request.tools:
        body["tools"] = [_tool(tool, dropped) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice, request.tools)
        if request.parallel_tool_calls is not None:
            if "no_parallel_tool_calls" in target.quirks:
                dropped.add("parallel_tool_calls")
            else:
                body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.output is not None:
        body["text"] = {"format": text_format(request.output)}
    if request.reasoning is not None and (effort := _effort(request.reasoning, target, dropped)) is not None:
        body["reasoning"] = {"effort": effort}
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = request.max_output_tokens
    _write_sampling(body, request, target, dropped)
    if request.end_user is not None:
        body["user"] = request.end_user
    if request.stream:
        body["stream"] = True
    # Their values mean something at their own provider only, or have no field here.
    dropped.update(
        name
        for name in ("top_k", "service_tier", "metadata", "logit_bias", "presence_penalty", "frequency_penalty", "seed")
        if getattr(request, name)
    )
    return body


def _write_sampling(body: dict[str, Any], request: Request, target: Deployment, dropped: set[str]) -> None:
    given: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "top_logprobs")
        if (value := getattr(request, name)) is not None
    }
    thinks = request.reasoning is not None and request.reasoning.enabled
    if "fixed_sampling" in target.quirks or (thinks and "fixed_sampling_thinking" in target.quirks):
        dropped.update(given)
        return
    body.update(given)
    if request.logprobs:
        body["include"] = [LOGPROBS]


def _tool(tool: Tool | ProviderTool, dropped: set[str]) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return tool.raw
    if tool.cache is not None:
        dropped.add("cache")
    written: dict[str, Any] = {"type": "function" if tool.free_input is None else "custom", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.free_input is not None:
        if tool.free_input.syntax is not None:
            written["format"] = {
                "type": "grammar",
                "syntax": tool.free_input.syntax,
                "definition": tool.free_input.definition,
            }
        return written
    written["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    written["strict"] = bool(tool.strict)  # unsaid, it is true here and false in every other dialect
    return written


def _tool_choice(choice: ToolChoice, tools: Iterable[Tool | ProviderTool]) -> str | dict[str, Any]:
    if choice.mode != "named":
        return choice.mode
    return {"type": "custom" if takes_free_input(choice.name, tools) else "function", "name": choice.name}


def text_format(output: OutputFormat) -> dict[str, Any]:
    if output.schema is None:
        return {"type": "json_object"}
    form: dict[str, Any] = {"type": "json_schema", "name": output.name, "schema": output.schema}
    if output.description is not None:
        form["description"] = output.description
    if output.strict is not None:
        form["strict"] = output.strict
    return form


def _effort(reasoning: Reasoning, target: Deployment, dropped: set[str]) -> str | None:
    thinks = target.card.capabilities is None or "thinking" in target.card.capabilities
    if not reasoning.enabled:
        if "effort_none" in target.quirks:
            return "none"
        if thinks and target.card.capabilities is not None:
            dropped.add("reasoning")  # "none" is refused by most models that think
        return None
    effort, budget = reasoning.effort, reasoning.budget_tokens
    if effort is None and budget is not None:
        effort = next(word for least, word in _EFFORT_FROM if budget >= least)
    if effort is not None and (not thinks or "no_effort" in target.quirks):
        dropped.add("reasoning")
        return None
    if effort == "minimal" and "no_minimal_effort" in target.quirks:
        return "low"
    return "high" if effort == "max" else effort  # Anthropic's word, beyond OpenAI's scale
