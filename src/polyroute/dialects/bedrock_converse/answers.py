"""A whole answer: Converse's body to a Response or a skimmed Reply, and a Response to Converse's body.

Converse names no model; where a router chose one its trace does, and ours say so in the same place.
"""

import msgspec
import orjson

from polyroute.dialects.bedrock_converse.failures import classify_error
from polyroute.dialects.bedrock_converse.read_content import Block, read_parts
from polyroute.dialects.bedrock_converse.stops import read_stop, write_stop
from polyroute.dialects.bedrock_converse.tap import invoked_model
from polyroute.dialects.bedrock_converse.usage import read_usage, write_usage
from polyroute.dialects.bedrock_converse.write_content import write_parts
from polyroute.dialects.json_text import UNREADABLE
from polyroute.errors import InvalidRequest, MalformedReply
from polyroute.types.response import Choice, Reply, Response, StopReason

NO_METRICS: Block = {"latencyMs": 0}  # required; how long it took is told in headers and the receipt


class _SkimmedMessage(msgspec.Struct):
    content: list[msgspec.Raw] | None = None


class _SkimmedOutput(msgspec.Struct):
    message: _SkimmedMessage | None = None


class _Skimmed(msgspec.Struct):
    """Only what the books need; the content is passed over."""

    output: _SkimmedOutput | None = None
    stopReason: str | None = None  # noqa: N815 - the field's own name
    usage: object = None
    trace: object = None


_SKIM = msgspec.json.Decoder(_Skimmed)


def skim_response(body: bytes) -> Reply:
    try:
        answer = _SKIM.decode(body)
    except UNREADABLE as exc:
        raise MalformedReply(f"the provider's answer is no Converse output: {exc}") from exc
    if answer.output is None or answer.output.message is None or answer.output.message.content is None:
        raise _no_output(body)
    return Reply(
        usage=read_usage(answer.usage),
        model=invoked_model({"trace": answer.trace}),
        stop=read_stop(answer.stopReason),
        wire=body,
    )


def parse_response(body: bytes) -> Response:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is no JSON: {exc}") from exc
    if not isinstance(answer, dict):
        raise MalformedReply("the provider's answer is no JSON object")
    output = answer.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise _no_output(body)
    try:
        parts = read_parts(message["content"], "output.message.content", [])
    except InvalidRequest as exc:
        raise MalformedReply(f"the provider's answer: {exc.message}") from exc
    stop, more, tier = (answer.get(name) for name in ("stopReason", "additionalModelResponseFields", "serviceTier"))
    return Response(
        id="",
        model=invoked_model(answer),
        choices=(
            Choice(
                parts=parts,
                stop=read_stop(stop),
                stop_sequence=_text(more.get("stop_sequence")) if isinstance(more, dict) else None,
                raw_stop=_text(stop),
            ),
        ),
        usage=read_usage(answer.get("usage")),
        service_tier=_text(tier.get("type")) if isinstance(tier, dict) else None,
    )


def write_response(response: Response) -> bytes:
    choice = response.choices[0] if response.choices else Choice(parts=(), stop=StopReason.UNKNOWN)
    body: Block = {
        "output": {"message": {"role": "assistant", "content": write_parts(choice.parts)}},
        "stopReason": write_stop(choice.stop, choice.raw_stop),
        "usage": write_usage(response.usage),
        "metrics": NO_METRICS,
    }
    if choice.stop_sequence is not None:
        body["additionalModelResponseFields"] = {"stop_sequence": choice.stop_sequence}
    if response.model:
        body["trace"] = model_trace(response.model)
    return orjson.dumps(body)


def model_trace(model: str) -> Block:
    return {"promptRouter": {"invokedModelId": model}}


def _no_output(body: bytes) -> Exception:
    """An error under a status of 200, or nothing at all."""
    error = classify_error(200, body, None)
    if error.code is not None:
        return classify_error(_status_within(error.code), body, None)
    return MalformedReply("the provider's answer has no output message")


def _status_within(code: str) -> int:
    return 500 if code.endswith("Exception") else 200


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
