"""`python -m bench.gates`: what each gate catches, and what it refuses wrongly, on recorded answers."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.__main__ import circumstances
from bench.checked import DATA, HEAD, HEADING, PAGE, Figure, gateway, is_held_out, rows, share
from bench.report import Section, put_section, render, table
from polyroute import Gateway
from polyroute.errors import PlanExhausted
from polyroute.ports import Gate
from polyroute.stages.validation.code import Code
from polyroute.stages.validation.gates import Json, MatchesSchema, Regex
from polyroute.stages.validation.language import Language
from polyroute.stages.validation.parsing import Parsers
from polyroute.stages.validation.sql import Sql
from polyroute.types.content import Text
from polyroute.types.request import ask
from polyroute.types.response import Choice, Response, StopReason
from polyroute.types.routing import Verdict

_T = TypeVar("_T")
_R = TypeVar("_R")
Recordings = list[dict[str, object]]
REMOTES, SOURCE = Path(__file__).parent / "remotes.json", Path(__file__).read_text()
_SUITE = "http://localhost:1234/draft2020-12/"
_AT_ONCE = 8
_PROVIDERS = """
providers:
  tape: {dialect: replay, recordings: recordings.jsonl, max_tries: 1}
  sim: {dialect: simulated}
models:
  stop: {provider: sim, answer: rejected}
"""


_NOTES = """
Only the entropy gate has something to choose; the others are measured on every shared row. The SQL gate catches
all that SQLite does not compile. What else was tried on these rows refuses right answers (a number compared with a
word: 18 wrong ones caught, 30 right ones refused; a join of columns of different types: 5 and 2; grouping by what is
not selected: 20 and 16), or catches next to nothing (a limit without an order, columns of different types in `IN`, a
column compared with itself: 7 of 1,012). Code: samples of CodeGen-16B on HumanEval; the gate that runs examples on the
tasks that show some. Schemas that the official suite keeps at an address are given as `resources` (bench/remotes.json).

Time of one judgement per KB of answer, median of 60, the parsers' children and their pipes included. Goal: 0.2 ms.

