"""An output contract through a real gateway: whichever model answers, the bytes are alike, or the error is honest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, ENV, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import Upstream, chat, message, text_block

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ROUTES = """
  - {{name: other, key: "pk-other-0123456789abcdef"}}
routes:
  review:
    primary: gpt
    fallback: claude
    output:
      schema:
        type: object
        properties:
          analysis: {{type: string}}
          score: {{type: integer}}
          sure: {{type: boolean}}
        required: [analysis, score]
        additionalProperties: false
      aliases: {{result: analysis}}
"""
GOOD = '{"analysis":"fine","score":3,"sure":true}'


@asynccontextmanager
async def serving(provider: Upstream, folder: Path) -> AsyncIterator[Rig]:
    document = DOCUMENT.replace("model: gpt-up,", "model: gpt-up, capabilities: [json_schema, tools],")
    async with gateway((document.rstrip() + ROUTES).format(url=provider.url), folder, ENV) as rig:
        yield rig


def words_of(body: dict[str, object]) -> str:
    return orjson.dumps(body).decode()


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(GOOD, id="as it should be"),
        pytest.param('{"sure": "TRUE", "score": "3", "result": "fine"}', id="another order, names and types"),
        pytest.param('Here you are:\n```json\n{"result": "fine", "score": 3.0, "sure": true}\n```\n', id="in a fence"),
    ],
)
async def test_every_model_gives_the_same_bytes(provider: Upstream, tmp_path: Path, written: str) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat(written))
        told = await rig.post(CHAT, ask("Rate this", "review"))
        assert told.status == 200, told.body
        receipt = await rig.receipt(told)
    assert told.json["choices"][0]["message"]["content"] == GOOD
    (verdict,) = receipt.verdicts
    assert verdict.gate == "output"
    assert verdict.accepted
    assert bool(verdict.changes) == (written != GOOD)


async def test_a_model_that_can_is_asked_natively_and_another_in_words(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.script = lambda heard: (
            chat('{"other": 1}') if "chat" in heard.path else message(text_block(f"```\n{GOOD}\n```"))
        )
        told = await rig.post(CHAT, ask("Rate this", "review"))
        assert told.status == 200, told.body
        receipt = await rig.receipt(told)
    first, second = (heard.json for heard in provider.log)
    assert first["response_format"]["json_schema"]["name"] == "review"
    assert first["messages"] == [{"role": "user", "content": "Rate this"}]
    assert "JSON Schema" in words_of(second["system"])
    assert "output_config" not in second
    assert told.json["choices"][0]["message"]["content"] == GOOD
    assert [a.status for a in receipt.attempts] == ["rejected", "succeeded"]
    assert receipt.attempts[0].verdicts[0].reasons == ("(root): unknown `other`",)


async def test_where_no_answer_fits_the_caller_is_told_why(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.script = lambda heard: (
            chat('{"analysis": "x", "score": "about 3"}') if "chat" in heard.path else message(text_block("No."))
        )
        told = await rig.post(CHAT, ask("Rate this", "review"))
    assert told.status == 502
    assert "score" in told.json["error"]["message"]
    assert "not JSON" in told.json["error"]["message"]


async def test_another_schema_of_the_callers_own_is_a_conflict(provider: Upstream, tmp_path: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "mine", "schema": {"type": "object"}}}
    async with serving(provider, tmp_path) as rig:
        told = await rig.post(CHAT, ask("Rate", "review", response_format=form))
        assert (told.status, told.json["error"]["code"]) == (400, "output_conflict")
        provider.answers(chat(GOOD))
        assert (await rig.post(CHAT, ask("Rate", "review", response_format={"type": "json_object"}))).status == 200
    assert provider.last.json["response_format"]["type"] == "json_schema"


async def test_a_stream_is_held_until_the_answer_has_its_form(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat('{"result": "fine", "score": "3", "sure": true}'))
        told = await rig.post(CHAT, ask("Rate", "review", stream=True))
    texts = [e["choices"][0]["delta"].get("content") or "" for e in told.events if e != "[DONE]" and e["choices"]]
    assert "".join(texts) == GOOD


async def test_the_other_door_gives_the_same_text(provider: Upstream, tmp_path: Path) -> None:
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat('{"result": "fine", "score": "3", "sure": true}'))
        told = await rig.post(MESSAGES, ask_claude("Rate", "review"))
        assert told.status == 200, told.body
        call = {"input": "Rate", "task": "review"}
        executed = await rig.post("/v1/execute", call)
    assert told.json["content"][0]["text"] == GOOD
    assert executed.json["output"] == GOOD


async def test_an_answer_that_calls_tools_passes(provider: Upstream, tmp_path: Path) -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    async with serving(provider, tmp_path) as rig:
        provider.answers(chat(None, tool_calls=calls))
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        told = await rig.post(CHAT, ask("Rate", "review", tools=tools))
    assert told.json["choices"][0]["message"]["tool_calls"] == calls
