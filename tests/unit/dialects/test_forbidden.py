import pytest

from polyroute.dialects.forbidden import media_at, refuse_forbidden
from polyroute.errors import InvalidRequest
from polyroute.types.content import Inline, Link


@pytest.mark.parametrize(
    "name",
    [
        "api_base",
        "apiBase",
        "API-BASE",
        "base_url",
        "api_key",
        "extra_headers",
        "aws_secret_access_key",
        "models",
        "route",
    ],
)
def test_a_field_that_steers_the_upstream_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        refuse_forbidden({name: 1})
    assert (caught.value.field, caught.value.code) == (name, "forbidden_field")


def test_other_unknown_fields_are_let_through() -> None:
    refuse_forbidden({"speed": "fast", "inference_geo": "us", "store": False, "a": {"b": ["https://example.com"]}})


@pytest.mark.parametrize(
    ("url", "media"),
    [
        ("https://example.com/a.png", Link(url="https://example.com/a.png")),
        ("HTTP://example.com/a.png", Link(url="HTTP://example.com/a.png")),
        ("data:image/png;base64,QUJD", Inline(media_type="image/png", data="QUJD")),
        ("data:text/plain;charset=utf-8;base64,QUJD", Inline(media_type="text/plain", data="QUJD")),
    ],
)
def test_media_is_inline_or_fetched_by_the_provider(url: str, media: Inline | Link) -> None:
    assert media_at(url, "at") == media


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "gopher://x", "javascript:alert(1)", "x", "", "https:x"]
)
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        media_at(url, "messages[0].content[0].source.url")
    assert (caught.value.field, caught.value.code) == ("messages[0].content[0].source.url", "forbidden_url")


@pytest.mark.parametrize("url", ["data:image/png,abc", "data:image/png;base64"])
def test_a_data_url_must_be_base64(url: str) -> None:
    with pytest.raises(InvalidRequest):
        media_at(url, "at")
