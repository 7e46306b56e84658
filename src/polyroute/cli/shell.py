"""What every verb shares: the options they all have, exit codes, one message per error, tables or JSON.

Exit codes: 0 done, 1 a problem was found, 2 wrong usage.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from polyroute.errors import ConfigError, PolyrouteError
from polyroute.types.encoding import to_json

DEFAULT_DOCUMENT = "polyroute.yaml"
_PIPE_WIDTH = 200  # columns; a table in a pipe is not folded to a terminal that is not there
_PIPE_STEPS = 10  # lines that tell the progress of long work in a pipe

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The document; else $POLYROUTE_CONFIG, else ./polyroute.yaml.", metavar="FILE"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where an error came from.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Through the server at this address, not in this process.", metavar="URL")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", envvar="POLYROUTE_KEY", help="With --url: the caller's key.", metavar="KEY")
]


def _console(stream_is_terminal: bool, *, stderr: bool) -> Console:
    width = None if stream_is_terminal else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=True, markup=False, emoji=False)


out = _console(sys.stdout.isatty(), stderr=False)
err = _console(sys.stderr.isatty(), stderr=True)


def document_path(given: Path | None) -> Path:
    return given or Path(os.environ.get("POLYROUTE_CONFIG") or DEFAULT_DOCUMENT)


def fail(message: str) -> NoReturn:
    """Exit 1: a problem was found."""
    err.print(f"polyroute: {message}")
    raise typer.Exit(1)


@contextmanager
def told(*, debug: bool = False) -> Iterator[None]:
    """Errors as one message with the fix, never a traceback."""
    try:
        yield
    except ConfigError as exc:
        if debug:
            raise
        for problem in exc.problems:
            err.print(f"polyroute: {problem}")
        raise typer.Exit(1) from None
    except PolyrouteError as exc:
        if debug:
            raise
        fail(exc.message)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its exit
        raise typer.Exit(1) from None
    except OSError as exc:
        if debug:
            raise
        fail(f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc))


def say(text: str) -> None:
    """A line of text as it is, whatever marks it holds."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    say(to_json(value).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """The first column to the left, figures to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


@contextmanager
def progress(total: int, what: str) -> Iterator["Steps"]:
    """Tells how far long work has come: a bar on a terminal, a few plain lines in a pipe. On stderr."""
    if not sys.stderr.isatty():
        yield Steps(total, what, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        yield Steps(total, what, bar)


class Steps:
    """Counts finished pieces of work."""

    def __init__(self, total: int, what: str, bar: Progress | None) -> None:
        self._total = total
        self._what = what
        self._done = 0
        self._bar = bar
        self._task = bar.add_task(what, total=total) if bar else None

    def advance(self) -> None:
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        elif self._done * _PIPE_STEPS // self._total > (self._done - 1) * _PIPE_STEPS // self._total:
            err.print(f"{self._what}: {self._done} of {self._total}")
