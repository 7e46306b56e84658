"""One prompt in every family's words, through a real gateway: what upstreams read, and what is refused or recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from msgspec import convert
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import Upstream, chat, chunk, failing, message, stream, text_block, whole

from polyroute.prompts.shelf import Actor, Shelf
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.types.prompts import Wordings

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
TOOLS = [{
    "type": "function",
    "function": {"name": "refund", "description": "Pay back", "parameters": {
        "type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}},
}]  # fmt: skip
PROMPTS = """
  - {{name: other, key: "pk-other-0123456789abcdef"}}
prompts:
  support:
    versions:
      1: {{variants: {{default: {{system: "Old words."}}}}}}
      2:
        variables: {{customer: {{}}, tier: {{type: integer, default: 1}}}}
        variants:
          default: {{system: "You help {{{{customer}}}}."}}
          anthropic: {{system: "<role>Helper of {{{{ customer }}}}, tier {{{{tier}}}}</role>"}}
          openai: {{system: "# Role\\nHelper of {{{{customer}}}}.", user: "Question of {{{{customer}}}}:"}}
    labels: {{live: 2, old: 1}}
routes:
  support: {{primary: gpt, fallback: [claude, plain], prompt: support@live}}
  pinned: {{primary: gpt, prompt: support@1}}
  plain-route: {{primary: plain, prompt: support}}
