"""What official SDKs make convenient, on models of every family: parsed answers, accumulated streams, tool runners.

The provider is a script that answers in whichever dialect it is asked: a text, a call of two tools, or what a schema
wants, through a tool where the gateway puts a schema so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import boto3
import botocore.config
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types as google
from pydantic import BaseModel
from tests.conformance.directions import APIS, MODELS, QUESTIONS, running
from tests.journeys.rig import Rig
from tests.journeys.upstream import Answer, Heard, Upstream

from polyroute.types.content import Part, Text, Thinking, ToolCall
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Ended,
    Response,
    Started,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("model", MODELS.values()),
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),  # within google-genai
]
USAGE = Usage(input_tokens=11, output_tokens=7)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TEXT: tuple[Part, ...] = (Thinking(text="hm"), Text(text="Hello there"))
CALLS: tuple[Part, ...] = (
    Text(text="I call"),
    ToolCall(id="call_1", name="get_weather", arguments='{"city":"Paris"}'),
    ToolCall(id="call_2", name="get_weather", arguments='{"city":"Rome"}'),
)
JSON: tuple[Part, ...] = ()  # what the schema wants, in the form it was asked for
CITIES = ["Paris", "Rome"]


class Out(BaseModel):
    a: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with running(tmp_path_factory.mktemp("gateway")) as pair:
        yield pair


# ── the provider ──────────────────────────────────────────────────────────────────────────────────────────


def scripted(*steps: tuple[Part, ...]) -> Callable[[Heard], Answer]:
    left = list(steps)
    ends = {
        "/chat/completions": "openai.chat",
        "/responses": "openai.responses",
        "/messages": "anthropic.messages",
        ":generateContent": "gemini.generateContent",
        ":streamGenerateContent?alt=sse": "gemini.generateContent",
        "/converse": "bedrock.converse",
        "/converse-stream": "bedrock.converse",
    }

    def answer(heard: Heard) -> Answer:
        api = next(api for end, api in ends.items() if heard.path.endswith(end))
        streams = heard.json.get("stream") is True or "stream" in heard.path
        parts = left.pop(0) if len(left) > 1 else left[0]
        return told(api, parts or fitting(api, heard.json), streams=streams)

    return answer


def fitting(api: str, body: dict[str, Any]) -> tuple[Part, ...]:
    tools = body.get("tools") or (body.get("toolConfig") or {}).get("tools") or []
    if tools and api in ("anthropic.messages", "bedrock.converse"):
        name = tools[-1]["name"] if "name" in tools[-1] else tools[-1]["toolSpec"]["name"]
        return (ToolCall(id="toolu_1", name=name, arguments='{"a":1}'),)
    return (Text(text='{"a":1}'),)


def told(api: str, parts: tuple[Part, ...], *, streams: bool) -> Answer:
    dialect = APIS[api]
    stop = StopReason.TOOL_CALLS if any(isinstance(part, ToolCall) for part in parts) else StopReason.END
    body = {"stream_options": {"include_usage": True}} if api == "openai.chat" else {}
    request = dialect.parse_request({**QUESTIONS[api], **body, "model": "m", "stream": streams}, {})
    if not streams:
        choice = Choice(parts=parts, stop=stop)
        whole = Response(id="id_1", model="served", choices=(choice,), usage=USAGE, created_s=1)
        return Answer(pieces=(dialect.render_response(whole, request),))
    writer = dialect.open_writer(request)
    pieces = [writer.write(Started(id="id_1", model="served", created_s=1))]
    for number, part in enumerate(parts):
        match part:
            case Text(text=text):
                pieces += [writer.write(TextDelta(text=piece, part=number)) for piece in (text[:3], text[3:])]
            case Thinking(text=text):
                pieces.append(writer.write(ThinkingDelta(text=text, part=number)))
            case ToolCall(id=call_id, name=name, arguments=text):
                pieces.append(writer.write(ToolCallStarted(id=call_id, name=name, part=number)))
                pieces += [writer.write(ToolCallDelta(arguments=piece, part=number)) for piece in (text[:5], text[5:])]
            case _:
                raise AssertionError(part)
    pieces += [writer.write(ChoiceEnded(stop=stop)), writer.end(Ended(usage=USAGE, model="served"), {})]
    return Answer(pieces=tuple(filter(None, pieces)), kind=dialect.stream_type, chunked=True)


# ── openai ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(loop_scope="module")
async def openais(both: tuple[Rig, Upstream]) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{both[0].url}/v1", api_key="x", max_retries=0) as client:
        yield client


async def test_chat_with_its_raw_response(both: tuple[Rig, Upstream], openais: openai.AsyncOpenAI, model: str) -> None:
    both[1].script = scripted(TEXT)
    asked = openais.chat.completions.with_raw_response
    raw = await asked.create(model=model, messages=[{"role": "user", "content": "q"}])
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello there"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 18
    assert raw.headers["x-polyroute-model"] == model


async def test_chat_parsed_whole_and_streamed(
    both: tuple[Rig, Upstream], openais: openai.AsyncOpenAI, model: str
) -> None:
    both[1].script = scripted(JSON)
    chat, messages = openais.chat.completions, [{"role": "user", "content": "q"}]
    whole = await chat.parse(model=model, messages=messages, response_format=Out)  # type: ignore[arg-type]  # a plain dict
    assert whole.choices[0].message.parsed == Out(a=1)
    async with chat.stream(model=model, messages=messages, response_format=Out) as stream:  # type: ignore[arg-type]  # as above
        kinds = [event.type async for event in stream]
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == Out(a=1)
    assert "content.done" in kinds


async def test_chat_tools_accumulated(both: tuple[Rig, Upstream], openais: openai.AsyncOpenAI, model: str) -> None:
    both[1].script = scripted(CALLS)
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS, "strict": True}}
    async with openais.chat.completions.stream(
        model=model,
        messages=[{"role": "user", "content": "q"}],
        tools=[tool],
        stream_options={"include_usage": True},
    ) as stream:
        final = await stream.get_final_completion()
    calls: Any = final.choices[0].message.tool_calls
    assert [call.function.parsed_arguments["city"] for call in calls] == CITIES
    assert len({call.id for call in calls}) == 2
    assert final.usage is not None
    assert final.usage.total_tokens == 18


async def test_responses_parsed_whole_and_streamed(
    both: tuple[Rig, Upstream], openais: openai.AsyncOpenAI, model: str
) -> None:
    both[1].script = scripted(JSON)
    responses = openais.responses
    assert (await responses.parse(model=model, input="q", text_format=Out)).output_parsed == Out(a=1)
    async with responses.stream(model=model, input="q", text_format=Out) as stream:
        async for _ in stream:
            pass
        assert (await stream.get_final_response()).output_parsed == Out(a=1)


async def test_responses_go_on_after_tools(both: tuple[Rig, Upstream], openais: openai.AsyncOpenAI, model: str) -> None:
    both[1].script = scripted(CALLS, TEXT)
    responses = openais.responses
    tool: Any = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
    async with responses.stream(model=model, input="q", tools=[tool]) as stream:
        async for _ in stream:
            pass
        first = await stream.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == CITIES
    turn: Any = [item.model_dump(exclude_none=True) for item in first.output]
    results: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"} for call in calls]
    second = await responses.create(
        model=model, input=[{"role": "user", "content": "q"}, *turn, *results], tools=[tool]
    )
    assert second.output_text == "Hello there"


# ── anthropic ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(loop_scope="module")
async def anthropics(both: tuple[Rig, Upstream]) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=both[0].url, api_key="x", max_retries=0) as client:
        yield client


async def test_messages_accumulated(
    both: tuple[Rig, Upstream], anthropics: anthropic.AsyncAnthropic, model: str
) -> None:
    both[1].script = scripted(CALLS)
    async with anthropics.messages.stream(
        model=model,
        max_tokens=99,
        messages=[{"role": "user", "content": "q"}],
        tools=[{"name": "get_weather", "input_schema": PARAMETERS}],
    ) as stream:
        final = await stream.get_final_message()
    assert [block.input["city"] for block in final.content if block.type == "tool_use"] == CITIES
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("tool_use", 11, 7)


async def test_messages_parsed(both: tuple[Rig, Upstream], anthropics: anthropic.AsyncAnthropic, model: str) -> None:
    both[1].script = scripted(JSON)
    asked = anthropics.messages
    answer = await asked.parse(
        model=model, max_tokens=99, messages=[{"role": "user", "content": "q"}], output_format=Out
    )
    assert answer.parsed_output == Out(a=1)


async def test_a_tool_runner_comes_to_its_end(
    both: tuple[Rig, Upstream], anthropics: anthropic.AsyncAnthropic, model: str
) -> None:
    both[1].script = scripted(CALLS, TEXT)
    asked: list[str] = []

    @anthropic.beta_async_tool
    async def get_weather(city: str) -> str:
        """The weather there."""
        asked.append(city)
        return "sun"

    runner = anthropics.beta.messages.tool_runner(
        model=model, max_tokens=99, messages=[{"role": "user", "content": "q"}], tools=[get_weather]
    )
    last = await runner.until_done()
    assert asked == CITIES
    assert last.content[-1].type == "text"
    assert last.content[-1].text == "Hello there"


# ── google-genai ──────────────────────────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(loop_scope="module")
async def googles(both: tuple[Rig, Upstream]) -> AsyncIterator[Any]:
    client = genai.Client(api_key="x", http_options=google.HttpOptions(base_url=both[0].url))
    yield client.aio
    await client.aio.aclose()
    client.close()


async def test_content_parsed(both: tuple[Rig, Upstream], googles: Any, model: str) -> None:
    both[1].script = scripted(JSON)
    wanted = google.GenerateContentConfig(response_mime_type="application/json", response_schema=Out)
    answer = await googles.models.generate_content(model=model, contents="q", config=wanted)
    assert answer.parsed == Out(a=1)
    assert answer.usage_metadata.total_token_count == 18


async def test_functions_are_called_automatically(both: tuple[Rig, Upstream], googles: Any, model: str) -> None:
    both[1].script = scripted(CALLS, TEXT)
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """The weather there."""
        asked.append(city)
        return "sun"

    chat = googles.chats.create(model=model, config=google.GenerateContentConfig(tools=[get_weather]))
    assert (await chat.send_message("q")).text == "Hello there"
    assert asked == CITIES


async def test_a_chat_goes_on_in_a_stream(both: tuple[Rig, Upstream], googles: Any, model: str) -> None:
    both[1].script = scripted(TEXT)
    chat = googles.chats.create(model=model)
    await chat.send_message("q")
    said = [chunk.text or "" async for chunk in await chat.send_message_stream("more")]
    assert "".join(said) == "Hello there"


# ── boto3 ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_converse_goes_on_after_tools(both: tuple[Rig, Upstream], model: str) -> None:
    rig, provider = both
    provider.script = scripted(CALLS, TEXT)
    tools = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": PARAMETERS}}}]}

    def converse() -> None:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=rig.url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=botocore.config.Config(retries={"max_attempts": 1}),
        )
        asked = {"role": "user", "content": [{"text": "q"}]}
        first = client.converse(modelId=model, messages=[asked], toolConfig=tools)
        turn = first["output"]["message"]
        calls = [block["toolUse"] for block in turn["content"] if "toolUse" in block]
        assert [call["input"]["city"] for call in calls] == CITIES
        assert first["stopReason"] == "tool_use"
        results = [{"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "sun"}]}} for call in calls]
        second = client.converse_stream(
            modelId=model, messages=[asked, turn, {"role": "user", "content": results}], toolConfig=tools
        )
        events = list(second["stream"])
        deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
        assert "".join(delta.get("text", "") for delta in deltas) == "Hello there"
        assert events[-1]["metadata"]["usage"]["outputTokens"] == 7
        client.close()

    await asyncio.to_thread(converse)
