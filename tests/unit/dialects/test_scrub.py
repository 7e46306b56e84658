import pytest

from polyroute.dialects.scrub import scrub


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Incorrect API key provided: sk-proj-abc***xyz1.", "Incorrect API key provided: [key]"),
        ("see https://platform.example.com/keys?id=3 for more", "see [address] for more"),
        ("connect to 10.0.0.1:8080 failed", "connect to [address] failed"),
        ("host api.corp.local:443 down", "host [address] down"),
        ("localhost:11434 refused", "[address] refused"),
        ("limit reached in organization org-AbC123xyzq on tokens", "limit reached in organization [key] on tokens"),
        ("sent Bearer abc.def", "sent [key]"),
        ("AIzaSyA1234567890abcdefghij is no key", "[key] is no key"),
        ("prompt is too long: 3333404 tokens > 200000 maximum", "prompt is too long: 3333404 tokens > 200000 maximum"),
        ("messages.0.content: org-level key-value at 12:30", "messages.0.content: org-level key-value at 12:30"),
        ("two\n\n  lines", "two lines"),
        ("<html><body>502</body></html>", ""),
        ("  <!DOCTYPE html>", ""),
    ],
)
def test_a_provider_message_keeps_its_sense_and_loses_its_secrets(message: str, shown: str) -> None:
    assert scrub(message) == shown


def test_a_long_message_is_cut_at_500_characters() -> None:
    assert len(scrub("word " * 1000)) == 500


def test_control_characters_are_spaces() -> None:
    assert scrub("a\0b\x1b[31mc\u2028d") == "a b [31mc d"
