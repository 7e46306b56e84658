"""Gemini's embeddings, `embedContent` for one input and `batchEmbedContents` for several, as a door and as an upstream.

Which of the two a caller asked is seen by its body: `requests` stand in a batch's alone. Requests of other dialects go
out as a batch. Source: ai.google.dev, API reference "Embeddings". Vertex embeds by `predict`, which is not spoken here.
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects import sse
from polyroute.dialects.fields import array, integer, mapping, missing, text, wrong
from polyroute.dialects.forbidden import refuse_forbidden
from polyroute.dialects.gemini.calls import CallIds
from polyroute.dialects.gemini.failures import classify_error, classify_event, error_object
from polyroute.dialects.gemini.names import PATH_FIELDS, Block, camel, camel_name, spelling
from polyroute.dialects.gemini.read_content import read_parts
from polyroute.dialects.gemini.tap import Tap
from polyroute.dialects.gemini.usage import read_usage, write_usage
from polyroute.dialects.gemini.write_request import model_path, own_body
from polyroute.dialects.gemini.write_stream import EventWriter
from polyroute.errors import MalformedReply, ProviderError
from polyroute.ports import StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.content import Message, Text, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, Reply, Response, StopReason

NAME = "gemini_embeddings"
_MOST_INPUTS = 100  # of a batch
_MAX_DIMENSIONS = 65_536
_INPUT = frozenset({"model", "content", "outputDimensionality"})


class GeminiEmbeddings:
    name = NAME
    operation: Operation = "embeddings"
    stream_type = sse.MEDIA_TYPE  # never streamed

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        if not body.get("model"):
            missing("model", "the name of a route or a model, in the path: models/NAME:embedContent")
        if (given := body.get("requests")) is None:
            inputs = [_Input({name: value for name, value in body.items() if name not in PATH_FIELDS}, "")]
        else:
            requests = array(given, "requests")
            if not 0 < len(requests) <= _MOST_INPUTS:
                wrong("requests", f"1 to {_MOST_INPUTS} requests", len(requests), code="out_of_range")
            inputs = [
                _Input(mapping(item, f"requests[{index}]"), f"requests[{index}].")
                for index, item in enumerate(requests)
            ]
        return Request(
            model=text(body["model"], "model"),
            operation="embeddings",
            messages=tuple([item.message for item in inputs]),
            dimensions=inputs[0].dimensions,
            extensions=inputs[0].further,
            wire=Wire(dialect=NAME, body=body),
        )

    def render_response(self, response: Response, request: Request) -> bytes:
        vectors = [{"values": choice.vector or ()} for choice in response.choices]
        is_batch = request.wire is None or "requests" in request.wire.body
        body: Block = {"embeddings": vectors} if is_batch else {"embedding": vectors[0]}
        if response.usage is not None and (usage := write_usage(response.usage)) is not None:
            body["usageMetadata"] = {"promptTokenCount": usage["promptTokenCount"]}
        return orjson.dumps(body)

    def obstacles(self, request: Request) -> tuple[str, ...]:
        if request.wire is not None and request.wire.dialect == NAME:
            return ()
        found = (
            [] if len(request.messages) <= _MOST_INPUTS else [f"gemini embeds at most {_MOST_INPUTS} inputs at once"]
        )
        if any(not isinstance(part, Text) for message in request.messages for part in message.parts):
            found.append("gemini embeds text only")
        return tuple(found)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        path, wire = model_path(target), request.wire
        dropped: tuple[str, ...] = ()
        if wire is not None and wire.dialect == NAME:
            body = own_body(wire)
            given = body.get("requests")
            if isinstance(given, list):
                body["requests"] = [{**item, "model": path} for item in given]
        else:
            more: Block = {} if request.dimensions is None else {"outputDimensionality": request.dimensions}
            body = {
                "requests": [
                    {"model": path, "content": {"parts": [{"text": text_of(message.parts)}]}, **more}
                    for message in request.messages
                ]
            }
            hints = [name for name in request.extensions if name != "encoding_format"]  # that is the door's own affair
            dropped = (*hints, *(["user"] if request.end_user is not None else []))
        verb = "batchEmbedContents" if "requests" in body else "embedContent"
        return WireRequest(path=f"/{path}:{verb}", body=orjson.dumps(body), headers={}, dropped=dropped)

    def parse_response(self, body: bytes) -> Response:
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            raise MalformedReply(f"the provider's answer is no JSON: {exc}") from exc
        if not isinstance(answer, dict):
            raise MalformedReply("the provider's answer is no JSON object")
        if answer.get("error") is not None:
            raise classify_event(answer)
        given = [answer["embedding"]] if "embedding" in answer else answer.get("embeddings")
        if not isinstance(given, list) or not given:
            raise MalformedReply("the provider's answer holds no vectors")
        choices = tuple(
            [
                Choice(index=index, parts=(), vector=_vector(item), stop=StopReason.END)
                for index, item in enumerate(given)
            ]
        )
        return Response(id="", model="", choices=choices, usage=read_usage(answer.get("usageMetadata")))

    def skim_response(self, body: bytes) -> Reply:
        response = self.parse_response(body)
        return Reply(usage=response.usage, model=response.model, stop=StopReason.END, wire=body)

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return orjson.dumps(error_object(kind, message, field=field, code=code))

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        return classify_error(status, body, retry_after_s)

    def open_writer(self, request: Request) -> StreamWriter:
        return EventWriter()

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return Tap()


class _Input:
    """One input of a request, checked."""

    def __init__(self, given: Block, at: str) -> None:
        refuse_forbidden({name: value for name, value in given.items() if camel_name(name) not in _INPUT})
        asked = camel(given)
        if (content := asked.get("content")) is None:
            missing(f"{at}content", "an object with `parts`")
        parts = read_parts(mapping(content, f"{at}content"), f"{at}content", CallIds())
        self.message = Message(role="user", parts=tuple(parts))
        place = f"{at}{spelling(given, 'outputDimensionality')}"
        size = asked.get("outputDimensionality")
        self.dimensions = None if size is None else integer(size, place, 1, _MAX_DIMENSIONS)
        self.further = {name: value for name, value in asked.items() if name not in _INPUT and value is not None}


def _vector(item: object) -> tuple[float, ...]:
    values = item.get("values") if isinstance(item, dict) else None
    if not isinstance(values, list) or not all(type(value) is float or type(value) is int for value in values):
        raise MalformedReply("the provider's answer holds a vector that is none")
    return tuple(values)
