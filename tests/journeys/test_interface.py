"""What the HTTP door promises: paths, keys, headers, statuses, receipts, limits, money, metrics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, KEY, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import (
    Answer,
    Heard,
    Upstream,
    chat,
    chat_events,
    failing,
    message,
    stream,
    text_block,
)

from polyroute.config.load import reads
from polyroute.errors import ConfigError
from polyroute.server.later import PATHS as LATER
from polyroute.server.table import build_table

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
OTHER_KEY, NARROW_KEY = "pk-other-0123456789abcdef", "pk-narrow-0123456789abcdef"
KEYS = f"""
  - {{{{name: other, key: "{OTHER_KEY}", team: platform, user: other}}}}
"""
NARROW = (
    KEYS
    + f"""\
  - {{{{name: narrow, key: "{NARROW_KEY}", team: platform, user: narrow, models: [claude, kept]}}}}
"""
)


@asynccontextmanager
async def serving(
    provider: Upstream, folder: Path, *, routes: str = "", models: str = "", top: str = "", keys: str = KEYS
) -> AsyncIterator[Rig]:
    """The rig's document with more in it; what is added is plain YAML of two spaces' indent."""
    document = DOCUMENT.rstrip() + keys
    if models:
        document = document.replace("keys:", f"{escaped(models)}keys:")
    if routes:
        document += f"routes:\n{escaped(routes)}"
    async with gateway((document + escaped(top)).format(url=provider.url), folder) as rig:
        yield rig


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def by_model(provider: Upstream, **answers: Answer) -> None:
    """Answers by the upstream's own model name, dashes as underscores; any other says its name."""

    def script(heard: Heard) -> Answer:
        name = heard.json["model"]
        found = answers.get(name.replace("-", "_"))
        if found is not None:
            return found
        return chat(name, model=name) if heard.path.endswith("completions") else message(text_block(name), model=name)

    provider.script = script


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"authorization": f"Bearer   {KEY}  "},
        {"x-api-key": KEY},
        {"api-key": KEY},
        {"x-goog-api-key": KEY},
        {"X-API-Key": KEY, "authorization": ""},
    ],
)
async def test_a_key_is_found_wherever_an_sdk_puts_it(rig: Rig, headers: dict[str, str]) -> None:
    assert (await rig.post(CHAT, ask(), key=None, headers=headers)).status == 200
    assert (await rig.post(MESSAGES, ask_claude(model="gpt"), key=None, headers=headers)).status == 200


async def test_a_key_limited_to_models_may_use_and_see_no_other(provider: Upstream, tmp_path: Path) -> None:
    by_model(provider)
    async with serving(provider, tmp_path, routes="  kept: {primary: gpt}\n", keys=NARROW) as rig:
        assert (await rig.post(CHAT, ask(model="claude"), key=NARROW_KEY)).status == 200
        assert (await rig.post(CHAT, ask(model="kept"), key=NARROW_KEY)).status == 200
        seen = len(provider.log)
        for model in ("gpt", "oai/gpt-up", "auto:gpt", "polyroute/gpt"):
            told = await rig.post(CHAT, ask(model=model), key=NARROW_KEY)
            assert told.status in (403, 404), model
        execute = {"input": "x", "strategy": "cascade", "models": ["gpt"]}
        assert (await rig.post("/v1/execute", execute, key=NARROW_KEY)).status == 403
        assert (await rig.post("/v1/messages/count_tokens", ask_claude(model="gpt"), key=NARROW_KEY)).status == 403
        assert (await rig.post("/v1/route", ask(model="gpt"), key=NARROW_KEY)).status == 403
        assert len(provider.log) == seen
        listed = (await rig.get("/v1/models", key=NARROW_KEY)).json["data"]
        assert sorted(model["id"] for model in listed) == ["claude", "kept"]
        assert (await rig.get("/v1/models/gpt", key=NARROW_KEY)).status == 404


async def test_the_admin_key_may_read_every_receipt_and_call(rig: Rig) -> None:
    told = await rig.post(CHAT, ask())
    path = f"/v1/receipts/{told.headers['x-polyroute-request-id']}"
    assert (await rig.get(path, key=ADMIN)).status == 200
    assert (await rig.post(CHAT, ask(), key=ADMIN)).status == 200


