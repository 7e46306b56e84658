"""Prompts as people and machines are shown them, the document's and the managed ones alike. Pure."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from polyroute.prompts.reference import parse_reference, resolve
from polyroute.types.prompts import Kept, Move, Prompt, Wordings


class ShownVersion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int
    wordings: Wordings
    at: datetime | None = None  # None: the document's
    by: str | None = None


class Shown(Struct, frozen=True, kw_only=True):
    name: str
    source: str  # "document" or "store"
    live: int  # what the bare name means
    labels: Mapping[str, int]
    versions: dict[str, ShownVersion]
    moves: tuple[Move, ...] = ()


def shown(name: str, prompt: Prompt | Kept) -> Shown:
    versions = {str(v.version): v for v in sorted(_versions(prompt), key=lambda v: v.version)}
    return Shown(
        name=name,
        source="store" if isinstance(prompt, Kept) else "document",
        live=resolve(parse_reference(name), {v.version: None for v in versions.values()}, prompt.labels),
        labels=prompt.labels,
        versions=versions,
        moves=prompt.moves if isinstance(prompt, Kept) else (),
    )


def listed(declared: Mapping[str, Prompt], managed: Mapping[str, Kept]) -> list[dict[str, object]]:
    """One line each; a managed prompt that the document declares too is not in force."""
    prompts: dict[str, Prompt | Kept] = {**managed, **declared}
    return [
        {
            "name": one.name,
            "source": one.source,
            "live": one.live,
            "labels": one.labels,
            "versions": [version.version for version in one.versions.values()],
        }
        for one in (shown(name, prompts[name]) for name in sorted(prompts))
    ]


def _versions(prompt: Prompt | Kept) -> list[ShownVersion]:
    if isinstance(prompt, Kept):
        return [
            ShownVersion(version=int(number), wordings=version.wordings, at=version.at, by=version.by)
            for number, version in prompt.versions.items()
        ]
    return [ShownVersion(version=int(number), wordings=wordings) for number, wordings in prompt.versions.items()]
