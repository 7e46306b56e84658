"""What differs between two versions of a prompt, line by line, for people. Pure."""

from collections.abc import Iterator
from difflib import unified_diff

import msgspec

from polyroute.types.prompts import Wordings


def differences(name: str, one: tuple[int, Wordings], other: tuple[int, Wordings]) -> list[str]:
    """In the form of `diff -u`; empty where they say the same."""
    (before, old), (after, new) = one, other
    return list(
        unified_diff(list(_lines(old)), list(_lines(new)), f"{name}@{before}", f"{name}@{after}", lineterm="", n=2)
    )


def _lines(wordings: Wordings) -> Iterator[str]:
    for name, variable in wordings.variables.items():
        yield f"variables.{name}: {msgspec.json.encode(variable).decode()}"
    for name, variant in wordings.variants.items():
        for field, text in (("system", variant.system), ("user", variant.user)):
            if text is not None:
                yield f"variants.{name}.{field}:"
                yield from (f"    {line}" for line in text.splitlines())
