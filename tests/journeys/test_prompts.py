"""One prompt in every family's words, through a real gateway: what upstreams read, and what is refused or recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, ENV, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import Upstream, chat, failing, message, text_block

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
        "  plain: {{provider: oai, model: qwen-plain, quirks: [no_system], price: {{input: 1.0, output: 1.0}}}}\nkeys:\n",
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
        told = await rig.post(MESSAGES, {**body, "system": "Be short.", "container": "c1"})
        assert told.status == 200, told.body
    sent = provider.last.json
    assert sent["system"] == "<role>Helper of Ann, tier 1</role>\n\nBe short."
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]
    assert sent["metadata"] == {"user_id": "u1"}
    assert sent["container"] == "c1"


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
