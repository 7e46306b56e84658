"""Answers that are checked before they are given: by every kind of gate, over HTTP, with what it cost."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, Rig, Told, gateway
from tests.journeys.upstream import chat, message, text_block, upstream

from polyroute.errors import ConfigError

HEAD = """
server: {auth: keys}
store: {database: "sqlite:///books.db"}
providers:
  sim: {dialect: simulated, max_tries: 1}
  tape: {dialect: replay, recordings: tape.jsonl, max_tries: 1}
keys: [{name: ci, key: {env: CI_KEY}, team: platform, user: ci}]
models:
  cheap: {provider: tape, model: cheap, price: {input: 1, output: 1}}
  other: {provider: tape, model: other, price: {input: 1, output: 1}}
  strong: {provider: tape, model: strong, price: {input: 100, output: 100}}
  judge: {provider: tape, model: judge, price: {input: 1, output: 1}}
"""


def recorded(folder: Path, *rows: tuple[str, dict[str, str]]) -> None:
    lines = [orjson.dumps({"prompt": prompt, "responses": responses}) for prompt, responses in rows]
    (folder / "tape.jsonl").write_bytes(b"\n".join(lines))


def cascade(gates: str, more: str = "") -> str:
    return f"{HEAD}\nroutes:\n  r:\n    strategy: {{use: cascade, models: [cheap, strong]{more}}}\n    gates: {gates}\n"


async def ask(rig: Rig, prompt: str = "q", **fields: Any) -> Told:
    body = {"model": "r", "messages": [{"role": "user", "content": prompt}], "max_tokens": 50, **fields}
    return await rig.post("/v1/chat/completions", body)


@pytest.mark.parametrize(
    ("gate", "good", "bad"),
    [
        ("{use: json}", '{"a": 1}', "no"),
        ("{use: json_schema, schema: {type: object, required: [a]}}", '{"a": 1}', '{"b": 1}'),
        ("{use: length, min_chars: 3}", "long", "x"),
        ("{use: regex, matches: '^[0-9]+$'}", "42", "many"),
        ("{use: regex, excludes: 'As an AI'}", "42", "As an AI I cannot"),
        ("{use: language, languages: [de]}", "Das ist nicht der Weg, und es ist Zeit.", "This is not the way to that."),
        ("{use: code}", "```python\nx = 1\n```", "```python\nx = = 1\n```"),
        ("{use: code, language: javascript}", "```js\nlet x = {a: 1};\n```", "```js\nlet x = {a: 1;\n```"),
        ("{use: sql, schema: 'CREATE TABLE t (a INT)'}", "SELECT a FROM t", "SELECT b FROM t"),
        ("{use: sql, dialect: postgres, schema: 'CREATE TABLE t (a INT)'}", "SELECT a::text FROM t", "SELECT b FROM t"),
        (
            "{use: sql, tables: [t], schema: 'CREATE TABLE t (a); CREATE TABLE u (a)'}",
            "SELECT a FROM t",
            "SELECT * FROM u",
        ),
        ("{use: all, gates: [{use: json}, {use: length, max_chars: 5}]}", "[1]", "[1, 2, 3]"),
        ("{use: any, gates: [{use: json}, {use: regex, matches: ok}]}", "ok", "no"),
        ("{use: weighted, min_score: 0.6, weights: [3, 1], gates: [{use: json}, {use: length}]}", "[1]", "o"),
    ],
)
async def test_a_gate_keeps_the_good_answer_and_escalates_from_the_bad(
    gate: str, good: str, bad: str, tmp_path: Path
) -> None:
    recorded(tmp_path, ("good", {"cheap": good, "strong": good}), ("bad", {"cheap": bad, "strong": good}))
    async with gateway(cascade(f"[{gate}]"), tmp_path) as rig:
        kept = await rig.receipt(await ask(rig, "good"))
        assert kept.model == "cheap", kept.attempts
        assert kept.verdicts[0].accepted
        told = await ask(rig, "bad")
        receipt = await rig.receipt(told)
    assert receipt.model == "strong", receipt.attempts
    assert told.headers["x-polyroute-attempts"] == "2"
    verdict = receipt.attempts[0].verdicts[0]
    assert not verdict.accepted
    assert verdict.reasons
    assert verdict.score is not None
    assert 0 <= verdict.score < 1
    assert receipt.cost_usd == sum((a.cost_usd or Decimal(0) for a in receipt.attempts), Decimal(0))


@pytest.mark.parametrize("parallel", ["false", "true"])
async def test_two_models_that_agree_are_believed_and_each_call_is_an_attempt(parallel: str, tmp_path: Path) -> None:
    recorded(
        tmp_path,
        ("agree", {"cheap": "It is 18.", "other": "The answer: $18.00", "strong": "18"}),
        ("differ", {"cheap": "It is 17.", "other": "The answer: $18.00", "strong": "18"}),
    )
    gates = f"[{{use: agreement, models: [other], by: numeric, parallel: {parallel}}}]"
    async with gateway(cascade(gates), tmp_path) as rig:
        agreed = await rig.receipt(await ask(rig, "agree"))
        differed = await rig.receipt(await ask(rig, "differ"))
        metrics = (await rig.get("/metrics")).body.decode()
    assert [(a.model, a.purpose, a.status) for a in agreed.attempts] == [
        ("cheap", None, "succeeded"),
        ("other", "agreement", "succeeded"),
    ]
    assert agreed.verdicts[0].score == 1.0
    assert agreed.verdicts[0].cost_usd == agreed.attempts[1].cost_usd
    assert agreed.saved_usd is not None
    assert agreed.saved_usd > 0
    assert [(a.model, a.purpose, a.status) for a in differed.attempts] == [
        ("cheap", None, "rejected"),
        ("other", "agreement", "succeeded"),
        ("strong", None, "succeeded"),
    ]
    assert differed.fallback_reason == "cheap@tape: rejected by agreement"
    assert 'polyroute_escalations_total{model="cheap",route="r"} 1.0' in metrics


async def test_samples_stop_as_soon_as_they_disagree(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "one", "strong": "1"}))
    document = cascade("[{use: agreement, samples: 4, by: numeric}]")
    async with gateway(document, tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert [a.model for a in receipt.attempts] == ["cheap", "strong"], "no number to compare: nothing more is asked"
    recorded(tmp_path, ("q", {"cheap": "1", "strong": "1"}))
    async with gateway(document, tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert [a.purpose for a in receipt.attempts] == [None, "agreement", "agreement", "agreement"]


async def test_a_judge_reads_the_answer_as_material_and_its_price_is_booked(tmp_path: Path) -> None:
    document = cascade("[{use: judge, model: judge, min_score: 0.6}]").replace(
        "judge: {provider: tape, model: judge", 'judge: {provider: sim, answer: \'{"score": 4, "reason": "thin"}\''
    )
    recorded(tmp_path, ("q", {"cheap": "a", "strong": "b"}))
    async with gateway(document, tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert receipt.model == "strong"
    assert receipt.attempts[0].verdicts[0].score == 0.4
    assert receipt.attempts[0].verdicts[0].reasons == ("judge gives 0.4 < 0.6", "thin")
    assert [a.purpose for a in receipt.attempts] == [None, "judge", None], "the last model is not doubted"


async def test_a_gate_that_cannot_ask_has_not_accepted(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "a", "strong": "b"}))
    async with gateway(cascade("[{use: agreement, models: [other]}]"), tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert receipt.model == "strong"
    assert receipt.attempts[0].verdicts[0].reasons[0].startswith("could not be checked: other did not answer")


async def test_an_unsure_answer_is_told_by_its_fallback_where_no_probabilities_come(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "a", "strong": "b"}))
    async with gateway(cascade("[{use: entropy, max_bits: 1.2, fallback: {use: regex, matches: b}}]"), tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert receipt.model == "strong"
    assert receipt.attempts[0].verdicts[0].reasons[0] == "the provider gave no token probabilities; fallback: regex"


@pytest.mark.parametrize(("action", "status"), [("block", 502), ("review", 202), ("escalate", 200)])
async def test_what_follows_a_rejection_is_the_gates_own(action: str, status: int, tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "no", "strong": "yes"}))
    async with gateway(cascade(f"[{{use: regex, matches: yes, on_reject: {action}}}]"), tmp_path) as rig:
        told = await ask(rig)
        assert told.status == status, told.body
        receipt = rig.receipts()[0]
    assert len(receipt.attempts) == (2 if action == "escalate" else 1)
    assert receipt.review == ("pending" if action == "review" else None)


async def test_execute_takes_gates_of_every_kind(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "17", "other": "18", "strong": "18"}))
    async with gateway(HEAD, tmp_path) as rig:
        call = {"input": "q", "strategy": "cascade", "models": ["cheap", "strong"]}
        told = await rig.post(
            "/v1/execute", {**call, "gates": [{"use": "agreement", "models": ["other"], "by": "numeric"}]}
        )
        assert told.status == 200, told.body
        assert told.json["model"] == "strong"
        first = told.json["attempts"][0]["verdicts"][0]
        assert (first["gate"], first["accepted"], first["score"]) == ("agreement", False, 0.5)
        for gate, field in (
            ({"use": "nope"}, "gates[0].use"),
            ({"use": "agreement", "models": ["nobody"]}, None),
            ({"use": "code", "run_examples": True}, "gates[0].run_examples"),
            ({"use": "regex", "matches": "("}, "gates[0]"),
            ({"use": "regex", "pattern": "x"}, "gates[0]"),
            ({"use": "weighted", "gates": [{"use": "json"}], "weights": [1, 2]}, "gates[0]"),
        ):
            refused = await rig.post("/v1/execute", {**call, "gates": [gate]})
            assert refused.status in (400, 404), refused.body
            assert field is None or refused.json["error"]["param"] == field, refused.body


async def test_a_stream_is_held_until_judged_or_passed_on_by_choice(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "no", "strong": "yes"}))
    document = cascade("[{use: regex, matches: yes}]")
    passed = "{strategy: {use: cascade, models: [cheap, strong]}, gates: [{use: json}], commit: first_token}"
    async with gateway(f"{document}  s: {passed}\n", tmp_path) as rig:
        held = await ask(rig, stream=True)
        assert b"yes" in held.body
        assert b'"no' not in held.body
        through = await ask(rig, stream=True, model="s")
        assert b"no" in through.body
        assert b"yes" not in through.body
        assert b"first token" in orjson.dumps(rig.receipts()[0].plan_reason)


async def test_a_race_is_won_by_the_first_good_answer_and_every_call_is_paid(tmp_path: Path) -> None:
    document = cascade("[{use: regex, matches: good}]", ", race: true")
    for model, latency_ms in (("cheap", 0), ("strong", 5000)):
        simulated = f"provider: sim, answer: good, latency_ms: {latency_ms}"
        document = document.replace(f"provider: tape, model: {model}", simulated)
    recorded(tmp_path)
    async with gateway(document, tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
        assert receipt.model == "cheap"
        assert [(a.model, a.status) for a in receipt.attempts] == [("cheap", "succeeded"), ("strong", "cancelled")]
        assert receipt.attempts[1].cost_usd is not None
        assert receipt.attempts[1].cost_usd > 0
        assert (await rig.get("/metrics")).status == 200


async def test_no_cascade_where_it_cannot_pay_and_the_receipt_says_why(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "no", "strong": "yes"}))
    async with gateway(cascade("[{use: regex, matches: yes}]", ", pass_rate: {cheap: 0.0}"), tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert [a.model for a in receipt.attempts] == ["strong"]
    assert receipt.plan_reason.startswith("straight to strong, no cascade; cheap is left out: $")
    assert receipt.plan_reason.endswith("0% of its answers pass (declared)")


async def test_what_a_level_does_lately_is_known_after_a_restart(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "no", "strong": "yes"}))
    document = cascade("[{use: regex, matches: yes}]").replace("cheap, price: {input: 1,", "cheap, price: {input: 50,")
    async with gateway(document, tmp_path) as rig:
        first = await rig.receipt(await ask(rig))
        for _ in range(40):
            await ask(rig)
    async with gateway(document, tmp_path) as rig:
        receipt = await rig.receipt(await ask(rig))
    assert [a.model for a in first.attempts] == ["cheap", "strong"]
    assert [a.model for a in receipt.attempts] == ["strong"]
    assert receipt.plan_reason.startswith("straight to strong, no cascade; cheap is left out: $")


async def test_a_route_outside_of_its_band_raises_the_alarm(tmp_path: Path) -> None:
    recorded(tmp_path, ("q", {"cheap": "no", "strong": "yes"}))
    document = cascade("[{use: regex, matches: yes}]", ", pass_rate: {cheap: 1}, escalation_band: {max: 0.4}")
    async with gateway(document, tmp_path) as rig:
        for _ in range(35):
            await ask(rig)
        metrics = (await rig.get("/metrics")).body.decode()
    assert 'polyroute_escalation_alarm{route="r"} 1.0' in metrics
    assert 'polyroute_escalation_rate{route="r"} 1.0' in metrics
    assert 'polyroute_cascade_p95_seconds{escalated="yes",route="r"}' in metrics


@pytest.mark.parametrize(
    ("gate", "path"),
    [
        ("{use: json_schema, schema: {type: nope}}", "gates[0].schema"),
        ("{use: regex, matches: '('}", "gates[0]"),
        ("{use: regex}", "gates[0]"),
        ("{use: language, languages: [xx]}", "gates[0]"),
        ("{use: code, language: cobol}", "gates[0].language"),
        ("{use: sql, dialect: nosql}", "gates[0].dialect"),
        ("{use: sql, schema: 'CREATE'}", "gates[0].schema"),
        ("{use: agreement, samples: 3, at_least: 9}", "gates[0]"),
        ("{use: agreement, models: [nobody]}", "gates[0].models[0]"),
        ("{use: any, gates: [{use: judge, model: nobody}]}", "gates[0].gates[0].model"),
        ("{use: entropy}", "gates[0]"),
        ("{use: entropy, min_logprob: 1}", "gates[0]"),
        ("{use: weighted, gates: [{use: json}], weights: [-1]}", "gates[0]"),
        ("{use: all, gates: [{use: json, on_reject: block}]}", "gates[0].gates[0].on_reject"),
    ],
)
async def test_a_gate_that_could_not_work_stops_the_start(gate: str, path: str, tmp_path: Path) -> None:
    recorded(tmp_path)
    with pytest.raises(ConfigError) as caught:
        async with gateway(cascade(f"[{gate}]"), tmp_path):
            pass
    assert f"routes.r.{path}" in [problem.path for problem in caught.value.problems]


async def test_a_bomb_is_judged_within_its_time(tmp_path: Path) -> None:
    parts = "".join(f", a{at} AS (SELECT p.x FROM a{at - 1} p, a{at - 1} q)" for at in range(1, 40))
    bombs = {
        "sql": f"WITH a0 AS (SELECT 1 x){parts} SELECT * FROM a39",
        "code": "```python\n" + "-" * 100_000 + "1\n```",
    }
    for use, bomb in bombs.items():
        recorded(tmp_path, ("q", {"cheap": bomb, "strong": "x = 1"}))
        levels = f", gates: {{cheap: [{{use: {use}}}]}}"
        async with gateway(cascade("[]", levels), tmp_path) as rig:
            receipt = await rig.receipt(await ask(rig, max_tokens=100_000))
        assert receipt.model == "strong", receipt.attempts
        assert receipt.total_ms < 8000


async def test_probabilities_are_asked_for_and_kept_from_a_caller_who_did_not_ask(tmp_path: Path) -> None:
    document = (
        f"{DOCUMENT}\nroutes:\n  r:\n    strategy: {{use: cascade, models: [gpt, claude]}}\n"
        "    gates: [{use: entropy, max_bits: 0.5}]\n"
    )
    async with upstream() as fake:
        unsure = {"token": "a", "logprob": -0.7, "top_logprobs": [{"token": t, "logprob": -0.7} for t in "ab"]}
        sure = {"token": "a", "logprob": -0.001, "top_logprobs": [{"token": "a", "logprob": -0.001}]}
        async with gateway(document.replace("{url}", fake.url).replace("{{", "{").replace("}}", "}"), tmp_path) as rig:
            for token, model in ((sure, "gpt"), (unsure, "claude")):
                told = orjson.loads(b"".join(piece for piece in chat("a").pieces if isinstance(piece, bytes)))
                told["choices"][0]["logprobs"] = {"content": [token]}
                fake.answers(replace(chat("a"), pieces=(orjson.dumps(told),)), message(text_block("from claude")))
                said = await ask(rig)
                assert said.status == 200, said.body
                receipt = await rig.receipt(said)
                assert receipt.model == model
                assert receipt.attempts[0].verdicts[0].score is not None
                assert not said.json["choices"][0].get("logprobs")
                asked = next(heard for heard in fake.log if "chat/completions" in heard.path)
                assert asked.json["logprobs"] is True
                assert asked.json["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("other", "model"),
    [("Your parcel comes on Tuesday.", "cheap"), ("We have lost the parcel for good.", "strong")],
)
async def test_answers_agree_where_they_mean_the_same(tmp_path: Path, other: str, model: str) -> None:
    recorded(tmp_path, ("q", {"cheap": "The parcel will arrive on Tuesday.", "other": other, "strong": "Lost."}))
    gates = "[{use: agreement, models: [other], by: embedding, min_cosine: 0.8}]"
    async with gateway(cascade(gates), tmp_path) as rig:
        told = await ask(rig)
    assert told.json["model"] == model
