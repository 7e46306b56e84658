"""Past requests under another document, or at another price: decided anew, priced by the tokens that were booked."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.rig import KEY, Rig, ask, gateway
from typer.testing import CliRunner

from polyroute.cli.main import build

DOCUMENT = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 1, output: 2}}
  middle: {provider: sim, price: {input: 1.5, output: 3}}
  large: {provider: sim, model: large-up, price: {input: 10, output: 20}}
routes:
  plain: {primary: large}
  cheap: {strategy: {use: cheapest, models: [small, middle]}}
  ruled: {strategy: {use: rules, rules: [{when: {contains: [theorem]}, model: large}], default: small}}
keys: [{name: ci, key: {env: CI_KEY}, user: ci}]
"""


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CI_KEY", KEY)
    (tmp_path / "polyroute.yaml").write_text(DOCUMENT)
    async with gateway(DOCUMENT, tmp_path) as door:
        for n in range(4):
            await put(door, "plain", f"hello {n}")
        for n in range(3):
            await put(door, "cheap", f"hello {n}")
        await put(door, "ruled", "a theorem")
    return tmp_path


async def put(door: Rig, model: str, text: str) -> None:
    told = await door.post("/v1/chat/completions", ask(text, model, max_tokens=20))
    assert told.status == 200, told.body


def run(folder: Path, verb: str, *words: str) -> Any:
    return CliRunner().invoke(build(verb), [verb, *words, "-c", str(folder / "polyroute.yaml")])


def replay(folder: Path, text: str, *words: str) -> Any:
    (folder / "new.yaml").write_text(text)
    return run(folder, "replay", "--policy", str(folder / "new.yaml"), *words)


def usd(value: object) -> Decimal:
    return Decimal(str(value))


def test_the_same_document_changes_nothing_to_the_last_nano_dollar(folder: Path) -> None:
    done = replay(folder, DOCUMENT, "--json", "--max-cost-increase", "0")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["requests"], told["changed"], told["refused"], told["kept"]) == (8, 0, 0, 1)
    assert (told["difference_usd"], told["moves"], told["most_changed"]) == (0, [], [])


def test_a_dearer_route_is_told_with_its_requests_and_fails_the_build(folder: Path) -> None:
    dearer = DOCUMENT.replace("models: [small, middle]", "models: [large]")
    done = replay(folder, dearer, "--json", "--max-cost-increase", "5")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["changed"] == 3
    (move,) = told["moves"]
    assert (move["was"], move["now"], move["requests"]) == ("small", "large", 3)
    assert usd(move["difference_usd"]) == usd(told["difference_usd"]) > 0
    assert usd(told["now_usd"]) - usd(told["was_usd"]) == usd(told["difference_usd"])
    first = told["most_changed"][0]
    assert usd(first["now_usd"]) == 10 * usd(first["was_usd"])  # input and output both cost ten times as much
    assert replay(folder, dearer, "--max-cost-increase", "100000").exit_code == 0
    assert "small  large" in replay(folder, dearer).stdout.replace("   ", "  ").replace("   ", "  ")


def test_a_cheaper_route_saves_with_a_sign(folder: Path) -> None:
    told = json.loads(replay(folder, DOCUMENT.replace("{primary: large}", "{primary: small}"), "--json").stdout)
    assert usd(told["difference_usd"]) < 0
    assert told["difference_ratio"] < 0
    assert told["baseline"]


def test_a_route_that_is_gone_refuses_its_requests_and_fails_the_build(folder: Path) -> None:
    gone = DOCUMENT.replace("  plain: {primary: large}\n", "")
    done = replay(folder, gone, "--json", "--max-cost-increase", "1000")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["refused"] == 4
    assert "4 refused" in done.output


def test_a_rule_that_reads_words_keeps_its_choice_and_says_so(folder: Path) -> None:
    told = json.loads(replay(folder, DOCUMENT.replace("[theorem]", "[lemma]"), "--json").stdout)
    assert (told["changed"], told["kept"]) == (0, 1)


def test_a_dearer_model_is_paid_where_it_is_fixed_and_left_where_there_is_a_choice(folder: Path) -> None:
    twice = json.loads(run(folder, "what-if", "price", "large-up", "x2", "--json").stdout)
    spent_on_large = usd(twice["difference_usd"])
    assert (twice["changed"], twice["requests"]) == (0, 8)
    assert "before large-up costs x2" in twice["baseline"]
    half = json.loads(run(folder, "what-if", "price", "large", "x0.5", "--json").stdout)
    assert usd(half["difference_usd"]) == -spent_on_large / 2
    moved = json.loads(run(folder, "what-if", "price", "small", "x2", "--json").stdout)
    assert [(move["was"], move["now"], move["requests"]) for move in moved["moves"]] == [("small", "middle", 3)]
    assert usd(moved["difference_usd"]) > 0
    assert (folder / "polyroute.yaml").read_text() == DOCUMENT


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("price", "lrge", "x2"), 1, "did you mean"),
        (("price", "large", "twice"), 2, "no change of a price"),
        (("price", "large", "x-1"), 2, "no change of a price"),
        (("price", "large", "x2", "--since", "soon"), 2, "neither a span"),
    ],
)
def test_what_makes_no_sense_is_told(folder: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = run(folder, "what-if", *words)
    assert done.exit_code == code
    assert said in done.output


async def test_a_trial_is_replayed_with_each_users_own_arm_and_a_changed_weight_moves_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_KEY", KEY)
    arms = "[{route: plain, weight: 1}, {route: cheap, weight: 1}]"
    text = DOCUMENT.replace("keys:", f"  trial: {{strategy: {{use: split, arms: {arms}, sticky: user}}}}\nkeys:")
    (tmp_path / "polyroute.yaml").write_text(text)
    async with gateway(text, tmp_path) as door:
        for n in range(24):
            told = await door.post("/v1/chat/completions", ask("hi", "trial", max_tokens=20, user=f"end-{n}"))
            assert told.status == 200
    same = json.loads((await asyncio.to_thread(replay, tmp_path, text, "--json")).stdout)
    assert (same["requests"], same["changed"]) == (24, 0)
    text = text.replace("cheap, weight: 1", "cheap, weight: 1000")
    more = json.loads((await asyncio.to_thread(replay, tmp_path, text, "--json")).stdout)
    assert [(move["was"], move["now"]) for move in more["moves"]] == [("large", "small")]
    assert usd(more["difference_usd"]) < 0


def test_a_document_with_mistakes_and_an_empty_past_are_told(folder: Path) -> None:
    assert replay(folder, DOCUMENT.replace("primary: large", "primary: lrge")).exit_code == 1
    done = replay(folder, DOCUMENT, "--since", "2999-01-01")
    assert done.exit_code == 1
    assert "nothing to replay" in done.output
