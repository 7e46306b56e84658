"""ARCHITECTURE.md speaks of modules that exist, and of every one on the ground floor of the package."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "polyroute"
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
NAMED = set(re.findall(r"`(polyroute(?:\.\w+)+)`", PAGE))


def exists(module: str) -> bool:
    path = ROOT / "src" / Path(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_every_module_named_exists() -> None:
    assert sorted(module for module in NAMED if not exists(module)) == []


def test_every_module_of_the_package_is_on_the_map() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    public = {name for name in names if not name.startswith("_")}
    assert sorted(public - {module.split(".")[1] for module in NAMED}) == []
