"""What every verb shares: the options they all have, exit codes, one message per error, tables or JSON.

Exit codes: 0 done, 1 a problem was found, 2 wrong usage.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from polyroute.errors import ConfigError, PolyrouteError
from polyroute.types.encoding import to_json

DEFAULT_DOCUMENT = "polyroute.yaml"

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The document; else $POLYROUTE_CONFIG, else ./polyroute.yaml.", metavar="FILE"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where an error came from.")]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def document_path(given: Path | None) -> Path:
    return given or Path(os.environ.get("POLYROUTE_CONFIG") or DEFAULT_DOCUMENT)


def fail(message: str) -> NoReturn:
    """Exit 1: a problem was found."""
    err.print(f"polyroute: {message}", style=None, markup=False)
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
            err.print(f"polyroute: {problem}", markup=False)
        raise typer.Exit(1) from None
    except PolyrouteError as exc:
        if debug:
            raise
        fail(exc.message)
    except OSError as exc:
        if debug:
            raise
        fail(f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc))


def print_json(value: object) -> None:
    sys.stdout.write(to_json(value).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """The first column to the left, figures to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
