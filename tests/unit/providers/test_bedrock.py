"""Where Bedrock is, how it is called with an API key, and what its headers say of a failure."""

from collections.abc import AsyncGenerator, Mapping

import pytest

from polyroute.dialects.bedrock_converse import BedrockConverse
from polyroute.errors import AuthRejected, Overloaded
from polyroute.providers.bedrock import Bedrock, endpoint, region_of
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import ask

TARGET = a_deployment("anthropic.claude-3-haiku-20240307-v1:0")
ANSWER = (
    b'{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn",'
    b'"usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4}}'
)


class Secret:
    def reveal(self) -> str:
        return "bedrock-key-0123"


class Reply:
    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""

    def detach(self) -> None:
        """Nothing is open."""


class Transport:
    def __init__(self, body: bytes, status: int = 200, **headers: str) -> None:
        self._reply = Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        self.url = ""
        self.headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        self.url, self.headers = url, headers
        return self._reply

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("Bedrock is never asked with GET")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("Bedrock is never asked to delete")

    async def aclose(self) -> None:
        """It is shared."""


def provider(transport: Transport, api_key: Secret | None = None) -> Bedrock:
    return Bedrock(
        dialect=BedrockConverse(), transport=transport, base_url=endpoint("eu-central-1"), api_key=api_key or Secret()
    )


async def test_an_api_key_is_a_bearer_and_the_model_that_was_asked_answers() -> None:
    transport = Transport(ANSWER)
    reply = await provider(transport).complete(ask("m", "hi"), TARGET, Deadlines(), None)
    root = "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert transport.url == f"{root}/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse"
    assert transport.headers["authorization"] == "Bearer bedrock-key-0123"
    assert "bedrock-key" not in repr(transport.headers)
    assert reply.model == TARGET.upstream_model
    assert reply.response is not None
    assert reply.response.model == TARGET.upstream_model


async def test_the_header_names_the_error_and_the_wait() -> None:
    busy = Transport(b'{"message":"no"}', 400, x_amzn_errortype="ThrottlingException:http://x/", retry_after="7")
    with pytest.raises(Overloaded) as caught:
        await provider(busy).complete(ask("m", "hi"), TARGET, Deadlines(), None)
    assert (caught.value.code, caught.value.retry_after_s) == ("ThrottlingException", 7.0)


async def test_a_key_that_an_error_repeats_is_not_shown() -> None:
    refused = Transport(b'{"message":"bedrock-key-0123 is no key"}', 403)
    with pytest.raises(AuthRejected) as caught:
        await provider(refused).complete(ask("m", "hi"), TARGET, Deadlines(), None)
    assert caught.value.message == "*** is no key"


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us-east-1", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_endpoints_by_region(region: str, url: str) -> None:
    assert endpoint(region) == url
    assert region_of(url) == region


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://vpce-0-abc.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("http://127.0.0.1:8080", None),
        ("https://bedrock-runtime", None),
    ],
)
def test_a_region_is_read_from_an_endpoint(url: str, region: str | None) -> None:
    assert region_of(url) == region
