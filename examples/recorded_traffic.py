"""Real questions, real recorded answers, several policies: what each costs and how often it is right.

Takes a folder with questions (`gsm8k.jsonl.gz`, …: token counts, correctness), what models really answered
(`responses_gsm8k.jsonl.gz`, …) and list prices (`models.json`). The gateway runs over HTTP with the `replay`
provider; every figure comes from the rows of its own ledger. No policy sees anything of a question but its text, and
no threshold was tuned on these rows. An answer that no gate accepts is no answer, and counts as wrong.

`python examples/recorded_traffic.py [--limit N] [--data FOLDER] [--json]`
"""

import argparse
import asyncio
import gzip
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from polyroute.cli.client import Client
from polyroute.cli.interval import wilson
from polyroute.cli.shell import print_json, print_table, progress
from polyroute.config.load import Loaded, reads
from polyroute.errors import PolyrouteError
from polyroute.providers.transport import open_transport
from polyroute.stores.figures import quantile
from polyroute.stores.sqlite.books import Books
from polyroute.stores.verify import Entry
from polyroute.types.money import from_nanos
from polyroute.wiring.serving import serve_document

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "routing"
PRICES = "models.json"
LENGTHS = (30, 45, 60)  # words from which a question goes to the strong model
CONCURRENCY = 16


class Trial(NamedTuple):
    """Two models on one set of questions."""

    name: str  # of the files
    title: str
    weak: str
    strong: str
    gate: str | None = None  # of the cascade, where the answers have a form that can be checked

    @property
    def files(self) -> tuple[str, str]:
        return f"{self.name}.jsonl.gz", f"responses_{self.name}.jsonl.gz"


TRIALS = (
    Trial("gsm8k", "worked examples in the prompt, free text", "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"),
    Trial(
        "gsm8k_zs",
        "no examples, JSON asked for; the cascade's gate is the JSON schema",
        "llama-3.1-8b-instruct",
        "gpt-4o-mini-2024-07-18",
        gate="{use: json_schema, schema: {type: object, required: [reasoning, answer]}}",
    ),
)

DOCUMENT = """
server: {{host: 127.0.0.1, port: 0, auth: open}}
store: {{database: sqlite:///recorded.db}}
providers:
  tape: {{dialect: replay, recordings: recordings.jsonl}}
models:
  weak: {{provider: tape, model: {weak}, price: {{input: {weak_in}, output: {weak_out}}}}}
  strong: {{provider: tape, model: {strong}, price: {{input: {strong_in}, output: {strong_out}}}}}
routes:
  always-strong: {{primary: strong, baseline: strong}}
  always-weak: {{primary: weak, baseline: strong}}
  complexity:
    strategy: {{use: complexity, simple: weak, moderate: weak, complex: strong}}
    baseline: strong
"""
BY_LENGTH = """
  length-{words}:
    strategy: {{use: rules, rules: [{{when: {{min_words: {words}}}, model: strong}}], default: weak}}
    baseline: strong
"""
CASCADE = """
  cascade:
    strategy: {{use: cascade, models: [weak, strong]}}
    gates: [{gate}]
    baseline: strong
"""


def main() -> None:
    logging.getLogger("polyroute").setLevel(logging.ERROR)  # escalations are what is measured here, no news
    options = _options()
    needed = [PRICES, *(name for trial in TRIALS for name in trial.files)]
    missing = [name for name in needed if not (options.data / name).is_file()]
    if missing:
        print(f"skipped: {options.data} has no {', '.join(missing)}; --data names another folder")
        return
    prices = json.loads((options.data / PRICES).read_text(encoding="utf-8"))["models"]
    told = []
    for trial in TRIALS:
        rows = list(_rows(trial, options.data, options.limit))
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(_measure(trial, rows, prices, Path(folder)))
        told.append({**trial._asdict(), "questions": len(rows), "policies": found})
        if not options.json:
            _print(trial, rows, found)
    if options.json:
        print_json(told)
    else:
        print(
            "List prices and recorded token counts. Latency is the gateway's own: how long the models took was not\n"
            "recorded, so theirs is unknown."
        )


def _print(trial: Trial, rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    print(f"{trial.name}: {len(rows)} questions; {trial.title}")
    print(f"weak {trial.weak}; strong, and the baseline, {trial.strong}\n")
    columns = (
        *("policy", "right (95 %)", "unanswered", "$ total", "$ per 1,000"),
        *("strong asked", "gateway p50 ms", "saved"),
    )
    print_table(columns, [_line(policy) for policy in found])
    print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, help="this many questions; else all")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _rows(trial: Trial, data: Path, limit: int | None) -> Iterator[dict[str, Any]]:
    """Questions that both models answered, with the answers put in."""
    questions, responses = trial.files
    answers = {row["id"]: row["responses"] for row in _lines(data / responses)}
    both = (
        {**row, "responses": answers[row["id"]]}
        for row in _lines(data / questions)
        if row["split"] == "shared" and {trial.weak, trial.strong} <= answers.get(row["id"], {}).keys()
    )
    return islice(both, limit)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


