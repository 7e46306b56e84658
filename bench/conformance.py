"""How much of the conformance corpus passes, in every direction: API by direction by the other side.

A count rather than a measurement: a turn passes where what was asked and answered arrives, or is refused because the
other API has no such thing. `tests/conformance/test_every_direction.py` wants all of them.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter
from pathlib import Path

from tests.conformance.directions import APIS, IN_KIND, RECORDED, directions, outcome, rows, running

from bench.processes import BenchError
from bench.report import Section, table

_Turn = tuple[str, str, str]  # direction, the API of the exchange, the API on the other side


def conformance() -> Section:
    """Raises BenchError where the recordings are not here."""
    if not RECORDED.exists():
        raise BenchError(f"the recordings are not here: {RECORDED}")
    logging.disable(logging.WARNING)  # the gateway's own words on recorded failures
    try:
        asked, passed, faults = asyncio.run(_count())
    finally:
        logging.disable(logging.NOTSET)
    turns = sum(asked.values())
    lines = [table(["of", "direction", *APIS], _lines(asked, passed))]
    lines += [f"\n- {fault}" for fault in faults]
    return Section(
        name="conformance",
        title="Conformance: every exchange in every direction",
        n=f"{turns} turns of {len(rows(RECORDED))} recorded exchanges and {len(rows(IN_KIND))} of our own, each once",
        text="".join(lines),
        figures={
            "passed": sum(passed.values()),
            "turns": turns,
            "by_turn": {" ".join(turn): [passed[turn], count] for turn, count in asked.items()},
        },
    )


async def _count() -> tuple[Counter[_Turn], Counter[_Turn], list[str]]:
    asked: Counter[_Turn] = Counter()
    passed: Counter[_Turn] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as (rig, provider):
            for case in (*rows(RECORDED), *rows(IN_KIND)):
                for direction, other in directions(case):
                    turn = direction, case["api"], other
                    asked[turn] += 1
                    fault = await outcome(rig, provider, case, direction, other)
                    passed[turn] += fault is None
                    if fault is not None:
                        faults.append(f"{' '.join(turn)}: {case['id']}: {fault}")
    return asked, passed, faults


def _lines(asked: Counter[_Turn], passed: Counter[_Turn]) -> list[list[str]]:
    """A line for each API and direction: n passed of n, by the API on the other side."""
    return [
        [f"`{api}`", direction, *(_cell(asked, passed, (direction, api, other)) for other in APIS)]
        for api in APIS
        for direction in ("same", "answer", "question")
    ]


def _cell(asked: Counter[_Turn], passed: Counter[_Turn], turn: _Turn) -> str:
    return f"{passed[turn]} of {asked[turn]}" if asked[turn] else "–"
