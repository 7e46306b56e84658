from collections.abc import AsyncGenerator, Mapping

import orjson
import pytest

from polyroute.dialects.gemini import Gemini as GeminiDialect
from polyroute.errors import AuthRejected, MalformedReply
from polyroute.providers.gemini import Gemini
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import ask

DIALECT = GeminiDialect()
TARGET = a_deployment("gemini-2.5-flash")
VERTEX = "http://127.0.0.1:9/v1/projects/p/locations/eu/publishers/google"


class Secret:
    def reveal(self) -> str:
        return "key-0123456789"


class Reply:
    headers: Mapping[str, str] = {}

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._body

    def close(self) -> None:
        pass

    def detach(self) -> None:
        pass


class Transport:
    def __init__(self, status: int, body: bytes) -> None:
        self.reply = Reply(status, body)
        self.url = ""
        self.body = b""
        self.headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        self.url, self.body, self.headers = url, body, headers
        return self.reply

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a provider never asks with GET")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a provider never deletes")

    async def aclose(self) -> None:
        pass


def gemini(
    status: int, body: bytes, base_url: str | None = None, auth_header: str | None = None
) -> tuple[Gemini, Transport]:
    transport = Transport(status, body)
    provider = Gemini(
        dialect=DIALECT, transport=transport, base_url=base_url, api_key=Secret(), auth_header=auth_header
    )
    return provider, transport


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        (None, "https://generativelanguage.googleapis.com/v1beta"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9/v1beta"),
        ("http://127.0.0.1:9/v1beta/", "http://127.0.0.1:9/v1beta"),
        ("http://127.0.0.1:9/v1/models", "http://127.0.0.1:9/v1"),
        (VERTEX, VERTEX),
    ],
)
async def test_the_model_stands_below_the_version(base_url: str | None, root: str) -> None:
    provider, transport = gemini(200, b'{"totalTokens": 12}', base_url)
    assert await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines()) == 12
    assert transport.url == f"{root}/models/gemini-2.5-flash:countTokens"
    assert transport.headers["x-goog-api-key"] == "key-0123456789"


async def test_a_key_can_be_a_bearer_as_vertex_wants_it() -> None:
    provider, transport = gemini(200, b'{"totalTokens": 12}', VERTEX, "authorization")
    await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines())
    assert transport.headers["authorization"] == "Bearer key-0123456789"
    assert "x-goog-api-key" not in transport.headers


@pytest.mark.parametrize(("base_url", "is_nested"), [(None, True), (VERTEX, False)])
async def test_ai_studio_counts_a_whole_request_under_its_own_name(base_url: str | None, is_nested: bool) -> None:
    provider, transport = gemini(200, b'{"totalTokens": 12}', base_url)
    await provider.count_tokens(ask("any", "Hello", system="be brief"), TARGET, Deadlines())
    sent = orjson.loads(transport.body)
    assert ("generateContentRequest" in sent) == is_nested
    assert "systemInstruction" in (sent["generateContentRequest"] if is_nested else sent)


async def test_a_callers_own_count_goes_on_as_it_came() -> None:
    body = {"model": "route", "contents": [{"parts": [{"text": "Hi"}]}], "new_field": 1}
    provider, transport = gemini(200, b'{"totalTokens": 12}')
    await provider.count_tokens(DIALECT.parse_count_request(body, {}), TARGET, Deadlines())
    assert orjson.loads(transport.body) == {"contents": body["contents"], "new_field": 1}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"{}", MalformedReply),
        (200, b"nonsense", MalformedReply),
        (403, b'{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}', AuthRejected),
    ],
)
async def test_a_count_that_fails_is_a_provider_error(status: int, body: bytes, error: type[Exception]) -> None:
    provider, _ = gemini(status, body)
    with pytest.raises(error):
        await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines())
