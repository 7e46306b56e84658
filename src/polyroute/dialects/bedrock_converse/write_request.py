"""A Request to Converse's body and path. Its own requests keep every field; others are written anew.

Whatever cannot be said and does not change the meaning is left out and named in `dropped`. Never decides whether
a request may be sent at all: that is `obstacles`.
"""

from urllib.parse import quote

import orjson

from polyroute.dialects.anthropic_messages.schemas import enforceable
from polyroute.dialects.bedrock_converse.makers import Maker, maker_of
from polyroute.dialects.bedrock_converse.own_request import own_body
from polyroute.dialects.bedrock_converse.read_content import NAME, Block
from polyroute.dialects.bedrock_converse.reasoning import write_reasoning
from polyroute.dialects.bedrock_converse.turns import Conversation, write_turns
from polyroute.dialects.bedrock_converse.write_content import write_cache_point
from polyroute.dialects.json_words import JSON_OBJECT
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import OutputFormat, Request, Tool

_CALLED_EARLIER = "Called earlier in this conversation."
_TIERS = {
    "priority": "priority",
    "default": "default",
    "flex": "flex",
    "reserved": "reserved",
    "standard_only": "default",
}
_METADATA_MARKS = frozenset(" :_@$#=/+,-.")
_MOST_METADATA = 16
_LONGEST_METADATA = 256