async def test_open_doors_ignore_keys_and_open_only_at_home(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.replace("{{auth: keys}}", "{{auth: open}}").format(url=provider.url)
    async with gateway(document, tmp_path) as rig:
        for key in ("whatever", KEY):
            assert (await rig.post(CHAT, ask(), key=key)).status == 200
        told = await rig.post(CHAT, ask(), key=None)
        assert told.status == 200
        receipt = await rig.receipt(told)
        assert (receipt.caller.user, receipt.caller.team) == ("anonymous", "default")
        assert b"gpt" in (await rig.get("/", key=None)).body
    with pytest.raises(ConfigError):
        reads(document.replace("auth: open", 'auth: open, host: "0.0.0.0"'), ENV, folder=tmp_path)


BROWSERS = [
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-origin", "host": "evil.example:4000"}, 403),  # a name that was rebound to this machine
    ({"sec-fetch-site": "same-origin", "host": "localhost:4000"}, 200),
    ({"sec-fetch-site": "none", "host": "127.0.0.1:4000"}, 200),
    ({"sec-fetch-site": "same-origin", "host": "[::1]:4000"}, 200),
    ({"host": "gateway.internal"}, 200),  # no browser
]


@pytest.mark.parametrize(("headers", "status"), BROWSERS)
async def test_no_page_of_another_site_spends_money_through_an_open_door(
    provider: Upstream, tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    document = DOCUMENT.replace("{{auth: keys}}", "{{auth: open}}").format(url=provider.url)
    async with gateway(document, tmp_path) as rig:
        headers = {"content-type": "text/plain", **headers}  # what a browser sends without asking first
        assert (await rig.post(CHAT, ask(), key=None, headers=headers)).status == status
    assert len(provider.log) == (status == 200)


async def test_a_receipt_belongs_to_its_owner(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, ask())
        request_id = told.headers["x-polyroute-request-id"]
        assert (await rig.get(f"/v1/receipts/{request_id}")).json["request_id"] == request_id
        foreign = await rig.get(f"/v1/receipts/{request_id}", key=OTHER_KEY)
        absent = await rig.get(f"/v1/receipts/{request_id[:-1]}0", key=OTHER_KEY)
        assert (foreign.status, absent.status) == (404, 404)
        assert foreign.body.replace(request_id.encode(), b"ID") == absent.body.replace(
            request_id[:-1].encode() + b"0", b"ID"
        )


# ── paths ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "path"), LATER)
async def test_what_is_not_offered_yet_says_so(rig: Rig, method: str, path: str) -> None:
    told = await rig.call(method, path.format(id="x", name="x", call="gemini-pro:generateContent"), b"{}")
    assert told.status == 501
    assert told.json["error"]["message"]


async def test_every_path_of_the_table_needs_a_key_unless_it_is_open(rig: Rig) -> None:
    for endpoint in build_table().endpoints:
        path = endpoint.path.replace("{", "").replace("}", "")
        told = await rig.call(endpoint.method, path, key=None)
        if endpoint.action is None:
            assert told.status == 200, endpoint.path
        else:
            assert told.status == 401, endpoint.path


async def test_the_description_lists_exactly_the_table(rig: Rig) -> None:
    described = (await rig.get("/openapi.json", key=None)).json
    listed = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    table = {(endpoint.method, endpoint.path) for endpoint in build_table().endpoints}
    assert listed == table - {("GET", "/openapi.json")}
    assert described["openapi"] == "3.1.0"
    for item in described["paths"].values():
        for operation in item.values():
            assert operation["responses"]["200"]["description"]
            for parameter in operation.get("parameters", ()):
                assert parameter["in"] == "path"
                assert parameter["required"] is True
    jsonschema_rs.validator_for(described["components"]["schemas"]["Error"])
    told = await rig.post("/v1/nothing", {})
    assert jsonschema_rs.is_valid(described["components"]["schemas"]["Error"], told.json)


async def test_head_is_get_without_its_body(rig: Rig) -> None:
    for path in ("/health", "/v1/models", "/metrics", "/openapi.json"):
        got, head = await rig.get(path), await rig.call("HEAD", path)
        assert head.status == 200
        assert head.headers["content-type"] == got.headers["content-type"]


# ── headers ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_promised_header_is_there(provider: Upstream, tmp_path: Path) -> None:
    by_model(provider)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    limits = "limits: {per_user_per_minute: 5, per_user_tokens_per_minute: 100000, per_user_daily_usd: 5}\n"
    async with serving(provider, tmp_path, top=limits, routes="  kept: {primary: gpt, baseline: claude}\n") as rig:
        told = await rig.post(CHAT, ask(model="kept"), headers={"x-request-id": "mine-1", "traceparent": trace})
        headers = told.headers
        assert headers["x-request-id"] == "mine-1"
        assert headers["traceparent"].split("-")[1] == trace.split("-")[1]
        assert headers["x-polyroute-route"] == "kept"
        assert headers["x-polyroute-strategy"] == "fixed"
        assert headers["x-polyroute-complexity"].split()[0] in ("simple", "moderate", "complex")
        assert 0 <= float(headers["x-polyroute-complexity"].split()[1]) <= 1
        assert (headers["x-polyroute-model"], headers["x-polyroute-provider"]) == ("gpt", "oai")
        assert headers["x-polyroute-cache"] == "miss"
        assert headers["x-polyroute-policy"] == rig.built.snapshot.digest
        assert float(headers["x-polyroute-overhead-ms"]) >= 0
        cost = Decimal(headers["x-polyroute-cost-usd"])
        assert cost == (11 * Decimal("2.5") + 7 * Decimal(10)) / 1_000_000
        assert headers["x-polyroute-baseline"] == "claude"
        assert Decimal(headers["x-polyroute-saved-usd"]) == (11 * Decimal(3) + 7 * Decimal(15)) / 1_000_000 - cost
        assert Decimal(headers["x-polyroute-budget-remaining-usd"]) == 5 - cost
        assert headers["x-ratelimit-limit-requests"] == "5"
        assert headers["x-ratelimit-remaining-requests"] == "4"
        assert headers["x-ratelimit-limit-tokens"] == "100000"
        receipt = await rig.receipt(told)
        assert (receipt.client_request_id, receipt.cost_usd) == ("mine-1", cost)
        refused = await rig.post(CHAT, b"{", headers={"x-request-id": "mine-2"})
        assert refused.headers["x-request-id"] == "mine-2"
        assert refused.headers["x-polyroute-request-id"]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_a_stream_tells_at_its_end_what_it_cost(rig: Rig, provider: Upstream, path: str) -> None:
    provider.answers(stream(*chat_events("a", "b")))
    if path == CHAT:
        told = await rig.post(path, ask(stream=True, stream_options={"include_usage": True}))
        report = next(event["polyroute"] for event in told.events if "polyroute" in event)
        assert "polyroute" in told.events[-2]  # the usage event, the last but for [DONE]
    else:
        told = await rig.post(path, ask_claude(model="gpt", stream=True))
        report = next(e["polyroute"] for e in told.events if e["type"] == "message_delta")
    assert "x-polyroute-cost-usd" not in told.headers
    receipt = await rig.receipt(told)
    assert Decimal(report["cost_usd"]) == receipt.cost_usd
    assert (report["model"], report["attempts"]) == ("gpt", 1)


# ── what must not reach a provider ────────────────────────────────────────────────────────────────────────

FORBIDDEN = [
    "api_base", "base_url", "api_key", "extra_headers", "headers", "organization", "api_version", "extra_body",
    "custom_llm_provider", "callbacks", "success_callback", "aws_access_key_id", "vertex_credentials",
]  # fmt: skip


@pytest.mark.parametrize("field", FORBIDDEN)
@pytest.mark.parametrize(("path", "model"), [(CHAT, "gpt"), (CHAT, "claude"), (MESSAGES, "claude"), (MESSAGES, "gpt")])
async def test_what_names_an_address_or_a_credential_stops_at_the_door(
    rig: Rig, provider: Upstream, field: str, path: str, model: str
) -> None:
    by_model(provider)
    value: Any = (
        {"authorization": "Bearer evil"} if "headers" in field or field == "extra_body" else "http://evil.example"
    )
    told = await rig.post(path, {**ask_claude(model=model), field: value}, headers={"openai-organization": "evil"})
    assert told.status in (200, 400, 503)
    for heard in provider.log:
        assert b"evil" not in heard.body
        assert "evil" not in repr(heard.headers)
        assert KEY not in repr(heard.headers)
        assert heard.headers["host"] == provider.url.removeprefix("http://")


async def test_unknown_fields_pass_untouched_to_their_own_dialect(rig: Rig, provider: Upstream) -> None:
    by_model(provider)
    await rig.post(CHAT, ask(top_k=7, chat_template_kwargs={"thinking": False}))
    assert provider.last.json["chat_template_kwargs"] == {"thinking": False}


# ── execute, route, logic ─────────────────────────────────────────────────────────────────────────────────

ARTICLE = """
  claude-haiku: {provider: ant, model: claude-haiku-up, price: {input: 0.25, output: 1.25}}
  gpt-3.5-turbo: {provider: oai, model: gpt-35-up, price: {input: 0.5, output: 1.5}}
  gpt-4: {provider: oai, model: gpt-4-up, price: {input: 30, output: 60}}
"""


async def test_the_article_s_call_cascades_and_tells_attempts_and_cost(provider: Upstream, tmp_path: Path) -> None:
    by_model(provider, claude_haiku_up=failing(500), gpt_35_up=chat(""), gpt_4_up=chat("the answer"))
    async with serving(provider, tmp_path, models=ARTICLE.lstrip("\n")) as rig:
        call = {
            "task": "summarize",
            "input": "A long text.",
            "strategy": "cascade",
            "models": ["claude-haiku", "gpt-3.5-turbo", "gpt-4"],
        }
        told = await rig.post("/v1/execute", call)
        assert told.status == 200
        body = told.json
        assert (body["output"], body["model"]) == ("the answer", "gpt-4")
        assert [attempt["model"] for attempt in body["attempts"]] == ["claude-haiku", "gpt-3.5-turbo", "gpt-4"]
        assert [attempt["status"] for attempt in body["attempts"]] == ["failed", "rejected", "succeeded"]
        spent = sum(Decimal(str(attempt["cost_usd"])) for attempt in body["attempts"])
        assert Decimal(str(body["cost_usd"])) == spent > 0
        receipt = await rig.receipt(told)
        assert receipt.cost_usd == spent


async def test_the_dry_run_tells_everything_and_calls_nobody(provider: Upstream, tmp_path: Path) -> None:
    routes = "  tiers: {strategy: {use: complexity, simple: gpt, moderate: claude, complex: claude}}\n"
    async with serving(provider, tmp_path, routes=routes) as rig:
        for body in (
            {"model": "tiers", "input": "Is this spam? yes or no"},
            {"model": "tiers", "messages": [{"role": "user", "content": "Is this spam? yes or no"}]},
        ):
            told = (await rig.post("/v1/route", body)).json
            assert (told["complexity"], told["model"]) == ("simple", "gpt")
            assert 0 <= told["score"] <= 1
            assert "simple" in told["reason"]
            assert told["estimated_cost_per_1k"] == 0.0025
            assert told["estimated_cost_usd"] > 0
            assert [candidate["model"] for candidate in told["candidates"]] == ["gpt", "claude"]
            assert told["exclusions"] == []
            assert told["plan"][0] == "gpt@oai"
    assert provider.log == []


async def test_plain_logic_answers_at_no_cost(provider: Upstream, tmp_path: Path) -> None:
    routes = """  hours:
    strategy:
      use: logic
      answers: [{when: {contains: [opening hours]}, text: "9 to 5."}]
      otherwise: gpt
"""
    by_model(provider)
    async with serving(provider, tmp_path, routes=routes) as rig:
        told = await rig.post(CHAT, ask("What are your opening hours?", model="hours"))
        assert told.status == 200, told.body
        assert told.json["choices"][0]["message"]["content"] == "9 to 5."
        assert told.headers["x-polyroute-cost-usd"] == "0"
        assert provider.log == []
        streamed = await rig.post(MESSAGES, ask_claude("Your opening hours?", model="hours", stream=True))
        assert b"9 to 5." in streamed.body
        assert (await rig.post(CHAT, ask("Something else", model="hours"))).headers["x-polyroute-model"] == "gpt"


# ── limits and money ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_twenty_first_request_of_a_minute_is_429(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path, top="limits: {per_user_per_minute: 20}\n") as rig:
        for left in reversed(range(20)):
            told = await rig.post(CHAT, ask())
            assert (told.status, told.headers["x-ratelimit-remaining-requests"]) == (200, str(left))
        for path, body in ((CHAT, ask()), (MESSAGES, ask_claude()), ("/v1/execute", {"input": "x", "models": ["gpt"]})):
            told = await rig.post(path, body)
            assert told.status == 429
            assert 1 <= int(told.headers["retry-after"]) <= 60
            assert told.json["error"]["type"] == "rate_limit_error"
        assert len(provider.log) == 20
        assert (await rig.post(CHAT, ask(), key=OTHER_KEY)).status == 200  # another user's own


async def test_a_budget_is_kept_to_the_cent(provider: Upstream, tmp_path: Path) -> None:
    models = "  cent: {provider: oai, model: cent-up, price: {input: 0, output: 10000}}\n"  # a cent per token
    provider.answers(chat("x", usage=(5, 20)))
    async with serving(provider, tmp_path, models=models, top="limits: {per_user_daily_usd: 1}\n") as rig:
        for _ in range(4):
            assert (await rig.post(CHAT, ask(model="cent", max_tokens=20))).status == 200
        clamped = await rig.post(CHAT, ask(model="cent", max_tokens=50))
        assert (clamped.status, clamped.headers["x-polyroute-clamped"]) == (200, "20")
        assert provider.last.json["max_tokens"] == 20
        assert clamped.headers["x-polyroute-budget-remaining-usd"] == "0"
        seen = len(provider.log)
        for path, body in ((CHAT, ask(model="cent")), (MESSAGES, ask_claude(model="cent"))):
            told = await rig.post(path, body)
            assert told.status == 402
            assert told.headers["x-should-retry"] == "false"
            assert "per_user_daily_usd" in told.json["error"]["message"]
        assert len(provider.log) == seen
        assert (await rig.post(CHAT, ask(model="cent", max_tokens=20), key=OTHER_KEY)).status == 200


async def test_limits_are_exact_for_requests_at_once(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path, top="limits: {per_user_per_minute: 20}\n") as rig:
        told = await asyncio.gather(*(rig.post(CHAT, ask()) for _ in range(60)))
        assert sorted(answer.status for answer in told) == [200] * 20 + [429] * 40
        assert len(provider.log) == 20


async def test_money_held_by_calls_under_way_is_spent_once(provider: Upstream, tmp_path: Path) -> None:
    models = "  cent: {provider: oai, model: cent-up, price: {input: 0, output: 10000}}\n"
    provider.answers(chat("x", usage=(5, 20)))
    async with serving(provider, tmp_path, models=models, top="limits: {per_team_daily_usd: 1}\n") as rig:
        body = ask(model="cent", max_tokens=20)
        told = await asyncio.gather(*(rig.post(CHAT, body, key=(KEY, OTHER_KEY)[at % 2]) for at in range(30)))
        assert sorted(answer.status for answer in told) == [200] * 5 + [402] * 25
        spent = sum(receipt.cost_usd for receipt in rig.receipts())
        assert spent == 1
        with rig.books() as books:
            assert list(books.verify()) == []


async def test_a_restart_remembers_what_was_spent(provider: Upstream, tmp_path: Path) -> None:
    models = "  cent: {provider: oai, model: cent-up, price: {input: 0, output: 10000}}\n"
    provider.answers(chat("x", usage=(5, 20)))
    for _ in range(5):
        async with serving(provider, tmp_path, models=models, top="limits: {per_user_daily_usd: 1}\n") as rig:
            assert (await rig.post(CHAT, ask(model="cent", max_tokens=20))).status == 200
    async with serving(provider, tmp_path, models=models, top="limits: {per_user_daily_usd: 1}\n") as rig:
        assert (await rig.post(CHAT, ask(model="cent", max_tokens=20))).status == 402


@pytest.mark.parametrize(("path", "is_stream"), [(CHAT, False), (CHAT, True), (MESSAGES, False), (MESSAGES, True)])
async def test_a_gate_escalates_and_its_route_can_still_be_streamed(
    provider: Upstream, tmp_path: Path, path: str, is_stream: bool
) -> None:
    routes = "  strict: {strategy: {use: cascade, models: [gpt, claude]}, gates: [{use: json}]}\n"
    by_model(provider, gpt_up=chat("not JSON"), claude_up=message(text_block('{"a": 1}')))
    async with serving(provider, tmp_path, routes=routes) as rig:
        told = await rig.post(path, ask_claude(model="strict", stream=is_stream))
        assert told.status == 200
        assert told.headers["x-polyroute-model"] == "claude"
        assert (b'{"a": 1}' if path == MESSAGES or is_stream else b"a") in told.body.replace(b'\\"', b'"')
        receipt = await rig.receipt(told)
        assert [attempt.status for attempt in receipt.attempts] == ["rejected", "succeeded"]
        assert [verdict.accepted for verdict in receipt.attempts[0].verdicts] == [False]
        assert receipt.fallback_reason == "gpt@oai: rejected by json"


async def test_an_answer_that_no_model_gets_past_the_gates_is_502(provider: Upstream, tmp_path: Path) -> None:
    routes = "  strict: {strategy: {use: cascade, models: [gpt, claude]}, gates: [{use: json}]}\n"
    by_model(provider)
    async with serving(provider, tmp_path, routes=routes) as rig:
        told = await rig.post(CHAT, ask(model="strict", stream=True))
        assert told.status == 502
        (receipt,) = rig.receipts()
        assert (receipt.state, receipt.cost_usd > 0) == ("failed", True)


async def test_too_little_money_for_an_answer_worth_having_is_402(provider: Upstream, tmp_path: Path) -> None:
    models = "  cent: {provider: oai, model: cent-up, price: {input: 0, output: 10000}}\n"
    async with serving(provider, tmp_path, models=models, top="limits: {per_user_daily_usd: 0.15}\n") as rig:
        assert (await rig.post(CHAT, ask(model="cent", max_tokens=100))).status == 402  # 15 tokens < 16
    assert provider.log == []


async def test_an_unknown_price_is_served_only_where_no_money_is_limited(provider: Upstream, tmp_path: Path) -> None:
    models = "  odd: oai/odd-up\n"
    by_model(provider)
    async with serving(provider, tmp_path, models=models) as rig:
        told = await rig.post(CHAT, ask(model="odd"))
        assert (told.status, told.headers["x-polyroute-cost-usd"]) == (200, "unknown")
    (tmp_path / "b").mkdir()
    seen = len(provider.log)
    async with serving(provider, tmp_path / "b", models=models, top="limits: {per_user_daily_usd: 1}\n") as rig:
        told = await rig.post(CHAT, ask(model="odd"))
        assert (told.status, told.json["error"]["code"]) == (402, "price_unknown")
        assert "models.odd.price" in told.json["error"]["message"]
    assert len(provider.log) == seen


CONFLICT = """
  small: {provider: oai, model: small-up, price: {input: 1, output: 1}, quality: 0.5}
  large: {provider: oai, model: large-up, price: {input: 100, output: 1000}, quality: 0.9}
"""


@pytest.mark.parametrize(
    ("limits", "answered"),
    [
        ("cost_ceiling_usd: 0.01", "small"),
        ("quality_floor: 0.8", "large"),
        ("cost_ceiling_usd: 0.01, quality_floor: 0.8, precedence: cost", "small"),
        ("cost_ceiling_usd: 0.01, quality_floor: 0.8, precedence: quality", "large"),
        ("cost_ceiling_usd: 0.01, quality_floor: 0.8, precedence: refuse", None),
        ("cost_ceiling_usd: 0.01, quality_floor: 0.8", None),
    ],
)
async def test_ceiling_floor_and_their_conflict_are_settled_before_dispatch(
    provider: Upstream, tmp_path: Path, limits: str, answered: str | None
) -> None:
    by_model(provider)
    routes = f"  both: {{strategy: {{use: fixed, models: [large, small]}}, {limits}}}\n"
    async with serving(provider, tmp_path, models=CONFLICT.lstrip("\n"), routes=routes) as rig:
        told = await rig.post(CHAT, ask(model="both", max_tokens=100))
        if answered is None:
            assert told.status == 503
            assert "cost ceiling" in told.json["error"]["message"]
            assert "floor" in told.json["error"]["message"]
            assert provider.log == []
            return
        assert told.headers["x-polyroute-model"] == answered
        receipt = await rig.receipt(told)
        assert receipt.exclusions
        assert len(provider.log) == 1


async def test_a_latency_budget_and_the_class_turn_the_ranking(provider: Upstream, tmp_path: Path) -> None:
    models = """
  slow: {provider: oai, model: slow-up, price: {input: 1, output: 1}, latency_ms: 900}
  fast: {provider: oai, model: fast-up, price: {input: 9, output: 9}, latency_ms: 90}
"""
    routes = "  soon: {strategy: {use: fixed, models: [slow, fast]}, latency_budget_ms: 300}\n"
    by_model(provider)
    async with serving(provider, tmp_path, models=models.lstrip("\n"), routes=routes) as rig:
        for body, headers, model in (
            (ask(model="soon"), {}, "fast"),
            (ask(model="soon"), {"x-polyroute-class": "batch"}, "slow"),
            (ask(model="soon", metadata={"class": "deferred"}), {}, "slow"),
        ):
            told = await rig.post(CHAT, body, headers=headers)
            assert (told.status, told.headers["x-polyroute-model"]) == (200, model)


@pytest.mark.parametrize(("rule", "status"), [("refuse", 400), ("truncate", 200), ("reroute", 200)])
async def test_an_input_over_the_route_s_limit_goes_by_its_rule(
    provider: Upstream, tmp_path: Path, rule: str, status: int
) -> None:
    by_model(provider)
    routes = f"  short: {{primary: gpt, fallback: [claude], max_input_tokens: 50, on_too_long: {rule}}}\n"
    async with serving(provider, tmp_path, routes=routes) as rig:
        turns = [
            {"role": "user", "content": "old " * 100},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "new"},
        ]
        told = await rig.post(CHAT, {"model": "short", "messages": turns})
        assert told.status == status, told.body
        if rule == "refuse":
            assert told.json["error"]["code"] == "context_length_exceeded"
            assert provider.log == []
        elif rule == "truncate":
            assert b"old" not in provider.last.body
            assert b"new" in provider.last.body
        else:
            assert told.headers["x-polyroute-model"] == "claude"


@pytest.mark.parametrize(("bound", "reason"), [("region: eu", "region"), ("private: true", "private")])
async def test_a_bound_route_never_leaves_its_bounds_even_in_fallback(
    provider: Upstream, tmp_path: Path, bound: str, reason: str
) -> None:
    placed = "region: eu, private: true"
    models = f"  home: {{deployments: [{{provider: oai, model: home-up, {placed}}}], price: free}}\n"
    routes = f"  bound: {{primary: home, fallback: [gpt], {bound}}}\n"
    by_model(provider, home_up=failing(500))
    async with serving(provider, tmp_path, models=models, routes=routes) as rig:
        told = await rig.post(CHAT, ask(model="bound"))
        assert told.status == 502
        assert {heard.json["model"] for heard in provider.log} == {"home-up"}
        (exclusion,) = (await rig.receipt(told)).exclusions
        assert exclusion.model == "gpt"
        assert reason in exclusion.reason
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        told = await rig.post(CHAT, {"model": "bound", "messages": [{"role": "user", "content": [image]}]})
        assert {heard.json["model"] for heard in provider.log} == {"home-up"}


# ── metrics ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_metrics_parse_and_agree_with_the_books(provider: Upstream, tmp_path: Path) -> None:
    by_model(provider, gpt_up=failing(500))
    routes = "  backed: {primary: gpt, fallback: [claude]}\n"
    async with serving(provider, tmp_path, routes=routes) as rig:
        for _ in range(3):
            assert (await rig.post(CHAT, ask(model="backed"))).status == 200
        assert (await rig.post(CHAT, ask())).status == 502
        await rig.post(CHAT, ask(model="none"))
        text = (await rig.get("/metrics")).body.decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

        def total(name: str, **labels: str) -> float:
            return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

        receipts = rig.receipts()
        attempts = [attempt for receipt in receipts for attempt in receipt.attempts]
        assert total("polyroute_requests_total") == len(receipts) == 4
        assert total("polyroute_attempts_total") == len(attempts) == 7
        assert total("polyroute_attempts_total", status="failed") == 4
        assert total("polyroute_fallbacks_total") == 3
        spent = float(sum(receipt.cost_usd for receipt in receipts))
        assert total("polyroute_cost_usd_total") == pytest.approx(spent)
        tokens = sum(a.usage.total_tokens for a in attempts if a.usage is not None)
        assert total("polyroute_tokens_total") == tokens
        assert "ci" not in {value for sample in samples for value in sample.labels.values()}
        assert KEY not in text


async def test_an_error_that_is_ours_is_shaped_and_told_without_a_trace(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(rig.built.path), "answer", broken)
    told = await rig.post(MESSAGES, ask_claude())
    assert told.status == 500
    assert b"secret detail" not in told.body
    assert told.json["type"] == "error"
    assert orjson.loads(told.body)["error"]["type"] == "api_error"