async def _measure(
    trial: Trial, rows: list[dict[str, Any]], prices: dict[str, Any], folder: Path
) -> list[dict[str, Any]]:
    _record(trial, rows, folder / "recordings.jsonl")
    loaded = reads(_document(trial, prices), os.environ, folder=folder)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def on_ready(address: str) -> None:
        ready.set_result(address)

    serving = asyncio.create_task(serve_document(loaded, os.environ, on_ready))
    try:
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        asked = await _ask_all(await ready, loaded, rows)
        with Books(folder / "recorded.db") as books, closing(books.entries()) as entries:
            return _policies(trial, entries, asked)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


def _record(trial: Trial, rows: list[dict[str, Any]], file: Path) -> None:
    """Recordings for the replay provider, usage from the counted tokens."""
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            usage = {
                model: {"input_tokens": row["in_tokens"], "output_tokens": row["out_tokens"][model]}
                for model in (trial.weak, trial.strong)
            }
            out.write(json.dumps({"prompt": row["prompt"], "responses": row["responses"], "usage": usage}) + "\n")


def _document(trial: Trial, prices: dict[str, Any]) -> str:
    weak, strong = prices[trial.weak], prices[trial.strong]
    text = DOCUMENT.format(
        weak=trial.weak,
        weak_in=weak["input"],
        weak_out=weak["output"],
        strong=trial.strong,
        strong_in=strong["input"],
        strong_out=strong["output"],
    )
    text += "".join(BY_LENGTH.format(words=words) for words in LENGTHS)
    return text if trial.gate is None else text + CASCADE.format(gate=trial.gate)


async def _ask_all(address: str, loaded: Loaded, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every question through every route. Returns the question by the request's id, of those that were answered."""
    asked: dict[str, dict[str, Any]] = {}
    orders = iter([(route, row) for row in rows for route in loaded.document.routes])
    transport = open_transport()
    client = Client(address, None, transport)

    async def work(advance: Callable[[], None]) -> None:
        for route, row in orders:
            body = {"model": route, "messages": [{"role": "user", "content": row["prompt"]}]}
            with suppress(PolyrouteError):  # every answer was rejected: the ledger has it as a failed request
                answer = await client.post("/v1/chat/completions", body)
                asked[answer.report["request_id"]] = row
            advance()

    try:
        with progress(len(rows) * len(loaded.document.routes), "questions asked") as steps:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(work(steps.advance))
    finally:
        await transport.aclose()
    return asked


def _policies(trial: Trial, entries: Iterator[Entry], asked: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """From the ledger's rows: who answered, what all attempts cost; the data says whether that answer is right."""
    by_route: dict[str, list[Entry]] = {}
    for entry in entries:
        by_route.setdefault(entry.request.route, []).append(entry)
    return [_policy(trial, route, found, asked) for route, found in by_route.items()]


def _policy(trial: Trial, route: str, entries: list[Entry], asked: dict[str, dict[str, Any]]) -> dict[str, Any]:
    names = {"weak": trial.weak, "strong": trial.strong}
    requests = [entry.request for entry in entries]
    right = sum(asked[r.id]["scores"][names[r.model]] >= 1 for r in requests if r.model is not None)
    cost_usd = from_nanos(sum(r.cost_nanos for r in requests))
    baseline_usd = from_nanos(sum(r.baseline_nanos or 0 for r in requests))
    saved_usd = from_nanos(sum(r.saved_nanos or 0 for r in requests))
    low, high = wilson(right, len(requests))
    return {
        "policy": route,
        "n": len(requests),
        "right": right,
        "accuracy": right / len(requests),
        "low": low,
        "high": high,
        "unanswered": sum(r.model is None for r in requests),
        "cost_usd": cost_usd,
        "cost_per_1k_usd": cost_usd * 1000 / len(requests),
        "strong_share": sum(any(a.model == "strong" for a in entry.attempts) for entry in entries) / len(entries),
        "gateway_p50_ms": quantile(sorted(r.total_ms for r in requests), 0.5),
        "upstream_p50_ms": None,  # not recorded
        "baseline": names["strong"],
        "saved_usd": saved_usd,
        "saved_share": float(saved_usd / baseline_usd) if baseline_usd else None,
    }


def _line(policy: dict[str, Any]) -> tuple[str, ...]:
    saved = policy["saved_share"]
    return (
        policy["policy"],
        f"{policy['accuracy']:.1%} ({policy['low']:.1%} to {policy['high']:.1%}, n={policy['n']})",
        str(policy["unanswered"]),
        f"{policy['cost_usd']:.4f}",
        f"{policy['cost_per_1k_usd']:.4f}",
        f"{policy['strong_share']:.1%}",
        f"{policy['gateway_p50_ms']:.2f}",
        "unknown" if saved is None else f"{saved:+.1%}",
    )


if __name__ == "__main__":
    main()
