import pytest

from polyroute.prompts.reference import Reference, parse_reference, resolve

VERSIONS = {1: None, 2: None, 10: None}


@pytest.mark.parametrize(
    ("written", "labels", "expected"),
    [
        ("p@2", {}, 2),
        ("p@live", {"live": 1}, 1),
        ("p", {"live": 1}, 1),
        ("p", {"canary": 1}, 10),
    ],
)
def test_which_version_is_meant(written: str, labels: dict[str, int], expected: int) -> None:
    assert resolve(parse_reference(written), VERSIONS, labels) == expected


@pytest.mark.parametrize("written", ["p@3", "p@live"])
def test_what_is_not_there_is_told_with_what_is(written: str) -> None:
    with pytest.raises(LookupError, match="it has"):
        resolve(parse_reference(written), VERSIONS, {})


@pytest.mark.parametrize("written", ["", "@2", "p@"])
def test_no_reference(written: str) -> None:
    with pytest.raises(ValueError, match="names no prompt"):
        parse_reference(written)


def test_a_label_is_no_number() -> None:
    assert parse_reference("p@v2") == Reference(name="p", label="v2")