def write_request(request: Request, target: Deployment, max_output_tokens: int | None) -> WireRequest:
    wire = request.wire
    dropped: list[str] = []
    if wire is not None and wire.dialect == NAME:
        body = own_body(wire, target, max_output_tokens, dropped)
    else:
        body = _body(request, target, max_output_tokens, dropped)
    verb = "converse-stream" if request.stream else "converse"
    return WireRequest(
        path=f"/model/{quote(target.upstream_model, safe='')}/{verb}",
        body=orjson.dumps(body),
        headers={},
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _body(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> Block:
    capabilities = target.card.capabilities
    maker = maker_of(target.upstream_model)
    conversation = write_turns(
        request,
        dropped,
        has_mid_system=capabilities is not None and "mid_system" in capabilities,
        caches=maker.caches,
    )
    body: Block = {"messages": conversation.turns}
    system = conversation.system
    if request.output is not None:
        if request.output.schema is None:
            system = [*system, {"text": JSON_OBJECT}]
            dropped.append("output: json as an instruction")
        else:
            body["outputConfig"] = {"textFormat": text_format(request.output, request.output.schema, dropped)}
    if system:
        body["system"] = system
    if conversation.guardrail is not None:
        body["guardrailConfig"] = conversation.guardrail
    _write_tools(request, body, conversation, maker, capabilities, dropped)
    limit = _limit(request, target, max_output_tokens, dropped)
    reasoning = write_reasoning(request, maker, capabilities, limit)
    if request.reasoning is not None and request.reasoning.enabled and not reasoning.thinks:
        dropped.append("reasoning")
    more = dict(reasoning.fields)
    if reasoning.effort is not None:
        config = body.get("outputConfig")
        body["outputConfig"] = {**(config if isinstance(config, dict) else {}), "effort": reasoning.effort}
    is_fixed = reasoning.fixes_sampling or (capabilities is not None and "fixed_sampling" in capabilities)
    inference = _inference(request, limit, dropped, is_fixed=is_fixed, is_single=maker.reasoning == "thinking")
    if inference:
        body["inferenceConfig"] = inference
    if request.top_k is not None:
        if is_fixed or not maker.top_k:
            dropped.append("top_k")
        else:
            more.update(_nested(maker.top_k, request.top_k))
    if more:
        body["additionalModelRequestFields"] = more
    if request.service_tier is not None:
        if (tier := _TIERS.get(request.service_tier)) is None:
            dropped.append("service_tier")
        else:
            body["serviceTier"] = {"type": tier}
    _write_metadata(request, body, dropped)
    _name_unsaid(request, dropped)
    return body


def _limit(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> int | None:
    longest = target.card.max_output_tokens
    asked = request.max_output_tokens
    if asked is not None and longest is not None and asked > longest:
        asked = longest
        dropped.append("max_output_tokens over the model's own limit")
    return min((cap for cap in (asked, max_output_tokens) if cap is not None), default=None)


def text_format(output: OutputFormat, schema: Block, dropped: list[str]) -> Block:
    moved: list[str] = []
    written: Block = {"schema": orjson.dumps(enforceable(schema, moved)).decode(), "name": output.name}
    dropped.extend(f"output.schema.{word}" for word in moved)
    if output.description:
        written["description"] = output.description
    return {"type": "json_schema", "structure": {"jsonSchema": written}}


def _write_tools(
    request: Request,
    body: Block,
    conversation: Conversation,
    maker: Maker,
    capabilities: frozenset[str] | None,
    dropped: list[str],
) -> None:
    choice = request.tool_choice
    if choice is not None and choice.mode == "none":  # no word for it: the model sees no tools at all
        return
    tools: list[Block] = []
    for tool in request.tools:
        if not isinstance(tool, Tool):
            tools.append(tool.raw)
            continue
        tools.append({"toolSpec": _tool_spec(tool, capabilities, dropped)})
        if tool.cache is not None:
            if maker.caches:
                tools.append(write_cache_point(tool.cache))
            else:
                dropped.append("cache")
    if not tools and conversation.calls_tools:
        tools = _named_after_calls(conversation)
        dropped.append("tools: declared after earlier calls")
    if not tools:
        return
    config: Block = {"tools": tools}
    if choice is not None and request.tools:
        match choice.mode:
            case "required":
                config["toolChoice"] = {"any": {}}
            case "named":
                config["toolChoice"] = {"tool": {"name": choice.name}}
            case _:
                config["toolChoice"] = {"auto": {}}
    if request.parallel_tool_calls is False:
        dropped.append("parallel_tool_calls")
    body["toolConfig"] = config


def _tool_spec(tool: Tool, capabilities: frozenset[str] | None, dropped: list[str]) -> Block:
    schema: Block = {"type": "object", "properties": {}} if not tool.parameters else tool.parameters
    if "type" not in schema:
        schema = {"type": "object", **schema}
    spec: Block = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict and capabilities is not None and "json_schema" in capabilities:
        moved: list[str] = []
        schema = enforceable(schema, moved)
        spec["strict"] = True
        dropped.extend(f"tools.parameters.{word}" for word in moved)
    elif tool.strict:
        dropped.append("tools.strict")
    spec["inputSchema"] = {"json": schema}
    return spec


def _named_after_calls(conversation: Conversation) -> list[Block]:
    """Declarations of the tools that were called, where the caller gave none: Bedrock refuses such calls otherwise."""
    names: dict[object, None] = {}
    for turn in conversation.turns:
        content = turn["content"]
        assert isinstance(content, list)
        for block in content:
            if (call := block.get("toolUse")) is not None:
                names[call["name"]] = None
    return [
        {
            "toolSpec": {
                "name": name,
                "description": _CALLED_EARLIER,
                "inputSchema": {"json": {"type": "object", "properties": {}}},
            }
        }
        for name in names or ("unknown",)
    ]


def _inference(request: Request, limit: int | None, dropped: list[str], *, is_fixed: bool, is_single: bool) -> Block:
    """`is_single`: the model takes one of temperature and top_p."""
    inference: Block = {}
    if limit is not None:
        inference["maxTokens"] = limit
    if request.temperature is not None:
        if is_fixed:
            if request.temperature != 1:
                dropped.append("temperature")
        else:
            inference["temperature"] = min(request.temperature, 1.0)
            if request.temperature > 1:
                dropped.append("temperature>1")
    if request.top_p is not None and request.top_p != 1:
        if is_fixed or (is_single and "temperature" in inference):
            dropped.append("top_p")
        else:
            inference["topP"] = request.top_p
    if request.stop:
        inference["stopSequences"] = request.stop
    return inference


def _nested(path: tuple[str, ...], value: object) -> Block:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _write_metadata(request: Request, body: Block, dropped: list[str]) -> None:
    metadata = {name: value for name, value in request.metadata.items() if name not in ("class", "task")}
    if not metadata:
        return
    if len(metadata) <= _MOST_METADATA and all(map(_is_label, (*metadata, *metadata.values()))):
        body["requestMetadata"] = metadata
    else:
        dropped.append("metadata")


def _is_label(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_METADATA
        and value.isascii()
        and all(mark.isalnum() or mark in _METADATA_MARKS for mark in value)
    )


def _name_unsaid(request: Request, dropped: list[str]) -> None:
    """Hints for which Converse has no field."""
    if request.seed is not None:
        dropped.append("seed")
    if request.presence_penalty:
        dropped.append("presence_penalty")
    if request.frequency_penalty:
        dropped.append("frequency_penalty")
    if request.logit_bias:
        dropped.append("logit_bias")
    if request.end_user is not None:
        dropped.append("end_user")
    dropped.extend(request.extensions)
