"""`python -m tests.simulation`: many histories, bounded by time; prints each seed that breaks an invariant, and how to
tell it again. `--mutants`: how many seeded bugs are found, each by the first histories.
"""

import argparse
import json
import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence

from tests.simulation.mutants import MUTANTS, mutated
from tests.simulation.world import Violation, World, run

_BATCH = 50


def _quietly() -> None:
    """What a killed process had under way is never closed, and Python would say so of each."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None


def _histories(seeds: Sequence[int]) -> tuple[int, int, list[tuple[int, str]]]:
    """Histories told, steps, and what broke."""
    worlds: list[World] = []  # kept: what was killed must not be closed meanwhile
    broken: list[tuple[int, str]] = []
    for seed in seeds:
        try:
            worlds.append(run(seed))
        except Violation as breach:
            broken.append((seed, str(breach)))
    return len(seeds), sum(world.loop.steps for world in worlds), broken


def _batch(seeds: Sequence[int], told: "multiprocessing.connection.Connection") -> None:
    """In a process of its own, which ends without closing anything."""
    _quietly()
    told.send(_histories(seeds))
    told.close()
    os._exit(0)


def _in_processes(first: int, count: int, jobs: int, until: float) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    starts = iter(range(first, first + count, _BATCH))
    running: list[tuple[multiprocessing.Process, multiprocessing.connection.Connection]] = []
    while True:
        while len(running) < jobs and time.monotonic() < until and (start := next(starts, None)) is not None:
            mine, theirs = multiprocessing.Pipe(duplex=False)
            seeds = range(start, min(start + _BATCH, first + count))
            process = multiprocessing.Process(target=_batch, args=(seeds, theirs))
            process.start()
            theirs.close()
            running.append((process, mine))
        if not running:
            return
        process, mine = running.pop(0)
        try:
            yield mine.recv()
        except EOFError:
            yield 0, 0, [(first, "the process that told them died, as its own words say above")]
        process.join()


def _find_mutants(histories: int) -> dict[str, int | None]:
    """Of each the first history that broke; None where none did."""
    found: dict[str, int | None] = {}
    worlds: list[World] = []
    for name in MUTANTS:
        found[name] = None
        with mutated(name):
            for seed in range(histories):
                try:
                    worlds.append(run(seed))
                except Violation:
                    found[name] = seed
                    break
    return found


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    options.add_argument("--seed", type=int, default=0, help="the first history's")
    options.add_argument("--count", type=int, default=10_000, help="histories at most")
    options.add_argument("--minutes", type=float, default=5.0, help="no history is begun after that")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--mutants", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    _quietly()
    if chosen.mutants:
        found = _find_mutants(min(chosen.count, 150))
        missed = [name for name, seed in found.items() if seed is None]
        print(json.dumps({"bugs": len(found), "found": len(found) - len(missed), "missed": missed}))
        sys.stdout.flush()
        os._exit(0)
    began, told, steps, broken = time.monotonic(), 0, 0, list[tuple[int, str]]()
    for count, more, wrong in _in_processes(chosen.seed, chosen.count, chosen.jobs, began + chosen.minutes * 60):
        told, steps = told + count, steps + more
        broken += wrong
        for seed, breach in wrong:
            print(
                f"seed {seed}: {breach}\n  again: python -m tests.simulation --seed {seed} --count 1", file=sys.stderr
            )
        if not chosen.json and told % 500 < _BATCH:
            print(f"{told:7} histories, {steps:10} steps, {len(broken)} broken", file=sys.stderr)
    taken_s = time.monotonic() - began
    figures = {"first_seed": chosen.seed, "histories": told, "steps": steps, "seconds": round(taken_s, 1)}
    print(json.dumps({**figures, "broken": broken}))
    sys.stdout.flush()
    os._exit(1 if broken else 0)


if __name__ == "__main__":
    main()
