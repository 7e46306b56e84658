import pytest

from polyroute.providers.transport.address import Address, Origin, parse_url


def address(host: str, port: int, *, is_tls: bool, authority: str, target: str) -> Address:
    return Address(origin=Origin(host=host, port=port, is_tls=is_tls), authority=authority, target=target)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://api.openai.com/v1/chat/completions",
            address("api.openai.com", 443, is_tls=True, authority="api.openai.com", target="/v1/chat/completions"),
        ),
        ("http://h:80/a", address("h", 80, is_tls=False, authority="h", target="/a")),
        ("http://h:8080", address("h", 8080, is_tls=False, authority="h:8080", target="/")),
        ("https://h/a?v=1&w=2", address("h", 443, is_tls=True, authority="h", target="/a?v=1&w=2")),
        ("http://[::1]:1/a", address("::1", 1, is_tls=False, authority="[::1]:1", target="/a")),
        (
            "http://Bücher.example/a",
            address("xn--bcher-kva.example", 80, is_tls=False, authority="xn--bcher-kva.example", target="/a"),
        ),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Address) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://h/a", "http://"),
        ("api.openai.com/v1", "http://"),
        ("https:///v1", "no host"),
        ("https://user:pass@h/v1", "credentials"),
        ("https://h:99999/v1", "Port"),
        ("https://h/a b", "percent-encode"),
        ("https://h/a\x7f", "percent-encode"),
        ("https://h/ü", "percent-encode"),
        (f"https://{'x' * 80}/v1", "no valid name"),
    ],
)
def test_what_is_no_plain_address_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_url(url)