"""


@asynccontextmanager
async def _judging(models: Sequence[str], gates: dict[str, str], recordings: Recordings) -> AsyncIterator[Gateway]:
    """Routes `GATE-MODEL`, each a cascade from a recorded model to one that says that its answer was rejected."""
    lines = [f'  "{model}": {{provider: tape, model: "{model}"}}' for model in models]
    routes = [
        f'  "{name}-{model}": {{strategy: {{use: cascade, models: ["{model}", stop], '
        f'gates: {{"{model}": [{gate}], stop: []}}}}}}'
        for name, gate in gates.items()
        for model in models
    ]
    document = _PROVIDERS + "\n".join((*lines, *(["routes:", *routes] if routes else []))) + "\n"
    async with gateway(document, recordings) as running:
        yield running


async def _all(judge: Callable[[_T], Awaitable[_R]], asked: Sequence[_T]) -> list[_R]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(row: _T) -> _R:
        async with turns:
            return await judge(row)

    return list(await asyncio.gather(*map(one, asked)))


async def _verdict(running: Gateway, route: str, prompt: str) -> Verdict:
    completed = await running.complete(ask(route, prompt))
    return completed.receipt.attempts[0].verdicts[0]


async def _verdict_by(running: Gateway, gate: dict[str, object], model: str, prompt: str) -> Verdict:
    """Of a gate that the call brings along, as a caller would send it."""
    try:
        outcome = await running.execute(input=prompt, models=[model, "stop"], gates=[gate])
    except PlanExhausted as exc:
        return exc.attempts[0].verdicts[0]
    return outcome.receipt.attempts[0].verdicts[0]


def _line(what: str, hits: int, trials: int, goal: str = "", least: float | None = None) -> Figure:
    value, interval = share(hits, trials)
    is_met = None if least is None else hits >= least * trials
    return Figure(what=what, value=value, interval=interval, n=str(trials), goal=goal, is_met=is_met)


# ── JSON Schema: suites of their own, nothing to choose, so every row counts ──────────────────────────


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    schema: Any
    data: Any
    valid: bool
    more: dict[str, object]


async def schemas() -> list[Figure]:
    resources = {_SUITE + name: schema for name, schema in json.loads(REMOTES.read_bytes()).items()}
    required = [
        _Case(schema=row["schema"], data=row["data"], valid=row["valid"], more={"resources": resources})
        for row in rows("quality-gates/json_schema_2020.dev.jsonl.gz")
    ]
    field = [
        _Case(schema=row["schema"], data=test["data"], valid=test["valid"], more={"formats": True})
        for row in rows("quality-gates/real_schemas.dev.jsonl.gz")
        for test in row["tests"]
    ]
    found = []
    for what, suite in (
        ("JSON Schema 2020-12, required cases", required),
        ("schemas from the field, instances", field),
    ):
        recordings: Recordings = [
            {"prompt": f"{at}", "responses": {"m": json.dumps(case.data)}} for at, case in enumerate(suite)
        ]
        async with _judging(("m",), {}, recordings) as running:

            async def judged(numbered: tuple[int, _Case], running: Gateway = running) -> bool:
                at, case = numbered
                schema = case.schema if isinstance(case.schema, dict) else {"allOf": [case.schema]}
                gate = {"use": "json_schema", "schema": schema, **case.more}
                return (await _verdict_by(running, gate, "m", f"{at}")).accepted is case.valid

            right = sum(await _all(judged, list(enumerate(suite))))
        found.append(_line(f"{what}: judged as labelled", right, len(suite), "100 %", 1.0))
    return found


# ── SQL ───────────────────────────────────────────────────────────────────────────────────────────────


async def sql() -> list[Figure]:
    ddl = {row["db_id"]: ";\n".join(row["ddl"]) for row in rows("quality-gates/spider_schema.jsonl.gz")}
    every = list(rows("quality-gates/spider_sql.dev.jsonl.gz"))
    recordings: Recordings = [{"prompt": f"{row['id']}", "responses": row["preds"]} for row in every]
    systems = list(every[0]["preds"])
    counts: Counter[tuple[bool, bool]] = Counter()
    async with _judging(systems, {}, recordings) as running:

        async def judged(asked: tuple[dict[str, Any], str]) -> None:
            row, system = asked
            gate: dict[str, object] = {"use": "sql", "schema": ddl[row["db_id"]]}
            verdict = await _verdict_by(running, gate, system, f"{row['id']}")
            counts[bool(row["res"][system]["correct"]), verdict.accepted] += 1

        await _all(judged, [(row, system) for row in every for system in systems])
    right, wrong = counts[True, True] + counts[True, False], counts[False, True] + counts[False, False]
    invalid = sum(not row["res"][system]["valid"] for row in every for system in systems)
    caught = f"SQL gate: wrong answers caught ({invalid} of all do not compile)"
    return [
        _line("SQL gate: right answers kept", counts[True, True], right, "100 %", 1.0),
        _line(caught, counts[False, False], wrong, ">= 14.8 %", 0.148),
    ]


# ── code ──────────────────────────────────────────────────────────────────────────────────────────────


async def code() -> list[Figure]:
    # Two of its tasks share their prompt and their name: a first line tells them apart.
    tasks = [
        {**row, "prompt": f"# {at}\n{row['prompt']}"}
        for at, row in enumerate(rows("quality-gates/humaneval_codegen16b.dev.jsonl.gz"))
    ]
    recordings: Recordings = [
        {
            "prompt": row["prompt"],
            "responses": {f"s{at}": sample["code"] or " " for at, sample in enumerate(row["samples"])},
        }
        for row in tasks
    ]
    plain: Counter[tuple[bool, bool]] = Counter()
    shown: Counter[tuple[bool, bool]] = Counter()
    gates = {"parses": "{use: code}", "runs": "{use: code, run_examples: true}"}
    async with _judging([f"s{at}" for at in range(12)], gates, recordings) as running:

        async def judged(asked: tuple[dict[str, Any], int]) -> None:
            row, at = asked
            passed = bool(row["samples"][at]["passed"])
            plain[passed, (await _verdict(running, f"parses-s{at}", row["prompt"])).accepted] += 1
            if ">>>" in row["prompt"]:
                shown[passed, (await _verdict(running, f"runs-s{at}", row["prompt"])).accepted] += 1

        await _all(judged, [(row, at) for row in tasks for at in range(len(row["samples"]))])
    solutions = list(rows("quality-gates/mbpp_sanitized.dev.jsonl.gz"))
    recordings = [{"prompt": row["prompt"], "responses": {"m": row["canonical_solution"]}} for row in solutions]
    async with _judging(("m",), {"parses": "{use: code}"}, recordings) as running:
        verdicts = await _all(lambda row: _verdict(running, "parses-m", row["prompt"]), solutions)
    accepted, right = shown[True, True] + shown[False, True], shown[True, True] + shown[True, False]
    runs, parses = "code gate that runs examples", "code gate that only parses"
    return [
        _line(f"{runs}: accepted answers that are right", shown[True, True], accepted, ">= 90 %", 0.9),
        _line(f"{runs}: right answers kept", shown[True, True], right, ">= 94 %", 0.94),
        _line(f"{parses}: wrong answers caught", plain[False, False], plain[False, False] + plain[False, True]),
        _line(f"{parses}: right samples kept", plain[True, True], plain[True, True] + plain[True, False]),
        _line(f"{parses}: MBPP's own solutions kept", sum(v.accepted for v in verdicts), len(solutions)),
    ]


# ── entropy ───────────────────────────────────────────────────────────────────────────────────────────


def _bits(alternatives: Sequence[tuple[str, float]]) -> float:
    known = [math.exp(min(0.0, logprob)) for _, logprob in alternatives]
    return sum(-p * math.log2(p) for p in (*known, 1.0 - sum(known)) if p > 1e-12)


async def entropy() -> list[Figure]:
    every = [
        row
        for row in rows("quality-gates/judge_logprobs.dev.jsonl.gz")
        if row["top_logprobs"] and row["cot_preference"] in (1.0, 2.0)
    ]
    fitted = sorted(_bits(row["top_logprobs"]) for row in every if not is_held_out(row["id"]))
    most = fitted[int(0.77 * len(fitted))]  # two points more than the share wanted, so that the other half keeps it
    held = [row for row in every if is_held_out(row["id"])]
    recordings: Recordings = [
        {
            "prompt": f"{row['id']}",
            "responses": {"m": row["top_logprobs"][0][0]},
            "logprobs": {"m": [row["top_logprobs"]]},
        }
        for row in held
    ]
    async with _judging(("m",), {"sure": f"{{use: entropy, max_bits: {most:.6f}}}"}, recordings) as running:
        verdicts = await _all(lambda row: _verdict(running, "sure-m", f"{row['id']}"), held)
    kept = [row for row, verdict in zip(held, verdicts, strict=True) if verdict.accepted]
    agreed = sum(round(row["preference"]) == round(row["cot_preference"]) for row in kept)
    return [
        _line(f"entropy gate at {most:.4f} bits: kept", len(kept), len(held), ">= 75 %", 0.75),
        _line("entropy gate: kept answers that the reasoning judge shares", agreed, len(kept), ">= 99 %", 0.99),
    ]


# ── speed ─────────────────────────────────────────────────────────────────────────────────────────────


def _answer(text: str) -> Response:
    choice = Choice(parts=(Text(text=text),), stop=StopReason.END)
    return Response(id="r", model="m", choices=(choice,), usage=None)


async def speed() -> list[tuple[str, str, str]]:
    parsers = Parsers()
    value = json.dumps([{"name": f"n{at}", "total": at, "tags": ["a", "b"]} for at in range(70)])
    item = {"type": "object", "required": ["name"], "properties": {"total": {"type": "integer"}}}
    fits = MatchesSchema(schema={"type": "array", "items": item})
    tables = "CREATE TABLE t (a INT, b INT)"
    statement = "SELECT a, b FROM t WHERE " + " OR ".join(f"(a = {at} AND b > {at})" for at in range(140))
    kinds: tuple[tuple[str, Gate, str], ...] = (
        ("json", Json(), value),
        ("json_schema", fits, value),
        ("regex", Regex(excludes="As an AI"), SOURCE),
        ("language", Language(languages=("en",)), SOURCE),
        ("code, Python", Code(parsers=parsers), SOURCE[:3900].rpartition("\n\n\n")[0]),
        ("code, Python, in the child", Code(parsers=parsers), SOURCE),
        ("code, JavaScript", Code(parsers=parsers, language="javascript"), "let x = {a: [1, 2]};\n" * 200),
        ("sql, SQLite's", Sql(parsers=parsers, schema=tables), statement),
        ("sql, postgres", Sql(parsers=parsers, schema=tables, dialect="postgres"), statement),
    )
    timed = []
    question = ask("m", "q")
    for what, gate, text in kinds:
        answer, took = _answer(text), []
        for _ in range(60):
            started_s = time.perf_counter()
            await gate.judge(question, answer)
            took.append((time.perf_counter() - started_s) * 1000)
        median = sorted(took)[len(took) // 2]
        timed.append((what, f"{len(text) / 1024:.1f} KB", f"{median / (len(text) / 1024):.3f} ms"))
    await parsers.aclose()
    return timed


async def measure() -> Section:
    found = [*await schemas(), *await sql(), *await code(), *await entropy()]
    text = (
        table(HEAD, (figure.cells() for figure in found)) + _NOTES + table(("gate", "answer", "per KB"), await speed())
    )
    return Section(name="gates", title="Gates", n="see each line", text=text, figures={})


def main() -> int:
    if not DATA.exists():
        print(f"bench.gates: there are no recorded answers at {DATA}", file=sys.stderr)
        return 2
    logging.disable(logging.WARNING)  # a line for each request whose first model did not answer
    text = render(asyncio.run(measure()), circumstances())
    print(text)
    PAGE.write_text(put_section(PAGE.read_text() if PAGE.exists() else HEADING, "gates", text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
