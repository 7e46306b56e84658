"""The committed reference is what the code makes, and leaves out no error and no port."""

import inspect
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from polyroute import errors, ports
from polyroute.cli import main as cli
from polyroute.config import document

DOCS = Path(__file__).parents[2] / "docs"
PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(DOCS / "make_reference.py"))["PAGES"]


def test_the_committed_pages_are_what_the_code_makes() -> None:
    stale = [name for name, make in PAGES.items() if (DOCS / "reference" / name).read_text() != make()]
    assert stale == [], "run .venv/bin/python docs/make_reference.py"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "reference" / "README.md").read_text()
    assert [name for name in PAGES if f"]({name})" not in index] == []


def test_every_error_is_documented() -> None:
    page = (DOCS / "reference" / "errors.md").read_text()
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.PolyrouteError)]
    assert [cls.__name__ for cls in classes if f"## {cls.__name__}\n" not in page] == []


def test_every_error_stands_in_the_drawing_of_its_module() -> None:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.PolyrouteError)]
    assert [cls.__name__ for cls in classes if cls.__name__ not in (errors.__doc__ or "")] == []


def test_every_port_is_documented() -> None:
    page = (DOCS / "reference" / "ports.md").read_text()
    here = [cls for _, cls in inspect.getmembers(ports, inspect.isclass) if cls.__module__ == ports.__name__]
    assert any(Protocol in cls.__mro__ for cls in here)
    assert [cls.__name__ for cls in here if f"## {cls.__name__}\n" not in page] == []


def test_every_setting_is_documented() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    structs = [cls for _, cls in inspect.getmembers(document, inspect.isclass) if issubclass(cls, msgspec.Struct)]
    assert len(structs) > 20
    for cls in structs:
        keys = [field.encode_name for field in msgspec.structs.fields(cls)]
        assert not keys or f"## {cls.__name__}\n" in page
        assert [f"{cls.__name__}.{key}" for key in keys if f"| `{key}` |" not in page] == []


def test_every_command_is_documented_with_its_help() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    assert [verb for verb in cli.VERBS if f"## polyroute {verb}\n\n{cli.VERBS[verb].summary}" not in page] == []
