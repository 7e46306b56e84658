from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.selection.lexical import MEASURES, READ_CHARACTERS, look


@given(st.text(max_size=400))
def test_any_text_has_every_measure_and_distinct_sorted_ngrams(text: str) -> None:
    seen = look(text)
    assert len(seen.measures) == len(MEASURES)
    assert all(map(isfinite, seen.measures))
    assert list(seen.ngrams) == sorted(set(seen.ngrams))


def test_case_changes_no_word() -> None:
    assert look("What IS love").ngrams == look("what is LOVE").ngrams


def test_words_and_pairs_are_ngrams() -> None:
    assert len(look("one two three").ngrams) == 5


def test_options_are_counted_and_their_words() -> None:
    told = dict(zip(MEASURES, look("Which?\nA. one two\nB. three\n").measures, strict=True))
    assert (told["options"], told["option_words"], told["longest_option"], told["stem_words"]) == (2, 1.5, 2, 1)


def test_of_a_long_prompt_the_beginning_is_read() -> None:
    assert look("a " * READ_CHARACTERS).measures[1] == READ_CHARACTERS
