"""A whole answer: Anthropic's body to a Response or a skimmed Reply, and a Response to Anthropic's body."""

import msgspec
import orjson

from polyroute.dialects.anthropic_messages.containers import kept_of
from polyroute.dialects.anthropic_messages.failures import classify_event
from polyroute.dialects.anthropic_messages.read_content import Block, read_parts
from polyroute.dialects.anthropic_messages.stops import read_stop, write_stop
from polyroute.dialects.anthropic_messages.usage import read_usage, write_usage
from polyroute.dialects.anthropic_messages.write_content import write_parts
from polyroute.dialects.json_text import UNREADABLE
from polyroute.errors import InvalidRequest, MalformedReply
from polyroute.types.response import Choice, Reply, Response, StopReason


class _Skimmed(msgspec.Struct):
    """Only what the books need; the content is passed over."""

    type: str = ""
    model: str = ""
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    usage: object = None
    error: object = None
    container: object = None


_SKIM = msgspec.json.Decoder(_Skimmed)


def skim_response(body: bytes) -> Reply:
    try:
        answer = _SKIM.decode(body)
    except UNREADABLE as exc:
        raise MalformedReply(f"the provider's answer is no message: {exc}") from exc
    if answer.type == "error" or answer.error is not None:
        raise classify_event({"error": answer.error})
    if answer.content is None:
        raise MalformedReply("the provider's answer has no content")
    return Reply(
        usage=read_usage(answer.usage),
        model=answer.model,
        stop=read_stop(answer.stop_reason),
        kept=kept_of(answer.container),
        wire=body,
    )


def parse_response(body: bytes) -> Response:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is no JSON: {exc}") from exc
    if not isinstance(answer, dict):
        raise MalformedReply("the provider's answer is no JSON object")
    if answer.get("type") == "error" or answer.get("error") is not None:
        raise classify_event(answer)
    content = answer.get("content")
    if not isinstance(content, list):
        raise MalformedReply("the provider's answer has no content")
    try:
        parts = read_parts(content, "content")
    except InvalidRequest as exc:
        raise MalformedReply(f"the provider's answer: {exc.message}") from exc
    usage = answer.get("usage")
    return Response(
        id=_text(answer.get("id")) or "",
        model=_text(answer.get("model")) or "",
        choices=(
            Choice(
                parts=parts,
                stop=read_stop(answer.get("stop_reason")),
                stop_sequence=_text(answer.get("stop_sequence")),
                raw_stop=_text(answer.get("stop_reason")),
            ),
        ),
        usage=read_usage(usage),
        service_tier=_text(usage.get("service_tier")) if isinstance(usage, dict) else None,
    )


def write_response(response: Response) -> bytes:
    choice = response.choices[0] if response.choices else Choice(parts=(), stop=StopReason.UNKNOWN)
    body: Block = {
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": write_parts(choice.parts),
        "stop_reason": write_stop(choice.stop, choice.raw_stop),
        "stop_sequence": choice.stop_sequence,
        "usage": write_usage(response.usage),
    }
    return orjson.dumps(body)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
