"""What docs/mission.md promises of this version and no other journey shows, through the doors."""

import logging
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, Rig, Told, ask, gateway
from tests.journeys.upstream import (
    Answer,
    Heard,
    Upstream,
    chat,
    chat_events,
    failing,
    message,
    message_events,
    stream,
    text_block,
)
from typer.testing import CliRunner

from polyroute import Gateway
from polyroute import ask as canonical
from polyroute.cli.main import build

CHAT, MESSAGES, ROUTE = "/v1/chat/completions", "/v1/messages", "/v1/route"

# For what needs no scripted provider.
SIMULATED = """
server: {auth: open}
providers: {sim: {dialect: simulated}}
models:
  small: {provider: sim, price: {input: 0.15, output: 0.60}, quality: 0.70, context_tokens: 128000, tags: [summarize],
          capabilities: []}
  medium: {provider: sim, price: {input: 2.50, output: 10}, quality: 0.88, context_tokens: 128000, tags: [translation],
           capabilities: []}
  large: {provider: sim, price: {input: 15, output: 75}, quality: 0.95, context_tokens: 200000, tags: [code],
          capabilities: [vision]}
routes:
"""
PROMPTS = (
    "Is this email spam?",
    "Summarize this 500-word article about renewable energy",
    "Analyze the trade-offs between microservices and monoliths for a startup",
    "Do not summarize. Write a function that sorts a list.",
    "I want my money back",
)


@asynccontextmanager
async def scripted(provider: Upstream, folder: Path, more: str) -> AsyncIterator[Rig]:
    """The rig's document with more of it at its end."""
    document = DOCUMENT.format(url=provider.url) + more.replace("URL", provider.url)
    async with gateway(document, folder) as rig:
        yield rig


@asynccontextmanager
async def simulated(folder: Path, routes: str) -> AsyncIterator[Rig]:
    async with gateway(SIMULATED + routes, folder) as rig:
        yield rig


async def dry_run(rig: Rig, text: str, model: str = "auto", headers: Mapping[str, str] | None = None) -> Any:
    told = await rig.post(ROUTE, ask(text, model), headers=headers)
    assert told.status == 200, told.body
    return told.json


def text_of(told: Told) -> object:
    assert told.status == 200, told.body
    return told.json["choices"][0]["message"]["content"]


# ── providers behind one layer ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("price", "cost_usd"),
    [
        ("{input: 0.10, output: 0.20}", "0.0000025"),  # 11 and 7 tokens
        ("{gpu_hour_usd: 2.40, tokens_per_hour: 9000000}", "0.000004800"),  # 18 tokens at 0.266667 per million
    ],
)
async def test_a_server_of_ones_own_is_one_entry_with_its_own_price(
    provider: Upstream, tmp_path: Path, price: str, cost_usd: str
) -> None:
    document = f"""
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers: {{home: {{dialect: openai, base_url: "{provider.url}/v1", private: true}}}}
models: {{our-llama: {{deployments: [{{provider: home, model: "llama3.1:70b"}}], price: {price}}}}}
routes: {{auto: {{primary: our-llama, private: true}}}}
"""
    async with gateway(document, tmp_path) as rig:
        told = await rig.post(CHAT, ask(model="auto"))
        assert text_of(told) == "ok"
        assert Decimal(told.headers["x-polyroute-cost-usd"]) == Decimal(cost_usd)
    assert (provider.last.path, provider.last.json["model"]) == (CHAT, "llama3.1:70b")
    assert "authorization" not in provider.last.headers


@pytest.mark.parametrize(("line", "path"), [("fast: oai/up", CHAT), ("fast: ant/up", MESSAGES)])
async def test_one_line_of_the_document_moves_an_application_to_another_provider(
    provider: Upstream, tmp_path: Path, line: str, path: str
) -> None:
    provider.script = lambda heard: chat("hello") if heard.path == CHAT else message(text_block("hello"))
    document = DOCUMENT.format(url=provider.url).replace("models:\n", f"models:\n  {line}\n")
    async with gateway(document, tmp_path) as rig:
        assert text_of(await rig.post(CHAT, ask(model="fast"))) == "hello"
    assert provider.last.path == path


