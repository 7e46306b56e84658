from collections.abc import AsyncGenerator, Mapping

import orjson
import pytest

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.errors import AuthRejected, MalformedReply
from polyroute.providers.anthropic import Anthropic
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import ask

DIALECT = AnthropicMessages()
TARGET = a_deployment("claude")


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


def anthropic(
    status: int, body: bytes, base_url: str | None = None, auth_header: str | None = None
) -> tuple[Anthropic, Transport]:
    transport = Transport(status, body)
    provider = Anthropic(
        dialect=DIALECT, transport=transport, base_url=base_url, api_key=Secret(), auth_header=auth_header
    )
    return provider, transport


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.anthropic.com/v1/messages/count_tokens"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/v1/messages/count_tokens"),
        ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1/messages/count_tokens"),
        ("http://127.0.0.1:9/anthropic", "http://127.0.0.1:9/anthropic/v1/messages/count_tokens"),
    ],
)
async def test_tokens_are_counted_below_the_root(base_url: str | None, url: str) -> None:
    provider, transport = anthropic(200, b'{"input_tokens": 12}', base_url)
    assert await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines()) == 12
    assert transport.url == url
    assert (transport.headers["x-api-key"], transport.headers["anthropic-version"]) == ("key-0123456789", "2023-06-01")


async def test_a_count_has_the_callers_own_fields_and_none_of_the_answers() -> None:
    body = {
        "model": "route",
        "max_tokens": 5,
        "temperature": 0.5,
        "messages": [{"role": "user", "content": "Hi"}],
        "new_field": 1,
    }
    provider, transport = anthropic(200, b'{"input_tokens": 12}')
    request = DIALECT.parse_request(body, {"anthropic-beta": "beta-1"})
    await provider.count_tokens(request, TARGET, Deadlines())
    sent = orjson.loads(transport.body)
    assert sent == {"model": "claude", "messages": body["messages"], "new_field": 1}
    assert transport.headers["anthropic-beta"] == "beta-1"


async def test_a_key_can_be_a_bearer() -> None:
    provider, transport = anthropic(200, b'{"input_tokens": 12}', auth_header="authorization")
    await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines())
    assert transport.headers["authorization"] == "Bearer key-0123456789"
    assert "x-api-key" not in transport.headers


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"{}", MalformedReply),
        (200, b"nonsense", MalformedReply),
        (401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}', AuthRejected),
    ],
)
async def test_a_count_that_fails_is_a_provider_error(status: int, body: bytes, error: type[Exception]) -> None:
    provider, _ = anthropic(status, body)
    with pytest.raises(error):
        await provider.count_tokens(ask("any", "Hello"), TARGET, Deadlines())
