"""Anthropic's Messages API, as a door and as an upstream: the port `Dialect`, each method one module's work."""

from collections.abc import Mapping

import orjson

from polyroute.dialects import sse
from polyroute.dialects.anthropic_messages.answers import parse_response, skim_response, write_response
from polyroute.dialects.anthropic_messages.count import (
    parse_count,
    parse_count_request,
    render_count,
    render_count_request,
)
from polyroute.dialects.anthropic_messages.failures import classify_error, error_object
from polyroute.dialects.anthropic_messages.obstacles import obstacles
from polyroute.dialects.anthropic_messages.preface import lay_preface
from polyroute.dialects.anthropic_messages.read_content import NAME
from polyroute.dialects.anthropic_messages.read_request import parse_request
from polyroute.dialects.anthropic_messages.read_stream import ChunkReader
from polyroute.dialects.anthropic_messages.tap import Tap
from polyroute.dialects.anthropic_messages.write_request import write_request
from polyroute.dialects.anthropic_messages.write_stream import EventWriter
from polyroute.errors import ProviderError
from polyroute.ports import Preface, StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Reply, Response


class AnthropicMessages:
    name = NAME
    operation: Operation = "chat"
    stream_type = sse.MEDIA_TYPE

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        return parse_request(body, headers)

    def render_response(self, response: Response, request: Request) -> bytes:
        return write_response(response)

    def open_writer(self, request: Request) -> StreamWriter:
        return EventWriter()

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return orjson.dumps(error_object(kind, message, field=field, code=code))

    def obstacles(self, request: Request) -> tuple[str, ...]:
        return obstacles(request)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        return write_request(request, target, max_output_tokens)

    def parse_response(self, body: bytes) -> Response:
        return parse_response(body)

    def skim_response(self, body: bytes) -> Reply:
        return skim_response(body)

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return Tap() if same_dialect else ChunkReader()

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        return classify_error(status, body, retry_after_s)

    def parse_count_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        """Door: a request whose input is to be counted; `max_tokens` may be missing."""
        return parse_count_request(body, headers)

    def render_count(self, input_tokens: int) -> bytes:
        """Door: the count's body."""
        return render_count(input_tokens)

    def render_count_request(self, request: Request, target: Deployment) -> WireRequest:
        """Upstream: the counting call; every field that the count depends on passes."""
        return render_count_request(request, target)

    def parse_count(self, body: bytes) -> int:
        """Upstream: the tokens counted. Raises a ProviderError."""
        return parse_count(body)

    def with_preface(self, wire: Wire, preface: Preface) -> Wire:
        return lay_preface(wire, preface)
