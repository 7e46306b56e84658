"""Settings that are wrong by themselves."""

import pytest

from polyroute.config.document import Provider, Route, Server, Store
from polyroute.config.secret import Secret
from polyroute.config.singles import (
    address_problems,
    name_problems,
    provider_problems,
    server_problems,
    store_problems,
)

KEY = Secret("k")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_open_is_allowed_on_loopback(host: str) -> None:
    assert list(server_problems(Server(host=host, auth="open"))) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_open_is_refused_elsewhere(host: str) -> None:
    (problem,) = server_problems(Server(host=host, auth="open"))
    assert problem.path == "server.auth"
    assert list(server_problems(Server(host=host, auth="keys"))) == []


@pytest.mark.parametrize(
    ("store", "paths"),
    [
        (Store(), []),
        (Store(database="sqlite:////var/lib/p.db"), []),
        (Store(database="sqlite:///"), ["store.database"]),
        (Store(database="p.db"), ["store.database"]),
        (Store(database="postgresql://h/p"), []),
        (Store(shared="memcached://x"), ["store.shared"]),
    ],
)
def test_store_addresses(store: Store, paths: list[str]) -> None:
    assert [problem.path for problem in store_problems(store)] == paths


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("https://api.example.org", True),
        ("http://[::1]:8000/v1", True),
        ("http://[::1]/v1", True),
        ("ftp://x", False),
        ("127.0.0.1:11434", False),
        ("http://", False),
        ("http:///v1", False),
        ("http://a b", False),
        ("http://a\nb", False),
        ("http://x:99999", False),
        ("http://x:", False),
        ("http://user:password@host/v1", False),
        ("http://x/v1#a", False),
        ("http://x/v1?a=b", False),
    ],
)
def test_addresses(url: str, is_right: bool) -> None:
    assert (list(address_problems("p", url)) == []) is is_right


@pytest.mark.parametrize(
    ("provider", "paths"),
    [
        (Provider(dialect="openai", api_key=KEY), []),
        (Provider(dialect="openai", base_url="http://127.0.0.1:1/v1"), []),
        (Provider(dialect="openai", base_url="https://x.openai.azure.com/openai?api-version=1", api_key=KEY), []),
        (Provider(dialect="openai"), ["p.api_key"]),
        (Provider(dialect="anthropic"), ["p.api_key"]),
        (Provider(dialect="simulated"), []),
        (Provider(dialect="replay"), ["p.recordings"]),
        (Provider(dialect="simulated", recordings="x"), ["p.recordings"]),
        (Provider(dialect="bedrock"), []),
        (Provider(dialect="openai", api_key=KEY, headers={"openai-organization": KEY}), []),
        (Provider(dialect="openai", api_key=KEY, headers={"Authorization": KEY}), ["p.headers.Authorization"]),
        (Provider(dialect="openai", api_key=KEY, headers={"a:b": KEY}), ["p.headers.a:b"]),
        (Provider(dialect="openai", api_key=KEY, auth_header="a b"), ["p.auth_header"]),
    ],
)
def test_providers(provider: Provider, paths: list[str]) -> None:
    assert [problem.path for problem in provider_problems("p", provider)] == paths


@pytest.mark.parametrize("name", ["a", "gpt-4.1", "llama3.1:70b", "our_llama", "A+B", "x" * 128])
def test_names(name: str) -> None:
    assert list(name_problems("p", name, {})) == []


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\nb", "é", "x" * 129, "a@b", "a#2", "<script>"])
def test_no_names(name: str) -> None:
    assert len(list(name_problems("p", name, {}))) == 1


def test_a_route_has_no_limits_of_its_own_by_default() -> None:
    assert Route().max_input_tokens is None
