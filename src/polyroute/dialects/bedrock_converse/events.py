"""The events of Converse's streams: a frame to its kind and JSON payload, and back.

Source: Amazon Bedrock API reference, "ConverseStreamOutput"; Smithy, "Event streams", exceptions and errors.
"""

import orjson

from polyroute.dialects.bedrock_converse.failures import classify_exception
from polyroute.dialects.event_stream import encode_frame, parse_frame
from polyroute.errors import MalformedReply, StreamInterrupted

Payload = dict[str, object]


def read_event(frame: bytes) -> tuple[str, Payload]:
    """Raises the ProviderError that an exception or error frame means, and MalformedReply for garbage."""
    message = parse_frame(frame)
    headers = message.headers
    match headers.get(":message-type"):
        case "event":
            kind = headers.get(":event-type")
        case "exception":
            raise classify_exception(str(headers.get(":exception-type", "")), message.payload)
        case "error":
            said = {"message": headers.get(":error-message")}
            raise classify_exception(str(headers.get(":error-code", "")), orjson.dumps(said, default=str))
        case _:
            raise MalformedReply("the provider sent a frame that is no event")
    try:
        value = orjson.loads(message.payload or b"{}")
    except orjson.JSONDecodeError as exc:
        raise MalformedReply("the provider sent an event that is no JSON") from exc
    if not isinstance(kind, str) or not isinstance(value, dict):
        raise MalformedReply("the provider sent an event that is no JSON object")
    return kind, value


def write_event(kind: str, payload: Payload) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(headers, orjson.dumps(payload))


def write_exception(kind: str, message: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(headers, orjson.dumps({"message": message}))


def need_no_rest(rest: bytes) -> None:
    """A closed stream leaves nothing behind its last frame."""
    if rest:
        raise StreamInterrupted("the stream stopped in the middle of a frame")
