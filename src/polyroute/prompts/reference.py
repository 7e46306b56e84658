"""`support@3`, `support@live`, `support`: which version of a prompt is meant. Pure.

A bare name means the label `live`, and the newest version where there is no such label.
"""

from collections.abc import Mapping

from msgspec import Struct

from polyroute.types.prompts import LIVE


class Reference(Struct, frozen=True, kw_only=True):
    name: str
    version: int | None = None
    label: str | None = None


def parse_reference(written: str) -> Reference:
    """Raises ValueError with what is wrong."""
    name, at, pin = written.partition("@")
    if not name or (at and not pin):
        raise ValueError(f"`{written}` names no prompt: write NAME, NAME@VERSION or NAME@LABEL")
    if not at:
        return Reference(name=name)
    if pin.isascii() and pin.isdigit():
        return Reference(name=name, version=int(pin))
    return Reference(name=name, label=pin)


def resolve(reference: Reference, versions: Mapping[int, object], labels: Mapping[str, int]) -> int:
    """The version's number. Raises LookupError with what there is."""
    if reference.version is not None:
        if reference.version in versions:
            return reference.version
        raise LookupError(f"`{reference.name}` has no version {reference.version}; it has {_listed(versions)}")
    if reference.label is not None:
        if reference.label in labels:
            return labels[reference.label]
        raise LookupError(f"`{reference.name}` has no label `{reference.label}`; it has {_listed(labels)}")
    return labels.get(LIVE) or max(versions)


def _listed(names: Mapping[int, object] | Mapping[str, int]) -> str:
    return ", ".join(str(name) for name in sorted(names, key=str)) or "none"
