"""A canonical answer as a chat completion, for callers of this door."""

from typing import Any

import orjson

from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.stops import write_stop
from polyroute.dialects.openai_chat.usage import write_usage
from polyroute.dialects.openai_chat.write_messages import write_call
from polyroute.types.content import Image, Inline, Link, Opaque, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import Choice, Response, TokenLogprob


def render_response(response: Response, request: Request) -> bytes:
    legacy = asks_legacy_functions(request)
    body: dict[str, Any] = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created_s or 0,
        "model": response.model,
        "choices": [_write_choice(choice, legacy=legacy) for choice in response.choices],
    }
    if response.usage is not None:
        body["usage"] = write_usage(response.usage)
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    if response.system_fingerprint is not None:
        body["system_fingerprint"] = response.system_fingerprint
    return orjson.dumps(body)


def asks_legacy_functions(request: Request) -> bool:
    """Whether the caller speaks the form of 2023, `functions`, and so reads `function_call` only."""
    wire = request.wire
    return wire is not None and wire.dialect == NAME and bool(wire.body.get("functions")) and not wire.body.get("tools")


def _write_choice(choice: Choice, *, legacy: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    texts, refusals, calls, images = [], [], [], []
    thoughts: list[Thinking] = []
    annotations: list[dict[str, object]] = []
    length = 0
    for part in choice.parts:
        match part:
            case Text():
                annotations += [write_citation(item, length, length + len(part.text)) for item in part.citations]
                texts.append(part.text)
                length += len(part.text)
            case Refusal():
                refusals.append(part.text)
            case Thinking():
                thoughts.append(part)
            case ToolCall():
                calls.append(write_call(part))
            case Image():
                images.append(write_image(part))
            case Opaque() if part.dialect == NAME and part.kind == "audio":
                message["audio"] = part.raw
            case Opaque() if part.dialect == NAME and part.kind.endswith("_tool_call"):
                calls.append(part.raw)
            case _:
                pass  # another provider's own parts have no form here; the request was refused them
    if texts:
        message["content"] = "".join(texts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if annotations:
        message["annotations"] = annotations
    if thoughts:
        message["reasoning_content"] = "".join(part.text for part in thoughts)
        details = [detail for index, part in enumerate(thoughts) for detail in write_reasoning_details(part, index)]
        if details:
            message["reasoning_details"] = details
    if images:
        message["images"] = images
    if calls and legacy:
        message["function_call"] = calls[0].get("function")
    elif calls:
        message["tool_calls"] = calls
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None if choice.logprobs is None else {"content": write_logprobs(choice.logprobs), "refusal": None},
        "finish_reason": write_stop(choice.stop, refusal_shown=bool(refusals), legacy_calls=legacy),
    }


def write_reasoning_details(thought: Thinking, index: int) -> list[dict[str, object]]:
    """What plain text cannot hold, in OpenRouter's form, so that a caller can send the turn back whole."""
    if thought.redacted is not None:
        return [{"type": "reasoning.encrypted", "data": thought.redacted, "index": index}]
    if thought.signature is not None:
        return [{"type": "reasoning.text", "text": thought.text, "signature": thought.signature, "index": index}]
    return []


def write_citation(citation: dict[str, object], start: int, end: int) -> dict[str, object]:
    """As OpenAI's `url_citation` where it names an address; any other kind as its provider gave it.

    `start` and `end` bound the text it stands on: the characters it means, where it does not say them itself.
    """
    if "url" not in citation:
        return citation
    said_start, said_end = citation.get("start_index"), citation.get("end_index")  # of the Responses API
    if isinstance(said_start, int) and isinstance(said_end, int):
        start, end = start + said_start, start + said_end
    cited = {"url": citation["url"], "title": citation.get("title"), "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": cited}


def write_image(image: Image) -> dict[str, object]:
    match image.media:
        case Inline(media_type=media_type, data=data):
            url = f"data:{media_type};base64,{data}"
        case Link(url=address):
            url = address
        case _:
            url = image.media.file_id
    return {"type": "image_url", "image_url": {"url": url}}


def write_logprobs(logprobs: tuple[TokenLogprob, ...]) -> list[dict[str, object]]:
    return [{**_write_logprob(item), "top_logprobs": [_write_logprob(top) for top in item.top]} for item in logprobs]


def _write_logprob(item: TokenLogprob) -> dict[str, object]:
    return {"token": item.token, "logprob": item.logprob, "bytes": None if item.bytes is None else list(item.bytes)}
