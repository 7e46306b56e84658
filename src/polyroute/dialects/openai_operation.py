"""What OpenAI's operations beside chat have in common, as a door and as an upstream.

A request goes on as it came, but for the model. Most of them mean something to servers of this shape alone: there is
no other form to put them in. Source: OpenAI API reference; each module says what is its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import msgspec
import orjson

from polyroute.dialects import sse
from polyroute.dialects.fields import missing, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden
from polyroute.dialects.json_text import UNREADABLE
from polyroute.dialects.openai_chat import errors
from polyroute.dialects.openai_events import EventPasser, EventTap, Told, WireUsage
from polyroute.errors import MalformedReply, ProviderError, Rejected
from polyroute.ports import StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.content import Message, Opaque, Text
from polyroute.types.request import Operation, Request
from polyroute.types.response import Ended, Reply, Response, StopReason, Usage

_Shape = TypeVar("_Shape")
_MAX_MODEL_NAME = 512  # characters
_ABSURD = 1 << 40


class OpenAIOperation(ABC):
    """`path` is below the address of the provider."""

    name: str
    operation: Operation
    path: str
    stream_type = sse.MEDIA_TYPE

    @abstractmethod
    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request: ...

    @abstractmethod
    def parse_response(self, body: bytes) -> Response: ...

    @abstractmethod
    def render_response(self, response: Response, request: Request) -> bytes: ...

    def write_body(self, request: Request) -> dict[str, Any]:
        """A request of another dialect, or of none, in this one."""
        raise Rejected(f"only a request that came as {self.name} can be put so")

    def told(self, chunk: object) -> Told | None:
        """The event that says `chunk` to a caller; None where it has none."""
        return None

    def closing(self, ended: Ended) -> Told | None:
        """The last event of an answer that was told by `told`."""
        return None

    def events_of(self, response: Response) -> list[Told]:
        """A whole answer as the events that its caller asked for."""
        raise MalformedReply("the provider answered whole where a stream was asked for")

    def usage_of(self, usage: WireUsage) -> Usage | None:
        """What the event that ends a stream reports."""
        return None

    # ── the rest of the port ──────────────────────────────────────────────────────────────────────────

    def open_writer(self, request: Request) -> StreamWriter:
        return EventPasser(self.told, self.closing)

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return errors.render_error(kind, message, field=field, code=code)

    def obstacles(self, request: Request) -> tuple[str, ...]:
        if request.wire is not None and request.wire.dialect == self.name:
            return ()
        opaque = (part for message in request.messages for part in message.parts if isinstance(part, Opaque))
        return tuple(dict.fromkeys(f"a `{part.kind}` part means something only to {part.dialect}" for part in opaque))

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        wire, dropped = request.wire, tuple[str, ...]()
        if wire is not None and wire.dialect == self.name:
            body = dict(wire.body)
        else:
            body, dropped = self.write_body(request), tuple(sorted(request.extensions))
        body["model"] = target.upstream_model
        return WireRequest(path=self.path, body=orjson.dumps(body), headers={}, dropped=dropped)

    def skim_response(self, body: bytes) -> Reply:
        response = self.parse_response(body)
        return Reply(usage=response.usage, model=response.model, stop=StopReason.END, wire=body)

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return EventTap(lambda body: self.events_of(self.parse_response(body)), self.usage_of)

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        return errors.classify_error(status, body, retry_after_s)


# ── what their requests are read with ─────────────────────────────────────────────────────────────────


def model_of(body: Mapping[str, object], default: str | None = None) -> str:
    """Raises InvalidRequest where it is missing and has no default, or no name of a model."""
    value = body.get("model")
    if value is None:
        if default is None:
            missing("model", "the name of a route or a model")
        return default
    name = text(value, "model")
    if not 0 < len(name) <= _MAX_MODEL_NAME:
        wrong("model", f"a name of 1 to {_MAX_MODEL_NAME} characters", value, code="invalid_value")
    return name


def further(body: Mapping[str, object], known: frozenset[str]) -> dict[str, object]:
    """The fields that are given and not `known`. Raises InvalidRequest for one that would steer the call."""
    found = {name: value for name, value in body.items() if name not in known and value is not None}
    refuse_forbidden(found)
    return found


def given_text(value: object, at: str, longest: int) -> str:
    """Raises InvalidRequest where it is empty or longer than `longest` characters."""
    said = text(value, at)
    if not said or len(said) > longest:
        wrong(at, f"a text of 1 to {longest} characters", f"{len(said)} characters", code="invalid_value")
    return said


def said_by_user(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", parts=(Text(text=said),)) for said in texts)


# ── and their answers ─────────────────────────────────────────────────────────────────────────────────


def decode(decoder: "msgspec.json.Decoder[_Shape]", body: bytes) -> _Shape:
    """Raises the ProviderError that the body reports, or MalformedReply."""
    try:
        return decoder.decode(body)
    except UNREADABLE as exc:
        fail(body, exc)


def fail(body: bytes, why: object) -> NoReturn:
    """Raises the error that `body` reports; else what is wrong with it."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict) and (found.get("error") or found.get("object") == "error"):
        raise errors.error_in(found)
    raise MalformedReply(f"the provider's answer is not what was asked for: {str(why)[:200]}")


def tokens_of(*, inputs: int | None, outputs: int | None = 0, total: int | None = None, audio: int = 0) -> Usage | None:
    """None for counts that are missing or cannot be true. `inputs` hold the `audio` ones."""
    if inputs is None:
        inputs = total
    if inputs is None:
        return None
    outputs = outputs or 0
    if min(inputs, outputs, audio) < 0 or max(inputs, outputs) > _ABSURD or inputs + outputs == 0:
        return None
    audio = min(audio, inputs)
    return Usage(input_tokens=inputs - audio, input_audio_tokens=audio, output_tokens=outputs)
