"""A setting without effect stops the start."""

from pathlib import Path

import pytest

from polyroute.config.check import check
from polyroute.config.load import loads
from polyroute.config.support import GAPS, unsupported

SIM = "models: {m: simulated/m, n: simulated/n}\n"


def paths_of(text: str) -> list[str]:
    document = loads(SIM + text, {"URL": "http://x"}, folder=Path("/nowhere")).document
    problems = list(unsupported(document))
    assert set(problems) <= set(check(document))
    return [problem.path for problem in problems]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("store: {vectors: 'http://127.0.0.1'}", ["store.vectors"]),
        ("routes: {r: {primary: m, cache: {semantic: {ttl: 24h, max_wrong: 0.005}}}}", ["routes.r.cache.semantic"]),
        ("routes: {r: {strategy: {use: llm, models: [m], router: n, prompt: x}}}", ["routes.r.strategy.use"]),
        ("pipelines: {p: {nodes: []}}", ["pipelines.p"]),
        ("batch: {window: '22:00-06:00', deadline: 24h}", ["batch"]),
        ("economics: {a: 1}", ["economics.a"]),
    ],
)
def test_it_is_told_by_its_path(text: str, paths: list[str]) -> None:
    assert paths_of(text) == paths


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server: {workers: 2}\nstore: {shared: memory, vectors: embedded}\ntelemetry: {content: false}",
        "routes: {r: {primary: m, require_human_review: true, min_output_tokens: 8}}",
        "routes: {r: {primary: m, gates: [{use: json, on_reject: retry}, {use: length, on_reject: block}]}}",
        "limits: {per_user_tokens_per_minute: 5}",
        "pipelines: {}\nprompts: {}\nalerts: []\neconomics: {}",
    ],
)
def test_what_has_its_effect_or_asks_for_none_is_not(text: str) -> None:
    assert paths_of(text) == []


def test_every_gap_names_a_setting_once() -> None:
    assert len({gap.path for gap in GAPS}) == len(GAPS)