async def test_a_fourth_tier_reaches_the_traffic_of_an_application_that_stays_as_it_is(tmp_path: Path) -> None:
    tiers = "  tiers: {strategy: {use: complexity, simple: small, moderate: medium, complex: large}}\n"
    file = tmp_path / "polyroute.yaml"
    file.write_text(SIMULATED + tiers + "  auto: {primary: tiers}\n")
    command = [sys.executable, "-m", "polyroute", "serve", "-c", str(file), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = orjson.loads(process.stdout.readline())["address"]

            def answered_by() -> object:
                posted = urllib.request.Request(f"{url}{CHAT}", orjson.dumps(ask("word " * 200, "auto")))
                posted.add_header("content-type", "application/json")
                with urllib.request.urlopen(posted) as answer:
                    return orjson.loads(answer.read())["model"]

            assert answered_by() != "giant"
            giant = "  giant: {provider: sim, price: {input: 30, output: 150}}\nroutes:\n"
            rules = "{use: rules, rules: [{when: {min_words: 150}, model: giant}], default: tiers}"
            file.write_text(SIMULATED.replace("routes:\n", giant) + tiers + f"  auto: {{strategy: {rules}}}\n")
            process.send_signal(signal.SIGHUP)
            assert any("was taken" in line for line in process.stderr)
            assert answered_by() == "giant"
        finally:
            process.terminate()


async def test_the_same_document_decides_the_same_in_process_and_over_http(tmp_path: Path) -> None:
    routes = """\
  auto: {strategy: {use: complexity, simple: small, moderate: medium, complex: large}, cost_ceiling_usd: 0.2}
  ruled: {strategy: {use: rules, rules: [{when: {contains: [money back]}, model: large}], default: small}}
  tasks: {strategy: {use: task, tasks: {summarize: small}, models: [medium, large], default: medium}}
"""
    file = tmp_path / "polyroute.yaml"
    file.write_text(SIMULATED + routes)
    async with Gateway(file, env={}) as embedded, gateway(SIMULATED + routes, tmp_path) as rig:
        for prompt in PROMPTS:
            for route in ("auto", "ruled", "tasks"):
                here = await embedded.route(canonical(route, prompt))
                there = await dry_run(rig, prompt, route)
                assert (here.model, here.reason, list(here.plan)) == (there["model"], there["reason"], there["plan"])
                assert (here.complexity, here.score, here.task) == (there["complexity"], there["score"], there["task"])
                assert [e.reason for e in here.exclusions] == [e["reason"] for e in there["exclusions"]]
                ours = await embedded.complete(canonical(route, prompt))
                theirs = await rig.post(CHAT, ask(prompt, route))
                assert ours.receipt.model == theirs.headers["x-polyroute-model"]
                assert ours.receipt.policy == theirs.headers["x-polyroute-policy"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}], "image"),
        ("many words " * 80_000, "context 128000 < needed"),
    ],
)
async def test_what_a_model_cannot_serve_never_goes_to_it_and_the_reason_is_told(
    tmp_path: Path, content: object, reason: str
) -> None:
    routes = "  auto: {strategy: {use: cheapest, models: [small, large]}, fallback: [medium]}\n"
    async with simulated(tmp_path, routes) as rig:
        body = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
        told = await rig.post(CHAT, body)
        assert (told.status, told.headers["x-polyroute-model"]) == (200, "large")
        receipt = (await rig.get(f"/v1/receipts/{told.headers['x-polyroute-request-id']}")).json
        assert {exclusion["model"] for exclusion in receipt["exclusions"]} == {"small", "medium"}
        assert all(reason in exclusion["reason"] for exclusion in receipt["exclusions"]), receipt["exclusions"]


PACK = """
poetry:
  complexity: simple
  tags: [summarize]
  phrases: [sorts a list]
"""


async def test_a_task_is_declared_or_detected_and_the_advice_can_be_edited(tmp_path: Path) -> None:
    routes = "  auto: {strategy: {use: task, tasks: {summarize: small}, models: [medium, large], default: medium}}\n"
    async with simulated(tmp_path, routes) as rig:
        detected = await dry_run(rig, "Please summarize this report")
        assert (detected["task"], detected["model"]) == ("summarize", "small")
        advised = await dry_run(rig, "Write a function that sorts a list")
        assert (advised["task"], advised["model"]) == ("code", "large")
        assert "task pack's advice" in advised["reason"]
        declared = await dry_run(rig, "Please summarize this report", headers={"x-polyroute-task": "translate"})
        assert (declared["task"], declared["model"]) == ("translate", "medium")
        assert (await dry_run(rig, "Good morning"))["model"] == "medium"
    (tmp_path / "pack.yaml").write_text(PACK)
    edited = routes.replace("models: [medium, large]", "models: [small, large]") + "tasks: pack.yaml\n"
    async with simulated(tmp_path, edited) as rig:
        ours = await dry_run(rig, "Write a function that sorts a list")
        assert (ours["task"], ours["model"]) == ("poetry", "small")


