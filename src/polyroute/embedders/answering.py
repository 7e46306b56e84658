"""The child's side of `worker.py`: answers questions until its input ends. Imports nothing that takes long."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import orjson

Answer = tuple[Mapping[str, object], bytes]  # what is told, and the bytes that go with it


def answer(kinds: Mapping[str, Callable[[dict[str, Any]], Answer]]) -> None:
    """Only a fault that the question itself brought is told; any other ends the process, and is seen by that."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        data = b""
        try:
            told, data = kinds[asked["ask"]](asked)
        except (ValueError, OSError, ImportError) as exc:
            told = {"fault": str(exc) or type(exc).__name__}
        replies.write(orjson.dumps({**told, "bytes": len(data)}) + b"\n" + data)
        replies.flush()
