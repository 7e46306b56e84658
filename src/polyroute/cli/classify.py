"""The verb `classify`: which class a text has, for one or a file of them; and classifiers made from labelled rows."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct

from polyroute.cli.client import Client
from polyroute.cli.interval import wilson
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    KeyOption,
    UrlOption,
    document_path,
    fail,
    print_json,
    progress,
    say,
    told,
)
from polyroute.config.load import read
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.embedders.weights import EXTRA, lacking
from polyroute.embedders.worker import Worker
from polyroute.errors import InvalidRequest
from polyroute.journey import Entry
from polyroute.providers.transport import open_transport
from polyroute.stages.classification.local import PROGRAM, Rows, inspect, learn
from polyroute.stages.classification.rows import read_rows, unlearnable
from polyroute.types.access import Caller
from polyroute.types.encoding import to_json
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Classed
from polyroute.wiring.build import Built, open_gateway

_CALLER = Caller(user="cli")
_DIALECT = OpenAIChat()
_PIECE = 256  # texts in one call of a server
_OUT_OF_SCOPE = ("oos", "out_of_scope")

OnDone = Callable[[int], None]
RowId = str | int


class Asked(Struct, kw_only=True):
    """One row of a batch."""

    id: RowId | None = None
    text: str | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None


_ROW = msgspec.json.Decoder(Asked)


def classify(
    words: Annotated[list[str] | None, typer.Argument(help="The text.", metavar="TEXT")] = None,
    classifier: Annotated[
        str | None, typer.Option(help="Its name in the document; not needed where there is one only.", metavar="NAME")
    ] = None,
    batch: Annotated[Path | None, typer.Option(help="JSONL of {id, text}, {id, prompt} or {id, messages}.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="JSONL of {text, label}: makes a classifier of them, in --out.")
    ] = None,
    into: Annotated[Path | None, typer.Option("--out", help="With --batch or --train: the file to write.")] = None,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="With --train: learn by meaning too.")] = False,
    rejects: Annotated[bool, typer.Option("--rejects", help="With --train: far from every class is no class.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say which class a text has; make a classifier from labelled rows."""
    if sum(given is not None for given in (words or None, batch, train)) != 1:
        raise typer.BadParameter("give a text, or `--batch FILE`, or `--train ROWS --out FILE`")
    if (into is not None) != (batch is not None or train is not None):
        raise typer.BadParameter("`--out FILE` goes with `--batch` and with `--train`")
    if train is None and (embeddings or rejects):
        raise typer.BadParameter("`--embeddings` and `--rejects` go with `--train`")
    with told(debug=debug):
        if train is not None and into is not None:
            rows = _to_learn(train, into, embeddings=embeddings, rejects=rejects)
            _show_trained(asyncio.run(_train(rows, into.absolute())), into, as_json)
        elif batch is not None and into is not None:
            asked = list(_rows(batch))
            with progress(max(1, len(asked)), "classified") as steps:
                found = asyncio.run(
                    _classed([text for _, text in asked], classifier, config, url, key, _each(steps.advance))
                )
            lines = zip((row_id for row_id, _ in asked), found, strict=True)
            into.write_bytes(b"".join(to_json({"id": row_id, **_told(seen)}) + b"\n" for row_id, seen in lines))
            if as_json:
                print_json({"rows": len(asked), "out": str(into)})
        else:
            seen = asyncio.run(_classed([" ".join(words or ())], classifier, config, url, key, lambda count: None))[0]
            _show(seen, as_json)


async def _classed(
    texts: list[str], name: str | None, config: Path | None, url: str | None, key: str | None, on_done: OnDone
) -> list[Classed]:
    if url:
        return await _remote(texts, name, url, key, on_done)
    async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
        return await built.services.sorter.classed(built.services.sorter.find(name), texts, _asking(built), on_done)


def _asking(built: Built) -> Any:
    async def ask(model: str, request: Request, *, purpose: str) -> Response:
        request_id = built.services.new_request_id()
        entry = Entry(request_id=request_id, arrived_s=time.monotonic(), door="python", task=purpose)
        answer = await built.path.answer(request, _CALLER, entry)
        return built.path.read(request, answer.reply)

    return ask


