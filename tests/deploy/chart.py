"""As much of Helm's templates as our chart uses: values, `if`, `range`, `toYaml | nindent`; else an error."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_TOKEN = re.compile(r"(\{\{-?.*?-?\}\})")
_NINDENT = re.compile(r"^toYaml (\S+) \| nindent (\d+)$")


def render(template: str, values: Mapping[str, Any], *, release: str = "gw") -> str:
    scope = {"Values": values, "Release": {"Name": release}}
    tokens = iter(_trimmed(_TOKEN.split(template)))
    return "".join(_block(tokens, scope, None))


def _trimmed(pieces: list[str]) -> list[str]:
    for at, piece in enumerate(pieces):
        if piece.startswith("{{-"):
            pieces[at - 1] = pieces[at - 1].rstrip()
        if piece.startswith("{{") and piece.endswith("-}}"):
            pieces[at + 1] = pieces[at + 1].lstrip()
    return pieces


def _block(tokens: Iterator[str], scope: Mapping[str, Any], item: object) -> list[str]:
    """Up to its `end`."""
    told: list[str] = []
    for token in tokens:
        if not token.startswith("{{"):
            told.append(token)
            continue
        said = token.strip("{}-").strip()
        if said == "end":
            return told
        word, _, rest = said.partition(" ")
        if word == "if":
            is_not = rest.startswith("not ")
            inner = _block(tokens, scope, item)
            if bool(_value(rest.removeprefix("not "), scope, item)) != is_not:
                told += inner
        elif word == "range":
            body = list(_until_end(tokens))
            for each in _value(rest, scope, item):
                told += _block(iter(body), scope, each)
        elif (found := _NINDENT.match(said)) is not None:
            text = yaml.safe_dump(_value(found[1], scope, item), sort_keys=False)
            pad = " " * int(found[2])
            told.append("\n" + "\n".join(pad + line for line in text.rstrip().split("\n")))
        else:
            told.append(str(_value(said, scope, item)))
    return told


def _until_end(tokens: Iterator[str]) -> Iterator[str]:
    for token in tokens:
        if token.strip("{}- ") == "end":
            return
        yield token


def _value(path: str, scope: Mapping[str, Any], item: object) -> Any:
    """Raises KeyError for a value that is not in values.yaml."""
    if path == ".":
        return item
    assert path.startswith("."), f"this is not understood: {path}"
    found: Any = scope
    for name in path[1:].split("."):
        found = found[name]
    return found
