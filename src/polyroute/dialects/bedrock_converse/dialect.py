"""Bedrock's Converse API, as a door and as an upstream: the port `Dialect`, each method one module's work."""

from collections.abc import Mapping

import orjson

from polyroute.dialects import event_stream
from polyroute.dialects.bedrock_converse.answers import parse_response, skim_response, write_response
from polyroute.dialects.bedrock_converse.failures import classify_error, error_type
from polyroute.dialects.bedrock_converse.obstacles import obstacles
from polyroute.dialects.bedrock_converse.preface import lay_preface
from polyroute.dialects.bedrock_converse.read_content import NAME
from polyroute.dialects.bedrock_converse.read_request import parse_request
from polyroute.dialects.bedrock_converse.read_stream import ChunkReader
from polyroute.dialects.bedrock_converse.tap import Tap
from polyroute.dialects.bedrock_converse.write_request import write_request
from polyroute.dialects.bedrock_converse.write_stream import EventWriter
from polyroute.errors import ProviderError
from polyroute.ports import Preface, StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Reply, Response

ERROR_TYPE = "x-amzn-errortype"


class BedrockConverse:
    name = NAME
    operation: Operation = "chat"
    stream_type = event_stream.MEDIA_TYPE

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        return parse_request(body, headers)

    def render_response(self, response: Response, request: Request) -> bytes:
        return write_response(response)

    def open_writer(self, request: Request) -> StreamWriter:
        return EventWriter()

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return orjson.dumps({"message": message})

    def error_headers(self, kind: str, code: str | None) -> Mapping[str, str]:
        return {ERROR_TYPE: error_type(kind, code)}

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

    def classify_failure(
        self, status: int, body: bytes, retry_after_s: float | None, error: str | None
    ) -> ProviderError:
        """Upstream: as `classify_error`, with what the answer's `x-amzn-errortype` says."""
        return classify_error(status, body, retry_after_s, error)

    def with_preface(self, wire: Wire, preface: Preface) -> Wire:
        return lay_preface(wire, preface)
