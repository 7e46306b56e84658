"""Child processes: start one on loopback, await its first answer, read what its tree costs, end it.

CPU comes from the kernel's schedstat (nanoseconds per thread); memory is PSS, which counts shared pages once.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CACHED_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Environment under which Python keeps what it compiled, as an installed package does, whatever ours says."""


class BenchError(Exception):
    """The bench cannot go on; the message says what is missing or wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    status: int
    body: bytes


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One request on a connection of its own."""
    return _ask(port, "POST", path, body, headers)


def get(port: int, path: str) -> Answer:
    return _ask(port, "GET", path, None, {})


def _ask(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read())
    finally:
        connection.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Of a process tree, in megabytes of 10^6 bytes: resident, and with shared pages counted once (proportional)."""

    rss_mb: float
    pss_mb: float


class Child:
    """One started command and its descendants, ended when the `with` block is left."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._log = folder / f"{name}.log"
        self._started_at = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGTERM)

    def await_answer(self, path: str, body: bytes, headers: Mapping[str, str], *, limit_s: float = 30.0) -> float:
        """Seconds from the start of the process to its first 200 on `path`."""
        last: object = "nothing listened"
        while time.monotonic() - self._started_at < limit_s:
            try:
                answer = post(self.port, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                last = error
            else:
                if answer.status == 200:
                    return time.monotonic() - self._started_at
                last = f"{answer.status} {answer.body[:500]!r}"
            if self.is_over(within_s=0.003):
                raise BenchError(f"{self.name} ended with {self._process.returncode}:\n{self.log_tail()}")
        raise BenchError(f"{self.name} gave no 200 in {limit_s:.0f} s; last: {last}\n{self.log_tail()}")

    def is_over(self, *, within_s: float) -> bool:
        """Waits that long for the process to end by itself."""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def cpu_s(self) -> dict[int, float]:
        """CPU seconds so far of each thread of the tree, by thread id."""
        seconds = {}
        for task in (task for pid in self._tree() for task in Path(f"/proc/{pid}/task").glob("*")):
            try:
                seconds[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except OSError:  # the thread ended between the listing and the reading
                continue
        return seconds

    def memory(self) -> Memory:
        kilobytes = {"Rss:": 0, "Pss:": 0}
        for pid in self._tree():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:  # the process ended between the listing and the reading
                continue
            for name, _, rest in (line.partition(" ") for line in rollup.splitlines()):
                if name in kilobytes:
                    kilobytes[name] += int(rest.split()[0])
        return Memory(rss_mb=kilobytes["Rss:"] * 1024 / 1e6, pss_mb=kilobytes["Pss:"] * 1024 / 1e6)

    def descriptors(self) -> int:
        """Open files and sockets of the tree."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self._tree())

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, first: signal.Signals, *, grace_s: float = 8.0) -> int:
        """Asks the process to stop with `first`; whatever of its session is left after that is killed. Its status."""
        if self._process.poll() is None:
            self._process.send_signal(first)
            self.is_over(within_s=grace_s)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def _tree(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                stat = (process / "stat").read_text()
            except OSError:  # the process ended between the listing and the reading
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(process.name))
        tree = [self._process.pid]
        for pid in tree:  # grows while it is walked: breadth first
            tree += children.get(pid, [])
        return tree


def machine() -> str:
    """The machine in general words: cores, CPU family, memory."""
    names = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    family = " ".join(_words_before_a_number(names[0])) if names else "CPU family unknown"
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({family}), {gib:.0f} GiB"


def _words_before_a_number(name: str) -> list[str]:
    words = name.replace("(R)", "").replace("(TM)", "").split()
    first = next((index for index, word in enumerate(words) if any(letter.isdigit() for letter in word)), len(words))
    return words[:first]
