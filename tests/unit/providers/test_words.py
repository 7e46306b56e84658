import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.providers.words import cut_at_stop, words


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_a_word_has_the_space_around_it() -> None:
    assert words(" one  two\nthree") == (" one  ", "two\n", "three")
    assert words("") == ()


@pytest.mark.parametrize(
    ("stops", "expected"),
    [((), ("a b c", None)), (("x",), ("a b c", None)), (("c", "b"), ("a ", "b")), (("",), ("a b c", None))],
)
def test_a_text_is_cut_at_the_first_stop_in_it(stops: tuple[str, ...], expected: tuple[str, str | None]) -> None:
    assert cut_at_stop("a b c", stops) == expected
