"""`python -m bench.classify`: how often classifiers are right on rows they never learned from, and what one text takes.

Learned from the shared `train` rows, asked of the shared `dev` rows, through a gateway in this process. Nothing is
chosen on `dev`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.__main__ import circumstances
from bench.checked import DATA, HEAD, HEADING, PAGE, Figure, share
from bench.figures import percentile
from bench.processes import BenchError
from bench.report import Section, put_section, render, table
from polyroute import Gateway
from polyroute.cli.interval import wilson

_OUTSIDE = "oos"
_DRAWS = 5
_SHOTS = 10
_TIMED = 400
_PASSES = 5  # over the same texts; the one with the least p95 counts, since others use the machine too
_HEAD = """server: {auth: open}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models: {m: sim/m}
"""
_NOTES = f"""
10-shot: {_DRAWS} draws of ten rows a class (seeds 0 to {_DRAWS - 1}), n is all draws together. Classes only: what is
rejected counts as wrong. In scope and out: the mean of the share of in-scope rows classed right and the share of
out-of-scope rows rejected; no row out of scope was learned from, unless the line says so. `trained` has seen spelling
and form only. The score is the classifier's own word on how sure it is; its error is the mean distance between score
and share right, over ten bins of equal size.

Time of one text, one after another, through the gateway's process and the classifier's: the best of {_PASSES}
passes, since others use the machine. The loop's lag is how late a timer of 1 ms came meanwhile.

"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    text: str
    label: str | None


def _rows(name: str) -> list[_Row]:
    with gzip.open(DATA / "intent" / f"{name}.jsonl.gz", "rt") as lines:
        found = [json.loads(line) for line in lines]
    return [_Row(text=row["text"], label=None if row["intent"] == _OUTSIDE else row["intent"]) for row in found]


def _draw(rows: Sequence[_Row], seed: int) -> list[_Row]:
    """Ten rows of each class; of no class, none."""
    by_class = defaultdict(list)
    for row in rows:
        if row.label is not None:
            by_class[row.label].append(row)
    chosen = random.Random(seed)
    return [row for label in sorted(by_class) for row in chosen.sample(by_class[label], _SHOTS)]


@asynccontextmanager
async def _learned(rows: Sequence[_Row], *, spelling: bool = False, trained: bool = False) -> AsyncIterator[Gateway]:
    with TemporaryDirectory(prefix="polyroute-bench-") as folder:
        place = Path(folder)
        (place / "rows.jsonl").write_text("".join(json.dumps({"text": r.text, "label": r.label}) + "\n" for r in rows))
        said = "{use: examples, file: rows.jsonl" + (", embeddings: false}" if spelling else "}")
        if trained:
            command = [sys.executable, "-m", "polyroute", "classify", "--train", "rows.jsonl", "--out", "c.json"]
            await asyncio.to_thread(subprocess.run, command, cwd=place, check=True, capture_output=True)
            said = "{use: trained, artifact: c.json}"
        (place / "polyroute.yaml").write_text(f"{_HEAD}classifiers: {{c: {said}}}\n")
        async with Gateway(place / "polyroute.yaml", env={}) as running:
            yield running


