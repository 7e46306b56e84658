"""OpenAI's own SDK, unchanged, at the Responses door: its own upstream behind it, chat completions, and Claude."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import openai
import orjson
import pytest
from openai.types.responses import ParsedResponse, Response, ResponseFunctionToolCall, ResponseReasoningItem
from pydantic import BaseModel
from tests.journeys.rig import ENV, KEY, Rig, gateway
from tests.journeys.upstream import (
    Answer,
    Json,
    Upstream,
    chat,
    chat_events,
    chunk,
    event,
    failing,
    message,
    message_events,
    stream,
    text_block,
    whole,
)

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  old: {{dialect: openai, base_url: "{url}/old", quirks: [no_openai_responses], max_tries: 1}}
  new: {{dialect: openai, base_url: "{url}/new", quirks: [no_openai_chat], max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2.50, output: 10.00}}}}
  llama: {{provider: old, model: llama-up, price: {{input: 2.50, output: 10.00}}}}
  pro: {{provider: new, model: pro-up, price: {{input: 2.50, output: 10.00}}}}
  claude:
    provider: ant
    model: claude-up
    price: {{input: 3.00, output: 15.00}}
    capabilities: [tools, vision, json_schema, thinking]
routes: {{support: {{primary: gpt, fallback: claude}}}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
MODELS = ["gpt", "llama", "claude"]
Model = Literal["gpt", "llama", "claude"]
SERVED = {"gpt": "served-gpt", "llama": "served-model", "claude": "served-claude"}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path, ENV) as running:
        yield running


@pytest.fixture
async def oai(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


# ── what upstreams answer ─────────────────────────────────────────────────────────────────────────────────


def response(*output: Json, status: str = "completed") -> Json:
    """OpenAI's own answer."""
    return {
        "id": "resp_1", "object": "response", "created_at": 1700000000, "status": status, "model": "served-gpt",
        "output": list(output), "error": None, "incomplete_details": None, "parallel_tool_calls": True,
        "tool_choice": "auto", "tools": [],
        "usage": {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
                  "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18},
    }  # fmt: skip


def said(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}


def call(city: str) -> Json:
    given = orjson.dumps({"city": city}).decode()
    return {
        "id": f"fc_{city}", "type": "function_call", "status": "completed", "call_id": f"call_{city}",
        "name": "weather", "arguments": given,
    }  # fmt: skip


def response_events(*texts: str) -> list[bytes]:
    begun = {**response(status="in_progress"), "usage": None}
    empty = {**said(""), "content": [], "status": "in_progress"}
    place: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = said("")["content"][0]
    deltas = [event("response.output_text.delta", **place, delta=text, logprobs=[]) for text in texts]
    whole_text = "".join(texts)
    return [
        event("response.created", response=begun),
        event("response.in_progress", response=begun),
        event("response.output_item.added", output_index=0, item=empty),
        event("response.content_part.added", **place, part=part),
        *deltas,
        event("response.output_text.done", **place, text=whole_text, logprobs=[]),
        event("response.content_part.done", **place, part={**part, "text": whole_text}),
        event("response.output_item.done", output_index=0, item=said(whole_text)),
        event("response.completed", response=response(said(whole_text)), sequence_number=9),
    ]


def says(model: str, text: str) -> Answer:
    return {"gpt": whole(response(said(text))), "llama": chat(text), "claude": message(text_block(text))}[model]


def streams(model: str, *texts: str) -> Answer:
    made = {"gpt": response_events, "llama": chat_events, "claude": message_events}[model]
    return stream(*made(*texts))


def calls(model: str) -> Answer:
    """Two tools called at once, after some thought where the model shows it."""
    cities = ("Rome", "Oslo")
    if model == "gpt":
        sealed = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "sealed-by-openai"}
        return whole(response(sealed, *map(call, cities)))
    if model == "llama":
        functions = {city: {"name": "weather", "arguments": call(city)["arguments"]} for city in cities}
        made = [{"id": f"call_{city}", "type": "function", "function": functions[city]} for city in cities]
        return chat(None, tool_calls=made)
    thought = {"type": "thinking", "thinking": "Two cities.", "signature": "signed-by-anthropic"}
    blocks = [{"type": "tool_use", "id": f"call_{city}", "name": "weather", "input": {"city": city}} for city in cities]
    return message(thought, *blocks, stop="tool_use")


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", MODELS)
async def test_a_plain_question(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, "Hi."))
    raw = await oai.responses.with_raw_response.create(
        model=model, instructions="Be brief.", input="Hello", max_output_tokens=50, temperature=0.5
    )
    got = raw.parse()
    assert (got.output_text, got.status, got.object) == ("Hi.", "completed", "response")
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.total_tokens) == (11, 7, 18)
    assert got.model == SERVED[model]
    assert got.id.startswith("resp_")
    assert raw.headers["x-polyroute-model"] == model
    assert float(raw.headers["x-polyroute-cost-usd"]) > 0
    heard = provider.last.json
    assert (
        provider.last.path
        == {"gpt": "/v1/responses", "llama": "/old/chat/completions", "claude": "/v1/messages"}[model]
    )
    assert heard["model"] == f"{model}-up"
    if model == "gpt":
        assert heard == {
            "model": "gpt-up",
            "instructions": "Be brief.",
            "input": "Hello",
            "max_output_tokens": 50,
            "temperature": 0.5,
        }
        return
    assert got.temperature == 0.5
    assert got.max_output_tokens == 50
    assert got.instructions == "Be brief."
    assert got.created_at > 0


