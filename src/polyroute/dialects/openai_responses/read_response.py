"""An upstream's whole answer: read in full for another dialect's door, skimmed for our own."""

from collections.abc import Iterable
from typing import Any, NoReturn

import msgspec
import orjson

from polyroute.dialects.openai_chat.errors import error_in
from polyroute.dialects.openai_chat.read_response import read_logprobs, reports_error
from polyroute.dialects.openai_chat.shape import WireLogprobs
from polyroute.dialects.openai_responses.kept import kept_of
from polyroute.dialects.openai_responses.names import NAME
from polyroute.dialects.openai_responses.shape import ANSWER, SKIMMED, UNREADABLE, Item, created_in
from polyroute.dialects.openai_responses.stops import check_status, read_stop
from polyroute.dialects.openai_responses.usage import read_usage
from polyroute.errors import MalformedReply
from polyroute.types.content import Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import Choice, Reply, Response, TokenLogprob


def skim_response(body: bytes) -> Reply:
    try:
        answer = SKIMMED.decode(body)
    except UNREADABLE as exc:
        raise_failure(body, exc)
    check_status(answer.status, answer.error)
    reason = None if answer.incomplete_details is None else answer.incomplete_details.reason
    refuses = any(part.type == "refusal" for item in answer.output for part in item.content or ())
    return Reply(
        usage=read_usage(answer.usage),
        model=answer.model or "",
        stop=read_stop(answer.status, reason, {item.type for item in answer.output}, refuses=refuses),
        goes_on=answer.status in ("queued", "in_progress"),
        kept=kept_of(answer),
        wire=body,
    )


def parse_response(body: bytes) -> Response:
    try:
        answer = ANSWER.decode(body)
    except UNREADABLE as exc:
        raise_failure(body, exc)
    check_status(answer.status, answer.error)
    reason = None if answer.incomplete_details is None else answer.incomplete_details.reason
    parts = tuple(part for item in answer.output for part in parts_of(item))
    kinds = {string(item, "type") for item in answer.output}
    stop = read_stop(answer.status, reason, kinds, refuses=any(isinstance(part, Refusal) for part in parts))
    logprobs = tuple(found for item in answer.output for found in _logprobs_of(item))
    return Response(
        id=answer.id or "",
        model=answer.model or "",
        choices=(Choice(parts=parts, stop=stop, raw_stop=reason or answer.status, logprobs=logprobs or None),),
        usage=read_usage(answer.usage),
        created_s=created_in(answer.created_at),
        service_tier=answer.service_tier,
    )


def raise_failure(body: bytes, cause: object) -> NoReturn:
    """For a 200 that holds no answer: the error it reports, else what is wrong with it."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is not JSON ({exc.msg})") from exc
    if reports_error(found):
        raise error_in(found)
    raise MalformedReply(f"the provider's answer is no response: {cause}")


def parts_of(item: Item) -> list[Part]:
    """What `item` says. Sealed reasoning comes whole, for our own door, before its words, which are for the others."""
    match item.get("type"):
        case "message":
            return [part for raw in objects(item, "content") for part in content_of(raw)]
        case "function_call" if not item.get("namespace"):
            call_id = string(item, "call_id") or string(item, "id")
            return [ToolCall(id=call_id, name=string(item, "name"), arguments=string(item, "arguments"))]
        case "custom_tool_call" if not item.get("namespace"):
            call_id, given = string(item, "call_id") or string(item, "id"), string(item, "input")
            return [ToolCall(id=call_id, name=string(item, "name"), arguments=given, is_free=True)]
        case "reasoning":
            thoughts = [Thinking(text=string(raw, "text")) for raw in thoughts_of(item)]
            return [Opaque(dialect=NAME, kind="reasoning", raw=item), *thoughts] if is_sealed(item) else [*thoughts]
        case kind:
            return [Opaque(dialect=NAME, kind=str(kind), raw=item)]


def is_sealed(item: Item) -> bool:
    """Whether `item` is reasoning that only its maker can read."""
    return item.get("type") == "reasoning" and bool(item.get("encrypted_content"))


def thoughts_of(item: Item) -> list[Item]:
    """The readable parts of reasoning: what it thought, and what it says of that."""
    return [*objects(item, "summary"), *objects(item, "content")]


def content_of(raw: Item) -> list[Part]:
    match raw.get("type"):
        case "output_text":
            return [Text(text=string(raw, "text"), citations=tuple(objects(raw, "annotations")))]
        case "refusal":
            return [Refusal(text=string(raw, "refusal"))]
        case _:
            shown = raw.get("text")
            return [Text(text=shown)] if isinstance(shown, str) else []


def logprobs_in(raw: Item) -> tuple[TokenLogprob, ...]:
    """Of a part of text, or of a piece of one."""
    if not raw.get("logprobs"):
        return ()
    try:
        wire = msgspec.convert({"content": raw["logprobs"]}, WireLogprobs)
    except msgspec.ValidationError as exc:
        raise MalformedReply(f"the provider sent log probabilities that are none: {exc}") from exc
    return read_logprobs(wire) or ()


def objects(holder: Item, name: str) -> list[Item]:
    """A field's list of objects; empty where it has none."""
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedReply(f"the provider's answer has a `{name}` that is no list of objects")
    return value


def string(holder: Item, name: str) -> str:
    """A field's text; empty where it has none."""
    value: Any = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReply(f"the provider's answer has a `{name}` that is no text")
    return value


def _logprobs_of(item: Item) -> Iterable[TokenLogprob]:
    if item.get("type") == "message":
        for raw in objects(item, "content"):
            yield from logprobs_in(raw)
