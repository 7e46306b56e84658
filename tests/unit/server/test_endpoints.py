import pytest

from polyroute.server.endpoints import Endpoint, Table
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services


async def _handler(exchange: Exchange, services: Services) -> None:
    """Never called: only found."""


def _endpoint(method: str, path: str, dialect: str = "openai_chat") -> Endpoint:
    return Endpoint(method=method, path=path, handler=_handler, summary="", dialect=dialect)


TABLE = Table(
    (
        _endpoint("GET", "/v1/models"),
        _endpoint("GET", "/v1/models/{id}"),
        _endpoint("GET", "/v1/models/{provider}/{id}"),
        _endpoint("POST", "/v1/messages", "anthropic_messages"),
        _endpoint("GET", "/v1/files"),
        _endpoint("POST", "/v1/files"),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "found", "variables"),
    [
        ("GET", "/v1/models", "/v1/models", {}),
        ("HEAD", "/v1/models", "/v1/models", {}),
        ("GET", "/v1/models/gpt", "/v1/models/{id}", {"id": "gpt"}),
        ("GET", "/v1/models/oai/gpt", "/v1/models/{provider}/{id}", {"provider": "oai", "id": "gpt"}),
        ("POST", "/v1/files", "/v1/files", {}),
    ],
)
def test_a_path_finds_its_endpoint(method: str, path: str, found: str, variables: dict[str, str]) -> None:
    hit = TABLE.find(method, path)
    assert hit.endpoint is not None
    assert (hit.endpoint.path, hit.variables) == (found, variables)


@pytest.mark.parametrize(
    "path",
    ["", "/", "v1/models", "/v1/models/", "//v1/models", "/v1//models", "/V1/models", "/v1/models/a/b/c", "/v1/{id}"],
)
def test_no_other_form_of_a_path_finds_it(path: str) -> None:
    hit = TABLE.find("GET", path)
    assert (hit.endpoint, hit.allowed) == (None, ())


@pytest.mark.parametrize(
    ("path", "allowed"), [("/v1/models", ("GET",)), ("/v1/models/gpt", ("GET",)), ("/v1/files", ("GET", "POST"))]
)
def test_a_wrong_method_learns_the_right_ones(path: str, allowed: tuple[str, ...]) -> None:
    assert TABLE.find("DELETE", path).allowed == allowed


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/messages", "anthropic_messages"),
        ("/v1/messages/nothing", "anthropic_messages"),
        ("/anthropic/v1/nothing", "anthropic_messages"),
        ("/v1/nothing", "openai_chat"),
        ("/", "openai_chat"),
    ],
)
def test_errors_have_the_shape_of_the_path_s_dialect(path: str, dialect: str) -> None:
    assert TABLE.find("PUT", path).dialect == dialect