# ── six stages ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_receipt_holds_what_each_of_the_six_stages_found(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: (
        failing(500) if heard.json["model"] == "gpt-up" else message(text_block('{"total": 12}'), model="claude-up")
    )
    routes = """
routes:
  auto: {strategy: {use: fixed, models: [gpt]}, fallback: [claude], gates: [{use: json}]}
"""
    async with scripted(provider, tmp_path, routes) as rig:
        told = await rig.post(CHAT, ask("What is the total?", "auto"))
        assert text_of(told) == '{"total": 12}'
        receipt = (await rig.get(f"/v1/receipts/{told.headers['x-polyroute-request-id']}")).json
    seen = receipt["classification"]
    assert (seen["label"], seen["classifier"], seen["cost_usd"]) == ("simple", "heuristic@1", 0)
    assert 0 <= seen["score"] <= 1
    assert seen["elapsed_ms"] > 0
    assert seen["evidence"]
    assert [note["deployment"] for note in receipt["candidates"]] == ["gpt@oai", "claude@ant"]
    assert all(note["expected_usd"] < note["worst_usd"] for note in receipt["candidates"])
    assert receipt["plan"] == ["gpt@oai", "claude@ant"]
    assert [(a["status"], a["http_status"]) for a in receipt["attempts"]] == [("failed", 500), ("succeeded", None)]
    answered = receipt["attempts"][1]
    assert (answered["usage"]["input_tokens"], answered["usage"]["output_tokens"]) == (11, 7)
    assert answered["cost_usd"] == receipt["cost_usd"] == 0.000138
    assert answered["duration_ms"] > 0
    assert [(verdict["gate"], verdict["accepted"]) for verdict in answered["verdicts"]] == [("json", True)]
    assert (receipt["model"], receipt["answered_model"], receipt["stop"]) == ("claude", "claude-up", "end")
    assert sum(receipt["times"].values()) == pytest.approx(receipt["total_ms"], abs=0.01)


async def test_an_answer_has_one_shape_whichever_provider_served_it(rig: Rig, provider: Upstream) -> None:
    def script(heard: Heard) -> Answer:
        wants_events = heard.json.get("stream")
        if heard.path == CHAT:
            return stream(*chat_events("hello")) if wants_events else chat("hello", refusal=None)
        return stream(*message_events("hello")) if wants_events else message(text_block("hello"))

    provider.script = script
    ours, theirs = [(await rig.post(CHAT, ask(model=model))).json for model in ("gpt", "claude")]
    assert set(theirs) - {"system_fingerprint"} == set(ours)
    assert set(theirs["choices"][0]) == set(ours["choices"][0])
    assert theirs["choices"][0]["message"]["content"] == ours["choices"][0]["message"]["content"]
    assert theirs["usage"]["total_tokens"] == ours["usage"]["total_tokens"] == 18
    assert theirs["created"] > 1_700_000_000
    for event in (await rig.post(CHAT, ask(model="claude", stream=True))).events[:-1]:
        assert event["created"] > 1_700_000_000
        assert event["model"] == "served-claude"


async def test_every_answer_of_plain_logic_has_an_id_of_its_own(tmp_path: Path) -> None:
    async with simulated(tmp_path, "  auto: {strategy: {use: logic, answers: [{when: {}, text: Hi.}]}}\n") as rig:
        first, second = [(await rig.post(CHAT, ask(model="auto"))).json for _ in range(2)]
        assert first["id"] != second["id"]
        assert first["created"] > 1_700_000_000


