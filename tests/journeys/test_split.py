"""A trial: requests divided among routes, each user with one arm, no application any the wiser."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.rig import Rig, gateway
from tests.journeys.test_management import ask, chat, made
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.config.load import reads
from polyroute.errors import ConfigError

DOCUMENT = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 1, output: 1}}
  large: {provider: sim, price: {input: 5, output: 5}}
routes:
  cautious: {primary: large}
  thrifty: {strategy: {use: cheapest, models: [small, large]}, gates: [{use: length, min_chars: 1}]}
  trial: {strategy: {use: split, arms: [{route: cautious, weight: 50}, {route: thrifty, weight: 50}], sticky: user}}
"""


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT, tmp_path) as running:
        yield running


async def test_each_user_stays_with_an_arm_that_answers_in_its_own_way(door: Rig) -> None:
    seen: dict[str, set[str]] = {}
    for user in ("ann", "bob", "cat", "dan", "eve", "fay"):
        key = (await made(door, name=user, user=user, models=["trial"]))["key"]
        foreseen = (await ask(door, "POST", "/v1/route", {"model": "trial", "input": "hi"}, key=key)).json
        arm = foreseen["split"]["arm"]
        for _ in range(3):
            told = await chat(door, key, model="trial")
            assert told.status == 200, told.body
            assert told.headers["x-polyroute-split"] == f"trial={arm}"
            assert told.headers["x-polyroute-route"] == arm
            assert told.headers["x-polyroute-model"] == {"cautious": "large", "thrifty": "small"}[arm]
            receipt = (await ask(door, "GET", f"/v1/receipts/{told.headers['x-polyroute-request-id']}", key=key)).json
            assert (receipt["requested_model"], receipt["route"], receipt["split"]["arm"]) == ("trial", arm, arm)
        seen.setdefault(arm, set()).add(user)
        assert (await chat(door, key, model=arm)).status == 403  # the key may use the trial alone
    assert set(seen) == {"cautious", "thrifty"}


async def test_a_stream_of_a_trial_says_its_arm(door: Rig) -> None:
    key = (await made(door, name="app"))["key"]
    told = await chat(door, key, model="polyroute/trial", stream=True)
    assert told.status == 200
    assert told.headers["x-polyroute-split"].startswith("trial=")
    assert "x-polyroute-split" not in (await chat(door, key, model="cautious")).headers


def compared(folder: Path, *words: str) -> Any:
    (folder / "polyroute.yaml").write_text(DOCUMENT)
    done = CliRunner().invoke(build("compare"), ["compare", *words, "-c", str(folder / "polyroute.yaml")])
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_the_arms_are_compared_by_feedback_and_cost_and_the_trial_says_whether_it_may_stop(
    door: Rig, tmp_path: Path
) -> None:
    for n in range(40):
        key = (await made(door, name=f"k{n}", user=f"u{n}"))["key"]
        told = await chat(door, key, model="trial")
        score = 1 if told.headers["x-polyroute-route"] == "cautious" else 0
        body = {"receipt": told.headers["x-polyroute-request-id"], "score": score}
        assert (await ask(door, "POST", "/v1/feedback", body, key=key)).status == 200
    found = json.loads(compared(tmp_path, "--split", "trial", "--json"))
    assert (found["verdict"], found["better"]) == ("stop: better", "cautious")
    assert [(arm["arm"], arm["score"]["value"]) for arm in found["arms"]] == [("cautious", 1.0), ("thrifty", 0.0)]
    assert sum(arm["requests"] for arm in found["arms"]) == sum(arm["score"]["n"] for arm in found["arms"]) == 40
    assert all(arm["errors"]["value"] == 0 and arm["latency"]["value"] > 0 for arm in found["arms"])
    cheaper = json.loads(compared(tmp_path, "--split", "trial", "--by", "cost", "--since", "1h", "--json"))
    assert cheaper["arms"][0]["cost"]["value"] > cheaper["arms"][1]["cost"]["value"]
    assert "stop: better: cautious is better in score" in compared(tmp_path, "--split", "trial")
    assert "go on: fewer than two arms" in compared(tmp_path, "--split", "nothing")


@pytest.mark.parametrize(
    ("strategy", "more", "path"),
    [
        pytest.param("arms: [{route: a}, {route: b}]", "gates: [{use: json}]", "routes.r.gates", id="a gate beside"),
        pytest.param("arms: [{route: a}, {route: b}]", "class: batch", "routes.r.class", id="a class beside"),
        pytest.param("arms: [{route: a}, {route: a}]", "", "routes.r.strategy.arms[1].route", id="an arm twice"),
        pytest.param("arms: [{route: a}, {route: s}]", "", "routes.r.strategy.arms[1].route", id="a split in a split"),
        pytest.param("arms: [{route: a}, {route: x}]", "", "routes.r.strategy.arms[1].route", id="an unknown route"),
        pytest.param("arms: [{route: a}, {route: sim/z}]", "", "routes.r.strategy.arms[1].route", id="no name"),
        pytest.param("arms: [{route: a}]", "", "routes.r.strategy.arms", id="one arm"),
        pytest.param("arms: [{route: a}, {route: b, weight: 0}]", "", "routes.r.strategy.arms[1].weight", id="weight"),
        pytest.param("arms: [{route: a}, {route: b}], sticky: ip", "", "routes.r.strategy.sticky", id="no such unit"),
    ],
)
def test_a_split_that_cannot_be_is_refused(strategy: str, more: str, path: str, tmp_path: Path) -> None:
    text = f"""
server: {{auth: open}}
providers: {{sim: {{dialect: simulated}}}}
models: {{m: {{provider: sim, price: free}}}}
routes:
  a: {{primary: m}}
  b: {{primary: m}}
  s: {{strategy: {{use: split, arms: [{{route: a}}, {{route: b}}]}}}}
  r: {{strategy: {{use: split, {strategy}}}{", " + more if more else ""}}}
"""
    with pytest.raises(ConfigError) as refused:
        reads(text, {}, folder=tmp_path)
    problems: list[Any] = list(refused.value.problems)
    assert path in [problem.path for problem in problems]
