"""What the document may say and this version does not do yet. Such a setting stops the start: it is never ignored.

A later version that honours a setting deletes its row, or widens what the row allows.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from polyroute.config.document import Document
from polyroute.errors import Problem


class Gap(Struct, frozen=True):
    """A setting without effect. `path` may hold `*` for every entry of a mapping or list."""

    path: str
    lack: str  # completes "this version …"
    honoured: frozenset[object] = frozenset()  # values that do have their effect


def _values(*values: object) -> frozenset[object]:
    return frozenset(values)


_STRATEGIES = _values(
    "fixed", "rules", "complexity", "task", "cheapest", "fastest", "cascade", "logic", "learned", "moderation", "split"
)

GAPS = (
    Gap("store.vectors", "searches no vectors", _values("embedded")),
    Gap("routes.*.strategy.use", "cannot choose so", _STRATEGIES),
    Gap("routes.*.cache.semantic", "finds answers for the very same request only"),
    Gap("pipelines.*", "runs no pipelines"),
    Gap("batch", "runs no batches"),
    Gap("economics.*", "calculates no economics"),
)


def unsupported(document: Document) -> Iterator[Problem]:
    """A problem for each setting that would have no effect."""
    for gap in GAPS:
        for path, value in _found(document, gap.path.split("."), ""):
            if value not in (None, (), {}) and not (_is_plain(value) and value in gap.honoured):
                yield Problem(
                    path=path,
                    message=f"has no effect yet: this version {gap.lack}",
                    fix="honoured here: " + ", ".join(sorted(map(str, gap.honoured))) if gap.honoured else "remove it",
                )


def _found(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
        return
    step, rest = steps[0], steps[1:]
    if value is None or isinstance(value, str):
        return
    if step == "*" and isinstance(value, dict):
        for name, entry in value.items():
            yield from _found(entry, rest, f"{path}.{name}")
    elif step == "*":
        for at, entry in enumerate(value):
            yield from _found(entry, rest, f"{path}[{at}]")
    elif step == "use" and not hasattr(value, "use"):
        yield from _found(value.__struct_config__.tag, rest, f"{path}.use")
    else:
        yield from _found(getattr(value, step, None), rest, f"{path}.{step}" if path else step)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)