"""


@asynccontextmanager
async def serving(provider: Upstream, folder: Path, more: str = "") -> AsyncIterator[Rig]:
    document = DOCUMENT.replace(
        "keys:\n",
        "  plain: {{provider: oai, model: qwen-plain, quirks: [no_system], price: free}}\nkeys:\n",
    )
    text = (document.rstrip() + PROMPTS + more).format(url=provider.url)
    async with gateway(text, folder, ENV) as rig:
        yield rig


def asked(text: str = "Where is my order?", model: str = "support", **variables: object) -> dict[str, object]:
    return ask(text, model, polyroute={"variables": variables})


async def test_the_family_that_answers_gets_its_own_words(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, {**asked(customer="Ann"), "tools": TOOLS, "made_up_field": 7})
        assert told.status == 200, told.body
        sent = provider.last.json
        receipt = await rig.receipt(told)
    assert sent["messages"] == [
        {"role": "system", "content": "# Role\nHelper of Ann."},
        {"role": "user", "content": "Question of Ann:\n\nWhere is my order?"},
    ]
    assert sent["tools"] == TOOLS
    assert sent["made_up_field"] == 7  # what Polyroute does not know passes
    assert "polyroute" not in sent
    assert (receipt.prompt, receipt.prompt_variant) == ("support@2", "openai")


async def test_a_fallback_reads_the_words_of_its_family(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.script = lambda heard: failing(500) if "chat" in heard.path else message(text_block("here"))
        told = await rig.post(CHAT, {**asked(customer="Ann"), "tools": TOOLS})
        assert told.status == 200, told.body
        receipt = await rig.receipt(told)
    sent = provider.last.json
    assert sent["system"] == [{"type": "text", "text": "<role>Helper of Ann, tier 1</role>"}]
    assert sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Where is my order?"}]}]
    assert sent["tools"][0]["name"] == "refund"
    assert [a.variant for a in receipt.attempts] == ["openai", "anthropic"]
    assert receipt.prompt_variant == "anthropic"


async def test_the_own_body_of_a_family_keeps_its_other_fields(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path, "  claude-only: {{primary: claude, prompt: support}}\n") as rig:
        provider.answers(message(text_block("here")))
        body = ask_claude("Hello", "claude-only", metadata={"user_id": "u1", "variables": {"customer": "Ann"}})
        told = await rig.post(MESSAGES, {**body, "system": "Be short.", "service_tier": "standard_only"})
        assert told.status == 200, told.body
    sent = provider.last.json
    assert sent["system"] == "<role>Helper of Ann, tier 1</role>\n\nBe short."
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]
    assert sent["metadata"] == {"user_id": "u1"}
    assert sent["service_tier"] == "standard_only"


async def test_a_model_without_a_system_role_reads_the_words_in_front_of_the_users(
    provider: Upstream, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, asked(model="plain-route", customer="Ann"))
        assert told.status == 200, told.body
    (only,) = provider.last.json["messages"]
    assert only["role"] == "user"
    assert only["content"].startswith("You help Ann.")
    assert only["content"].endswith("Where is my order?")


async def test_streams_carry_the_words_too(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat("ok"))
        await rig.post(CHAT, {**asked(customer="Ann"), "stream": True})
    assert provider.log[0].json["messages"][0]["content"] == "# Role\nHelper of Ann."


async def test_a_value_is_never_looked_into_again(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        await rig.post(CHAT, asked(customer="{{tier}} {{customer}} \\{{"))
    assert provider.last.json["messages"][0]["content"] == "# Role\nHelper of {{tier}} {{customer}} \\{{."


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        pytest.param(ask("hi", "support"), "polyroute.variables.customer", "missing", id="missing"),
        pytest.param(asked(customer=7), "polyroute.variables.customer", "must be text", id="wrong type"),
        pytest.param(asked(customer="a", tier="x"), "polyroute.variables.tier", "whole number", id="wrong number"),
        pytest.param(asked(customer="a", more=1), "polyroute.variables.more", "no variable", id="unknown"),
        pytest.param(ask("hi", "support", metadata={"variables": "not json"}), "metadata.variables", "JSON", id="text"),
        pytest.param(ask("hi", "support", polyroute=[1]), "polyroute", "object", id="no object"),
        pytest.param(ask("hi", "support", polyroute={"x": 1}), "polyroute.x", "not known", id="unknown field"),
        pytest.param(asked(model="gpt", customer="a"), "polyroute.variables", "no prompt", id="no prompt"),
    ],
)
async def test_a_wrong_variable_is_a_400_that_names_it(
    provider: Upstream, tmp_path: Path, body: dict[str, object], field: str, words: str
) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, body)
    assert told.status == 400
    assert told.json["error"]["param"] == field
    assert words in told.json["error"]["message"]
    assert provider.log == []


async def test_variables_may_come_as_metadata_text(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        body = ask("hi", "support", metadata={"variables": '{"customer": "Ann"}', "job": "7"})
        assert (await rig.post(CHAT, body)).status == 200
    assert provider.last.json["metadata"] == {"job": "7"}
    assert "Ann" in provider.last.json["messages"][0]["content"]


async def test_a_pinned_version_and_its_caller_who_brings_instructions(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        body = ask("hi", "pinned")
        body["messages"] = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hi"}]
        assert (await rig.post(CHAT, body)).status == 200
    assert provider.last.json["messages"][0] == {"role": "system", "content": "Old words.\n\nBe short."}


async def test_the_dry_run_counts_the_prompts_tokens(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        bare = (await rig.post("/v1/route", ask("hi", "gpt"))).json
        worded = (await rig.post("/v1/route", asked("hi", customer="Ann " * 200))).json
    assert worded["input_tokens"] > bare["input_tokens"] + 200


# ── managed while the gateway runs ────────────────────────────────────────────────────────────────────────

VERSION = {
    "variables": {"who": {"type": "string"}},
    "variants": {"default": {"system": "Greet {{who}}."}, "anthropic": {"system": "<greet>{{who}}</greet>"}},
}


async def test_versions_are_added_and_a_label_rolls_back(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        first = await rig.post("/admin/prompts", {"name": "hello", **VERSION, "labels": ["live"]}, key=ADMIN)
        assert (first.status, first.json["id"]) == (201, "hello@1")
        changed = {**VERSION, "variants": {"default": {"system": "Welcome {{who}}."}}}
        second = await rig.post("/admin/prompts/hello/versions", {**changed, "labels": ["live"]}, key=ADMIN)
        assert (second.status, second.json["version"]) == (201, 2)
        rolled = await rig.call("PUT", "/admin/prompts/hello/labels/live", b'{"version": 1}', key=ADMIN)
        assert rolled.json == {"name": "hello", "labels": {"live": 1}}
        told = (await rig.get("/admin/prompts/hello", key=ADMIN)).json
        every = (await rig.get("/admin/prompts", key=ADMIN)).json["data"]
    assert told["live"] == 1
    assert [(m["label"], m["before"], m["version"], m["by"]) for m in told["moves"]] == [
        ("live", None, 1, "admin"),
        ("live", 1, 2, "admin"),
        ("live", 2, 1, "admin"),
    ]
    assert told["versions"]["2"]["wordings"]["variants"]["default"]["system"] == "Welcome {{who}}."
    assert [(p["name"], p["source"]) for p in every] == [("hello", "store"), ("support", "document")]


async def test_a_route_follows_its_label_at_once(provider: Upstream, tmp_path: Path) -> None:
    with SqliteRecords(tmp_path / "books.db") as records:
        shelf, actor = Shelf(records), Actor(name="me", role="admin", now=datetime.now(UTC))
        shelf.add("hello", convert(VERSION, Wordings), ["live"], actor)
    async with serving(provider, tmp_path, "  greet: {{primary: gpt, prompt: hello@live}}\n") as rig:
        body = ask("hi", "greet", polyroute={"variables": {"who": "Ann"}})
        told = await rig.post(CHAT, body)
        assert (await rig.receipt(told)).prompt == "hello@1"
        changed = {**VERSION, "variants": {"default": {"system": "Welcome {{who}}."}}}
        await rig.post("/admin/prompts/hello/versions", {**changed, "labels": ["live"]}, key=ADMIN)
        told = await rig.post(CHAT, body)
        assert (await rig.receipt(told)).prompt == "hello@2"
        assert provider.last.json["messages"][0]["content"] == "Welcome Ann."
        refused = await rig.call("DELETE", "/admin/prompts/hello/labels/live", key=ADMIN)
    assert refused.status == 409
    assert "route `greet`" in refused.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/admin/prompts", {"name": "support", **VERSION}, 409),
        ("PUT", "/admin/prompts/support/labels/live", {"version": 1}, 409),
        ("PUT", "/admin/prompts/nobody/labels/live", {"version": 1}, 404),
        ("GET", "/admin/prompts/nobody", {}, 404),
        ("POST", "/admin/prompts", VERSION, 400),
        ("POST", "/admin/prompts", {"name": "p", "variants": {"openai": {"system": "x"}}}, 400),
        ("POST", "/admin/prompts", {"name": "p", "variants": {"default": {"system": "{{x}}"}}}, 400),
        ("POST", "/admin/prompts", {"name": "p", "variants": {"default": {"file": "/etc/passwd"}}}, 400),
        ("POST", "/admin/prompts", {"name": "a/b", **VERSION}, 400),
        ("POST", "/admin/prompts", {"name": "p", **VERSION, "labels": ["7"]}, 400),
        ("POST", "/admin/prompts", {"name": "p", **VERSION, "more": 1}, 400),
        ("POST", "/admin/prompts", {"name": "p", "variants": 7}, 400),
    ],
)
async def test_what_cannot_be_managed_is_refused(
    provider: Upstream, tmp_path: Path, method: str, path: str, body: dict[str, object], status: int
) -> None:
    async with serving(provider, tmp_path) as rig:
        told = await rig.call(method, path, orjson.dumps(body), key=ADMIN)
    assert (told.status, "error" in told.json) == (status, True), told.body


async def test_nobody_manages_prompts_with_a_callers_key(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        assert (await rig.post("/admin/prompts", {"name": "p", **VERSION})).status == 403
        assert (await rig.get("/admin/prompts")).status == 403
        assert (await rig.get("/admin/prompts", key=None)).status == 401


async def test_the_receipt_names_the_prompt_and_the_upstreams_version(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        said = orjson.loads(b"".join(p for p in chat("ok", model="gpt-up-2026").pieces if isinstance(p, bytes)))
        provider.answers(whole({**said, "system_fingerprint": "fp_7"}))
        told = await rig.post(CHAT, asked(customer="Ann"))
        receipt = (await rig.get(f"/v1/receipts/{told.headers['x-polyroute-request-id']}")).json
        anthropic = await rig.post(MESSAGES, ask_claude("hi", "support", polyroute={"variables": {"customer": "A"}}))
        other = await rig.receipt(anthropic)
        last = chunk({}, "stop", system_fingerprint="fp_8")
        provider.answers(stream(chunk({"content": "ok"}), last, b"data: [DONE]\n\n"))
        streamed = await rig.receipt(await rig.post(CHAT, {**asked(customer="Ann"), "stream": True}))
    assert {name: receipt[name] for name in ("prompt", "prompt_variant", "answered_model", "fingerprint")} == {
        "prompt": "support@2",
        "prompt_variant": "openai",
        "answered_model": "gpt-up-2026",
        "fingerprint": "fp_7",
    }
    assert (other.prompt, other.fingerprint) == ("support@2", "fp_7")  # parsed for another door
    assert streamed.fingerprint == "fp_8"