@dataclass(kw_only=True, slots=True)
class _Count:
    """Rows asked, of several draws together."""

    inside: int = 0
    right: int = 0
    outside: int = 0
    rejected: int = 0
    scored: list[tuple[float, bool]]

    async def ask(self, running: Gateway, asked: Sequence[_Row]) -> None:
        found = await running.classify([row.text for row in asked])
        for row, seen in zip(asked, found, strict=True):
            if row.label is None:
                self.outside += 1
                self.rejected += seen.label is None
            else:
                self.inside += 1
                self.right += seen.label == row.label
                if seen.label is not None:
                    self.scored.append((seen.score, seen.label == row.label))

    @property
    def balanced(self) -> float:
        return (self.right / self.inside + self.rejected / max(1, self.outside)) / 2

    @property
    def score_error(self) -> float:
        ordered, tenth = sorted(self.scored), max(1, len(self.scored) // 10)
        bins = [ordered[at : at + tenth] for at in range(0, len(ordered), tenth)]
        gaps = [abs(sum(s for s, _ in b) / len(b) - sum(r for _, r in b) / len(b)) * len(b) for b in bins]
        return sum(gaps) / len(ordered)


async def accuracy() -> list[Figure]:
    figures = []
    for what, least, few in (("10-shot", 0.86, True), ("full", 0.92, False)):
        count = await _asked("banking77", few=few)
        figures.append(_line(f"banking77, {what}: classed right", count.right, count.inside, least))
        figures.append(_plain(f"banking77, {what}: error of the score", f"{count.score_error:.3f}", len(count.scored)))
    for what, least, few in (("10-shot", 0.87, True), ("full", 0.91, False)):
        count = await _asked("clinc150", few=few)
        figures += _both(f"clinc150, {what}", count, least)
    figures += _both(
        "clinc150, full, 100 rows out of scope learned from", await _asked("clinc150", few=False, told=True)
    )
    spelled = await _asked("banking77", few=False, spelling=True)
    figures.append(_line("banking77, full, by spelling alone: classed right", spelled.right, spelled.inside))
    trained = await _asked("banking77", few=False, trained=True)
    figures.append(_line("banking77, full, trained: classed right", trained.right, trained.inside))
    return figures


async def _asked(name: str, *, few: bool, told: bool = False, spelling: bool = False, trained: bool = False) -> _Count:
    train, dev = _rows(f"{name}.train"), _rows(f"{name}.dev")
    inside, count = [row for row in train if told or row.label is not None], _Count(scored=[])
    for seed in range(_DRAWS) if few else (None,):
        learned_from = inside if seed is None else _draw(inside, seed)
        async with _learned(learned_from, spelling=spelling, trained=trained) as running:
            await count.ask(running, dev)
    return count


def _both(what: str, count: _Count, least: float | None = None) -> list[Figure]:
    goal, met = ("", None) if least is None else (f">= {least:.2f}", count.balanced >= least)
    low, high = wilson(count.right, count.inside), wilson(count.rejected, count.outside)
    interval = f"{(low[0] + high[0]) / 2:.3f} to {(low[1] + high[1]) / 2:.3f}"
    n = f"{count.inside} + {count.outside}"
    return [
        Figure(
            what=f"{what}: in scope and out",
            value=f"{count.balanced:.3f}",
            interval=interval,
            n=n,
            goal=goal,
            is_met=met,
        ),
        _line(f"{what}: in scope, classed right", count.right, count.inside),
        _line(f"{what}: out of scope, rejected", count.rejected, count.outside),
    ]


def _line(what: str, hits: int, trials: int, least: float | None = None) -> Figure:
    value, interval = share(hits, trials)
    is_met = None if least is None else hits >= least * trials
    goal = "" if least is None else f">= {least:.0%}"
    return Figure(what=what, value=value, interval=interval, n=str(trials), goal=goal, is_met=is_met)


def _plain(what: str, value: str, n: int, *, is_met: bool | None = None, goal: str = "") -> Figure:
    return Figure(what=what, value=value, interval="", n=str(n), goal=goal, is_met=is_met)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────


async def times() -> list[Figure]:
    train, dev = _rows("banking77.train"), _rows("banking77.dev")
    figures = []
    for what, spelling, most in (("by meaning", False, 15.0), ("by spelling alone", True, 1.0)):
        async with _learned(_draw(train, 0), spelling=spelling) as running:
            await running.classify([row.text for row in dev[:50]])
            before_s = _child()[1]
            took, lags = min([await _pass(running, dev) for _ in range(_PASSES)], key=lambda p: percentile(p[0], 0.95))
            resident, after_s = _child()
            cpu_ms = (after_s - before_s) * 1000 / (_PASSES * _TIMED)
        p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
        figures.append(_plain(f"{what}, 10-shot: p50", f"{p50:.2f} ms", _TIMED))
        figures.append(
            _plain(f"{what}, 10-shot: p95", f"{p95:.2f} ms", _TIMED, goal=f"<= {most:g} ms", is_met=p95 <= most)
        )
        figures.append(_plain(f"{what}: the loop's lag meanwhile, p95", f"{percentile(lags, 0.95):.2f} ms", len(lags)))
        figures.append(_plain(f"{what}: CPU of that process a text, mean", f"{cpu_ms:.2f} ms", _PASSES * _TIMED))
        figures.append(_plain(f"{what}: memory of the process of classifiers", f"{resident:.0f} MB", 1))
    return figures


async def _pass(running: Gateway, dev: Sequence[_Row]) -> tuple[list[float], list[float]]:
    """Milliseconds that each text took, and by which the loop was late meanwhile."""
    took: list[float] = []
    lags: list[float] = []
    heart = asyncio.create_task(_beat(lags))
    for row in dev[:_TIMED]:
        started = time.perf_counter()
        await running.classify([row.text])
        took.append((time.perf_counter() - started) * 1000)
    heart.cancel()
    return took, lags


async def _beat(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        lags.append((time.perf_counter() - due) * 1000)


def _child() -> tuple[float, float]:
    """Megabytes, and seconds of CPU so far, of the process of classifiers that is this one's child."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
            spent = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if b"classification.child" in command and int(fields["PPid"]) == os.getpid():
            ticks = int(spent[11]) + int(spent[12])
            return float(fields["VmRSS"].split()[0]) / 1024, ticks / os.sysconf("SC_CLK_TCK")
    raise BenchError("there is no process of classifiers")


async def measure() -> Section:
    figures, timings = await accuracy(), await times()
    text = table(HEAD, (figure.cells() for figure in figures)) + _NOTES
    text += table(("what", "measured", "n", "goal", ""), ((f.what, f.value, *f.cells()[3:]) for f in timings))
    text += f"\nLoad average of the machine when these were taken: {os.getloadavg()[0]:.1f}.\n"
    return Section(name="classify", title="Classifiers", n="see each line", text=text, figures={})


def main() -> int:
    if not DATA.exists():
        print(f"bench.classify: there are no rows at {DATA}", file=sys.stderr)
        return 2
    logging.disable(logging.WARNING)
    under = circumstances()
    text = render(asyncio.run(measure()), under)
    print(text)
    PAGE.write_text(put_section(PAGE.read_text() if PAGE.exists() else HEADING, "classify", text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