@pytest.mark.parametrize("model", MODELS)
async def test_structured_output_is_parsed(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    class City(BaseModel):
        name: str

    provider.answers(says(model, '{"name": "Rome"}'))
    got: ParsedResponse[City] = await oai.responses.parse(model=model, input="Which city?", text_format=City)
    assert got.output_parsed == City(name="Rome")
    heard = provider.last.json
    form = {
        "gpt": lambda: heard["text"]["format"],
        "llama": lambda: heard["response_format"],
        "claude": lambda: heard["output_config"]["format"],
    }[model]()
    assert form["type"] == "json_schema"


@pytest.mark.parametrize("model", MODELS)
async def test_a_conversation_with_tools_goes_on(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(calls(model), says(model, "Warm, and cold."))
    spoken: list[Any] = [{"role": "user", "content": "Rome and Oslo?"}]
    got = await oai.responses.create(model=model, input=spoken, tools=[WEATHER], store=False)
    made = [item for item in got.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(item.call_id, item.name, orjson.loads(item.arguments)["city"]) for item in made] == [
        ("call_Rome", "weather", "Rome"),
        ("call_Oslo", "weather", "Oslo"),
    ]
    thoughts = [item for item in got.output if isinstance(item, ResponseReasoningItem)]
    if model == "claude":
        assert [part.text for part in thoughts[0].summary] == ["Two cities."]
        assert thoughts[0].encrypted_content is None  # Anthropic's signature is nobody else's business

    spoken += [item.model_dump(exclude_none=True) for item in got.output]
    spoken += [{"type": "function_call_output", "call_id": item.call_id, "output": "12 degrees"} for item in made]
    last = await oai.responses.create(model=model, input=spoken, tools=[WEATHER], store=False)
    assert last.output_text == "Warm, and cold."
    heard = provider.last.json
    if model == "gpt":
        assert heard["input"] == spoken
        assert heard["input"][1]["encrypted_content"] == "sealed-by-openai"
    elif model == "llama":
        assert [turn["role"] for turn in heard["messages"]] == ["user", "assistant", "tool", "tool"]
        assert [made["id"] for made in heard["messages"][1]["tool_calls"]] == ["call_Rome", "call_Oslo"]
    else:
        assert [turn["role"] for turn in heard["messages"]] == ["user", "assistant", "user"]
        assert [block["tool_use_id"] for block in heard["messages"][2]["content"]] == ["call_Rome", "call_Oslo"]


async def test_sealed_reasoning_goes_to_its_own_dialect_only(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    history: Any = [
        {"role": "user", "content": "Hello"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed-by-openai"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Again"},
    ]
    provider.answers(failing(500), says("claude", "From Claude."))
    raw = await oai.responses.with_raw_response.create(model="support", input=history)
    assert raw.parse().output_text == "From Claude."
    first, second = provider.log
    assert b"sealed-by-openai" in first.body
    assert b"sealed-by-openai" not in second.body


async def test_what_the_gateway_wrote_itself_never_confuses_openai(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(calls("claude"), says("gpt", "From OpenAI."))
    got = await oai.responses.create(model="claude", input="Rome and Oslo?", tools=[WEATHER])
    spoken: Any = [{"role": "user", "content": "Rome and Oslo?"}]
    spoken += [item.model_dump(exclude_none=True) for item in got.output]
    made = [item for item in got.output if isinstance(item, ResponseFunctionToolCall)]
    spoken += [{"type": "function_call_output", "call_id": item.call_id, "output": "12"} for item in made]
    assert (await oai.responses.create(model="gpt", input=spoken, tools=[WEATHER])).output_text == "From OpenAI."
    heard = provider.last.json["input"]
    kinds = [item.get("type") for item in heard]
    assert kinds == [None, "function_call", "function_call", "function_call_output", "function_call_output"]
    assert not any("id" in item for item in heard)


async def test_server_state_that_was_never_kept_is_said_so(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(says("claude", "Hi."))
    got = await oai.responses.create(model="claude", input="Hello")
    assert got.model_extra == {"store": False} or got.model_dump()["store"] is False
    with pytest.raises(openai.BadRequestError, match="send the conversation so far"):
        await oai.responses.create(model="claude", input="And?", previous_response_id=got.id)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"previous_response_id": "resp_of_openai"}, id="an earlier response"),
        pytest.param({"conversation": "conv_1"}, id="a conversation"),
        pytest.param({"background": True}, id="a background answer"),
        pytest.param({"tools": [{"type": "web_search"}]}, id="a tool of the provider's"),
    ],
)
async def test_what_one_provider_alone_has_is_refused_plainly_by_the_others(
    rig: Rig, provider: Upstream, more: Json
) -> None:
    provider.answers(says("gpt", "Hi."))
    told = await rig.post("/v1/responses", {"model": "gpt", "input": "Hello", **more})
    assert told.status == 200
    told = await rig.post("/v1/responses", {"model": "claude", "input": "Hello", **more})
    assert told.status in (400, 503)
    assert "openai_responses" in told.json["error"]["message"]
    assert len(provider.log) == 1


async def test_an_incomplete_answer_says_why(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(message(text_block("Once upon"), stop="max_tokens"))
    got = await oai.responses.create(model="claude", input="A tale", max_output_tokens=16)
    assert got.status == "incomplete"
    assert got.incomplete_details is not None
    assert got.incomplete_details.reason == "max_output_tokens"


async def test_a_failed_answer_under_200_is_an_error(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    failed = {**response(status="failed"), "error": {"code": "server_error", "message": "it broke"}}
    provider.answers(whole(failed))
    with pytest.raises(openai.APIStatusError) as told:
        await oai.responses.create(model="gpt", input="Hello")
    assert told.value.status_code == 502
    provider.answers(whole(failed), says("claude", "From Claude."))
    assert (await oai.responses.create(model="support", input="Hello")).output_text == "From Claude."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "gpt"}, "input"),
        ({"input": "x"}, "model"),
        ({"model": "gpt", "input": 7}, "input"),
        ({"model": "gpt", "input": [{"role": "user"}]}, "input[0].content"),
        ({"model": "gpt", "input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        (
            {
                "model": "gpt",
                "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "file:///x"}]}],
            },
            "input[0].content[0].image_url",
        ),
        ({"model": "gpt", "input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"model": "gpt", "input": "x", "reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"model": "gpt", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"model": "gpt", "input": "x", "base_url": "http://evil"}, "base_url"),
    ],
)
async def test_a_bad_request_names_its_field(rig: Rig, provider: Upstream, body: Json, field: str) -> None:
    told = await rig.post("/v1/responses", body)
    assert (told.status, told.json["error"]["param"]) == (400, field)
    assert provider.log == []


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_is_gathered_by_the_sdk(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(streams(model, "Hel", "lo", "!"))
    async with oai.responses.stream(model=model, input="Hello") as got:
        events = [event async for event in got]
        last = await got.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["Hel", "lo", "!"]
    assert last.output_text == "Hello!"
    assert last.usage is not None
    assert (last.usage.input_tokens, last.usage.output_tokens) == (11, 7)
    assert last.model == SERVED[model]
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    report = last.model_extra
    assert report is not None
    assert float(report["polyroute"]["cost_usd"]) > 0


@pytest.mark.parametrize("model", ["llama", "claude"])
async def test_a_stream_written_anew_has_the_whole_sequence(rig: Rig, provider: Upstream, model: Model) -> None:
    provider.answers(streams(model, "Hel", "lo"))
    told = await rig.post("/v1/responses", {"model": model, "input": "Hello", "stream": True})
    events = told.events
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    last = events[-1]["response"]
    assert last["output"] == [events[-2]["item"]]
    assert events[0]["response"]["id"] == last["id"]


async def test_calls_by_the_piece_are_gathered_by_the_sdk(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    pieces = [chunk({"role": "assistant", "content": None})]
    for at, city in enumerate(("Rome", "Oslo")):
        head = {"index": at, "id": f"call_{city}", "type": "function"}
        pieces.append(chunk({"tool_calls": [{**head, "function": {"name": "weather", "arguments": ""}}]}))
    for at, city in ((0, "Rome"), (1, "Oslo")):  # in turns: both calls stay open
        parts = ('{"city":', f' "{city}"}}')
        pieces += [chunk({"tool_calls": [{"index": at, "function": {"arguments": part}}]}) for part in parts]
    provider.answers(stream(*pieces, chunk({}, "tool_calls"), *chat_events()[2:]))
    async with oai.responses.stream(model="llama", input="Rome and Oslo?", tools=[WEATHER]) as got:
        events = [event async for event in got]
        last: Response = await got.get_final_response()
    made = [item for item in last.output if item.type == "function_call"]
    assert [(item.call_id, orjson.loads(item.arguments)["city"]) for item in made] == [
        ("call_Rome", "Rome"),
        ("call_Oslo", "Oslo"),
    ]
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [orjson.loads(event.arguments)["city"] for event in done] == ["Rome", "Oslo"]


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_that_is_cut_never_ends_well(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    pieces = [piece for piece in streams(model, "Hel", "lo").pieces if isinstance(piece, bytes)]
    kept = {"gpt": 6, "llama": 3, "claude": 5}[model]
    provider.answers(stream(*pieces[:kept], end="cut"))
    kinds, texts = [], []

    async def listen() -> None:
        async for told in await oai.responses.create(model=model, input="Hello", stream=True):
            kinds.append(told.type)
            if told.type == "response.output_text.delta":
                texts.append(told.delta)

    with pytest.raises(openai.APIError):
        await listen()
    assert "".join(texts) == "Hello"
    assert not {"response.completed", "response.incomplete"}.intersection(kinds)


async def test_an_error_before_the_first_word_falls_back(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    begun, in_progress, *_ = response_events("Hi")
    failed = {**response(status="failed"), "error": {"code": "server_error", "message": "it broke"}}
    provider.answers(
        stream(begun, in_progress, event("response.failed", response=failed)), streams("claude", "From ", "Claude.")
    )
    async with oai.responses.stream(model="support", input="Hello") as got:
        last = await got.get_final_response()
    assert (last.output_text, last.model) == ("From Claude.", "served-claude")


# ── the Responses API behind other doors ──────────────────────────────────────────────────────────────────


async def test_a_chat_completion_is_asked_of_a_model_that_has_responses_only(
    oai: openai.AsyncOpenAI, provider: Upstream
) -> None:
    provider.answers(whole(response(call("Rome"))), stream(*response_events("Hel", "lo")))
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Rome?"}]
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER["parameters"]}}]
    got = await oai.chat.completions.create(model="pro", messages=messages, tools=tools, max_tokens=50)
    assert got.choices[0].finish_reason == "tool_calls"
    assert got.choices[0].message.tool_calls is not None
    assert got.choices[0].message.tool_calls[0].id == "call_Rome"
    heard = provider.last
    assert heard.path == "/new/responses"
    assert (heard.json["store"], heard.json["max_output_tokens"]) == (False, 50)
    assert heard.json["tools"][0]["strict"] is False

    streamed = await oai.chat.completions.create(model="pro", messages=messages, stream=True)
    texts = [choice.delta.content or "" async for part in streamed for choice in part.choices]
    assert "".join(texts) == "Hello"
