"""The verb `route`: the dry run of one prompt, or of a file of them. No model is called."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from polyroute.cli.client import Client
from polyroute.cli.prompt import ModelOption, TaskOption, VarOption, WordsArgument, as_chat, prompted
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    KeyOption,
    UrlOption,
    document_path,
    print_json,
    print_table,
    progress,
    say,
    told,
)
from polyroute.config.load import read
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import InvalidRequest
from polyroute.journey import Entry
from polyroute.preview import Preview, preview
from polyroute.providers.transport import open_transport
from polyroute.types.access import Caller
from polyroute.types.encoding import to_json
from polyroute.types.money import format_usd
from polyroute.types.receipt import CandidateNote
from polyroute.types.request import Request
from polyroute.wiring.build import Built, open_gateway

_CALLER = Caller(user="cli")
_DIALECT = OpenAIChat()

RowId = str | int


class Asked(Struct, kw_only=True):
    """One row of a batch."""

    id: RowId | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None


_ROW = msgspec.json.Decoder(Asked)


def route(
    words: WordsArgument = None,
    model: ModelOption = None,
    name: Annotated[str | None, typer.Option("--route", help="As --model.", metavar="NAME")] = None,
    task: TaskOption = None,
    var: VarOption = None,
    batch: Annotated[Path | None, typer.Option(help="JSONL of {id, prompt} or {id, messages, tools}.")] = None,
    into: Annotated[Path | None, typer.Option("--out", help="With --batch: the decisions; else stdout.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what would be decided for a prompt; no model is called."""
    if batch is not None:
        if words or url:
            raise typer.BadParameter("`--batch` decides the prompts of its file, in this process")
        with told(debug=debug):
            decisions = asyncio.run(_decide_all(batch, name or model or "auto", task, config))
            if into is None:
                sys.stdout.buffer.write(decisions)
            else:
                into.write_bytes(decisions)
        return
    if into is not None:
        raise typer.BadParameter("`--out` goes with `--batch`")
    request = prompted(words, name or model, var=var)
    with told(debug=debug):
        found = asyncio.run(_remote(request, task, url, key) if url else _local(request, task, config))
    if as_json:
        print_json(found)
    else:
        _show(found)


async def _local(request: Request, task: str | None, config: Path | None) -> Preview:
    async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
        return await _decide(built, request, task)


async def _remote(request: Request, task: str | None, url: str, key: str | None) -> Preview:
    transport = open_transport()
    try:
        body = as_chat(request)
        if task is not None:
            body["metadata"] = {"task": task}
        answer = await Client(url, key, transport).post("/v1/route", body)
        return msgspec.convert(answer.body, Preview, strict=False)
    finally:
        await transport.aclose()


async def _decide(built: Built, request: Request, task: str | None) -> Preview:
    entry = Entry(request_id="dry-run", arrived_s=time.monotonic(), door="python", task=task)
    return preview(await built.path.foresee(request, _CALLER, entry))


# ── many ──────────────────────────────────────────────────────────────────────────────────────────────


async def _decide_all(file: Path, route_name: str, task: str | None, config: Path | None) -> bytes:
    """A line for each row, in their order."""
    requests = list(_requests(file, route_name))
    lines = []
    async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
        with progress(len(requests), "decided") as steps:
            for row_id, request in requests:
                lines.append(_line(row_id, await _decide(built, request, task)))
                steps.advance()
    return b"".join(lines)


def _requests(file: Path, route_name: str) -> Iterator[tuple[RowId, Request]]:
    """Raises InvalidRequest naming the line."""
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
            messages = row.messages or None
            if messages is None and row.prompt is not None:
                messages = [{"role": "user", "content": row.prompt}]
            if messages is None:
                raise InvalidRequest("there is neither `prompt` nor `messages`")
            body: dict[str, object] = {
                "model": route_name,
                "messages": messages,
                **({"tools": row.tools} if row.tools else {}),
            }
            yield row.id if row.id is not None else number, _DIALECT.parse_request(body, {})
        except (msgspec.DecodeError, InvalidRequest) as exc:
            raise InvalidRequest(f"{file}:{number}: {exc}") from exc


def _line(row_id: RowId, found: Preview) -> bytes:
    """The first deployment of a model speaks for it."""
    declared = {note.model: note.quality for note in reversed(found.candidates) if note.quality is not None}
    costs = {note.model: note.expected_usd for note in reversed(found.candidates) if note.expected_usd is not None}
    told = {
        "id": row_id,
        "model": found.model,
        "scores": found.scores or declared,
        "cost_usd": costs,
        "abstained": found.abstained or found.model is None,
    }
    return to_json(told) + b"\n"


# ── one ───────────────────────────────────────────────────────────────────────────────────────────────


def _show(found: Preview) -> None:
    task = f", task {found.task}" if found.task else ""
    say(f"{found.complexity}, score {found.score:.2f} ({found.classifier}{task}); {found.input_tokens} input tokens")
    for item in found.evidence:
        say(f"  {item.weight:+.2f}  {item.feature}" + (f"  “{item.span}”" if item.span else ""))
    say(f"route {found.route}, strategy {found.strategy}: {found.model or 'no model'}")
    say(f"  {found.reason}")
    say(
        f"  estimated {_usd(found.estimated_cost_usd)} for the request, "
        f"{_usd(found.estimated_cost_per_1k)} per 1,000 input tokens"
    )
    say(f"  plan: {' → '.join(found.plan) or 'none'}\n")
    columns = ("candidate", "expected", "worst case", "latency ms", "quality")
    print_table(columns, [_candidate(note) for note in found.candidates])
    if found.exclusions:
        say("")
        print_table(("excluded", "because"), [(item.deployment, item.reason) for item in found.exclusions])


def _candidate(note: CandidateNote) -> tuple[str, ...]:
    return (
        note.deployment,
        _usd(note.expected_usd),
        _usd(note.worst_usd),
        "unknown" if note.latency_ms is None else f"{note.latency_ms:.0f}",
        "unknown" if note.quality is None else f"{note.quality:g}",
    )


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${format_usd(amount)}"
