"""OpenAI's chat completions as a door and as an upstream: every method is one of this package's modules.

As an upstream it serves whoever speaks the same form: OpenAI, Azure, vLLM, Ollama, Text Generation Inference, Groq,
Mistral, DeepSeek, OpenRouter, Hugging Face. Where these differ, the field says whose it is.
"""

from collections.abc import Mapping

from polyroute.dialects import sse
from polyroute.dialects.openai_chat import errors, read_request, read_response, write_request, write_response
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.preface import lay_preface
from polyroute.dialects.openai_chat.read_stream import ChunkReader
from polyroute.dialects.openai_chat.tap import Tap
from polyroute.dialects.openai_chat.write_stream import EventWriter
from polyroute.errors import ProviderError
from polyroute.ports import Preface, StreamReader, StreamWriter, WireRequest
from polyroute.types.cards import Deployment
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Reply, Response


class OpenAIChat:
    name = NAME
    operation: Operation = "chat"
    stream_type = sse.MEDIA_TYPE
    takes_free_input = True

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        return read_request.parse_request(body)  # no header of OpenAI's says anything about a chat completion

    def render_response(self, response: Response, request: Request) -> bytes:
        return write_response.render_response(response, request)

    def open_writer(self, request: Request) -> StreamWriter:
        return EventWriter(request)

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        return errors.render_error(kind, message, field=field, code=code)

    def obstacles(self, request: Request) -> tuple[str, ...]:
        return write_request.obstacles(request)

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        return write_request.render_request(request, target, max_output_tokens)

    def parse_response(self, body: bytes) -> Response:
        return read_response.parse_response(body)

    def skim_response(self, body: bytes) -> Reply:
        return read_response.skim_response(body)

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        return Tap() if same_dialect else ChunkReader()

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        return errors.classify_error(status, body, retry_after_s)

    def with_preface(self, wire: Wire, preface: Preface) -> Wire:
        return lay_preface(wire, preface)
