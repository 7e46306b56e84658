"""Moderators over HTTP: what is settled here stays here, the rest is asked, and what is flagged stops."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ENV, Rig, Told, gateway
from tests.journeys.upstream import Answer, Heard, Upstream, chat, upstream
from typer.testing import CliRunner

from polyroute.cli.main import build
from polyroute.types.receipt import Receipt

BAD, GOOD, UNCLEAR = "you foul zorb get lost", "what a lovely quiet morning", "zorb morning"
ROWS = [
    {"text": f"{opening} {what} {number}", "flag": flag, "labels": {"insult": flag}}
    for flag, openings, whats in (
        (1, ("you", "go away you", "what a"), ("foul zorb", "rotten zorb", "stupid zorb", "zorb get lost")),
        (0, ("I like", "today is", "what a"), ("lovely morning", "quiet garden", "good soup", "lovely walk")),
    )
    for opening in openings
    for what in whats
    for number in range(4)
]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("moderator")
    (folder / "rows.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ROWS))
    asked = ["moderate", "--train", str(folder / "rows.jsonl"), "--out", str(folder / "m.json")]
    told = CliRunner().invoke(build("moderate"), [*asked, "--target-precision", "0.95", "--confidence", "0.7"])
    assert told.exit_code == 0, told.output
    assert "on rows held out it settles" in told.output
    return (folder / "m.json").read_bytes()


def document(up: Upstream, stages: str, guard: str = "", more: str = "") -> str:
    return f"""
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers: {{up: {{dialect: openai, base_url: "{up.url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
models:
  gpt: {{provider: up, model: gpt, price: {{input: 1, output: 1}}}}
  modder: {{provider: up, model: modder, operations: [moderation], price: {{input: 1, output: 0}}}}
  big: {{provider: up, model: big, price: {{input: 5, output: 5}}}}
routes:
  safety: {{strategy: {{use: moderation, {stages}}}{more}}}
  talk: {{primary: gpt{guard}}}
"""


def script(scores: dict[str, float], words: dict[str, bool], answer: str = "fine") -> Any:
    """A provider with a moderation model and two that converse; `big` judges."""

    def answered(heard: Heard) -> Answer:
        body = heard.json
        if heard.path.endswith("/moderations"):
            results = [
                {
                    "flagged": scores[text] >= 0.5,
                    "categories": {"hate": scores[text] >= 0.5},
                    "category_scores": {"hate": scores[text]},
                }
                for text in body["input"]
            ]
            return Answer(pieces=[orjson.dumps({"id": "m", "model": "modder", "results": results})])
        if body["model"] == "big":
            text = body["messages"][-1]["content"].strip("⟦⟧")
            return chat(orjson.dumps({"flagged": words[text], "category": "hate" if words[text] else ""}).decode())
        return chat(answer)

    return answered


async def moderate(rig: Rig, texts: list[str]) -> Told:
    return await rig.post("/v1/moderations", {"model": "safety", "input": texts})


async def say(rig: Rig, text: str, **more: Any) -> Told:
    return await rig.post(
        "/v1/chat/completions", {"model": "talk", "messages": [{"role": "user", "content": text}], **more}
    )


def purposes(receipt: Receipt) -> list[str | None]:
    return [attempt.purpose for attempt in receipt.attempts]


async def test_each_text_is_settled_as_near_as_it_can_be(tmp_path: Path, artifact: bytes) -> None:
    (tmp_path / "m.json").write_bytes(artifact)
    async with upstream() as up:
        up.script = script({"zorb morning": 0.6, "xyzzy": 0.99}, {"zorb morning": False})
        async with gateway(document(up, "artifact: m.json, model: modder, llm: big"), tmp_path, ENV) as rig:
            told = await moderate(rig, [BAD, GOOD, UNCLEAR, "xyzzy"])
            receipt = await rig.receipt(told)
            metrics = (await rig.get("/metrics")).body.decode()
        heard = [request.json for request in up.log]
    assert told.status == 200, told.body
    assert [result["flagged"] for result in told.json["results"]] == [True, False, False, True]
    assert [r["polyroute"]["stage"] for r in told.json["results"]] == ["local", "local", "llm", "model"]
    assert heard[0]["input"] == [UNCLEAR, "xyzzy"]
    assert BAD not in str(heard)
    assert GOOD not in str(heard)
    assert len(heard) == 2
    assert receipt.moderation is not None
    assert receipt.moderation.stages == {"local": 2, "model": 1, "llm": 1}
    assert purposes(receipt) == ["moderation model", "moderation llm", None]
    assert receipt.cost_usd > 0
    assert 'polyroute_moderated_total{moderator="safety",outcome="flagged",stage="local"} 1.0' in metrics
    assert told.json["results"][0]["category_scores"]["insult"] > 0.5
    assert told.json["results"][1]["categories"]["self-harm/intent"] is False


async def test_a_confident_text_calls_nobody(tmp_path: Path, artifact: bytes) -> None:
    (tmp_path / "m.json").write_bytes(artifact)
    async with upstream() as up:
        async with gateway(document(up, "artifact: m.json, model: modder, llm: big"), tmp_path, ENV) as rig:
            told = await moderate(rig, [BAD])
            receipt = await rig.receipt(told)
        assert up.log == []
    assert told.headers["x-polyroute-model"] == "moderation/safety"
    assert receipt.cost_usd == 0


@pytest.mark.parametrize(("unsettled", "flagged"), [("flag", True), ("allow", False)])
async def test_what_nobody_settles_is_as_the_document_says(tmp_path: Path, unsettled: str, flagged: bool) -> None:
    async with upstream() as up:
        up.script = lambda heard: Answer(status=500, pieces=[b"{}"])
        stages = f"model: modder, llm: big, unsettled: {unsettled}"
        async with gateway(document(up, stages), tmp_path, ENV) as rig:
            told = await moderate(rig, ["anything"])
            receipt = await rig.receipt(told)
    assert told.json["results"][0]["flagged"] is flagged
    assert told.json["results"][0]["polyroute"]["stage"] == "nobody"
    assert receipt.moderation is not None
    assert [fault.split()[0] for fault in receipt.moderation.faults] == ["modder", "big"]


async def test_a_flagged_request_is_refused_before_any_model_answers(tmp_path: Path, artifact: bytes) -> None:
    (tmp_path / "m.json").write_bytes(artifact)
    async with (
        upstream() as up,
        gateway(document(up, "artifact: m.json", ", moderation: {by: safety}"), tmp_path, ENV) as rig,
    ):
        refused = await say(rig, BAD)
        streamed = await say(rig, BAD, stream=True)
        hidden = await rig.post(
            "/v1/chat/completions",
            {"model": "talk", "messages": [{"role": "system", "content": BAD}, {"role": "user", "content": GOOD}]},
        )
        claude = await rig.post(
            "/v1/messages", {"model": "talk", "max_tokens": 9, "messages": [{"role": "user", "content": BAD}]}
        )
        assert up.log == []
        fine = await say(rig, GOOD)
        receipts = [await rig.receipt(told) for told in (refused, fine)]
    for told in (refused, streamed, hidden):
        assert (told.status, told.json["error"]["code"]) == (400, "content_policy_violation"), told.body
        assert BAD not in told.body.decode()
    assert (claude.status, claude.json["type"]) == (400, "error")
    assert fine.status == 200
    assert [r.state for r in receipts] == ["failed", "settled"]
    assert receipts[0].moderation is not None
    assert receipts[0].moderation.flagged == 1
    assert receipts[0].cost_usd == 0


async def test_a_flagged_answer_is_blocked_and_its_call_is_booked(tmp_path: Path, artifact: bytes) -> None:
    (tmp_path / "m.json").write_bytes(artifact)
    guard = ", moderation: {by: safety, prompts: off, answers: block}"
    async with upstream() as up:
        up.script = script({}, {}, answer=BAD)
        async with gateway(document(up, "artifact: m.json", guard), tmp_path, ENV) as rig:
            told, streamed = await say(rig, GOOD), await say(rig, GOOD, stream=True)
            receipt = await rig.receipt(told)
    for each in (told, streamed):
        assert (each.status, each.json["error"]["code"]) == (400, "content_policy_violation")
        assert b"zorb" not in each.body
    assert told.headers["x-should-retry"] == "false"
    assert receipt.cost_usd > 0
    assert receipt.attempts[-1].verdicts[-1].gate == "moderation"


@pytest.mark.parametrize(
    ("guard", "text", "answer"),
    [("prompts: review", BAD, "fine"), ("prompts: off, answers: review", GOOD, BAD)],
)
async def test_what_is_flagged_can_be_held_for_a_person(
    tmp_path: Path, artifact: bytes, guard: str, text: str, answer: str
) -> None:
    (tmp_path / "m.json").write_bytes(artifact)
    async with upstream() as up:
        up.script = script({}, {}, answer=answer)
        written = document(up, "artifact: m.json", f", moderation: {{by: safety, {guard}}}")
        async with gateway(written, tmp_path, ENV) as rig:
            held, streamed = await say(rig, text), await say(rig, text, stream=True)
    assert (held.status, streamed.status) == (202, 202), (held.body, streamed.body)


async def test_a_moderator_answers_nothing_else(tmp_path: Path) -> None:
    async with upstream() as up, gateway(document(up, "llm: big"), tmp_path, ENV) as rig:
        chatted = await rig.post(
            "/v1/chat/completions", {"model": "safety", "messages": [{"role": "user", "content": "hi"}]}
        )
        picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]
        seen = await rig.post("/v1/moderations", {"model": "safety", "input": picture})
    assert (chatted.status, seen.status) == (503, 503)
    assert "answers /v1/moderations" in chatted.body.decode()
    assert "reads texts only" in seen.body.decode()


@pytest.mark.parametrize(
    ("stages", "guard", "said"),
    [
        ("artifact: none.json", "", "routes.safety.strategy.artifact: none.json cannot be read"),
        ("timeout_s: 3", "", "nobody would settle anything"),
        ("llm: big", ", moderation: {by: talk}", "`talk` is no route of strategy moderation"),
        ("llm: big", ", moderation: {by: safety, prompts: off}", "looks at nothing"),
        ("llm: big", ", fallback: safety", "`safety` moderates, and answers nothing else"),
        ("llm: bug", "", "there is no model or route `bug`"),
        ("llm: big, doubt: {low: 0.9, high: 0.1}", "", "0.9 is more than high 0.1"),
        (
            "llm: big",
            ", commit: first_token, moderation: {by: safety, answers: block}",
            "a stream that is told from its first token on is not looked at",
        ),
    ],
)
async def test_check_tells_what_is_wrong(tmp_path: Path, stages: str, guard: str, said: str) -> None:
    async with upstream() as up:
        (tmp_path / "polyroute.yaml").write_text(document(up, stages, guard))
    told = CliRunner().invoke(build("check"), ["check", "-c", str(tmp_path / "polyroute.yaml")], env=ENV)
    assert told.exit_code == 1
    assert said in " ".join(told.output.split())


def test_the_command_moderates_by_a_file_alone_and_by_the_document(tmp_path: Path, artifact: bytes) -> None:
    file = tmp_path / "m.json"
    file.write_bytes(artifact)
    (tmp_path / "polyroute.yaml").write_text(
        'server: {auth: open}\nstore: {database: "sqlite:///books.db"}\n'
        "routes: {safety: {strategy: {use: moderation, artifact: m.json}}}\n"
    )
    run = CliRunner().invoke
    alone = run(build("moderate"), ["moderate", BAD, "--artifact", str(file), "--json"])
    here = run(build("moderate"), ["moderate", BAD, "-c", str(tmp_path / "polyroute.yaml")])
    assert orjson.loads(alone.output)["flagged"] is True, alone.output
    assert here.output.startswith("flagged, score 0."), here.output
    file.write_bytes(artifact.replace(b'"confidence":0.7', b'"confidence":0.9'))
    changed = run(build("moderate"), ["moderate", BAD, "--artifact", str(file)])
    assert changed.exit_code == 1
    assert "not what its hash says" in changed.output


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (b'{"text": "a"}\n', "rows.jsonl:1: Object missing required field `flag`"),
        (b'{"text": " ", "flag": true}\n', "rows.jsonl:1: `text` is empty"),
        (b'{"text": "a", "flag": 7}\n', "rows.jsonl:1: `flag` and `labels` are true or false"),
        (b'{"text": "a", "flag": true}\n' * 60, "60 flagged rows and 0 others"),
    ],
)
def test_rows_that_teach_nothing_are_refused(tmp_path: Path, rows: bytes, said: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(rows)
    asked = ["moderate", "--train", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "m.json")]
    told = CliRunner().invoke(build("moderate"), asked)
    assert told.exit_code == 1
    assert said in " ".join(told.output.split())
    assert not (tmp_path / "m.json").exists()
