"""A schema asked of models that can be held to none: the official SDKs parse what they get, what is wrong is caught.

The provider answers as Claude does to a tool that must be called, whole and streamed, at Anthropic and at Bedrock.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest
from pydantic import BaseModel
from tests.journeys.rig import ENV, KEY, Rig, ask, gateway
from tests.journeys.upstream import Answer, Heard, Upstream, chat, event, message, stream, text_block, whole

from polyroute.dialects.event_stream import MEDIA_TYPE
from polyroute.types.response import ChoiceEnded, Ended, Started, StopReason, ToolCallDelta, ToolCallStarted, Usage
from polyroute.wiring.dialects import BEDROCK_CONVERSE

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  aws: {{dialect: bedrock, region: eu-west-1, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  haiku: {{provider: ant, model: claude-3-5-haiku-20241022, price: {{input: 1, output: 5}}}}
  plain: {{provider: ant, model: of-my-own, capabilities: [tools], price: free}}
  thinker: {{provider: ant, model: claude-3-7-sonnet-20250219, price: {{input: 3, output: 15}}}}
  bedrock: {{provider: aws, model: "us.anthropic.claude-3-haiku-20240307-v1:0", price: {{input: 1, output: 5}}}}
  nova: {{provider: aws, model: "eu.amazon.nova-lite-v1:0", price: {{input: 1, output: 5}}}}
  llama: {{provider: aws, model: "us.meta.llama3-3-70b-instruct-v1:0", price: {{input: 1, output: 5}}}}
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2.50, output: 10.00}}}}
routes:
  safe: {{primary: haiku, fallback: [gpt]}}
  live: {{strategy: {{use: fixed, models: [haiku]}}, commit: first_token}}
  formed:
    primary: haiku
    output: {{schema: {{type: object, properties: {{n: {{type: integer}}}}, required: [n]}}}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
FORCED = ("haiku", "plain", "bedrock", "nova")
OWN_TOOL: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


class Out(BaseModel):
    n: int


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, ENV) as running:
        yield running


@pytest.fixture
async def sdk(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def obeying(said: dict[str, Any], *, stop: str = "tool_use") -> Any:
    """Calls the tool that it must, with `said`; to GPT it says a good answer."""

    def answer(heard: Heard) -> Answer:
        body = heard.json
        if heard.path.endswith("/chat/completions"):
            return chat('{"n":7}')
        if heard.path.endswith("/converse"):
            use = {"toolUseId": "t1", "name": forced_tool(body), "input": said}
            content = {"message": {"role": "assistant", "content": [{"toolUse": use}]}}
            usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
            return whole({"output": content, "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 1}})
        use = {"type": "tool_use", "id": "toolu_1", "name": forced_tool(body), "input": said}
        return message(text_block("Here it is:"), use, stop=stop)

    return answer


def forced_tool(body: dict[str, Any]) -> str:
    config = body.get("toolConfig")
    choice = config["toolChoice"]["tool"] if config else body["tool_choice"]
    tools = [tool["toolSpec"] for tool in config["tools"]] if config else body["tools"]
    asked = next(tool for tool in tools if tool["name"] == choice["name"])
    schema = asked["inputSchema"]["json"] if config else asked["input_schema"]
    assert schema["properties"]["n"]["type"] == "integer"
    assert "outputConfig" not in body
    assert "output_config" not in body
    return str(choice["name"])


@pytest.mark.parametrize("model", FORCED)
async def test_openais_sdk_parses_what_the_tool_was_called_with(
    sdk: openai.AsyncOpenAI, provider: Upstream, model: str
) -> None:
    provider.script = obeying({"n": 1})
    answer = await sdk.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "a number"}], response_format=Out
    )
    told = answer.choices[0]
    assert told.message.parsed == Out(n=1)
    assert (told.finish_reason, told.message.tool_calls) == ("stop", None)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)


@pytest.mark.parametrize("model", FORCED)
async def test_openais_sdk_parses_it_streamed_and_from_responses(
    sdk: openai.AsyncOpenAI, provider: Upstream, model: str
) -> None:
    provider.script = obeying({"n": 1})
    turns: Any = [{"role": "user", "content": "a number"}]
    async with sdk.chat.completions.stream(model=model, messages=turns, response_format=Out) as events:
        final = await events.get_final_completion()
    assert final.choices[0].message.parsed == Out(n=1)
    assert final.choices[0].finish_reason == "stop"
    found = await sdk.responses.parse(model=model, input="a number", text_format=Out)
    assert found.output_parsed == Out(n=1)
    assert [item.type for item in found.output] == ["message"]


async def test_anthropics_sdk_parses_it_at_its_own_door(rig: Rig, provider: Upstream) -> None:
    provider.script = obeying({"n": 1})
    async with anthropic.AsyncAnthropic(base_url=rig.url, api_key=KEY, max_retries=0) as client:
        answer = await client.messages.parse(
            model="haiku",
            max_tokens=50,
            system="Be brief.",
            messages=[{"role": "user", "content": "a number"}],
            output_format=Out,
        )
    assert answer.parsed_output == Out(n=1)
    assert (answer.stop_reason, [block.type for block in answer.content]) == ("end_turn", ["text"])
    assert provider.last.json["system"] == [{"type": "text", "text": "Be brief."}]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_wrong_answer_is_caught_and_another_model_asked(rig: Rig, provider: Upstream, streamed: bool) -> None:
    provider.script = obeying({"m": "none"})
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="safe", response_format=wanted, stream=streamed))
    assert told.status == 200
    assert b"none" not in told.body
    assert told.headers["x-polyroute-model"] == "gpt"
    receipt = await rig.receipt(told)
    assert [(attempt.model, attempt.status) for attempt in receipt.attempts] == [
        ("haiku", "rejected"),
        ("gpt", "succeeded"),
    ]
    assert [(verdict.gate, verdict.accepted) for verdict in receipt.attempts[0].verdicts] == [("json_schema", False)]
    assert receipt.attempts[0].cost_usd
    assert "output: json_schema as a tool" in receipt.attempts[0].dropped


async def test_where_nobody_answers_in_form_each_attempt_is_told(rig: Rig, provider: Upstream) -> None:
    provider.script = obeying({"m": 1})
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="haiku", response_format=wanted))
    assert told.status == 502
    assert "is a required property" in told.json["error"]["message"]


async def test_a_cut_answer_says_that_it_was_cut(rig: Rig, provider: Upstream) -> None:
    provider.script = obeying({}, stop="max_tokens")
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="haiku", response_format=wanted, max_tokens=20))
    assert (told.status, told.json["choices"][0]["finish_reason"]) == (200, "length")


async def test_the_callers_own_tools_may_be_called_first(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: message(
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}, stop="tool_use"
    )
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="haiku", response_format=wanted, tools=[OWN_TOOL]))
    sent = provider.last.json
    assert sent["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in sent["tools"]] == ["weather", "final_answer"]
    assert told.json["choices"][0]["finish_reason"] == "tool_calls"
    assert told.json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"


@pytest.mark.parametrize("fence", ["", "```json\n"])
async def test_beside_thinking_it_is_put_in_words(rig: Rig, provider: Upstream, fence: str) -> None:
    said = f'{fence}{{"n":1}}' + ("\n```" if fence else "")
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    provider.script = lambda heard: message(thought, text_block(said))
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    asked = ask(model="thinker", response_format=wanted, reasoning_effort="low", max_tokens=4000)
    told = await rig.post("/v1/chat/completions", asked)
    assert "tools" not in provider.last.json
    assert provider.last.json["thinking"]["type"] == "enabled"
    assert "JSON Schema" in provider.last.json["system"][0]["text"]
    assert told.json["choices"][0]["message"]["content"] == '{"n":1}'


@pytest.mark.parametrize(("said", "status"), [('{"n":1}', 200), ("Sure! One.", 502)])
async def test_a_model_that_cannot_be_made_to_call_is_asked_in_words(
    rig: Rig, provider: Upstream, said: str, status: int
) -> None:
    output = {"message": {"role": "assistant", "content": [{"text": said}]}}
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    provider.answers(whole({"output": output, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}))
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="llama", response_format=wanted))
    assert told.status == status
    assert "toolConfig" not in provider.last.json


@pytest.mark.parametrize(("said", "status"), [('{"n":1}', 200), ("[1]", 502), ("Sure! One.", 502)])
async def test_json_of_any_kind_is_checked_too(rig: Rig, provider: Upstream, said: str, status: int) -> None:
    provider.answers(message(text_block(said)))
    told = await rig.post("/v1/chat/completions", ask(model="haiku", response_format={"type": "json_object"}))
    assert told.status == status


async def test_a_stream_told_from_its_first_token_is_text_as_it_comes(rig: Rig, provider: Upstream) -> None:
    opening: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1},
    }  # fmt: skip
    use = {"type": "tool_use", "id": "toolu_1", "name": "final_answer", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"n"', ":1}")]
    provider.answers(
        stream(
            event("message_start", message=opening),
            event("content_block_start", index=0, content_block=use),
            *(event("content_block_delta", index=0, delta=piece) for piece in pieces),
            event("content_block_stop", index=0),
            event(
                "message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 7}
            ),
            event("message_stop"),
        )
    )
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    told = await rig.post("/v1/chat/completions", ask(model="live", response_format=wanted, stream=True))
    deltas = [one["choices"][0] for one in told.events if one != "[DONE]" and one["choices"]]
    assert "".join(one["delta"].get("content") or "" for one in deltas) == '{"n":1}'
    assert not any("tool_calls" in one["delta"] for one in deltas)
    assert deltas[-1]["finish_reason"] == "stop"


async def test_bedrocks_stream_is_read_the_same_way(rig: Rig, provider: Upstream) -> None:
    document = DOCUMENT.replace("models: [haiku]", "models: [bedrock]").format(url=provider.url)
    writer = BEDROCK_CONVERSE.open_writer(BEDROCK_CONVERSE.parse_request({"model": "m", "messages": [HELLO]}, {}))
    pieces = [writer.write(Started(id="", model="m"))]
    pieces.append(writer.write(ToolCallStarted(id="t1", name="final_answer", part=0)))
    pieces += [writer.write(ToolCallDelta(arguments=piece, part=0)) for piece in ('{"n"', ":1}")]
    pieces.append(writer.write(ChoiceEnded(stop=StopReason.TOOL_CALLS)))
    pieces.append(writer.end(Ended(usage=Usage(input_tokens=11, output_tokens=7), model="m"), {}))
    provider.answers(Answer(pieces=tuple(filter(None, pieces)), kind=MEDIA_TYPE, chunked=True))
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": Out.model_json_schema()}}
    (rig.folder / "beside").mkdir()
    async with gateway(document, rig.folder / "beside", ENV) as other:
        told = await other.post("/v1/chat/completions", ask(model="live", response_format=wanted, stream=True))
    deltas = [one["choices"][0] for one in told.events if one != "[DONE]" and one["choices"]]
    assert orjson.loads("".join(one["delta"].get("content") or "" for one in deltas)) == {"n": 1}


HELLO = {"role": "user", "content": [{"text": "hello"}]}


async def test_a_routes_own_form_goes_through_the_tool_as_well(rig: Rig, provider: Upstream) -> None:
    provider.script = obeying({"n": "1"})
    told = await rig.post("/v1/chat/completions", ask(model="formed"))
    assert told.json["choices"][0]["message"]["content"] == '{"n":1}'
