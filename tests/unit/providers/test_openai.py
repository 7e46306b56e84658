from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.errors import Unreachable
from polyroute.ports import Dialect, UpstreamReply
from polyroute.providers.openai import OpenAI
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import Request, ask


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

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        raise AssertionError("a provider never deletes")

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


CHAT, RESPONSES = OpenAIChat(), OpenAIResponses()
AZURE = "https://r.openai.azure.com"
DATED = "api-version=2025-04-01-preview"


def asked(dialect: Dialect) -> Request:
    said = {"messages": [{"role": "user", "content": "x"}]} if dialect is CHAT else {"input": "x"}
    return dialect.parse_request({"model": "any", **said}, {})


async def called(base_url: str | None, request: Request, *, quirks: frozenset[str] = frozenset()) -> str:
    transport = Unplugged()
    provider = OpenAI(dialects=(CHAT, RESPONSES), transport=transport, base_url=base_url)
    target = replace(a_deployment("gpt-4o"), quirks=quirks)
    assert provider.obstacles(request, target) == ()
    with pytest.raises(Unreachable):
        await provider.complete(request, target, Deadlines(), None)
    return transport.url


@pytest.mark.parametrize(
    ("base_url", "chat", "responses"),
    [
        pytest.param(
            None, "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/responses", id="OpenAI"
        ),
        pytest.param(
            f"{AZURE}/openai/deployments/{{model}}?{DATED}",
            f"{AZURE}/openai/deployments/gpt-4o/chat/completions?{DATED}",
            f"{AZURE}/openai/responses?{DATED}",
            id="Azure, any deployment",
        ),
        pytest.param(
            f"{AZURE}/openai/deployments/mine?{DATED}",
            f"{AZURE}/openai/deployments/mine/chat/completions?{DATED}",
            f"{AZURE}/openai/responses?{DATED}",
            id="Azure, one deployment",
        ),
        pytest.param(
            f"{AZURE}/openai?{DATED}",
            f"{AZURE}/openai/deployments/gpt-4o/chat/completions?{DATED}",
            f"{AZURE}/openai/responses?{DATED}",
            id="Azure, the dated interface",
        ),
        pytest.param(
            f"{AZURE}/openai/v1/",
            f"{AZURE}/openai/v1/chat/completions",
            f"{AZURE}/openai/v1/responses",
            id="Azure, the first version",
        ),
        pytest.param(
            f"{AZURE}/",
            f"{AZURE}/openai/v1/chat/completions",
            f"{AZURE}/openai/v1/responses",
            id="Azure, the bare account",
        ),
        pytest.param(
            f"{AZURE}?{DATED}",
            f"{AZURE}/openai/deployments/gpt-4o/chat/completions?{DATED}",
            f"{AZURE}/openai/responses?{DATED}",
            id="Azure, the bare account with a date",
        ),
        pytest.param(
            f"https://gate.example/azure/openai/deployments/{{model}}?{DATED}",
            f"https://gate.example/azure/openai/deployments/gpt-4o/chat/completions?{DATED}",
            f"https://gate.example/azure/openai/responses?{DATED}",
            id="Azure, behind a host of one's own",
        ),
    ],
)
async def test_each_endpoint_is_called_where_it_lives(base_url: str | None, chat: str, responses: str) -> None:
    assert await called(base_url, asked(CHAT)) == chat
    assert await called(base_url, asked(RESPONSES)) == responses


async def test_a_request_of_no_dialect_or_another_goes_to_chat_completions() -> None:
    assert await called(None, ask("any", "x")) == "https://api.openai.com/v1/chat/completions"


async def test_a_server_without_an_endpoint_is_asked_at_the_other() -> None:
    only_chat, only_responses = frozenset({"no_openai_responses"}), frozenset({"no_openai_chat"})
    assert (await called(None, asked(RESPONSES), quirks=only_chat)).endswith("/v1/chat/completions")
    assert (await called(None, asked(CHAT), quirks=only_responses)).endswith("/v1/responses")


def test_a_server_without_either_takes_no_such_request() -> None:
    provider = OpenAI(dialects=(CHAT, RESPONSES), transport=Unplugged())
    target = replace(a_deployment("gpt-4o"), quirks=frozenset({"no_openai_responses", "no_openai_chat"}))
    assert provider.obstacles(asked(CHAT), target) == ("it takes no chat requests",)


@pytest.mark.parametrize("path", ["/openai", "/openai/deployments/{model}"])
def test_azure_s_dated_interface_without_its_date_is_refused_with_the_fix(path: str) -> None:
    with pytest.raises(ValueError, match="api-version"):
        OpenAI(dialects=(CHAT,), transport=Unplugged(), base_url=AZURE + path)
