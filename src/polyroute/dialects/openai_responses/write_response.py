"""A canonical answer as a response object, for callers of this door.

The request's settings are echoed as OpenAI does. Nothing is stored here, and the answer says so: a conversation goes
on by sending its items back.
"""

from typing import Any

import orjson

from polyroute.dialects.openai_responses.names import NAME, made_id
from polyroute.dialects.openai_responses.output import (
    Item,
    annotation,
    call_item,
    image_item,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
    write_logprobs,
)
from polyroute.dialects.openai_responses.stops import incomplete_reason
from polyroute.dialects.openai_responses.usage import write_usage
from polyroute.types.content import Image, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.request import Request
from polyroute.types.response import Response, TokenLogprob

# What OpenAI answers where the caller said nothing (API reference, "The response object").
_UNSAID: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_NOT_KEPT = {"background": False, "conversation": None, "previous_response_id": None, "store": False}
_REASONING = {"effort": None, "summary": None}
_TEXT = {"format": {"type": "text"}}


def render_response(response: Response, request: Request) -> bytes:
    choice = response.choices[0]
    reason = incomplete_reason(choice.stop, refusal_shown=any(isinstance(part, Refusal) for part in choice.parts))
    items = _Items(response.id, choice.logprobs or ())
    for part in choice.parts:
        items.add(part)
    if reason is not None and items.written and "status" in items.written[-1]:
        items.written[-1]["status"] = "incomplete"  # it was being written when the answer stopped
    body = {
        **head(response.id, response.model, response.created_s or 0),
        **echo(request),
        **ending(reason, choice.raw_stop),
        "output": items.written,
        "usage": write_usage(response.usage),
    }
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    return orjson.dumps(body)


def head(answer_id: str, model: str, created_s: int) -> Item:
    """`answer_id` is the provider's; one of another form than OpenAI's becomes one of ours."""
    shown = answer_id if answer_id.startswith("resp_") else made_id("resp", answer_id)
    return {"id": shown, "object": "response", "created_at": created_s, "model": model, "error": None}


def echo(request: Request) -> Item:
    wire = request.wire
    asked = wire.body if wire is not None and wire.dialect == NAME else {}
    told = {name: unsaid if asked.get(name) is None else asked[name] for name, unsaid in _UNSAID.items()}
    for name, unsaid in (("reasoning", _REASONING), ("text", _TEXT)):
        given = asked.get(name)
        told[name] = {**unsaid, **given} if isinstance(given, dict) else unsaid
    return told | _NOT_KEPT


def ending(reason: str | None, raw_stop: str | None = None) -> Item:
    """The status, with the reason why the answer is not whole, where it is not."""
    if reason is None:
        # A provider that answers in the background has told no more than this.
        status = raw_stop if raw_stop in ("queued", "in_progress") else "completed"
        return {"status": status, "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def opaque_raw(part: Part) -> Item | None:
    """An item of this dialect's own, as its provider wrote it."""
    return part.raw if isinstance(part, Opaque) and part.dialect == NAME else None


class _Items:
    """Parts as items: neighbours of one kind share theirs."""

    def __init__(self, answer_id: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        self.written: list[Item] = []
        self._answer_id = answer_id
        self._logprobs = write_logprobs(logprobs)  # they are the whole choice's: told with the first text
        self._open: list[Item] | None = None  # the parts of the item that the next part of its kind joins
        self._kind = ""
        self._is_told = False  # sealed reasoning came whole: the words after it are its own

    def add(self, part: Part) -> None:
        is_told, self._is_told = self._is_told, False
        match part:
            case Text():
                annotations = [annotation(item, 0, len(part.text)) for item in part.citations]
                self._parts("message").append(text_part(part.text, annotations, self._logprobs))
                self._logprobs = []
            case Refusal():
                self._parts("message").append(refusal_part(part.text))
            case Thinking():
                self._is_told = is_told
                if part.text and not is_told:
                    self._parts("reasoning").append(summary_part(part.text))
            case ToolCall():
                self._put(call_item(self._id("ctc" if part.is_free else "fc"), part, "completed"))
            case Image():
                self._put(image_item(self._id("ig"), part))
            case _ if (raw := opaque_raw(part)) is not None:
                self._put(raw)
                self._is_told = raw.get("type") == "reasoning"
            case _:
                pass  # another provider's own parts have no form here; the request was refused them

    def _parts(self, kind: str) -> list[Item]:
        if self._open is None or self._kind != kind:
            self._open, self._kind = [], kind
            made = self._open
            if kind == "message":
                self.written.append(message_item(self._id("msg"), made, "completed"))
            else:
                self.written.append(reasoning_item(self._id("rs"), made))
        return self._open

    def _put(self, item: Item) -> None:
        self._open = None
        self.written.append(item)

    def _id(self, kind: str) -> str:
        return made_id(kind, self._answer_id, len(self.written))
