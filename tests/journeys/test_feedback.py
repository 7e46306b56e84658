"""What callers think of answers: given at the door, read beside the receipt, and nobody else's business."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, Rig, gateway
from tests.journeys.test_management import SIMULATED, ask, chat, made
from typer.testing import CliRunner

from polyroute.cli.main import build


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(SIMULATED, tmp_path) as running:
        yield running


async def answered(door: Rig, key: str) -> str:
    return (await chat(door, key)).headers["x-polyroute-request-id"]


async def test_the_last_word_of_a_caller_stands_beside_the_receipt(door: Rig, tmp_path: Path) -> None:
    key = (await made(door, name="app", user="ann", team="red"))["key"]
    receipt = await answered(door, key)
    assert (await ask(door, "GET", f"/v1/receipts/{receipt}", key=key)).json["feedback"] == []
    for body in ({"score": 0}, {"score": 0.75, "comment": "good, but long"}):
        told = await ask(door, "POST", "/v1/feedback", {"receipt": receipt, **body}, key=key)
        assert (told.status, told.json["receipt"], told.json["score"]) == (200, receipt, body["score"])
    (said,) = (await ask(door, "GET", f"/v1/receipts/{receipt}", key=key)).json["feedback"]
    assert (said["score"], said["comment"], said["user"], said["team"]) == (0.75, "good, but long", "ann", "red")
    assert (await ask(door, "POST", "/v1/feedback", {"receipt": receipt, "score": 1}, key=ADMIN)).status == 200
    (tmp_path / "polyroute.yaml").write_text(SIMULATED)
    told_ = CliRunner().invoke(build("explain"), ["explain", receipt, "-c", str(tmp_path / "polyroute.yaml")])
    assert told_.exit_code == 0, told_.output
    assert "feedback 0.75 by ann of red" in told_.stdout
    assert "good, but long" in told_.stdout
    assert told_.stdout.count("feedback") == 2


async def test_a_foreign_receipt_and_none_look_the_same(door: Rig) -> None:
    own = await made(door, name="app", user="ann", team="red", tenant="acme")
    receipt = await answered(door, own["key"])
    for n, whose in enumerate(({"tenant": "other"}, {"tenant": "acme", "team": "red", "user": "bob"})):
        stranger = (await made(door, name=f"s{n}", **whose))["key"]
        told = [
            await ask(door, "POST", "/v1/feedback", {"receipt": name, "score": 1}, key=stranger)
            for name in (receipt, "req_nothing")
        ]
        assert [one.status for one in told] == [404, 404]
        assert told[0].body.replace(receipt.encode(), b"req_nothing") == told[1].body
    viewer = (await made(door, name="v", role="viewer"))["key"]
    assert (await ask(door, "POST", "/v1/feedback", {"receipt": receipt, "score": 1}, key=viewer)).status == 403
    assert (await ask(door, "GET", f"/v1/receipts/{receipt}", key=own["key"])).json["feedback"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"score": 1}, "receipt", id="no receipt"),
        pytest.param({"receipt": "req_1"}, "score", id="no score"),
        pytest.param({"receipt": "req_1", "score": 1.01}, "score", id="over one"),
        pytest.param({"receipt": "req_1", "score": -0.1}, "score", id="under zero"),
        pytest.param({"receipt": "req_1", "score": True}, "score", id="a yes"),
        pytest.param({"receipt": "req_1", "score": "good"}, "score", id="a word"),
        pytest.param({"receipt": "req_1", "score": 1, "comment": "x" * 2001}, "comment", id="a long comment"),
        pytest.param({"receipt": "req_1", "score": 1, "comment": 7}, "comment", id="a comment that is no text"),
        pytest.param({"receipt": ["req_1"], "score": 1}, "receipt", id="a list"),
        pytest.param({"receipt": "req_1", "score": 1, "rating": 5}, "rating", id="an unknown field"),
    ],
)
async def test_bad_feedback_is_refused_naming_its_field(door: Rig, body: dict[str, object], field: str) -> None:
    told = await ask(door, "POST", "/v1/feedback", body)
    assert (told.status, told.json["error"]["type"]) == (400, "invalid_request_error")
    assert f"`{field}`" in told.json["error"]["message"]


@pytest.mark.parametrize("receipt", ["", "\x00", "é", "x" * 10_000, "../../etc", "req_'; DROP TABLE notes"])
async def test_a_name_that_is_no_receipts_is_not_there(door: Rig, receipt: str) -> None:
    told = await ask(door, "POST", "/v1/feedback", {"receipt": receipt, "score": 1})
    assert told.status == 404


async def test_words_that_are_no_text_are_refused(door: Rig) -> None:
    receipt = await answered(door, (await made(door, name="app"))["key"])
    lone = orjson.dumps({"receipt": receipt, "score": 1, "comment": "@"}).replace(b"@", b"\\ud800")
    told = await door.post("/v1/feedback", lone, key=ADMIN)
    assert told.status == 400
