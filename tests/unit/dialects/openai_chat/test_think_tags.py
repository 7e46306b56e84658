"""Thinking between tags at the head of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_chat.think_tags import Piece, Splitter, split

THOUGHT, ANSWER = True, False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", [(ANSWER, "hello")]),
        ("<think>so</think>42", [(THOUGHT, "so"), (ANSWER, "42")]),
        ("\n<think>\nso\n</think>\n\n42", [(THOUGHT, "so"), (ANSWER, "42")]),
        ("<think>\n\n</think>\n\n42", [(ANSWER, "42")]),
        ("<think>cut", [(THOUGHT, "cut")]),
        ("write <think> first", [(ANSWER, "write <think> first")]),
        ("<thinking>", [(ANSWER, "<thinking>")]),
        ("<think>a < b</think>", [(THOUGHT, "a < b")]),
    ],
)
def test_thinking_is_told_from_the_answer(text: str, expected: list[Piece]) -> None:
    assert split(text) == expected
    assert joined([text]) == joined(list(text)) == [(kind, words) for kind, words in expected]


def joined(pieces: list[str]) -> list[tuple[bool, str]]:
    splitter, found = Splitter(), list[tuple[bool, str]]()
    for piece in pieces:
        given = [Piece(False, piece)] if splitter.is_done else splitter.feed(piece)
        found += given
    found += splitter.flush()
    whole: list[tuple[bool, str]] = []
    for kind, text in found:
        if whole and whole[-1][0] == kind:
            whole[-1] = (kind, whole[-1][1] + text)
        else:
            whole.append((kind, text))
    return whole


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "/think>", "a", "\n", " b", "<thin"]), max_size=12))
def test_nothing_but_tags_and_line_ends_is_lost(pieces: list[str]) -> None:
    text = "".join(pieces)
    kept = "".join(words for _, words in joined(pieces))
    for tag in ("<think>", "</think>", "\n", " "):
        text, kept = text.replace(tag, ""), kept.replace(tag, "")
    assert kept == text