async def test_complexity_is_a_score_whose_thresholds_the_document_moves(tmp_path: Path) -> None:
    routes = """\
  auto: {strategy: {use: complexity, simple: small, moderate: medium, complex: large}}
  strict:
    strategy: {use: complexity, simple: small, moderate: medium, complex: large,
               thresholds: {moderate: 0.0, complex: 0.3}}
"""
    async with simulated(tmp_path, routes) as rig:
        decisions = sorted([await dry_run(rig, prompt) for prompt in PROMPTS], key=lambda d: d["score"])
        assert all(0 <= decision["score"] <= 1 for decision in decisions)
        ranks = ["simple", "moderate", "complex"]
        tiers = [ranks.index(decision["complexity"]) for decision in decisions]
        assert tiers == sorted(tiers)
        usual, moved = await dry_run(rig, PROMPTS[1]), await dry_run(rig, PROMPTS[1], "strict")
        assert (usual["score"], usual["complexity"], usual["model"]) == (moved["score"], "moderate", "medium")
        assert (moved["complexity"], moved["model"]) == ("complex", "large")


async def test_what_would_pass_the_ceiling_is_moved_to_a_cheaper_model_and_the_reason_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "polyroute.requests")
    async with simulated(
        tmp_path, "  auto: {strategy: {use: fixed, models: [large, small]}, cost_ceiling_usd: 0.01}\n"
    ) as rig:
        told = await rig.post(CHAT, ask(model="auto"))
        assert told.headers["x-polyroute-model"] == "small"
        decision = await dry_run(rig, "hello")
    assert decision["reason"] == "fixed: large; large was left out, so small"
    assert "> cost ceiling $0.01" in decision["exclusions"][0]["reason"]
    (line,) = [orjson.loads(record.getMessage()) for record in caplog.records if record.name == "polyroute.requests"]
    assert (line["answered_by"], line["reason"]) == ("small", decision["reason"])


# ── strategies ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("I want a refund", "small"),
        ("Please cancel my order", "small"),
        ("I will take legal action over this refund", "large"),
        ("This is not a refund request, please escalate", "large"),
        ("This is not a refund request", "medium"),
        ("Hello", "medium"),
    ],
)
async def test_rules_are_tried_in_order_and_hear_negation(tmp_path: Path, text: str, model: str) -> None:
    routes = """\
  auto:
    strategy:
      use: rules
      rules:
        - {name: third tier, when: {contains: [legal, escalate]}, model: large}
        - {name: first tier, when: {contains: [refund, cancel]}, model: small}
      default: medium
"""
    async with simulated(tmp_path, routes) as rig:
        assert (await rig.post(CHAT, ask(text, "auto"))).headers["x-polyroute-model"] == model


def test_what_logic_answers_costs_nothing_and_counts_in_the_mix(tmp_path: Path) -> None:
    file = tmp_path / "polyroute.yaml"
    logic = "{use: logic, answers: [{when: {contains: [opening hours]}, text: Nine to five.}], otherwise: small}"
    file.write_text(SIMULATED + f"  auto: {{strategy: {logic}}}\n")

    def said(*words: str) -> Any:
        done = CliRunner().invoke(build(words[0]), [*words, "-c", str(file), "--json"])
        assert done.exit_code == 0, done.output
        return orjson.loads(done.stdout)

    answers = [said("ask", text) for text in ("What are your opening hours?", "Hello", "Opening hours, please")]
    assert [answer["cost_usd"] == 0 for answer in answers] == [True, False, True]
    mix = {part["name"]: part for part in said("savings")["mix"]}
    assert mix["logic/auto/1"]["requests"] == 2
    assert mix["logic/auto/1"]["request_share"] == pytest.approx(2 / 3)
    assert (mix["logic/auto/1"]["cost_share"], mix["small"]["cost_share"]) == (0, 1)


async def test_a_tier_that_misses_its_targets_raises_an_alert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    routes = """\
  auto:
    strategy:
      use: complexity
      simple: small
      moderate: medium
      complex: large
      targets:
        simple: {latency_ms: 0.001, usd_per_million: 0.50}
        complex: {latency_ms: 60000, usd_per_million: 10}
"""
    async with simulated(tmp_path, routes) as rig:
        for prompt in (PROMPTS[0], PROMPTS[2]):
            for _ in range(12):
                assert (await rig.post(CHAT, ask(prompt, "auto"))).status == 200
        metrics = (await rig.get("/metrics")).body.decode()
    alerts = [record.getMessage() for record in caplog.records if record.name == "polyroute.alerts"]
    assert any("tier simple" in alert and "0.001 ms" in alert for alert in alerts), alerts
    assert any("tier complex" in alert and "$10" in alert for alert in alerts), alerts
    assert 'polyroute_tier_breaches_total{kind="latency",route="auto",tier="simple"} 12' in metrics
    assert 'polyroute_tier_breaches_total{kind="latency",route="auto",tier="complex"}' not in metrics


