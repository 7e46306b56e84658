"""A server that departs from OpenAI's form, told so by the document: through a started gateway, from both doors."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.rig import DOCUMENT, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import Answer, Upstream, chat, chat_events, stream

QUIRKS = "[tool_ids_9, random_seed, max_tokens, tool_choice_any, json_object_only, no_developer]"
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
WANTED = {"type": "json_schema", "json_schema": {"name": "o", "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    document = DOCUMENT.replace("dialect: openai,", f"dialect: openai, quirks: {QUIRKS},").format(url=provider.url)
    async with gateway(document, tmp_path) as running:
        yield running


async def test_a_conversation_of_another_provider_goes_on_there(rig: Rig, provider: Upstream) -> None:
    call = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    told = await rig.post(
        "/v1/chat/completions",
        ask(
            messages=[
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "42"},
            ],
            tools=[TOOL],
            tool_choice="required",
            seed=7,
            max_completion_tokens=30,
        ),
    )
    assert told.status == 200
    sent = provider.last.json
    assert (sent["random_seed"], sent["max_tokens"], sent["tool_choice"]) == (7, 30, "any")
    assert sent["messages"][0]["role"] == "system"
    made = sent["messages"][2]["tool_calls"][0]["id"]
    assert (len(made), made) == (9, sent["messages"][3]["tool_call_id"])
    assert sent.keys().isdisjoint({"seed", "max_completion_tokens"})


async def test_the_other_door_is_helped_the_same_way(rig: Rig, provider: Upstream) -> None:
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01AbCdEf", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01AbCdEf", "content": "42"}]},
    ]
    told = await rig.post(
        "/v1/messages",
        ask_claude(
            model="gpt", messages=turns, tools=[{"name": "f", "input_schema": SCHEMA}], tool_choice={"type": "any"}
        ),
    )
    assert told.status == 200
    sent = provider.last.json
    assert sent["tool_choice"] == "any"
    assert sent["messages"][1]["tool_calls"][0]["id"] == sent["messages"][2]["tool_call_id"]
    assert len(sent["messages"][2]["tool_call_id"]) == 9


@pytest.mark.parametrize(("said", "status"), [('{"n": 1}', 200), ('{"m": 1}', 502)])
async def test_a_schema_asked_for_in_words_is_checked(rig: Rig, provider: Upstream, said: str, status: int) -> None:
    provider.answers(chat(said))
    told = await rig.post("/v1/chat/completions", ask(response_format=WANTED))
    assert told.status == status
    sent = provider.last.json
    assert sent["response_format"] == {"type": "json_object"}
    assert "JSON Schema" in sent["messages"][0]["content"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_thinking_in_tags_is_thinking_at_the_other_door(rig: Rig, provider: Upstream, streamed: bool) -> None:
    answer: Answer = (
        stream(*chat_events("<thi", "nk>so it", " is</think>\n\n", "42"))
        if streamed
        else chat("<think>so it is</think>\n\n42")
    )
    provider.answers(answer)
    told = await rig.post("/v1/messages", ask_claude(model="gpt", stream=streamed))
    assert told.status == 200
    assert b"think>" not in told.body
    assert b'"thinking"' in told.body
    assert b"42" in told.body
