"""How figures are written: one Markdown section a part, kept between markers in RESULTS.md. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What one part of the bench found."""

    name: str
    title: str
    n: str  # how often it was measured, in words
    text: str  # Markdown
    figures: Mapping[str, object]  # the same for machines, every round kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """Under what the figures were taken."""

    machine: str
    software: str
    date: str
    commit: str
    load_average: float  # of the machine when the bench began: what else was running


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def render(section: Section, under: Circumstances) -> str:
    """The section as it stands in RESULTS.md, without its markers."""
    return (
        f"## {section.title}\n\n"
        f"{under.date}, commit {under.commit}; {under.machine}; {under.software}; loopback; "
        f"load average {under.load_average:.1f} when it began. n: {section.n}.\n\n"
        f"{section.text}"
    )


def put_section(document: str, name: str, body: str) -> str:
    """The document with that section replaced where its markers stand, else appended."""
    start, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->\n"
    block = f"{start}{body.rstrip()}\n{end}"
    before, found, rest = document.partition(start)
    if not found:
        return f"{document.rstrip()}\n\n{block}" if document.strip() else block
    _, closed, after = rest.partition(end)
    if not closed:
        raise ValueError(f"marker {end.strip()!r} is missing after {start.strip()!r}")
    return f"{before}{block}{after}"
