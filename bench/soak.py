"""`soak`: the gateway under a mixed load, some of it failing or leaving, while its document changes. Does it grow, and
do its books hold?

Readings are set against the requests asked until then; what comes before the gateway is warm does not count.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench.books import Upstream, discrepancies, findings, read_books
from bench.callers import Tally, knock
from bench.figures import Spread, growth_verdict, slope
from bench.mix import CALLERS, MIXES, Mix
from bench.processes import Child, get
from bench.report import Section, table
from bench.variants import DOCUMENT, HERE, gateway_doors, refuse_an_open_door, require, start_gateway, start_upstream
from bench.watched import COLLECT

KEPT_GOAL = 10.0  # objects per 1,000 requests, once garbage is collected
GROWTH_GOAL = 2.0  # per cent of the memory, per million requests
WARM_REQUESTS = 100_000
WARM_SHARE = 1 / 3  # of a run too short for that
REST_S = 10.0
RELOAD_S = 10.0
_CHANGES = ("per_user_per_minute: 100000000", "per_user_per_minute: 99999999")
_READINGS = 400  # at most, so that slopes between all pairs stay few


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The gateway at one moment."""

    asked: int
    rss_mb: float
    pss_mb: float
    descriptors: int
    tasks: int
    objects: int  # that the garbage collector tracks


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """A whole run: before the load, under it, and after a rest."""

    before: Reading
    under: list[Reading]
    after: Reading
    tally: Tally
    seconds: float
    reloads: int

    def warm(self) -> list[Reading]:
        last = self.under[-1].asked
        begin = min(WARM_REQUESTS, last * WARM_SHARE)
        return [reading for reading in self.under if reading.asked >= begin]


_QUANTITIES = (
    ("RSS MB", "rss_mb", 1),
    ("PSS MB", "pss_mb", 1),
    ("descriptors", "descriptors", 0),
    ("tasks", "tasks", 0),
    ("tracked objects", "objects", 0),
)
_HEAD = ("what", "idle", "warm", "end of load", "at rest, collected", "growth per million requests (95 %)", "verdict")


def soak(*, minutes: float, mix: str) -> Section:
    require("gcc")
    chosen = MIXES[mix]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        direct, watch = start_upstream(stack, folder), folder / "watch"
        prefix = (sys.executable, "-P", str(HERE / "watched.py"), str(watch))
        shapes = ["", *chosen.shapes]
        child = start_gateway(stack, folder, direct.child.port, prefix=prefix, shapes=dict.fromkeys(shapes))
        for door in gateway_doors(child):
            door.await_answer()
            refuse_an_open_door(door)
        child.is_over(within_s=2.5)  # an idle process, seen by the watch
        first_calls = Upstream.read(get(direct.child.port, "/stats").body)
        course = uvloop.run(_run(child, chosen, watch, folder / DOCUMENT, seconds=minutes * 60))
        status = child.end(signal.SIGTERM)
        upstream = Upstream.read(get(direct.child.port, "/stats").body)
        books, unbalanced = read_books(folder), findings(folder)
        store_mb = sum(file.stat().st_size for file in folder.glob("bench.db*")) / 1e6
    booked = {kind.name for kind, _ in chosen.kinds if not kind.is_refused}
    answered = sum(count for name, count in course.tally.whole.items() if name in booked)
    problems = [f"{count} x {what}" for what, count in course.tally.wrong.items()]
    problems += discrepancies(books, upstream, answered=answered + first_calls.done, left=course.tally.left.total())
    if unbalanced:
        problems.append(f"`ledger verify`: {unbalanced[:500]}")
    if status != 0:
        problems.append(f"the gateway ended with status {status}")
    attempts = ", ".join(f"{count} {name}" for name, count in sorted(books.attempts.items()))
    text = (
        table(_HEAD, _growth_rows(course))
        + f"\nThe books: {books.requests} requests; attempts: {attempts}; the upstream saw {upstream.calls} calls and "
        f"answered {upstream.done}; {store_mb * 1000 / books.requests:.2f} MB kept per 1,000 requests.\n\n"
        + table(("kind", "whole answers", "left by the caller", "statuses"), _kind_rows(chosen, course.tally))
        + ("\nWrong:\n\n" + "".join(f"- {problem}\n" for problem in problems) if problems else "\nNothing was wrong.\n")
    )
    return Section(
        name="soak" if mix == "mixed" else f"soak-{mix}",
        title=f"Soak ({mix}: {chosen.troubled_share:.0%} failing, refused or left; {CALLERS} callers at once)",
        n=f"{course.tally.asked} requests and {course.reloads} changes of the document in {course.seconds:.0f} s",
        text=text,
        figures={"readings": [course.before, *course.under, course.after], "problems": problems},
    )


