"""Every group of settings says what it is, and can be hashed and compared."""

import inspect

import msgspec
import pytest

from polyroute.config import document
from polyroute.config.document import Document, Later, Settings, names

GROUPS = [
    value
    for value in vars(document).values()
    if inspect.isclass(value) and issubclass(value, Settings | Later) and value not in (Settings, Later)
]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_frozen_and_explained(group: type[Settings]) -> None:
    assert group.__struct_config__.frozen
    assert group.__doc__


@pytest.mark.parametrize("group", [group for group in GROUPS if issubclass(group, Settings)])
def test_unknown_settings_are_refused(group: type[Settings]) -> None:
    assert group.__struct_config__.forbid_unknown_fields


def test_the_default_document_is_empty() -> None:
    assert msgspec.structs.asdict(Document())["routes"] == {}
    assert Document() == Document()


def test_one_name_or_several() -> None:
    assert names("a") == ("a",)
    assert names(("a", "b")) == ("a", "b")
    assert names(None) == ()
