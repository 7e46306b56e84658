"""OpenAI's legacy completions, as a door and as an upstream.

A server of this shape gets a request as it came; for any other a single prompt is a conversation of one message.
Streams share chat's readers and writers: chunks differ in where the text stands.
"""

from collections.abc import Mapping

import orjson

from polyroute.dialects import sse
from polyroute.dialects.openai_chat import errors
from polyroute.dialects.openai_chat.tap import Tap
from polyroute.dialects.openai_completions import answers, read_request
from polyroute.errors import ProviderError
from polyroute.ports import StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Operation, Request
from polyroute.types.response import Reply, Response

_USAGE = {"include_usage": True}
_NO_STREAM_USAGE = "no_stream_usage"  # in `Deployment.quirks`


class OpenAICompletions:
    name = read_request.NAME
    operation: Operation = "chat"
    stream_type = sse.MEDIA_TYPE

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        return read_request.parse_request(body)

    def render_response(self, response: Response, request: Request) -> bytes:
        return answers.render_response(response, request)

    def open_writer(self, request: Request) -> StreamWriter:
        return answers.CompletionWriter(request)

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return errors.render_error(kind, message, field=field, code=code)

    def obstacles(self, request: Request) -> tuple[str, ...]:
        is_own = request.wire is not None and request.wire.dialect == self.name
        return () if is_own else ("a conversation is no text to be gone on with",)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        assert request.wire is not None  # nothing else is no obstacle
        body = {**request.wire.body, "model": target.upstream_model}
        if request.stream and _NO_STREAM_USAGE not in target.quirks:
            options = body.get("stream_options")
            body["stream_options"] = {**options, **_USAGE} if isinstance(options, dict) else _USAGE
        if max_output_tokens is not None:
            asked = request.max_output_tokens
            body["max_tokens"] = max_output_tokens if asked is None else min(asked, max_output_tokens)
        return WireRequest(path="/completions", body=orjson.dumps(body), headers={})

    def parse_response(self, body: bytes) -> Response:
        return answers.parse_response(body)

    def skim_response(self, body: bytes) -> Reply:
        return answers.skim_response(body)

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return Tap()

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        return errors.classify_error(status, body, retry_after_s)
