"""The verb `ask`: one prompt, in this process or through a server.

The answer is on stdout, how it came about on stderr.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from polyroute.cli.client import Client
from polyroute.cli.prompt import ModelOption, SystemOption, TaskOption, VarOption, WordsArgument, as_chat, prompted
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    KeyOption,
    UrlOption,
    document_path,
    err,
    print_json,
    say,
    told,
)
from polyroute.config.load import read
from polyroute.journey import Entry
from polyroute.providers.transport import open_transport
from polyroute.server.headers import report
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.response import TextDelta
from polyroute.wiring.build import open_gateway

_CALLER = Caller(user="cli")
_MONEY = ("cost_usd", "saved_usd")

Report = dict[str, Any]  # what is known of an answer: the members of the receipt's short form


def ask(
    words: WordsArgument = None,
    model: ModelOption = None,
    system: SystemOption = None,
    task: TaskOption = None,
    var: VarOption = None,
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help="The longest answer.", min=1)] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it arrives.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Put one prompt to a model or route."""
    request = prompted(words, model, system=system, max_output_tokens=max_tokens, var=var)
    request = replace(request, stream=stream and not as_json)
    known: Report = {}
    logging.getLogger("polyroute").handlers[:] = [logging.NullHandler()]  # the line on stderr tells it
    with told(debug=debug):
        pieces = _remote(request, task, url, key, known) if url else _local(request, task, config, known)
        started_s = time.monotonic()
        answer = asyncio.run(_shown(pieces, silent=as_json))
        seconds = time.monotonic() - started_s
    if as_json:
        print_json({"output": answer, **_typed(known), "seconds": round(seconds, 3)})
    else:
        err.print(_line(known, seconds))


async def _shown(pieces: AsyncGenerator[str, None], *, silent: bool) -> str:
    """Everything said, printed as it comes."""
    answer = ""
    async with aclosing(pieces):
        async for piece in pieces:
            answer += piece
            if not silent:
                sys.stdout.write(piece)
                sys.stdout.flush()
    if not silent and not answer.endswith("\n"):
        say("")
    return answer


async def _remote(
    request: Request, task: str | None, url: str, key: str | None, known: Report
) -> AsyncGenerator[str, None]:
    transport = open_transport()
    try:
        client, body = Client(url, key, transport), as_chat(request)
        if task is not None:
            body["metadata"] = {"task": task}
        if request.stream:
            async with aclosing(client.stream(body, known)) as pieces:
                async for piece in pieces:
                    yield piece
        else:
            answer = await client.post("/v1/chat/completions", body)
            known.update(answer.report)
            yield answer.text
    finally:
        await transport.aclose()


async def _local(request: Request, task: str | None, config: Path | None, known: Report) -> AsyncGenerator[str, None]:
    async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
        entry = Entry(request_id=built.services.new_request_id(), arrived_s=time.monotonic(), door="python", task=task)
        if request.stream:
            live = await built.path.stream(request, _CALLER, entry)
            async with aclosing(live.chunks()) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, TextDelta):
                        yield chunk.text
            known.update(_reported(live.receipt))
        else:
            answer = await built.path.answer(request, _CALLER, entry)
            known.update(_reported(answer.receipt))
            yield built.path.read(request, answer.reply).text


def _reported(receipt: Receipt) -> Report:
    seen = receipt.classification
    return {
        **report(receipt),
        "route": receipt.route,
        "strategy": receipt.strategy,
        "complexity": f"{seen.label} {seen.score:.2f}" if seen else None,
        "fallback_reason": receipt.fallback_reason,
    }


def _typed(known: Mapping[str, Any]) -> dict[str, object]:
    """Money and counts as numbers; what is not known as null."""
    names = (
        *("request_id", "model", "provider", "route", "strategy", "complexity"),
        *("attempts", "fallback_reason", "cost_usd", "saved_usd", "baseline"),
    )
    values = {name: known.get(name) for name in names}
    values |= {name: _money(values[name]) for name in _MONEY}
    return {**values, "attempts": int(values["attempts"] or 0)}


def _line(known: Mapping[str, Any], seconds: float) -> str:
    cost, saved = _money(known.get("cost_usd")), _money(known.get("saved_usd"))
    parts = [f"{known.get('model')} at {known.get('provider')} in {seconds:.2f} s"]
    parts.append("cost unknown" if cost is None else f"cost ${cost:f}")
    if saved is not None:
        parts.append(f"{'saved' if saved >= 0 else 'lost'} ${abs(saved):f} against {known.get('baseline')}")
    if why := known.get("fallback_reason"):
        parts.append(f"fallback: {why}")
    return f"polyroute: {'; '.join(parts)}; `polyroute explain {known.get('request_id')}`"


def _money(written: object) -> Decimal | None:
    try:
        return None if written is None else Decimal(str(written))
    except InvalidOperation:
        return None
