"""Labelled rows, line by line."""

import pytest

from polyroute.stages.classification.rows import Row, read_rows, unlearnable

GOOD = b'{"text": "a", "label": "x"}'


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param(b"{", "line 2: ", id="no JSON"),
        pytest.param(b"[1]", "line 2: Expected `object`", id="no object"),
        pytest.param(b'{"text": "a"}', "line 2: Object missing required field `label`", id="no label"),
        pytest.param(b'{"label": "a"}', "line 2: Object missing required field `text`", id="no text"),
        pytest.param(b'{"text": 1, "label": "x"}', "line 2: Expected `str`", id="a number"),
        pytest.param(b'{"text": " ", "label": "x"}', "line 2: `text` is empty", id="an empty text"),
        pytest.param(b'{"text": "a", "label": ""}', "line 2: `label` is empty", id="an empty label"),
        pytest.param(b'{"text": "\xff", "label": "x"}', "line 2: ", id="no UTF-8"),
    ],
)
def test_a_malformed_row_is_told_with_its_line(line: bytes, fault: str) -> None:
    read = read_rows(GOOD + b"\n" + line + b"\n" + GOOD)
    assert len(read.rows) == 2
    assert [told.startswith(fault) for told in read.faults] == [True]


def test_blank_lines_and_further_members_are_passed_over() -> None:
    assert read_rows(b'\n{"text": "a", "label": "x", "id": 7}\n\n').rows == (Row("a", "x"),)


def test_labels_that_mean_no_class_become_null() -> None:
    found = read_rows(b'{"text": "a", "label": "oos"}\n{"text": "b", "label": null}', ("oos",))
    assert found.rows == (Row("a", None), Row("b", None))


def test_many_faults_are_counted() -> None:
    assert read_rows(b"{\n" * 12).faults[-1] == "and 7 more lines"


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), "no row with a label"),
        ((Row("a", None),), "no row with a label"),
        ((Row("a", "x"), Row("b", "x"), Row("c", None)), "one class only, `x`"),
        ((Row("a", "x"), Row("b", "y")), None),
    ],
)
def test_two_classes_are_needed(rows: tuple[Row, ...], why: str | None) -> None:
    told = unlearnable(rows)
    assert (told is None) if why is None else why in (told or "")
