"""The verb `compare`: models side by side on a prompt or a file of them, or the arms of a split from the books."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from difflib import SequenceMatcher
from pathlib import Path
from typing import Annotated

import typer

from polyroute.cli.client import Client
from polyroute.cli.comparing import Compared, Comparison, Tally, compare_all
from polyroute.cli.moments import moment
from polyroute.cli.prompt import as_chat, prompted
from polyroute.cli.putting import Asker, InProcess, ThroughServer
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    KeyOption,
    UrlOption,
    document_path,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.cli.trials import show as show_trial
from polyroute.cli.trials import trial
from polyroute.config.load import read
from polyroute.learning.trial import Metric
from polyroute.providers.transport import open_transport
from polyroute.types.money import format_usd
from polyroute.wiring.build import open_gateway

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_COMPARED = 4_000  # characters: finding what two texts share takes the square of it


def compare(
    words: Annotated[
        list[str] | None, typer.Argument(help="The prompt; with `-` it is read from standard input.", metavar="PROMPT")
    ] = None,
    models: Annotated[str | None, typer.Option(help="Models or routes, with commas between.", metavar="A,B")] = None,
    batch: Annotated[Path | None, typer.Option(help="JSONL of {id, prompt or messages}.", metavar="FILE")] = None,
    into: Annotated[
        Path | None, typer.Option("--out", help="With --batch: labelled rows; a run goes on where it ended.")
    ] = None,
    judge: Annotated[str | None, typer.Option(help="A model that scores each answer.", metavar="MODEL")] = None,
    max_usd: Annotated[
        float | None,
        typer.Option("--max-usd", min=0, help="With --batch: never more, earlier runs included."),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help="The longest answer.", min=1)] = None,
    split: Annotated[
        str | None, typer.Option(help="A route with `strategy: split`: its arms, from the books.", metavar="ROUTE")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="With --split: requests of the last 24h, 7d, … or since a date.", metavar="WHEN")
    ] = None,
    by: Annotated[Metric, typer.Option(help="With --split: what decides which arm is better.")] = "score",
    margin: Annotated[
        float | None, typer.Option(min=0, help="With --split: stop too where no two arms differ by more than this.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show models or the arms of a split side by side: quality, cost, latency."""
    if split is not None:
        if words or models or batch:
            raise typer.BadParameter("`--split` reads the books; it takes no prompt and no models")
        start = _EVER if since is None else moment(since)
        with told(debug=debug):
            arms = trial(split, config, since=start, by=by, margin=margin)
        if as_json:
            print_json(arms)
        else:
            show_trial(arms)
        return
    named = tuple(dict.fromkeys(name.strip() for name in (models or "").split(",") if name.strip()))
    if len(named) < 2:
        raise typer.BadParameter("name at least two models: `--models a,b` (or the trial: `--split ROUTE`)")
    if (batch is None) != (into is None):
        raise typer.BadParameter("`--batch` and `--out` go together")
    if max_usd is not None and batch is None:
        raise typer.BadParameter("`--max-usd` goes with `--batch`")
    if batch is not None and words:
        raise typer.BadParameter("`--batch` has its prompts in its file")
    logging.getLogger("polyroute").handlers[:] = [logging.NullHandler()]  # told below
    if batch is not None and into is not None:
        cap = None if max_usd is None else Decimal(str(max_usd))
        with told(debug=debug):
            done = asyncio.run(_many(batch, into, named, judge, max_tokens, cap, url, key, config))
        if as_json:
            print_json(done)
        else:
            say(f"{into}: {done.done} prompts done, {done.left} left; ${format_usd(done.cost_usd)} spent")
            if done.stopped:
                say(f"stopped: {done.stopped}")
        raise typer.Exit(1 if done.stopped else 0)
    if len(words or []) > 1:
        raise typer.BadParameter("put the prompt into quotes: it is one word for the shell")
    messages = as_chat(prompted(words, named[0]))["messages"]
    assert isinstance(messages, list)  # `as_chat` makes one
    with told(debug=debug):
        found = asyncio.run(_one(messages, named, judge, max_tokens, url, key, config))
    if as_json:
        print_json(found)
    else:
        _show(found)
    raise typer.Exit(1 if all(said.error for said in found.answers) else 0)


@asynccontextmanager
async def _asker(url: str | None, key: str | None, config: Path | None) -> AsyncIterator[Asker]:
    if url is None:
        async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
            yield InProcess(built)
        return
    transport = open_transport()
    try:
        yield ThroughServer(Client(url, key, transport))
    finally:
        await transport.aclose()


async def _one(
    messages: list[dict[str, object]],
    models: tuple[str, ...],
    judge: str | None,
    max_tokens: int | None,
    url: str | None,
    key: str | None,
    config: Path | None,
) -> Compared:
    async with _asker(url, key, config) as asker:
        return await Comparison(asker, models, judge=judge, max_tokens=max_tokens).of(messages)


async def _many(
    file: Path,
    out: Path,
    models: tuple[str, ...],
    judge: str | None,
    max_tokens: int | None,
    max_usd: Decimal | None,
    url: str | None,
    key: str | None,
    config: Path | None,
) -> Tally:
    async with _asker(url, key, config) as asker:
        comparison = Comparison(asker, models, judge=judge, max_tokens=max_tokens)
        return await compare_all(comparison, file, out, max_usd)


def _show(found: Compared) -> None:
    for said in found.answers:
        say(f"── {said.model}\n{said.text or said.error}\n")
    first = found.answers[0].text
    print_table(
        ("model", "cost", "ms", "tokens out", "score", f"like {found.answers[0].model}"),
        [
            (
                said.model,
                "unknown" if said.cost_usd is None else f"${format_usd(said.cost_usd)}",
                f"{said.latency_ms:.0f}",
                "unknown" if said.output_tokens is None else str(said.output_tokens),
                "-" if said.score is None else f"{said.score:.2f}",
                "-" if said.error else f"{_likeness(first, said.text):.0%}",
            )
            for said in found.answers
        ],
    )
    if found.judge_usd is not None:
        say(f"the judge cost ${format_usd(found.judge_usd)}")


def _likeness(one: str, other: str) -> float:
    """Of words: 1 for the same text."""
    first, second = (text[:_LONGEST_COMPARED].split() for text in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
