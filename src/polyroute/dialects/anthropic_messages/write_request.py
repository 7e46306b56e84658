"""A Request to Anthropic's body. Its own requests keep every field; others are written anew.

Whatever cannot be said and does not change the meaning is left out and named in `dropped`. Never decides whether
a request may be sent at all: that is `obstacles`.
"""

import orjson

from polyroute.dialects.anthropic_messages.read_content import NAME, Block
from polyroute.dialects.anthropic_messages.read_request import FORWARDED_HEADERS
from polyroute.dialects.anthropic_messages.schemas import enforceable
from polyroute.dialects.anthropic_messages.thinking import fit_budget, write_thinking
from polyroute.dialects.anthropic_messages.turns import write_turns
from polyroute.dialects.anthropic_messages.write_content import write_cache_mark
from polyroute.dialects.json_words import JSON_OBJECT
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import OutputFormat, Request, Tool, Wire

PATH = "/v1/messages"
_VERSION = "2023-06-01"
_UNKNOWN_LIMIT = 4096  # tokens to answer with, where neither caller nor card says: every model writes that many
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def write_request(request: Request, target: Deployment, max_output_tokens: int | None) -> WireRequest:
    wire = request.wire
    if wire is not None and wire.dialect == NAME:
        return _same_dialect(wire, target, max_output_tokens, stream=request.stream)
    dropped: list[str] = []
    body = _body(request, target, max_output_tokens, dropped)
    return WireRequest(
        path=PATH,
        body=orjson.dumps(body),
        headers=forwarded_headers(None),
        dropped=tuple(dict.fromkeys(dropped)),
    )


def forwarded_headers(wire: Wire | None) -> dict[str, str]:
    """The version the caller asked for, or the one this module speaks; its betas."""
    headers = {"anthropic-version": _VERSION}
    if wire is not None:
        headers.update({name: value for name in FORWARDED_HEADERS if (value := wire.headers.get(name)) is not None})
    return headers


def own_body(wire: Wire, target: Deployment, dropped: list[str]) -> Block:
    """The caller's own body for `target`: without what only this gateway, or no signature, put in."""
    body = {**wire.body, "model": target.upstream_model}
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and "class" in metadata:  # the gateway's word, which Anthropic would refuse
        body["metadata"] = {name: value for name, value in metadata.items() if name != "class"}
    messages = body.get("messages")
    if isinstance(messages, list) and any(map(_has_foreign, messages)):
        body["messages"] = [message for given in messages if (message := _without_foreign(given)) is not None]
        dropped.append("thinking and citations of another provider")
    return body


def _same_dialect(wire: Wire, target: Deployment, max_output_tokens: int | None, *, stream: bool) -> WireRequest:
    dropped: list[str] = []
    body = own_body(wire, target, dropped)
    if stream is not (body.get("stream") is True):  # a gate may want the answer whole
        body["stream"] = stream
    asked = body.get("max_tokens")
    if max_output_tokens is not None and (not isinstance(asked, int) or max_output_tokens < asked):
        body["max_tokens"] = max_output_tokens
        _fit_thinking(body, max_output_tokens, dropped)
    return WireRequest(
        path=PATH, body=orjson.dumps(body), headers=forwarded_headers(wire), dropped=tuple(dict.fromkeys(dropped))
    )


def _fit_thinking(body: Block, limit: int, dropped: list[str]) -> None:
    """A shortened answer leaves less to think with."""
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if not isinstance(thinking, dict) or not isinstance(budget, int):
        return
    fitting = fit_budget(budget, limit)
    if fitting is None:
        del body["thinking"]
        dropped.append("reasoning")
    else:
        body["thinking"] = {**thinking, "budget_tokens": fitting}


def _has_foreign(message: object) -> bool:
    content = message.get("content") if isinstance(message, dict) and message.get("role") == "assistant" else None
    return isinstance(content, list) and any(_is_unsigned(block) or _is_uncited(block) for block in content)


def _is_unsigned(block: object) -> bool:
    """Thinking shown to the caller by us, from a provider that signs nothing; Anthropic would refuse it."""
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def _is_uncited(block: object) -> bool:
    """Text with a citation that we wrote for another provider, without Anthropic's mark."""
    citations = block.get("citations") if isinstance(block, dict) else None
    return isinstance(citations, list) and any(
        isinstance(citation, dict) and citation.get("encrypted_index") == "" for citation in citations
    )


def _without_foreign(message: object) -> object:
    if not isinstance(message, dict) or not _has_foreign(message):
        return message
    kept = [
        {name: value for name, value in block.items() if name != "citations"} if _is_uncited(block) else block
        for block in message["content"]
        if not _is_unsigned(block)
    ]
    return {**message, "content": kept} if kept else None


