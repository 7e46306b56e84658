"""A trial: requests divided among routes, each user with one arm, no application any the wiser."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.rig import Rig, gateway
from tests.journeys.test_management import ask, chat, made

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
