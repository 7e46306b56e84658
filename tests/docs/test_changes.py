"""Fragments in changes/ are named as its README says, and say something."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "changes"
KINDS = {"feature", "fix", "change", "removal"}


def test_every_fragment_has_a_name_and_a_kind() -> None:
    fragments = [path for path in FOLDER.iterdir() if path.name != "README.md"]
    wrong = [path.name for path in fragments if path.suffixes[-2:] not in [[f".{kind}", ".md"] for kind in KINDS]]
    assert wrong == []
    assert [path.name for path in fragments if not path.read_text().strip()] == []