async def _remote(texts: list[str], name: str | None, url: str, key: str | None, on_done: OnDone) -> list[Classed]:
    transport = open_transport()
    try:
        client, found = Client(url, key, transport), list[Classed]()
        for start in range(0, len(texts), _PIECE):
            piece = texts[start : start + _PIECE]
            body = {"texts": piece} if name is None else {"texts": piece, "classifier": name}
            answer = (await client.post("/v1/classify", body)).body
            version = answer["version"] or ""
            found += [msgspec.convert({**each, "classifier": version}, Classed) for each in answer["results"]]
            on_done(len(piece))
        return found
    finally:
        await transport.aclose()


def _rows(file: Path) -> Iterator[tuple[RowId, str]]:
    """Raises InvalidRequest naming the line."""
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
            text = row.text if row.text is not None else row.prompt
            if text is None and row.messages is not None:
                text = _DIALECT.parse_request({"model": "classify", "messages": row.messages}, {}).last_user_text
            if text is None:
                raise InvalidRequest("there is neither `text` nor `prompt` nor `messages`")
            yield row.id if row.id is not None else number, text
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidRequest) as exc:
            raise InvalidRequest(f"{file}:{number}: {exc}") from exc


def _each(advance: Callable[[], None]) -> OnDone:
    def done(count: int) -> None:
        for _ in range(count):
            advance()

    return done


# ── making one ────────────────────────────────────────────────────────────────────────────────────────


def _to_learn(file: Path, into: Path, *, embeddings: bool, rejects: bool) -> Rows:
    if embeddings and (missing := lacking()):
        fail(f"`--embeddings` needs {', '.join(missing)}: {EXTRA}")
    found = read_rows(file.read_bytes(), _OUT_OF_SCOPE)
    if found.faults:
        fail("\n".join(f"{file}: {fault}" for fault in found.faults))
    if why := unlearnable(found.rows):
        fail(f"{file}: {why}")
    if not into.parent.is_dir():
        fail(f"there is no folder {into.parent}")
    return Rows(
        texts=tuple(row.text for row in found.rows),
        labels=tuple(row.label for row in found.rows),
        vectors=embeddings,
        rejects=rejects or any(row.label is None for row in found.rows),
        form=True,
    )


async def _train(rows: Rows, into: Path) -> dict[str, Any]:
    worker = Worker(PROGRAM)
    try:
        return await inspect(await learn(rows, worker, into), worker)
    finally:
        await worker.aclose()


def _show_trained(found: dict[str, Any], into: Path, as_json: bool) -> None:
    made, (right, count) = found["told"], (found["told"]["held_out"]["right"], found["told"]["held_out"]["n"])
    low, high = wilson(right, count)
    if as_json:
        measured = {"n": count, "accuracy": right / max(1, count), "interval": (low, high)}
        told_too = {**made, "held_out": measured}
        print_json({"out": str(into), "sha256": found["sha256"], "classes": found["classes"], **told_too})
        return
    counts = ", ".join(f"{name} {count}" for name, count in made["rows"].items())
    say(f"wrote {into}: {len(found['classes'])} classes ({counts}); sha256 {found['sha256'][:12]}")
    say(f"on rows held out: {right / max(1, count):.1%} right ({low:.1%} to {high:.1%}, n {count})")


# ── one ───────────────────────────────────────────────────────────────────────────────────────────────


def _told(seen: Classed) -> dict[str, object]:
    row: dict[str, object] = {"label": seen.label, "score": seen.score}
    return {**row, "fault": seen.fault} if seen.fault is not None else row


def _show(seen: Classed, as_json: bool) -> None:
    if as_json:
        print_json({**_told(seen), "classifier": seen.classifier})
    elif seen.fault is not None:
        fail(seen.fault)
    else:
        say(f"{seen.label or 'none of its classes'}, score {seen.score:.2f} ({seen.classifier})")
