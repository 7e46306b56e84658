import json
from decimal import Decimal
from pathlib import Path

import pytest

from polyroute.errors import ConfigError, InvalidRequest
from polyroute.learning.rows import Rate, Row, cost_of, read_rows

GOOD = {"id": 1, "prompt": "hi", "scores": {"a": 1, "b": 0.5}}


def written(folder: Path, *lines: object) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return file


def test_a_row_may_be_a_prompt_or_messages_and_the_newest_user_turn_is_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "old"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "new"}]}]  # fmt: skip # noqa: E501
    file = written(tmp_path, GOOD, "", {"id": 2, "messages": turns, "scores": {"a": 0, "b": 1}})
    assert [row.text for row in read_rows(file, ["a", "b"])] == ["hi", "new"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("{", "truncated", id="broken JSON"),
        pytest.param({"prompt": "x", "scores": {}}, "`id`", id="no id"),
        pytest.param({**GOOD, "scores": {"a": 1.5}}, "<= 1", id="a score over one"),
        pytest.param({**GOOD, "scores": {"a": "good"}}, "float", id="a score that is no number"),
        pytest.param({"id": 3, "scores": {"a": 1}}, "neither `prompt`", id="nothing asked"),
    ],
)
def test_a_bad_row_is_named_by_its_line(line: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_rows(written(tmp_path, {**GOOD, "id": 0}, line), ["a"])
    assert [":2" in str(problem) and said in str(problem) for problem in caught.value.problems] == [True]


def test_two_rows_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="id 1 occurs 2 times"):
        read_rows(written(tmp_path, GOOD, {**GOOD, "prompt": "other"}), ["a"])


def test_rows_that_lack_a_model_are_left_out_and_none_left_is_an_error(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD, {"id": 2, "prompt": "x", "scores": {"a": 1}})
    assert [row.id for row in read_rows(file, ["a", "b"])] == [1]
    with pytest.raises(InvalidRequest, match="`c` in 2 of 2"):
        read_rows(file, ["a", "c"])


def test_an_empty_file_is_told_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no rows: one a line"):
        read_rows(written(tmp_path, ""), ["a"])


def test_rows_alike_but_for_case_and_spaces_share_a_stem() -> None:
    scores = {"a": 1.0}
    one, other = Row(id=1, prompt="What is  Love?", scores=scores), Row(id=2, prompt="what is love?\n", scores=scores)
    assert one.stem == other.stem
    assert one.stem != Row(id=3, prompt="what is hate?", scores=scores).stem


def test_what_a_row_costs_is_told_by_its_tokens_or_guessed_from_its_letters() -> None:
    rate = Rate(input_usd=Decimal(2), output_usd=Decimal(10))
    known = Row(id=1, prompt="x" * 400, scores={}, input_tokens=1000, output_tokens={"a": 100})
    assert cost_of(known, "a", rate, 7) == pytest.approx(0.003)
    assert cost_of(Row(id=1, prompt="x" * 400, scores={}), "a", rate, 20) == pytest.approx(0.0004)
