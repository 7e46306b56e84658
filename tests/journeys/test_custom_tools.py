"""OpenAI's custom tools, called from its SDK, on models of every family."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.journeys.rig import ENV, KEY, Rig, gateway
from tests.journeys.upstream import Upstream, chat, message, text_block, whole

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, quirks: [no_openai_responses]}}
  rsp: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, quirks: [no_openai_chat]}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  gpt: {{provider: oai, model: gpt-up, price: free}}
  o: {{provider: rsp, model: o-up, price: free}}
  claude: {{provider: ant, model: claude-up, price: free}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
CODE = 'print("1")'
TOOL: Any = {"type": "custom", "name": "run", "description": "Runs Python"}
DIGITS: Any = {**TOOL, "format": {"type": "grammar", "syntax": "regex", "definition": "[0-9]+"}}
USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, ENV) as running:
        yield running


@pytest.fixture
async def sdk(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def answered(provider: Upstream) -> None:
    """Each in its own form."""
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": CODE}}
    item = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "call_1", "name": "run", "input": CODE}
    response = {"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": [item]}
    use = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"input": CODE}}
    ways = {
        "/chat/completions": chat(None, tool_calls=[custom]),
        "/responses": whole({**response, "created_at": 1, "usage": USAGE}),
        "/messages": message(use, stop="tool_use"),
    }
    provider.script = lambda heard: next(way for end, way in ways.items() if heard.path.endswith(end))


@pytest.mark.parametrize("model", ["gpt", "o", "claude"])
async def test_a_custom_tool_is_called_and_answered_on_every_model(
    sdk: openai.AsyncOpenAI, provider: Upstream, model: str
) -> None:
    answered(provider)
    first = await sdk.responses.create(model=model, input="go", tools=[TOOL])
    call = next(item for item in first.output if item.type == "custom_tool_call")
    assert (call.name, call.input) == ("run", CODE)

    told: Any = [item.model_dump(exclude_none=True) for item in first.output]
    result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "1"}
    await sdk.responses.create(model=model, input=[{"role": "user", "content": "go"}, *told, result], tools=[TOOL])
    assert CODE in "".join(texts(provider.last.json))

    turns: Any = [{"role": "user", "content": "go"}]
    tool: Any = {"type": "custom", "custom": {"name": "run"}}
    answer = await sdk.chat.completions.create(model=model, messages=turns, tools=[tool])
    assert answer.choices[0].finish_reason == "tool_calls"
    made = answer.choices[0].message.tool_calls
    assert made is not None
    assert made[0].type == "custom"
    assert made[0].custom.input == CODE


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    if isinstance(value, str):
        return [value, *(texts(json.loads(value)) if value.startswith("{") else [])]
    return []


@pytest.mark.parametrize("model", ["gpt", "o", "claude"])
async def test_it_is_streamed_too(sdk: openai.AsyncOpenAI, provider: Upstream, rig: Rig, model: str) -> None:
    """From models that answer whole, which a gate had held: the door's own events are what is tried."""
    answered(provider)
    document = DOCUMENT.format(url=provider.url)
    routes = f"routes: {{held: {{primary: {model}, gates: [{{use: length, min_chars: 0}}]}}}}\n"
    (rig.folder / "beside").mkdir()
    async with gateway(document + routes, rig.folder / "beside", ENV) as other:
        client = openai.AsyncOpenAI(base_url=f"{other.url}/v1", api_key=KEY, max_retries=0)
        async with client.responses.stream(model="held", input="go", tools=[TOOL]) as events:
            kinds = [event.type async for event in events]
            final = await events.get_final_response()
        await client.close()
    assert "response.custom_tool_call_input.done" in kinds
    assert [item.input for item in final.output if item.type == "custom_tool_call"] == [CODE]


async def test_a_grammar_goes_where_it_is_kept_and_nowhere_else(sdk: openai.AsyncOpenAI, provider: Upstream) -> None:
    answered(provider)
    await sdk.responses.create(model="gpt", input="go", tools=[DIGITS])
    sent = provider.last.json["tools"][0]["custom"]
    assert sent["format"] == {"type": "grammar", "grammar": {"syntax": "regex", "definition": "[0-9]+"}}
    with pytest.raises(openai.APIStatusError, match="tool run: the grammar of its input"):
        await sdk.responses.create(model="claude", input="go", tools=[DIGITS])


async def test_a_model_that_answers_in_words_is_heard(sdk: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(message(text_block("No need.")))
    answer = await sdk.responses.create(model="claude", input="go", tools=[TOOL])
    assert answer.output_text == "No need."
    assert provider.last.json["tools"][0]["input_schema"]["required"] == ["input"]
