from collections.abc import Mapping

import pytest

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import Unreachable
from polyroute.ports import UpstreamReply
from polyroute.providers.openai import OpenAI
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import ask


class Secret:
    def reveal(self) -> str:
        return "key-0123456789"


class Unplugged:
    def __init__(self) -> None:
        self.url = ""
        self.headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        self.url, self.headers = url, headers
        raise Unreachable("unplugged")

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        raise AssertionError("a provider never asks with GET")

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("base_url", "auth_header", "url", "header"),
    [
        pytest.param(
            None,
            None,
            "https://api.openai.com/v1/chat/completions",
            ("authorization", "Bearer key-0123456789"),
            id="OpenAI",
        ),
        pytest.param(
            "https://r.openai.azure.com/openai/deployments/{model}?api-version=2024-10-21",
            None,
            "https://r.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            ("api-key", "key-0123456789"),
            id="Azure, a deployment in the path",
        ),
        pytest.param(
            "https://r.openai.azure.com/openai/v1",
            "Authorization",
            "https://r.openai.azure.com/openai/v1/chat/completions",
            ("authorization", "Bearer key-0123456789"),
            id="Azure, by a token",
        ),
        pytest.param(
            "http://127.0.0.1:8000/v1",
            "X-Key",
            "http://127.0.0.1:8000/v1/chat/completions",
            ("x-key", "key-0123456789"),
            id="a header of one's own",
        ),
    ],
)
async def test_the_key_goes_where_the_address_wants_it(
    base_url: str | None, auth_header: str | None, url: str, header: tuple[str, str]
) -> None:
    transport = Unplugged()
    provider = OpenAI(
        dialects=(OpenAIChat(),), transport=transport, base_url=base_url, api_key=Secret(), auth_header=auth_header
    )
    with pytest.raises(Unreachable):
        await provider.complete(ask("any", "x"), a_deployment("gpt-4o"), Deadlines(), None)
    assert transport.url == url
    assert header in transport.headers.items()
    assert sum("key-0123456789" in value for value in transport.headers.values()) == 1


async def test_a_server_without_keys_gets_none() -> None:
    transport = Unplugged()
    provider = OpenAI(dialects=(OpenAIChat(),), transport=transport, base_url="http://127.0.0.1:11434/v1")
    with pytest.raises(Unreachable):
        await provider.complete(ask("any", "x"), a_deployment("llama"), Deadlines(), None)
    assert "authorization" not in transport.headers