async def test_the_cheapest_that_passes_floor_and_gates_answers(provider: Upstream, tmp_path: Path) -> None:
    def script(heard: Heard) -> Answer:
        return chat({"poor": "{}", "plain": "in words", "good": '{"a": 1}'}[heard.json["model"]])

    provider.script = script
    more = """
routes:
  auto:
    strategy: {use: cheapest, models: [good, plain, poor]}
    quality_floor: 0.8
    gates: [{use: json}]
"""
    models = """models:
  poor: {provider: oai, price: {input: 1, output: 1}, quality: 0.6}
  plain: {provider: oai, price: {input: 2, output: 2}, quality: 0.85}
  good: {provider: oai, price: {input: 3, output: 3}, quality: 0.9}
"""
    document = DOCUMENT.format(url=provider.url).replace("models:\n", models) + more
    async with gateway(document, tmp_path) as rig:
        told = await rig.post(CHAT, ask(model="auto"))
        assert text_of(told) == '{"a": 1}'
        receipt = await rig.receipt(told)
    assert [heard.json["model"] for heard in provider.log] == ["plain", "good"]
    assert [(attempt.model, attempt.status) for attempt in receipt.attempts] == [
        ("plain", "rejected"),
        ("good", "succeeded"),
    ]
    assert [(e.model, e.reason) for e in receipt.exclusions] == [("poor", "quality 0.6 < floor 0.8")]


# ── who answered ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_answered_why_the_primary_did_not_and_how_long_that_took_is_told_everywhere(
    provider: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture, is_stream: bool
) -> None:
    caplog.set_level(logging.INFO, "polyroute.requests")
    answer = stream(*message_events("hello")) if is_stream else message(text_block("hello"))
    provider.script = lambda heard: failing(503) if heard.path == CHAT else answer
    async with scripted(provider, tmp_path, "\nroutes: {auto: {primary: gpt, fallback: claude}}\n") as rig:
        told = await rig.post(CHAT, ask(model="auto", stream=is_stream))
        receipt = await rig.receipt(told)
    bodies = told.events[:-1] if is_stream else [told.json]
    assert {body["model"] for body in bodies} == {"served-claude"}
    assert told.headers["x-polyroute-model"] == receipt.model == "claude"
    assert told.headers["x-polyroute-fallback-reason"] == receipt.fallback_reason == "gpt@oai: Overloaded 503"
    assert receipt.fallback_ms is not None
    assert receipt.fallback_ms > 0
    assert float(told.headers["x-polyroute-fallback-ms"]) > 0
    (line,) = [orjson.loads(record.getMessage()) for record in caplog.records if record.name == "polyroute.requests"]
    assert (line["answered_by"], line["primary_failed"]) == ("claude", "gpt@oai: Overloaded 503")
    assert line["fallback_ms"] == receipt.fallback_ms


# ── the published document ────────────────────────────────────────────────────────────────────────────────

ARTICLE = """
server: {auth: open}
store: {database: "sqlite:///books.db"}
providers: {up: {dialect: openai, base_url: "URL/v1", max_tries: 1}}
models:
  cheap-fast-model: {provider: up, price: {input: 0.15, output: 0.60}}
  general-model: {provider: up, price: {input: 2.50, output: 10}}
  strongest-reasoning-model: {provider: up, price: {input: 15, output: 75}}
routes:
  summarize:
    primary: cheap-fast-model
    fallback: general-model
    max_input_tokens: 12000
  legal_review:
    primary: strongest-reasoning-model
    require_human_review: true
limits:
  per_user_per_minute: 20
  per_team_daily_usd: 500
"""


