"""The verb `demo`: makes a document of simulated models, serves it, sends our prompts through it, shows the figures."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from polyroute.cli.demo.figures import Policy, policies
from polyroute.cli.demo.traffic import ClientName, Prompt, open_sender, prompts, send_all
from polyroute.cli.serving import startable
from polyroute.cli.shell import DebugOption, JsonOption, err, fail, print_json, print_table, progress, say, told
from polyroute.config.load import Loaded
from polyroute.errors import PolyrouteError
from polyroute.server.serve import listen, run
from polyroute.wiring.serving import serve_document
from polyroute.wiring.stores import open_store

_HOST = "127.0.0.1"
_DOCUMENT = "polyroute.yaml"
_STORE = "polyroute.db"


def demo(
    once: Annotated[bool, typer.Option("--once", help="Leave after the table.")] = False,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 4000,
    client: Annotated[
        ClientName, typer.Option(help="Who sends the prompts: our own client, or OpenAI's SDK.")
    ] = "builtin",
    limit: Annotated[int | None, typer.Option(help="This many prompts; else all 300.", min=1)] = None,
    folder: Annotated[Path, typer.Option(help="Where its document and store are made afresh.")] = Path(".demo"),
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what routing does: prompts of ours through a gateway of simulated models."""
    with told(debug=debug):
        try:
            listen(_HOST, port).close()
        except OSError as exc:
            fail(f"port {port} cannot be used: {exc.strerror}; `--port 0` takes a free one")
        loaded = startable(_made_afresh(folder), host=_HOST, port=port, workers=None)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: as Ctrl-C, with everything closed
        try:
            run(lambda: _demonstrate(loaded, prompts(limit), client, once=once, as_json=as_json))
        except KeyboardInterrupt:
            raise typer.Exit from None  # that is how serving ends


def _made_afresh(folder: Path) -> Path:
    """The demo's document in `folder`, without the books of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{_STORE}*"):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    document = folder / _DOCUMENT
    document.write_bytes(files("polyroute.cli.demo").joinpath("data", _DOCUMENT).read_bytes())
    return document


async def _demonstrate(loaded: Loaded, wanted: list[Prompt], client: ClientName, *, once: bool, as_json: bool) -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def on_ready(address: str) -> None:
        ready.set_result(address)

    serving = asyncio.create_task(serve_document(loaded, os.environ, on_ready))
    showing = asyncio.create_task(_show(ready, loaded, wanted, client, as_json=as_json))
    try:
        await asyncio.wait((serving, showing), return_when=asyncio.FIRST_COMPLETED)
        if not showing.done():
            await serving  # it ended early: the reason is raised here
        elif (address := showing.result()) and not once:
            err.print(f"polyroute demo: serving on {address}; Ctrl-C ends it")
            await serving
    finally:
        for task in (showing, serving):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def _show(
    ready: asyncio.Future[str], loaded: Loaded, wanted: list[Prompt], client: ClientName, *, as_json: bool
) -> str:
    """Returns the gateway's address."""
    address = await ready
    err.print(f"polyroute demo: {address}; every model is SIMULATED, no provider is called")
    sender = open_sender(client, address)
    try:
        with progress(len(wanted) * 3, f"prompts through three routes by {client} client") as steps:
            sent = await send_all(wanted, sender, steps.advance)
    except* PolyrouteError as exc:
        raise exc.exceptions[0] from None
    finally:
        await sender.aclose()
    with open_store(loaded.document, loaded.folder).open_books() as books:
        found = policies(books.entries(), sent)
    if as_json:
        print_json({"address": address, "simulated": True, "prompts": len(wanted), "policies": found})
    else:
        _tables(found, wanted)
    return address


def _tables(found: list[Policy], wanted: list[Prompt]) -> None:
    written = Counter(prompt.difficulty for prompt in wanted)
    shares = ", ".join(f"{count / len(wanted):.0%} {difficulty}" for difficulty, count in written.items())
    say(f"\n{len(wanted)} prompts through each policy, written as {shares}\n")
    columns = ("policy", "$ per million requests", "p50 ms", "p95 ms", "quality (95 %)", "saved against the baseline")
    print_table(columns, [_row(policy) for policy in found])
    say("")
    models = sorted({part.name for policy in found for part in policy.mix})
    print_table(("share of requests (of cost)", *models), [_mix(policy, models) for policy in found])
    baseline = next((policy.baseline for policy in found if policy.baseline), "none")
    say(
        f"\nBaseline: {baseline} for every request, at the tokens really used. Cost, latency, mix and saving are the "
        "ledger's own rows.\nSimulated: quality is each model's stated chance to answer well, counted in its answers; "
        "latencies are a twentieth of\ntypical ones; prices are declared in the document."
    )


def _row(policy: Policy) -> tuple[str, ...]:
    quality = policy.quality
    return (
        policy.name,
        f"{policy.usd_per_million_requests:,.2f}",
        f"{policy.p50_ms:.0f}",
        f"{policy.p95_ms:.0f}",
        f"{quality.share:.1%} ({quality.low:.1%} to {quality.high:.1%}, n={quality.of})",
        "unknown" if policy.saved_share is None else f"{policy.saved_share:+.1%} of {policy.baseline}",
    )


def _mix(policy: Policy, models: list[str]) -> tuple[str, ...]:
    parts = {part.name: part for part in policy.mix}
    cells = []
    for model in models:
        part = parts.get(model)
        cells.append("-" if part is None else f"{part.request_share:.1%} ({part.cost_share or 0:.1%})")
    return (policy.name, *cells)
