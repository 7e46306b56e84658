"""The items and parts of an answer as callers of this door get them, whole and streamed alike."""

from collections.abc import Iterable
from typing import Any

from polyroute.types.content import Image, Inline, Link, ToolCall
from polyroute.types.response import TokenLogprob

Item = dict[str, Any]


def message_item(item_id: str, content: list[Item], status: str) -> Item:
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, annotations: list[Item], logprobs: list[Item]) -> Item:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(text: str) -> Item:
    return {"type": "refusal", "refusal": text}


def reasoning_item(item_id: str, summary: list[Item]) -> Item:
    return {"id": item_id, "type": "reasoning", "summary": summary}


def summary_part(text: str) -> Item:
    return {"type": "summary_text", "text": text}


def call_item(item_id: str, call: ToolCall, status: str) -> Item:
    if call.is_free:
        told = {"id": item_id, "type": "custom_tool_call", "status": status}
        return {**told, "call_id": call.id, "name": call.name, "input": call.arguments}
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def image_item(item_id: str, image: Image) -> Item:
    """A picture that the model made: its bytes, or its address where that is all we have."""
    item: Item = {"id": item_id, "type": "image_generation_call", "status": "completed", "result": None}
    match image.media:
        case Inline(media_type=media_type, data=data):
            return {**item, "result": data, "output_format": media_type.removeprefix("image/")}
        case Link(url=url):
            return {**item, "result": url}
        case _:
            return item


def annotation(citation: dict[str, object], start: int, end: int) -> Item:
    """As OpenAI's `url_citation` where it names an address; any other kind as its provider gave it.

    `start` and `end` bound the text it stands on, for citations that do not say which characters they mean.
    """
    nested = citation.get("url_citation")  # the form of chat completions
    told: dict[str, Any] = nested if isinstance(nested, dict) else citation
    if "url" not in told:
        return citation
    return {
        "type": "url_citation",
        "url": told["url"],
        "title": told.get("title") or "",
        "start_index": told.get("start_index", start),
        "end_index": told.get("end_index", end),
    }


def write_logprobs(logprobs: Iterable[TokenLogprob]) -> list[Item]:
    return [{**_logprob(item), "top_logprobs": [_logprob(top) for top in item.top]} for item in logprobs]


def _logprob(item: TokenLogprob) -> Item:
    """Here the bytes are never left out: where its provider does not say, they are the token's own."""
    spelt = item.token.encode("utf-8", "replace") if item.bytes is None else item.bytes
    return {"token": item.token, "logprob": item.logprob, "bytes": list(spelt)}