async def test_the_article_s_document_is_enforced_line_by_line(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: failing(500) if heard.json["model"] == "cheap-fast-model" else chat("short")
    async with gateway(ARTICLE.replace("URL", provider.url), tmp_path) as rig:
        told = await rig.post(CHAT, ask("Long text.", "summarize"))
        assert (text_of(told), told.headers["x-polyroute-model"]) == ("short", "general-model")
        assert told.headers["x-polyroute-budget-remaining-usd"].startswith("499.99")
        long = await rig.post(CHAT, ask("word " * 12_001, "summarize"))
        assert (long.status, long.json["error"]["code"]) == (400, "context_length_exceeded")
        assert "at most 12000" in long.json["error"]["message"]
        assert (await rig.post(CHAT, ask("word " * 11_000, "summarize"))).status == 200
        held = await rig.post(CHAT, ask("Review this.", "legal_review"))
        assert (held.status, held.json["status"]) == (202, "pending")
        assert b"short" not in held.body
        while (told := await rig.post(CHAT, ask("Again.", "summarize"))).status == 200:
            assert len(provider.log) < 100
        assert (told.status, told.json["error"]["type"]) == (429, "rate_limit_error")
        assert int(told.headers["retry-after"]) >= 1


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────

# What the provider bills: model, input, cached input and output tokens of each call, at USD per million tokens.
PRICES = {"gpt-up": ("2.50", "1.25", "10.00"), "spare-up": ("0.15", "0.075", "0.60")}
USAGES = [(11, 0, 7), (1_000_003, 0, 1), (2_000, 1_024, 333), (17, 0, 4_096), (999, 999, 0)]


async def test_a_line_for_each_attempt_sums_up_to_the_provider_s_invoice(provider: Upstream, tmp_path: Path) -> None:
    invoice: list[Decimal] = []
    left = list(USAGES)

    def script(heard: Heard) -> Answer:
        model = heard.json["model"]
        read, cached, written = left.pop(0) if model == "gpt-up" else (50, 0, 5)
        rates = [Decimal(rate) / 1_000_000 for rate in PRICES[model]]
        invoice.append((read - cached) * rates[0] + cached * rates[1] + written * rates[2])
        body = orjson.loads(b"".join(p for p in chat("not json").pieces if isinstance(p, bytes)))
        body["usage"] = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return Answer(pieces=(orjson.dumps(body),))

    provider.script = script
    priced = DOCUMENT.format(url=provider.url).replace(
        "{input: 2.50, output: 10.00}", "{input: 2.50, cached_input: 1.25, output: 10.00}"
    )
    spare = "models:\n  spare: {provider: oai, model: spare-up, price: {input: 0.15, output: 0.60}}\n"
    route = "routes: {strict: {primary: gpt, fallback: spare, gates: [{use: json}]}}\n"
    async with gateway(priced.replace("models:\n", spare) + route, tmp_path) as rig:
        for _ in USAGES[:-1]:
            assert (await rig.post(CHAT, ask())).status == 200
        assert (await rig.post(CHAT, ask(model="strict"))).status == 502  # both answers are paid for and rejected
        receipts = rig.receipts()
        with rig.books() as books:
            lines = [attempt for entry in books.entries() for attempt in entry.attempts]
    assert len(lines) == len(invoice) == len(USAGES) + 1
    assert sum(Decimal(line.cost_nanos or 0) for line in lines) / 10**9 == sum(invoice)
    assert sum(receipt.cost_usd for receipt in receipts) == sum(invoice)


async def test_a_price_that_changes_leaves_the_past_as_it_was(provider: Upstream, tmp_path: Path) -> None:
    before = DOCUMENT.format(url=provider.url)
    async with gateway(before, tmp_path) as rig:
        old = await rig.post(CHAT, ask())
    async with gateway(before.replace("input: 2.50, output: 10.00", "input: 5, output: 20"), tmp_path) as rig:
        new = await rig.post(CHAT, ask())
        kept = await rig.receipt(old)
        assert (kept.cost_usd, (await rig.receipt(new)).cost_usd) == (Decimal("0.0000975"), Decimal("0.000195"))
        assert kept.cost_usd == Decimal(old.headers["x-polyroute-cost-usd"])


async def test_the_decision_is_told_in_headers_too(tmp_path: Path) -> None:
    async with gateway(SIMULATED + "  ask: {primary: small}\n", tmp_path) as rig:
        told = await rig.post(CHAT, ask("Is this email spam?", model="ask"), key=None)
        assert told.headers["x-polyroute-reason"] == "fixed: small"
        assert told.headers["x-polyroute-estimated-cost-per-1k"] == "0.00015"
        assert told.headers["x-polyroute-complexity"].startswith("simple ")
