"""`python -m bench.routing`: trained routers on rows they had not seen, through the verbs `train` and `route`.

A row is held out where its folded prompt's SHA-256 begins with a byte under 86 (a third), so that a question stands on
one side in every data set that has it.
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from typer.testing import CliRunner

from bench.__main__ import circumstances
from bench.checked import DATA, HEAD, Figure, rows
from bench.report import Section, put_section, render, table
from polyroute.cli.interval import wilson
from polyroute.cli.main import build
from polyroute.learning.curves import Interval, Pair, apgr, interval

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "routing-quality.md"
HEADING = """# Routing quality

What trained routers are worth on prompts they had not seen. Written by `python -m bench.routing` through the verbs
`train` and `route`; the rows lie beside the checkout, in `../shared/data`. Intervals are bootstrapped, 95 %.
"""
_LOSSES = (0.01, 0.02, 0.05, 0.1)
_UNSEEN = (
    ("mmlu", "gsm8k"),
    ("gsm8k", "mmlu"),
    ("math_l5", "gsm8k_zs"),
    ("gsm8k_zs", "math_l5"),
    ("mmlu_pro", "gsm8k_zs"),
)
_WRAPPERS = ("Please answer the following.\n\n{}", "{}\n\nThank you!", "Question: {}")
_FEWEST = 0.045  # of the shared rows: the ten pairs whose gap is five points on all rows
_HELD = 86  # of 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """One pair: what the router decided on the held-out rows, by accepted loss."""

    name: str
    trained: int
    pair: Pair
    words: Any
    order: Any  # expected gain of the stronger model
    abstained: float
    chosen: Mapping[float, Any]  # by loss, the index of the model chosen: 1 is the stronger
    stable: tuple[int, int]
    decision_ms: tuple[float, float]
    train_s: float

    def apgr(self, order: Any) -> Interval:
        return interval(len(self.order), lambda at: apgr(self.pair.at(at), order[at]))


def is_held(prompt: str) -> bool:
    return sha256(" ".join(prompt.lower().split()).encode()).digest()[0] < _HELD


def dataset(name: str) -> list[dict[str, Any]]:
    """In the form that `train` reads."""
    return [
        {
            "id": row["id"],
            "prompt": row["prompt"],
            "scores": row["scores"],
            "input_tokens": row["in_tokens"],
            "output_tokens": row.get("out_tokens", {}),
        }
        for row in rows(f"routing/{name}.jsonl.gz")
        if row["split"] == "shared"
    ]


class Place:
    """A folder with a document of two models, and the verbs run in it."""

    def __init__(self, folder: Path, models: Sequence[str], prices: Mapping[str, Any]) -> None:
        self.folder, self.models, self._prices = folder, models, prices
        self.document(_LOSSES[0])

    def document(self, loss: float) -> None:
        listed = json.dumps(list(self.models))
        text = "server: {auth: open}\nproviders: {sim: {dialect: simulated}}\nmodels:\n"
        for name in self.models:
            price = self._prices[name]
            rates = f"{{input: {price['input']}, output: {price['output']}}}"
            text += f"  {json.dumps(name)}: {{provider: sim, price: {rates}}}\n"
        strategy = f"{{use: learned, models: {listed}, artifact: r.json, quality_loss: {loss}}}"
        text += f"routes: {{r: {{strategy: {strategy}}}}}\n"
        (self.folder / "polyroute.yaml").write_text(text)

    def run(self, verb: str, *words: str) -> str:
        done = CliRunner().invoke(build(verb), [verb, *words, "-c", str(self.folder / "polyroute.yaml")])
        if done.exit_code:
            raise RuntimeError(f"{verb} {' '.join(words)}: {done.output}")
        return done.stdout

    def put(self, name: str, told: Iterable[Mapping[str, Any]]) -> str:
        file = self.folder / name
        file.write_text("".join(json.dumps(row) + "\n" for row in told))
        return str(file)

    def train(self, told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        file, out = self.put("rows.jsonl", told), str(self.folder / "r.json")
        words = ("--rows", file, "--models", ",".join(self.models), "--out", out, "--force", "--json")
        found: dict[str, Any] = json.loads(self.run("train", *words))
        return found

    def decide(self, prompts: Sequence[str]) -> list[dict[str, Any]]:
        file = self.put("asked.jsonl", ({"id": at, "prompt": prompt} for at, prompt in enumerate(prompts)))
        out = self.folder / "decided.jsonl"
        self.run("route", "--route", "r", "--batch", file, "--out", str(out))
        return [json.loads(line) for line in out.read_bytes().splitlines()]


def ran(name: str, weak: str, strong: str, shown: list[Any], held: list[Any], prices: Mapping[str, Any]) -> Ran:
    with TemporaryDirectory(prefix="polyroute-bench-") as folder:
        place = Place(Path(folder), (weak, strong), prices)
        began = time.perf_counter()
        made = place.train(shown)
        train_s = time.perf_counter() - began
        prompts = [row["prompt"] for row in held]
        chosen, decided = {}, list[dict[str, Any]]()
        for loss in _LOSSES:
            place.document(loss)
            decided = place.decide(prompts)
            chosen[loss] = np.array([int(row["model"] == strong) for row in decided])
        order = np.array([row["scores"][strong] - row["scores"][weak] for row in decided])
        place.document(_LOSSES[1])
        plain = [row["model"] for row in place.decide(prompts[:300])]
        changed = [[row["model"] for row in place.decide(other)] for other in variants(prompts[:300])]
    same = sum(one == two for run in changed for one, two in zip(plain, run, strict=True))
    return Ran(
        name=name,
        trained=len(shown),
        pair=paired(held, weak, strong, prices),
        words=np.log1p([len(prompt.split()) for prompt in prompts]),
        order=order,
        abstained=statistics.fmean(row["abstained"] for row in decided),
        chosen=chosen,
        stable=(same, sum(map(len, changed))),
        decision_ms=(made["decision_ms"]["p50"], made["decision_ms"]["p95"]),
        train_s=train_s,
    )


def paired(held: Sequence[Mapping[str, Any]], weak: str, strong: str, prices: Mapping[str, Any]) -> Pair:
    def usd(row: Mapping[str, Any], model: str) -> float:
        price = prices[model]
        return float(row["input_tokens"] * price["input"] + row["output_tokens"].get(model, 0) * price["output"]) / 1e6

    return Pair(
        weak=np.array([float(row["scores"][weak]) for row in held]),
        strong=np.array([float(row["scores"][strong]) for row in held]),
        weak_usd=np.array([usd(row, weak) for row in held]),
        strong_usd=np.array([usd(row, strong) for row in held]),
    )


def variants(prompts: Sequence[str]) -> Iterator[list[str]]:
    """The same questions with typing errors, in another case, in polite words."""
    draw = random.Random(7)
    yield [_typo(prompt, draw) for prompt in prompts]
    yield [prompt.lower() for prompt in prompts]
    yield [draw.choice(_WRAPPERS).format(prompt) for prompt in prompts]


def _typo(prompt: str, draw: random.Random) -> str:
    """Two neighbouring letters change places in one of twenty words."""
    words = prompt.split(" ")
    for at in range(len(words)):
        word = words[at]
        if len(word) > 3 and draw.random() < 0.05:
            place = draw.randrange(len(word) - 1)
            words[at] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)


def _told(figure: Interval) -> str:
    return f"{figure.low:.3f} to {figure.high:.3f}"


def _line(what: str, found: Interval, goal: str = "", is_met: bool | None = None) -> Figure:
    value = "never" if found.value is None else f"{found.value:.3f}"
    return Figure(what=what, value=value, n=str(found.n), interval=_told(found), goal=goal, is_met=is_met)


def within(runs: Sequence[Ran]) -> Iterator[Figure]:
    goals = {"mmlu": 0.66, "gsm8k": 0.65}
    found = []
    for one in runs:
        learned, length = one.apgr(one.order), one.apgr(one.words)
        value = learned.value or 0.0
        found.append(value)
        goal = goals.get(one.name)
        met = None if goal is None else value >= goal
        yield _line(f"{one.name}: APGR, trained on {one.trained}", learned, "" if goal is None else f">= {goal}", met)
        yield _line(f"{one.name}: prompt length", length)
    mean = statistics.fmean(found)
    yield Figure(
        what=f"mean APGR of the {len(found)} pairs with a gap of 5 points",
        value=f"{mean:.3f}", n="", interval="", goal=">= 0.63", is_met=mean >= 0.63,
    )  # fmt: skip


def kept(runs: Sequence[Ran]) -> Iterator[Figure]:
    """Whether what was promised of quality and cost came true."""
    points = [(one, loss) for one in runs for loss in _LOSSES]
    hits, dearest = 0, 0.0
    for one, loss in points:
        took, rows_ = one.chosen[loss], np.arange(len(one.order))
        scored = np.stack([one.pair.weak, one.pair.strong], 1)[rows_, took]
        usd = np.stack([one.pair.weak_usd, one.pair.strong_usd], 1)[rows_, took]
        hits += bool(scored.mean() >= (1 - loss) * one.pair.strong.mean() - 0.01)
        dearest = max(dearest, float(usd.sum() / one.pair.strong_usd.sum()))
    low, high = wilson(hits, len(points))
    yield Figure(
        what=f"quality within a point of the target, or above ({len(runs)} pairs, losses of 1, 2, 5, 10 %)",
        value=f"{hits / len(points):.0%}", n=str(len(points)), interval=f"{low:.0%} to {high:.0%}", goal=">= 90 %",
        is_met=hits >= 0.9 * len(points),
    )  # fmt: skip
    yield Figure(
        what="the dearest of these points, of always-strong's cost",
        value=f"{dearest:.1%}", n=str(len(points)), interval="", goal="<= 102 %", is_met=dearest <= 1.02,
    )  # fmt: skip
    same, all_ = sum(one.stable[0] for one in runs), sum(one.stable[1] for one in runs)
    low, high = wilson(same, all_)
    yield Figure(
        what="the same model under typing errors, in lower case, with polite words around",
        value=f"{same / all_:.1%}", n=str(all_), interval=f"{low:.1%} to {high:.1%}", goal=">= 92 %",
        is_met=same >= 0.92 * all_,
    )  # fmt: skip


def unseen(prices: Mapping[str, Any]) -> Iterator[Figure]:
    """Trained on one data set, asked about another."""
    for source, target in _UNSEEN:
        shown, asked = dataset(source), dataset(target)
        both = set(prices).intersection(*(row["scores"] for row in (*shown, *asked)))
        quality = {name: statistics.fmean(row["scores"][name] for row in asked) for name in both}
        weak, strong = min(quality, key=quality.__getitem__), max(quality, key=quality.__getitem__)
        one = ran(f"{source} → {target}", weak, strong, shown, asked, prices)
        learned, length = one.apgr(one.order), one.apgr(one.words)
        goal = f">= length's {length.value:.3f}"
        met = (learned.value or 0) >= (length.value or 0) - 5e-4
        yield _line(f"{one.name} ({weak} → {strong}, abstained {one.abstained:.0%}): APGR", learned, goal, met)


def measure() -> Section:
    told = json.loads((DATA / "routing" / "models.json").read_text())
    prices = told["models"]
    runs = []
    for pair in told["pairs"]:
        every = dataset(pair["dataset"])
        gap = statistics.fmean(row["scores"][pair["strong"]] - row["scores"][pair["weak"]] for row in every)
        if gap < _FEWEST:
            continue
        shown = [row for row in every if not is_held(row["prompt"])]
        held = [row for row in every if is_held(row["prompt"])]
        runs.append(ran(pair["name"], pair["weak"], pair["strong"], shown, held, prices))
        print(pair["name"], file=sys.stderr, flush=True)
    figures = [*within(runs), *kept(runs), *unseen(prices)]
    slowest = max(runs, key=lambda one: one.trained)
    p50, p95 = slowest.decision_ms
    text = table(HEAD, (figure.cells() for figure in figures)) + (
        f"\nTraining on {slowest.trained} rows with its report took {slowest.train_s:.0f} s (goal 60 s for 10,000); "
        f"a decision {p50:.2f} ms, p95 {p95:.2f} ms (goal 1 ms).\n"
    )
    return Section(name="routing", title="Trained routers", n="see each line", text=text, figures={})


def main() -> int:
    logging.disable(logging.WARNING)
    if not DATA.exists():
        print(f"bench.routing: there are no labelled rows at {DATA}", file=sys.stderr)
        return 2
    text = render(measure(), circumstances())
    print(text)
    PAGE.write_text(put_section(PAGE.read_text() if PAGE.exists() else HEADING, "routing", text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
