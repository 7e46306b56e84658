"""When two answers say the same."""

from decimal import Decimal

import pytest

from polyroute.stages.validation.coercion import Wrong
from polyroute.stages.validation.likeness import Likeness, alike, last_number, meaning


@pytest.mark.parametrize(
    ("by", "one", "other", "same"),
    [
        ("exact", " yes ", "yes", True),
        ("exact", "yes", "Yes", False),
        ("normalised", "The answer is: Paris!", "answer is paris", True),
        ("normalised", "Paris", "Lyon", False),
        ("numeric", "So she has 1,800.", "$1800.00", True),
        ("numeric", "18", "18.5", False),
        ("numeric", "It is -5", "5", False),
        ("numeric", "from 3-5", "5", True),
        ("numeric", "1/2", "0.5", True),
        ("numeric", '{"answer": "18"}', "The answer is 18 dollars", True),
        ("json", '{"a": 1, "b": [2]}', '```json\n{"b": [2], "a": 1.0}\n```', True),
        ("json", '{"a": true}', '{"a": 1}', False),
    ],
)
def test_likeness(by: Likeness, one: str, other: str, same: bool) -> None:
    assert alike(meaning(one, by), meaning(other, by)) is same


def test_one_member_of_a_json_answer_can_be_compared() -> None:
    text = 'Here: {"why": "1 and 2", "answer": 18}'
    assert alike(meaning(text, "numeric", "answer"), meaning('{"answer": "18.0"}', "numeric", "answer"))


@pytest.mark.parametrize("text", ["none", "", "9" * 99])
def test_what_holds_no_number_is_wrong(text: str) -> None:
    with pytest.raises(Wrong):
        last_number(text)


def test_a_number_stands_at_the_end() -> None:
    assert last_number("3 apples, then 4.") == Decimal(4)
