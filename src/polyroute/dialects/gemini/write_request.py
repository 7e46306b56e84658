"""A Request to Gemini's path and body. Its own requests keep every field; others are written anew.

Whatever cannot be said and does not change the meaning is left out and named in `dropped`. Never decides whether a
request may be sent at all: that is `obstacles`.
"""

from urllib.parse import quote

import orjson

from polyroute.dialects.gemini.names import NAME, PATH_FIELDS, Block, spelling
from polyroute.dialects.gemini.schemas import acceptable
from polyroute.dialects.gemini.thinking import write_thinking
from polyroute.dialects.gemini.turns import write_turns
from polyroute.ports import WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import OutputFormat, ProviderTool, Request, Tool, ToolChoice, Wire

_KINDS = ("models/", "tunedModels/", "endpoints/")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "named": "ANY"}
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_JSON = "application/json"
_INT32 = 2**31  # the range of `seed`
_AS_INSTRUCTION = "Give your final answer as one JSON object and nothing else, without a Markdown fence."


def write_request(request: Request, target: Deployment, max_output_tokens: int | None) -> WireRequest:
    wire = request.wire
    dropped: list[str] = []
    if wire is not None and wire.dialect == NAME:
        body = own_body(wire)
        if max_output_tokens is not None:
            _clamp(body, max_output_tokens)
    else:
        body = translated(request, target, max_output_tokens, dropped)
    verb = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    return WireRequest(
        path=f"/{model_path(target)}:{verb}",
        body=orjson.dumps(body),
        headers={},
        dropped=tuple(dict.fromkeys(dropped)),
    )


def model_path(target: Deployment) -> str:
    """The model's resource name: a bare one is one of `models/`."""
    name = target.upstream_model
    return quote(name if name.startswith(_KINDS) else f"models/{name}", safe="/-._~@:")


def own_body(wire: Wire) -> Block:
    """The caller's own body, without what the path says."""
    return {name: value for name, value in wire.body.items() if name not in PATH_FIELDS}


def _clamp(body: Block, tokens: int) -> None:
    at = spelling(body, "generationConfig")
    given = body.get(at)
    config = dict(given) if isinstance(given, dict) else {}
    limit = spelling(config, "maxOutputTokens")
    asked = config.get(limit)
    config[limit] = min(int(asked), tokens) if isinstance(asked, int | float) else tokens
    body[at] = config


def translated(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> Block:
    """The body of a request that came in another dialect, or in none."""
    capabilities = target.card.capabilities
    conversation = write_turns(
        request, dropped, wants_signatures=capabilities is None or "thinking_level" in capabilities
    )
    body: Block = {"contents": conversation.contents}
    config = _generation(request, target, max_output_tokens, dropped)
    system = conversation.system
    functions = _write_tools(request, body, dropped)
    if request.output is not None:
        if functions and capabilities is not None and "json_with_tools" not in capabilities:
            system = [*system, {"text": _as_instruction(request.output.schema)}]
            dropped.append("output: json as an instruction")
        else:
            write_output(request.output, config, dropped)
    if system:
        body["systemInstruction"] = {"parts": system}
    if config:
        body["generationConfig"] = config
    _name_unsaid(request, dropped)
    return body


def write_output(output: OutputFormat, config: Block, dropped: list[str]) -> None:
    """Structured output, into a `generationConfig`."""
    config["responseMimeType"] = _JSON
    if output.schema is not None:
        config["responseJsonSchema"] = _schema(output.schema, "output.schema", dropped)


def _generation(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> Block:
    config: Block = {}
    limit = _limit(request, target, max_output_tokens, dropped)
    seed = request.seed
    if seed is not None and not -_INT32 <= seed < _INT32:
        dropped.append("seed")
        seed = None
    thinking = {} if request.reasoning is None else write_thinking(request.reasoning, target.card.capabilities, dropped)
    for name, value in (
        ("maxOutputTokens", limit),
        ("temperature", request.temperature),
        ("topP", request.top_p),
        ("topK", request.top_k),
        ("seed", seed),
        ("presencePenalty", request.presence_penalty),
        ("frequencyPenalty", request.frequency_penalty),
        ("candidateCount", request.n if request.n > 1 else None),
        ("thinkingConfig", thinking or None),
        ("stopSequences", list(request.stop) or None),
        ("responseLogprobs", request.logprobs or None),
        ("logprobs", request.top_logprobs if request.logprobs else None),
    ):
        if value is not None:
            config[name] = value
    if request.output_modalities and request.output_modalities != ("text",):
        config["responseModalities"] = [_MODALITIES.get(word, word.upper()) for word in request.output_modalities]
    return config


def _limit(request: Request, target: Deployment, max_output_tokens: int | None, dropped: list[str]) -> int | None:
    longest, asked = target.card.max_output_tokens, request.max_output_tokens
    if asked is not None and longest is not None and asked > longest:
        asked = longest
        dropped.append("max_output_tokens over the model's own limit")
    return min((limit for limit in (asked, max_output_tokens) if limit is not None), default=None)


def _write_tools(request: Request, body: Block, dropped: list[str]) -> bool:
    """Whether there are functions among them."""
    functions: list[Block] = []
    tools: list[Block] = []
    for tool in request.tools:
        if isinstance(tool, ProviderTool):
            tools.append(tool.raw)
        else:
            functions.append(_function(tool, dropped))
    if functions:
        tools.insert(0, {"functionDeclarations": functions})
    if not tools:
        return False
    body["tools"] = tools
    if functions and request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice)}
    if request.parallel_tool_calls is False:
        dropped.append("parallel_tool_calls")
    return bool(functions)


def _function(tool: Tool, dropped: list[str]) -> Block:
    written: Block = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.parameters:
        written["parametersJsonSchema"] = _schema(tool.parameters, "tools.parameters", dropped)
    if tool.strict:
        dropped.append("tools.strict")
    if tool.cache is not None:
        dropped.append("cache")
    return written


def _choice(choice: ToolChoice) -> Block:
    if choice.mode == "named":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": _MODES[choice.mode]}


def _schema(schema: Block, at: str, dropped: list[str]) -> Block:
    left_out: list[str] = []
    written = acceptable(schema, left_out)
    dropped.extend([f"{at}.{word}" for word in left_out])
    return written


def _as_instruction(schema: Block | None) -> str:
    if schema is None:
        return _AS_INSTRUCTION
    return f"{_AS_INSTRUCTION} It must fit this JSON Schema:\n{orjson.dumps(schema).decode()}"


def _name_unsaid(request: Request, dropped: list[str]) -> None:
    """Hints for which Gemini has no field."""
    if request.logit_bias:
        dropped.append("logit_bias")
    if request.end_user is not None:
        dropped.append("user")
    if request.service_tier is not None:
        dropped.append("service_tier")
    if request.metadata.keys() - {"class"}:
        dropped.append("metadata")
    dropped.extend(request.extensions)
