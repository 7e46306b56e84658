"""What is taken out of a text is what is put back."""

import json

from hypothesis import given
from hypothesis import strategies as st

from polyroute.privacy.detector import Detector
from polyroute.privacy.placeholders import Placeholders

DETECTOR = Detector()
PIECES = st.sampled_from(
    ["ann@example.com", "bob@example.org", "4111 1111 1111 1111", "8.8.8.8", "[EMAIL_1]", "[CARD_1", "[", "]", " ", "x"]
)


@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=4))
def test_to_redact_and_restore_is_the_identity(texts: list[str]) -> None:
    placeholders = Placeholders(texts)
    hidden = [placeholders.redact(text, DETECTOR.find(text)) for text in texts]
    assert [placeholders.restore(text) for text in hidden] == texts
    assert not any(DETECTOR.find(text, ("email", "card")) for text in hidden)


def test_a_value_has_one_placeholder_in_the_whole_conversation() -> None:
    placeholders = Placeholders()
    texts = ["ann@example.com", "bob@example.org", "ann@example.com"]
    assert [placeholders.redact(t, DETECTOR.find(t)) for t in texts] == ["[EMAIL_1]", "[EMAIL_2]", "[EMAIL_1]"]


def test_a_value_is_written_as_json_writes_it() -> None:
    pem = '-----BEGIN PRIVATE KEY-----\n"x"\n-----END PRIVATE KEY-----'
    placeholders = Placeholders()
    name = placeholders.redact(pem, DETECTOR.find(pem))
    assert json.loads(placeholders.restore(f'{{"key": "{name}"}}', in_json=True)) == {"key": pem}


def test_only_what_may_be_a_beginning_is_held() -> None:
    placeholders = Placeholders()
    placeholders.redact("ann@example.com", DETECTOR.find("ann@example.com"))
    assert [placeholders.held(text) for text in ("a", "a [", "a [EMA", "a [EMAIL_1", "a [EMAIL_1]", "a [no")] == [
        0, 1, 4, 8, 0, 0,
    ]  # fmt: skip
