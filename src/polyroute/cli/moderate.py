"""The verb `moderate`: is a text flagged, in the view of the document or of one file; and moderators from rows."""

import asyncio
import os
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
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
from polyroute.dialects.openai_moderations import OpenAIModerations
from polyroute.errors import InvalidRequest
from polyroute.journey import Entry
from polyroute.providers.transport import open_transport
from polyroute.stages.validation.moderation import lexicon
from polyroute.stages.validation.moderation.lexicon import Artifact
from polyroute.types.access import Caller
from polyroute.types.encoding import to_json
from polyroute.wiring.build import open_gateway

_CALLER = Caller(user="cli")
_DIALECT = OpenAIModerations()
_PIECE = 128  # texts in one request
_NEEDS = "training needs numpy and scipy: pip install polyroute[learning]"


class Asked(Struct, kw_only=True):
    """One row of a batch."""

    text: str
    id: str | int | None = None


_ROW = msgspec.json.Decoder(Asked)


def moderate(
    words: Annotated[list[str] | None, typer.Argument(help="The text.", metavar="TEXT")] = None,
    by: Annotated[
        str | None, typer.Option(help="The route that moderates; not needed where there is one only.", metavar="NAME")
    ] = None,
    artifact: Annotated[
        Path | None, typer.Option(help="Ask this file alone, without a document: what it settles, and what not.")
    ] = None,
    batch: Annotated[Path | None, typer.Option(help="JSONL of {id, text}.")] = None,
    train: Annotated[
        Path | None, typer.Option(help="JSONL of {text, flag, labels}: makes a moderator of them, in --out.")
    ] = None,
    into: Annotated[Path | None, typer.Option("--out", help="With --batch or --train: the file to write.")] = None,
    target_precision: Annotated[
        float | None, typer.Option(help="With --train: how often what is settled must be right; else 0.99.")
    ] = None,
    confidence: Annotated[
        float | None, typer.Option(help="With --train: how sure that must be, by the rows held out; else 0.95.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say whether a text is flagged, and who settled it; make a moderator from labelled rows."""
    if sum(given is not None for given in (words or None, batch, train)) != 1:
        raise typer.BadParameter("give a text, or `--batch FILE`, or `--train ROWS --out FILE`")
    if (into is not None) != (batch is not None or train is not None):
        raise typer.BadParameter("`--out FILE` goes with `--batch` and with `--train`")
    if train is None and (target_precision is not None or confidence is not None):
        raise typer.BadParameter("`--target-precision` and `--confidence` go with `--train`")
    precision, sure = target_precision or 0.99, 0.95 if confidence is None else confidence
    if not 0.5 < precision < 1 or not 0.5 <= sure < 1:
        raise typer.BadParameter("`--target-precision` lies between 0.5 and 1, `--confidence` from 0.5 to under 1")
    with told(debug=debug):
        if train is not None and into is not None:
            _train(train, into, precision, sure, as_json)
            return
        asked = [(None, " ".join(words or ()))] if batch is None else list(_rows(batch))
        texts = [text for _, text in asked]
        results = _alone(artifact, texts) if artifact else asyncio.run(_results(texts, by, config, url, key))
        if into is not None:
            rows = zip((row_id for row_id, _ in asked), results, strict=True)
            into.write_bytes(b"".join(to_json({"id": row_id, **result}) + b"\n" for row_id, result in rows))
            if as_json:
                print_json({"rows": len(results), "out": str(into)})
        elif as_json:
            print_json(results[0])
        else:
            _show(results[0])


def _alone(artifact: Path, texts: list[str]) -> list[dict[str, Any]]:
    moderator, _ = _opened(artifact)
    scores = [moderator.score(text) for text in texts]
    return [
        {"flagged": moderator.settled(score), "score": round(score, 4), "categories": moderator.categories(text)}
        for text, score in zip(texts, scores, strict=True)
    ]


def _opened(artifact: Path) -> tuple[lexicon.Lexicon, Artifact]:
    try:
        return lexicon.read(artifact.read_bytes())
    except ValueError as exc:
        raise InvalidRequest(f"{artifact} {exc}") from exc


async def _results(
    texts: list[str], by: str | None, config: Path | None, url: str | None, key: str | None
) -> list[dict[str, Any]]:
    pieces = [texts[at : at + _PIECE] for at in range(0, len(texts), _PIECE)]
    if url is None:
        return await _here(pieces, by, config)
    if by is None:
        raise InvalidRequest("say which route moderates there: `--by NAME`")
    transport = open_transport()
    try:
        client, found = Client(url, key, transport), list[dict[str, Any]]()
        for piece in pieces:
            found += (await client.post("/v1/moderations", {"model": by, "input": piece})).body["results"]
        return [_plain(result) for result in found]
    finally:
        await transport.aclose()


async def _here(pieces: list[list[str]], by: str | None, config: Path | None) -> list[dict[str, Any]]:
    async with open_gateway(read(document_path(config), os.environ), os.environ) as built:
        known = built.moderators
        if by is None and len(known) != 1:
            named = ", ".join(known) or "none"
            raise InvalidRequest(f"say which route moderates: `--by NAME`; the document has {named}")
        found = list[dict[str, Any]]()
        for piece in pieces:
            request = _DIALECT.parse_request({"model": by or known[0], "input": piece}, {})
            entry = Entry(request_id=built.services.new_request_id(), arrived_s=time.monotonic(), door="python")
            answer = await built.path.answer(request, _CALLER, entry)
            body = msgspec.json.decode(_DIALECT.render_response(built.path.read(request, answer.reply), request))
            found += [_plain(result) for result in body["results"]]
        return found


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """What this moderator says, without the categories that it has nothing to say of."""
    scores = {name: score for name, score in result["category_scores"].items() if score}
    return {"flagged": result["flagged"], **result.get("polyroute", {}), "categories": scores}


def _rows(file: Path) -> Iterator[tuple[str | int | None, str]]:
    """Raises InvalidRequest naming the line."""
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InvalidRequest(f"{file}:{number}: {exc}") from exc
        yield row.id if row.id is not None else number, row.text


def _show(result: dict[str, Any]) -> None:
    word = {True: "flagged", False: "allowed", None: "not settled"}[result["flagged"]]
    by = f", by {result['stage']}" if "stage" in result else ""
    likely = [f"{name} {score:.2f}" for name, score in result["categories"].items() if score >= 0.5]
    say(f"{word}, score {result['score']:.2f}{by}" + (f" ({', '.join(likely)})" if likely else ""))


# ── making one ────────────────────────────────────────────────────────────────────────────────────────


def _train(file: Path, into: Path, precision: float, confidence: float, as_json: bool) -> None:
    if any(find_spec(name) is None for name in ("numpy", "scipy")):
        fail(_NEEDS)
    moderating: Any = import_module("polyroute.learning.moderating")
    if not into.parent.is_dir():
        fail(f"there is no folder {into.parent}")
    rows = moderating.read_rows(file.read_bytes(), str(file))
    target = moderating.Target(precision=precision, confidence=confidence)
    with progress(moderating.FOLDS + 1, "fitted") as steps:
        artifact = moderating.train(rows, target, steps.advance)
    into.write_bytes(msgspec.json.encode(artifact))
    _show_trained(artifact, into, as_json)


def _show_trained(artifact: Artifact, into: Path, as_json: bool) -> None:
    held = artifact.held_out
    if as_json:
        print_json(
            {
                "out": str(into),
                "sha256": artifact.sha256,
                "thresholds": artifact.thresholds,
                "held_out": held,
                "categories": [head.name for head in artifact.heads if head.name],
            }
        )
        return
    say(f"wrote {into}: {held.rows} rows, {held.flagged} flagged; sha256 {artifact.sha256[:12]}")
    say(f"on rows held out it settles {held.settled / held.rows:.1%} alone:")
    for word, count, wrong in (
        ("flags", held.blocked, held.wrongly_blocked),
        ("allows", held.allowed, held.wrongly_allowed),
    ):
        low, high = wilson(count - wrong, count)
        right = f", {1 - wrong / count:.1%} rightly ({low:.1%} to {high:.1%})" if count else ""
        say(f"  {word} {count}{right}")
    if not held.settled:
        say(
            f"too few rows to be {artifact.confidence:.0%} sure of {artifact.target_precision:.0%}: gather more, or ask"
            " for less with --confidence or --target-precision"
        )
