"""The schema that editors get."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import yaml

from polyroute.config.schema import schema
from polyroute.config.starter import starter


def described(node: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    if isinstance(node, dict):
        for name, setting in node.get("properties", {}).items():
            yield f"{path}.{name}", "description" in setting or "const" in setting or "enum" in setting
        for name, item in node.items():
            yield from described(item, f"{path}.{name}")
    elif isinstance(node, list):
        for at, item in enumerate(node):
            yield from described(item, f"{path}[{at}]")


def test_every_setting_is_described() -> None:
    ours = {path: has for path, has in described(schema()) if ".Condition." not in path}
    assert len(ours) > 100
    assert [path for path, has in ours.items() if not has] == []


def test_the_starter_fits_it() -> None:
    jsonschema_rs.validator_for(schema()).validate(yaml.safe_load(starter()))


def test_the_short_forms_fit_it() -> None:
    document = {
        "providers": {"openai": {"dialect": "openai", "api_key": {"env": "KEY"}}},
        "models": {
            "m": "openai/gpt-4o",
            "n": {"provider": "openai", "price": "free"},
            "o": {"provider": "p", "price": {"input": 1.5, "output": 2}},
        },
        "routes": {
            "r": {"primary": "m", "fallback": "n"},
            "s": {"primary": "m", "fallback": ["n"], "cache": {"exact": "5m"}},
        },
    }
    jsonschema_rs.validator_for(schema()).validate(document)


def test_a_misspelt_setting_does_not_fit_it() -> None:
    assert not jsonschema_rs.validator_for(schema()).is_valid({"routes": {"r": {"primry": "m"}}})
