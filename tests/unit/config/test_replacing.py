import pkgutil
from contextlib import suppress
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


@pytest.mark.parametrize("name", ["os.fchmod", "os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_whatever_fails_on_the_way_the_file_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, good: int
) -> None:
    """The first writes are those of the file that is kept beside it."""
    file, calls = tmp_path / "polyroute.yaml", list[object]()
    file.write_text("old")
    real = pkgutil.resolve_name(name)

    def fails(*given: object) -> object:
        calls.append(given)
        if len(calls) > good:
            raise OSError("the disk is full")
        return real(*given)

    monkeypatch.setattr(name, fails)
    with suppress(OSError):
        replace_text(file, "new")
    assert file.read_text() in ("old", "new")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [], "nothing is left over"