def _body(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> Block:
    capabilities = target.card.capabilities
    limit = _limit(request, target, max_output_tokens, dropped)
    body: Block = {"model": target.upstream_model, "max_tokens": limit}
    conversation = write_turns(request, dropped, has_mid_system=_can(capabilities, "mid_system"))
    system = conversation.system
    if request.output is not None:
        if request.output.schema is None:
            system = [*system, {"type": "text", "text": JSON_OBJECT}]
            dropped.append("output: json as an instruction")
        else:
            body["output_config"] = {"format": output_format(request.output, request.output.schema, dropped)}
    if system:
        body["system"] = system
    body["messages"] = conversation.turns
    _write_tools(request, body, dropped, is_strict=capabilities is None or "json_schema" in capabilities)
    _write_reasoning(request, body, limit, capabilities, dropped)
    _write_sampling(request, body, dropped, is_fixed=_can(capabilities, "fixed_sampling"))
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.end_user is not None:
        body["metadata"] = {"user_id": request.end_user}
    if request.service_tier is not None:
        if (tier := _TIERS.get(request.service_tier)) is None:
            dropped.append("service_tier")
        else:
            body["service_tier"] = tier
    if request.stream:
        body["stream"] = True
    _name_unsaid(request, dropped)
    return body


def _limit(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> int:
    """Anthropic must be told how much to answer with, and takes no more than the model writes."""
    longest = target.card.max_output_tokens
    asked = request.max_output_tokens
    if asked is not None and longest is not None and asked > longest:
        asked = longest
        dropped.append("max_output_tokens over the model's own limit")
    caps = [cap for cap in (asked, max_output_tokens) if cap is not None]
    return min(caps) if caps else longest or _UNKNOWN_LIMIT


def output_format(output: OutputFormat, schema: dict[str, object], dropped: list[str]) -> Block:
    moved: list[str] = []
    written = enforceable(schema, moved)
    dropped.extend(f"output.schema.{word}" for word in moved)
    if output.description and "description" not in written:
        written["description"] = output.description
    return {"type": "json_schema", "schema": written}


def _write_tools(request: Request, body: Block, dropped: list[str], *, is_strict: bool) -> None:
    tools: list[Block] = []
    servers: list[Block] = []
    for tool in request.tools:
        if isinstance(tool, Tool):
            tools.append(_tool(tool, dropped, is_strict=is_strict))
        elif tool.kind == "mcp_server":
            servers.append(tool.raw)
        else:
            tools.append(tool.raw)
    if servers:
        body["mcp_servers"] = servers
    if not tools:
        return
    body["tools"] = tools
    choice = _choice(request)
    if choice is not None:
        body["tool_choice"] = choice


def _tool(tool: Tool, dropped: list[str], *, is_strict: bool) -> Block:
    schema: Block = {"type": "object", "properties": {}} if not tool.parameters else tool.parameters
    if "type" not in schema:
        schema = {"type": "object", **schema}
    block: Block = {"name": tool.name, "input_schema": schema}
    if tool.description:
        block["description"] = tool.description
    if tool.strict and not is_strict:
        dropped.append("tools.strict")
    elif tool.strict:
        moved: list[str] = []
        block["input_schema"] = enforceable(schema, moved)
        block["strict"] = True
        dropped.extend(f"tools.parameters.{word}" for word in moved)
    if tool.cache is not None:
        block["cache_control"] = write_cache_mark(tool.cache)
    return block


def _choice(request: Request) -> Block | None:
    choice = request.tool_choice
    single: Block = {} if request.parallel_tool_calls is not False else {"disable_parallel_tool_use": True}
    if choice is None:
        return {"type": "auto", **single} if single else None
    match choice.mode:
        case "auto":
            return {"type": "auto", **single}
        case "none":
            return {"type": "none"}
        case "required":
            return {"type": "any", **single}
        case "named":
            return {"type": "tool", "name": choice.name, **single}


def _write_reasoning(
    request: Request, body: Block, limit: int, capabilities: frozenset[str] | None, dropped: list[str]
) -> None:
    if request.reasoning is None:
        return
    fields = write_thinking(request.reasoning, request, limit, capabilities)
    if not fields and request.reasoning.enabled:
        dropped.append("reasoning")
    effort = fields.pop("effort", None)
    body.update(fields)
    if effort is not None:
        config = body.get("output_config")
        body["output_config"] = {**(config if isinstance(config, dict) else {}), "effort": effort}


def _write_sampling(request: Request, body: Block, dropped: list[str], *, is_fixed: bool) -> None:
    """Thinking models keep their own temperature; newer models take one of temperature and top_p."""
    thinking = body.get("thinking")
    thinks = isinstance(thinking, dict) and thinking["type"] != "disabled"
    if request.temperature is not None:
        if is_fixed or (thinks and request.temperature != 1):
            dropped.append("temperature")
        elif not thinks:
            body["temperature"] = min(request.temperature, 1.0)
            if request.temperature > 1:
                dropped.append("temperature>1")
    if request.top_p is not None and request.top_p != 1:
        if is_fixed or thinks or "temperature" in body:
            dropped.append("top_p")
        else:
            body["top_p"] = request.top_p
    if request.top_k is not None:
        if is_fixed or thinks:
            dropped.append("top_k")
        else:
            body["top_k"] = request.top_k


def _name_unsaid(request: Request, dropped: list[str]) -> None:
    """Hints for which Anthropic has no field."""
    if request.seed is not None:
        dropped.append("seed")
    if request.presence_penalty:
        dropped.append("presence_penalty")
    if request.frequency_penalty:
        dropped.append("frequency_penalty")
    if request.logit_bias:
        dropped.append("logit_bias")
    if request.metadata.keys() - {"class"}:
        dropped.append("metadata")
    dropped.extend(request.extensions)


def _can(capabilities: frozenset[str] | None, name: str) -> bool:
    return capabilities is not None and name in capabilities
