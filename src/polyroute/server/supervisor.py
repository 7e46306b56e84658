"""The process above the workers of one gateway: starts them, replaces those that die, passes signals on, ends last.

It serves nothing and runs no event loop, so that a worker can be forked from it at any time. SIGTERM and SIGINT end
the workers, each after what it has under way; SIGHUP is theirs. A worker whose supervisor dies ends by itself: it hears
the end of a pipe.
"""

import gc
import logging
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from msgspec import Struct

from polyroute.server.shifts import Shifts

_LOG = logging.getLogger("polyroute.workers")
_HANDLED: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
ENDING = (signal.SIGTERM, signal.SIGINT)
_READY, _CHANGED = b"r", b"c"


class Line(Struct, frozen=True):
    """What one worker has of its supervisor."""

    life: int  # a pipe that ends with the supervisor
    words: int  # a pipe to it

    def ready(self) -> None:
        self._say(_READY)

    def changed(self) -> None:
        """Another document is in force: successors begin with it."""
        self._say(_CHANGED)

    def _say(self, word: bytes) -> None:
        try:
            os.write(self.words, word)
        except OSError as fault:  # it is gone, and so will this worker be
            _LOG.debug("the supervisor does not hear: %s", fault)


class Supervisor:
    """`run` it once, in the main thread of a process without others."""

    def __init__(
        self,
        count: int,
        work: Callable[[int, Line], int],
        *,
        opened: Callable[[], object],
        changed: Callable[[], object],
        patience_s: float,
    ) -> None:
        """`work`: a worker's whole life, in its process; its exit status. `opened`: all serve; `changed`: a worker has
        another document. Whoever has not ended after `patience_s` is killed.
        """
        self._count = count
        self._work = work
        self._opened = opened
        self._changed = changed
        self._patience_s = patience_s
        self._shifts = Shifts(count, time.monotonic())
        self._listening = selectors.DefaultSelector()
        self._words: dict[int, int] = {}  # each worker's pipe, by its number
        self._life: tuple[int, int] = (-1, -1)
        self._signals: tuple[int, int] = (-1, -1)
        self._until_s: float | None = None  # all end; then they are killed
        self._is_killing = False
        self._status = 0

    def run(self) -> int:
        """The exit status: 0 where every worker ended well."""
        self._life, self._signals = os.pipe(), os.pipe()
        for end in self._signals:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._signals[1], warn_on_full_buffer=False)
        for handled in _HANDLED:
            signal.signal(handled, _noted)
        self._listening.register(self._signals[0], selectors.EVENT_READ)
        gc.collect()
        gc.freeze()  # what workers share with us stays shared
        while self._until_s is None or self._shifts.pids:
            for number in self._shifts.due(time.monotonic()):
                self._start(number)
            self._hear()
            self._bury()
            if not self._is_killing and self._until_s is not None and time.monotonic() >= self._until_s:
                self._kill()
        return self._status

    def _hear(self) -> None:
        heard = {key.fd for key, _ in self._listening.select(self._wait_s())}
        is_changed = False
        for number, words in list(self._words.items()):
            if words in heard:
                said = os.read(words, 64)
                if not said:
                    self._hang_up(number)
                if _READY in said and self._shifts.ready(number, time.monotonic()):
                    self._opened()
                is_changed = is_changed or _CHANGED in said
        if is_changed:
            self._changed()
        if self._signals[0] in heard:
            for caught in os.read(self._signals[0], 64):
                self._pass_on(signal.Signals(caught))

    def _wait_s(self) -> float | None:
        if self._until_s is not None:
            return None if self._is_killing else max(self._until_s - time.monotonic(), 0.0)
        return self._shifts.next_s(time.monotonic())

    def _pass_on(self, caught: signal.Signals) -> None:
        if caught == signal.SIGCHLD:
            return
        if caught in ENDING:
            self._end(caught)
        elif self._until_s is None:
            self._tell(caught)

    def _end(self, by: signal.Signals) -> None:
        if self._until_s is None:
            self._until_s = time.monotonic() + self._patience_s
            self._shifts.stop()
        self._tell(by)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._shifts.pids:
            os.kill(pid, number)  # ours, and not waited for yet: so it is no other process

    def _kill(self) -> None:
        _LOG.error("workers did not end within %.0f s and are killed", self._patience_s)
        self._is_killing = True
        self._tell(signal.SIGKILL)

    def _bury(self) -> None:
        while self._shifts.pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            number = self._shifts.number_of(pid)
            if number is not None:
                self._gone(number, pid, os.waitstatus_to_exitcode(status))

    def _gone(self, number: int, pid: int, status: int) -> None:
        """`status`: below zero where a signal ended it."""
        self._hang_up(number)
        died = self._shifts.died(number, time.monotonic())
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        if self._until_s is not None:
            self._shifts.stop()
            if status:
                self._status = self._status or max(status, 1)
                _LOG.warning("worker %d (%d) ended %s", number, pid, how)
            return
        if died.ends_all:
            self._status = status if status > 0 else 1
            _LOG.log(logging.ERROR if status <= 0 else logging.DEBUG, "worker %d (%d) ended %s", number, pid, how)
            self._end(signal.SIGTERM)
            return
        soon = f"in {died.pause_s:.1f} s" if died.pause_s else "at once"
        _LOG.warning("worker %d (%d) ended %s; another takes its place %s", number, pid, how, soon)

    def _hang_up(self, number: int) -> None:
        words = self._words.pop(number, None)
        if words is not None:
            self._listening.unregister(words)
            os.close(words)

    def _start(self, number: int) -> None:
        words, said = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)  # one that came in between would be lost in the child
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            self._become(number, Line(self._life[0], said), words)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        os.close(said)
        self._words[number] = words
        self._listening.register(words, selectors.EVENT_READ)
        self._shifts.started(number, pid, time.monotonic())

    def _become(self, number: int, line: Line, words: int) -> NoReturn:
        """The worker, in its own process. Ctrl-C in a terminal is for the supervisor, which passes it on."""
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it follows the document
            for ending in ENDING:
                signal.signal(ending, _leave)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            self._listening.close()
            for end in (*self._signals, *self._words.values(), words, self._life[1]):
                os.close(end)
            status = self._work(number, line)
        finally:
            if sys.exception() is not None:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _leave(number: int, frame: object) -> None:
    """A worker that serves nothing yet has nothing to finish; whoever makes it serve takes the signals over."""
    os._exit(0)


def _noted(number: int, frame: object) -> None:
    """The pipe of signals has it."""
