import pytest

from polyroute.dialects.addresses import is_public


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "http://images.example.co.uk:8080/a?b=c#d",
        "https://8.8.8.8/x.png",
        "https://[2001:4860:4860::8888]/x.png",
        "https://bücher.example/x.png",
        "https://user@example.com/x.png",
    ],
)
def test_a_host_of_the_internet_may_be_named(url: str) -> None:
    assert is_public(url)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "db.internal",
        "printer.local",
        "metadata.google.internal",
        "router",
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "256.1.1.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::1%25eth0]",
        "127.0.0.1%00.example.com",
        "example.com@127.0.0.1",
        "example.com\\@127.0.0.1",
        "example.com\t.evil",
        "",
        "[not-v6]",
    ],
)
def test_this_machine_and_its_network_may_not(host: str) -> None:
    assert not is_public(f"http://{host}/latest")
    assert not is_public(f"http://{host}:80/latest")
