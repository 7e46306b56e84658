import pytest

from polyroute.phrases import find


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        pytest.param("i want a refund", False, id="plain"),
        pytest.param("this is not a refund request", True, id="not a refund"),
        pytest.param("i don't want a refund", True, id="a cue three words before"),
        pytest.param("i don’t want a refund", True, id="a typographic apostrophe"),
        pytest.param("no, i want a refund", False, id="a cue in another clause"),
        pytest.param("not a refund but: refund me", False, id="one plain hit is enough"),
        pytest.param("i did not like it at all so refund", False, id="a cue too far away"),
        pytest.param("without refund", True, id="without"),
    ],
)
def test_a_negated_phrase_is_known_as_one(text: str, negated: bool) -> None:
    (hit,) = find(text, ["refund"])
    assert hit.negated is negated


def test_phrases_that_are_not_there_give_no_hit() -> None:
    assert find("hello", ["refund", "cancel"]) == []
