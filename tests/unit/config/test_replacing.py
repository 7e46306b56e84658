from pathlib import Path

import pytest

from polyroute.config.replacing import replace_text


def test_the_text_before_lies_beside_it_and_the_mode_stays(tmp_path: Path) -> None:
    file = tmp_path / "polyroute.yaml"
    file.write_text("old")
    file.chmod(0o640)
    replace_text(file, "new")
    assert file.read_text() == "new"
    assert (tmp_path / "polyroute.yaml.before").read_text() == "old"
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["polyroute.yaml", "polyroute.yaml.before"]


def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_text(tmp_path / "polyroute.yaml", "new")
    assert list(tmp_path.iterdir()) == []