async def _run(child: Child, mix: Mix, watch: Path, document: Path, *, seconds: float) -> Course:
    tally, over, under, reloads = Tally(), asyncio.Event(), list[Reading](), 0
    before, began_at = _read(child, tally, watch), time.monotonic()
    load = asyncio.create_task(knock(child.port, mix, tally, over, callers=CALLERS))
    while (left_s := seconds - (time.monotonic() - began_at)) > 0 and not load.done():
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(load), min(left_s, max(1.0, seconds / _READINGS)))
        under.append(_read(child, tally, watch))
        if time.monotonic() - began_at >= (reloads + 1) * RELOAD_S:
            _change(child, document, reloads)
            reloads += 1
        print(f"{tally.asked:9} asked  RSS {under[-1].rss_mb:.1f} MB  {under[-1].tasks} tasks", file=sys.stderr)
    over.set()
    await load
    taken_s = time.monotonic() - began_at
    watch.with_suffix(COLLECT).touch()
    await asyncio.sleep(REST_S)
    after = _read(child, tally, watch)
    return Course(before=before, under=under, after=after, tally=tally, seconds=taken_s, reloads=reloads)


def _change(child: Child, document: Path, number: int) -> None:
    """Another document, and the word that there is one."""
    before, after = _CHANGES[number % 2], _CHANGES[(number + 1) % 2]
    document.write_text(document.read_text().replace(before, after))
    child.send(signal.SIGHUP)


def _read(child: Child, tally: Tally, watch: Path) -> Reading:
    memory = child.memory()
    tasks, objects = map(int, watch.read_text().split())
    return Reading(
        asked=tally.asked,
        rss_mb=memory.rss_mb,
        pss_mb=memory.pss_mb,
        descriptors=child.descriptors(),
        tasks=tasks,
        objects=objects,
    )


def _growth_rows(course: Course) -> list[tuple[str, ...]]:
    warm, rows = course.warm(), []
    for name, field, digits in _QUANTITIES:
        values = [float(getattr(reading, field)) for reading in warm]
        growth = slope([(reading.asked / 1e6, value) for reading, value in zip(warm, values, strict=True)])
        cells = [float(getattr(reading, field)) for reading in (course.before, warm[0], warm[-1], course.after)]
        rows.append(
            (
                name,
                *(f"{cell:.{digits}f}" for cell in cells),
                _growth_text(growth, median(values), digits),
                _growth_judged(name, growth, median(values), kept=cells[3] - cells[0], asked=warm[-1].asked),
            )
        )
    return rows


def _growth_text(growth: Spread, level: float, digits: int) -> str:
    median, low, high = (f"{value:+.{digits}f}" for value in (growth.median, growth.low, growth.high))
    return f"{median} ({low} to {high}), {growth.median / level:+.1%}"


def _growth_judged(name: str, growth: Spread, level: float, *, kept: float, asked: int) -> str:
    if name == "RSS MB":
        in_percent = Spread(
            median=growth.median / level * 100, low=growth.low / level * 100, high=growth.high / level * 100
        )
        return f"{GROWTH_GOAL:g} % a million: {growth_verdict(in_percent, GROWTH_GOAL)}"
    if name == "tasks":
        return "none left: met" if kept <= 0 else f"{kept:.0f} left at rest: not met"
    if name == "descriptors":
        return f"flat: {'met' if growth.low <= 0 else 'not met'}"
    if name == "tracked objects":
        word = "met" if kept * 1000 / asked <= KEPT_GOAL else "not met"
        return f"{KEPT_GOAL:g} kept a 1,000 requests: {word} ({kept * 1000 / asked:.1f})"
    return "-"


def _kind_rows(mix: Mix, tally: Tally) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for kind, _ in mix.kinds:
        told = {status: count for (name, status), count in sorted(tally.statuses.items()) if name == kind.name}
        statuses = ", ".join(f"{count} x {status}" for status, count in told.items())
        rows.append((kind.name, str(tally.whole[kind.name]), str(tally.left[kind.name]), statuses or "-"))
    return rows
