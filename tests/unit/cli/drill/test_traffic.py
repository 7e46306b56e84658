from pathlib import Path

import pytest

from polyroute.cli.drill.traffic import from_file
from polyroute.errors import PolyrouteError


def test_a_file_of_traffic_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(
        '{"model": "a", "input_tokens": 5, "output_tokens": 7}\n\n{"model": "b", "at_s": 3}\n{"model": "c"}\n'
    )
    found = from_file(file)
    assert [(one.model, round(one.at_s, 3)) for one in found] == [("a", 0.0), ("b", 3.0), ("c", 3.1)]
    assert len(found[0].request().last_user_text.split()) == 5
    assert found[0].request().max_output_tokens == 7


@pytest.mark.parametrize("line", ['{"model": 5}', '{"input_tokens": 1}', "{", '{"model": "a", "input_tokens": -1}'])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "traffic.jsonl"
    file.write_text(f'{{"model": "a"}}\n{line}\n')
    with pytest.raises(PolyrouteError, match=r"traffic\.jsonl:2: "):
        from_file(file)
