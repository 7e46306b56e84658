"""Runs a Python script as it would run by itself, and writes what only the process knows beside it every second.

`python -P watched.py FILE SCRIPT ARGS…`: FILE holds one line, the tasks not yet done and the objects that the garbage
collector tracks. Taking it holds the interpreter for some ten milliseconds, which is why nothing is timed under it.
Once FILE.collect exists, garbage is collected first: what is left then is held by somebody.
"""

from __future__ import annotations

import asyncio
import gc
import runpy
import sys
import threading
from pathlib import Path

EVERY_S = 1.0
COLLECT = ".collect"


def main() -> None:
    file, script, *arguments = sys.argv[1:]
    sys.argv = [script, *arguments]
    threading.Thread(target=_watch, args=(Path(file),), daemon=True).start()
    runpy.run_path(script, run_name="__main__")


def _watch(file: Path) -> None:
    pause = threading.Event()
    scratch, collects = file.with_suffix(".new"), file.with_suffix(COLLECT)
    while not pause.wait(EVERY_S):
        if collects.exists():
            gc.collect()
        tracked = gc.get_objects()
        tasks = sum(not one.done() for one in tracked if type(one) is asyncio.Task)
        scratch.write_text(f"{tasks} {len(tracked)}")
        del tracked
        scratch.replace(file)


if __name__ == "__main__":
    main()
