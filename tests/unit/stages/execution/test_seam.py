"""Where a second model's words join those of the first."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.execution.seam import Seam


def joined(told: str, *pieces: str) -> str:
    seam = Seam(told)
    return told + "".join(map(seam.feed, pieces)) + seam.close()


@pytest.mark.parametrize(
    ("told", "pieces", "whole"),
    [
        pytest.param("The capital is", [" Paris."], "The capital is Paris.", id="nothing is repeated"),
        pytest.param("The capital is", ["The capital is Paris."], "The capital is Paris.", id="all is repeated"),
        pytest.param("Hi", ["Hi there"], "Hi there", id="all of a short one is repeated"),
        pytest.param(
            "The rivers are the Rhine and the Dan", ["the Rhine", " and the Danube."],
            "The rivers are the Rhine and the Danube.", id="the last words are repeated, in pieces",
        ),
        pytest.param("The capital is Par", ["Par", "is."], "The capital is Paris.", id="half a word is repeated"),
        pytest.param("the", ["ending"], "theending", id="one letter in common is an accident"),
        pytest.param("It is very", [" very good"], "It is very very good", id="a word said twice with a space"),
        pytest.param("Item one\n", ["\n- two"], "Item one\n- two", id="a line's end on both sides"),
        pytest.param("One two ", [" three"], "One two three", id="a space on both sides"),
        pytest.param("a b a b", ["c"], "a b a bc", id="nothing in common"),
        pytest.param("", ["anew"], "anew", id="nothing was told"),
        pytest.param("Said all.", [], "Said all.", id="nothing comes"),
    ],
)  # fmt: skip
def test_what_is_said_again_is_left_out(told: str, pieces: list[str], whole: str) -> None:
    assert joined(told, *pieces) == whole


@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=40), st.lists(st.integers(0, 40), max_size=4))
def test_how_the_words_come_in_pieces_changes_nothing(told: str, words: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(words)) for cut in cuts), len(words)]
    whole = joined(told, *(words[at:to] for at, to in pairwise(edges)))
    assert whole == joined(told, words)
    assert words.endswith(whole[len(told) :]), "what is told is the end of what came"


@given(st.text(min_size=16, max_size=80), st.text(max_size=40), st.integers(16, 80))
def test_a_long_repetition_is_always_found(told: str, more: str, length: int) -> None:
    again = told[-length:]
    assert len(joined(told, again + more)) <= len(told) + len(more)
