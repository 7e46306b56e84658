"""The official SDKs, unchanged, at both doors before both kinds of provider."""

import base64
from collections.abc import AsyncIterator
from typing import Any, Literal

import anthropic
import openai
import orjson
import pytest
from pydantic import BaseModel
from tests.journeys.rig import KEY, Rig
from tests.journeys.upstream import (
    Answer,
    Upstream,
    chat,
    chat_events,
    chunk,
    event,
    failing,
    failing_message,
    message,
    message_events,
    stream,
    text_block,
    whole,
)

MODELS = ["gpt", "claude"]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 32).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
Model = Literal["gpt", "claude"]


@pytest.fixture
async def oai(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def ant(rig: Rig) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=rig.url, api_key=KEY, max_retries=0) as client:
        yield client


def says(model: str, text: str) -> Answer:
    return chat(text) if model == "gpt" else message(text_block(text))


def streams(model: str, *texts: str) -> Answer:
    return stream(*(chat_events(*texts) if model == "gpt" else message_events(*texts)))


def calls(model: str) -> Answer:
    """Two tools called at once."""
    if model == "gpt":
        made = [
            {"id": f"call_{city}", "type": "function",
             "function": {"name": "weather", "arguments": orjson.dumps({"city": city}).decode()}}
            for city in ("Rome", "Oslo")
        ]  # fmt: skip
        return chat(None, tool_calls=made)
    blocks = [
        {"type": "tool_use", "id": f"call_{city}", "name": "weather", "input": {"city": city}}
        for city in ("Rome", "Oslo")
    ]
    return message(text_block("Looking."), *blocks, stop="tool_use")


def streams_calls(model: str) -> Answer:
    if model == "gpt":
        pieces = [chunk({"role": "assistant", "content": None})]
        for at, city in enumerate(("Rome", "Oslo")):
            head = {"index": at, "id": f"call_{city}", "type": "function"}
            pieces.append(chunk({"tool_calls": [{**head, "function": {"name": "weather", "arguments": ""}}]}))
            parts = ('{"city":', f' "{city}"}}')
            pieces += [chunk({"tool_calls": [{"index": at, "function": {"arguments": part}}]}) for part in parts]
        return stream(*pieces, chunk({}, "tool_calls"), *chat_events()[2:])
    opening, *_, stopped, last = message_events()
    blocks = []
    for at, city in enumerate(("Rome", "Oslo")):
        block = {"type": "tool_use", "id": f"call_{city}", "name": "weather", "input": {}}
        blocks.append(event("content_block_start", index=at, content_block=block))
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ('{"city":', f' "{city}"}}')]
        blocks += [event("content_block_delta", index=at, delta=delta) for delta in deltas]
        blocks.append(event("content_block_stop", index=at))
    return stream(opening, *blocks, stopped.replace(b"end_turn", b"tool_use"), last)


# ── OpenAI's SDK ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", MODELS)
async def test_openai_plain(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, "Hi."))
    raw = await oai.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    )
    got = raw.parse()
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("Hi.", "stop")
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (11, 7, 18)
    assert got.model == ("served-model" if model == "gpt" else "served-claude")
    assert raw.headers["x-polyroute-model"] == model
    assert raw.headers["x-polyroute-attempts"] == "1"
    assert float(raw.headers["x-polyroute-cost-usd"]) > 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wants_usage", [True, False])
async def test_openai_stream(oai: openai.AsyncOpenAI, provider: Upstream, model: Model, wants_usage: bool) -> None:
    provider.answers(streams(model, "Hel", "lo", "!"))
    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    got = await oai.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], stream=True, **options
    )
    chunks = [chunk async for chunk in got]
    texts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(texts) == "Hello!"
    assert len({c.model for c in chunks}) == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    usages = [c.usage for c in chunks if c.usage is not None]
    assert [u.total_tokens for u in usages] == ([18] if wants_usage else [])
    if model == "gpt":
        assert provider.last.json["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("model", MODELS)
async def test_openai_tools_there_and_back(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    messages: list[Any] = [{"role": "user", "content": "Weather in Rome and Oslo?"}]
    provider.answers(calls(model), says(model, "Sun and snow."))
    first = await oai.chat.completions.create(model=model, messages=messages, tools=tools, parallel_tool_calls=True)
    made = first.choices[0].message.tool_calls
    assert made is not None
    assert first.choices[0].finish_reason == "tool_calls"
    assert [(c.id, orjson.loads(c.function.arguments)["city"]) for c in made if c.type == "function"] == [
        ("call_Rome", "Rome"),
        ("call_Oslo", "Oslo"),
    ]
    messages.append(first.choices[0].message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"result {call.id}"} for call in made]
    second = await oai.chat.completions.create(model=model, messages=messages, tools=tools)
    assert second.choices[0].message.content == "Sun and snow."
    heard = orjson.dumps(provider.last.json)
    for word in (b"call_Rome", b"call_Oslo", b"result call_Rome", b"result call_Oslo"):
        assert word in heard


@pytest.mark.parametrize("model", MODELS)
async def test_openai_tools_streamed(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(streams_calls(model))
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    async with oai.chat.completions.stream(
        model=model, messages=[{"role": "user", "content": "Weather?"}], tools=tools
    ) as got:
        final = await got.get_final_completion()
    made = final.choices[0].message.tool_calls
    assert made is not None
    assert [(c.id, orjson.loads(c.function.arguments)) for c in made] == [
        ("call_Rome", {"city": "Rome"}),
        ("call_Oslo", {"city": "Oslo"}),
    ]


@pytest.mark.parametrize("model", MODELS)
async def test_openai_image_and_pdf(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, "A cat."))
    await oai.chat.completions.create(
        model=model,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                ],
            }
        ],
    )
    heard = provider.last.body
    assert PNG.encode() in heard
    assert PDF.encode() in heard


class City(BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("model", MODELS)
async def test_openai_structured_output(oai: openai.AsyncOpenAI, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, '{"name":"Rome","people":3}'))
    got = await oai.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "Rome?"}], response_format=City
    )
    assert got.choices[0].message.parsed == City(name="Rome", people=3)
    assert b'"people"' in provider.last.body


async def test_openai_n_and_logprobs_where_the_provider_has_them(oai: openai.AsyncOpenAI, provider: Upstream) -> None:
    content = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}]
    choices = [
        {"index": at, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop",
         "logprobs": {"content": content, "refusal": None}} for at in range(2)
    ]  # fmt: skip
    provider.answers(
        whole({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices,
               "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    )  # fmt: skip
    got = await oai.chat.completions.create(
        model="gpt", messages=[{"role": "user", "content": "Hi"}], n=2, logprobs=True, top_logprobs=1
    )
    assert [c.index for c in got.choices] == [0, 1]
    assert got.choices[1].logprobs is not None
    assert got.choices[1].logprobs.content is not None
    assert got.choices[1].logprobs.content[0].token == "Hi"


@pytest.mark.parametrize(
    "wish", [{"n": 2}, {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}]
)
async def test_openai_what_a_target_cannot_express_is_refused_with_the_reason(
    oai: openai.AsyncOpenAI, provider: Upstream, wish: dict[str, Any]
) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await oai.chat.completions.create(model="claude", messages=[{"role": "user", "content": "Hi"}], **wish)
    assert caught.value.status_code == 503
    assert "anthropic_messages" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert provider.log == []


async def test_openai_models(oai: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in oai.models.list()]
    assert {"gpt", "claude"} <= set(listed)
    for name in listed:
        assert (await oai.models.retrieve(name)).id == name
    with pytest.raises(openai.NotFoundError):
        await oai.models.retrieve("none")


OPENAI_ERRORS = [
    (failing(400, "bad tool", "invalid_request_error"), openai.BadRequestError, 400),
    (failing(401, "wrong key", "invalid_request_error", "invalid_api_key"), openai.InternalServerError, 502),
    (failing(403, "not you"), openai.InternalServerError, 502),
    (failing(404, "no such model", "invalid_request_error", "model_not_found"), openai.NotFoundError, 404),
    (failing(422, "odd", "invalid_request_error"), openai.UnprocessableEntityError, 422),
    (failing(429, "slow down", "rate_limit_error", "rate_limit_exceeded"), openai.RateLimitError, 429),
    (failing(500, "oops"), openai.InternalServerError, 502),
    (failing(503, "busy"), openai.InternalServerError, 502),
]


@pytest.mark.parametrize(("answer", "kind", "status"), OPENAI_ERRORS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_openai_a_provider_s_errors_are_its_sdk_s_exceptions(
    oai: openai.AsyncOpenAI, provider: Upstream, answer: Answer, kind: type[openai.APIStatusError], status: int,
    is_stream: bool,
) -> None:  # fmt: skip
    provider.answers(answer)
    with pytest.raises(kind) as caught:
        await oai.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}], stream=is_stream)
    assert caught.value.status_code == status
    assert orjson.loads(answer.pieces[0] if isinstance(answer.pieces[0], bytes) else b"")["error"]["message"] in str(
        caught.value
    )


async def test_openai_our_own_errors(rig: Rig, oai: openai.AsyncOpenAI) -> None:
    ask: Any = {"messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(openai.NotFoundError) as unknown:
        await oai.chat.completions.create(model="gtp", **ask)
    assert unknown.value.code == "model_not_found"
    assert "did you mean" in unknown.value.message
    with pytest.raises(openai.BadRequestError) as wrong:
        await oai.chat.completions.create(model="gpt", extra_body={"temperature": "hot"}, **ask)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError):
        await oai.with_options(api_key="pk-wrong").chat.completions.create(model="gpt", **ask)
    with pytest.raises(openai.APIStatusError) as later:
        await oai.batches.list()
    assert later.value.status_code == 501


# ── Anthropic's SDK ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", MODELS)
async def test_anthropic_plain(ant: anthropic.AsyncAnthropic, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, "Hi."))
    raw = await ant.messages.with_raw_response.create(
        model=model, max_tokens=50, system="Be brief.", messages=[{"role": "user", "content": "Hello"}]
    )
    got = await raw.parse()
    assert got.content[0].type == "text"
    assert (got.content[0].text, got.stop_reason, got.usage.input_tokens, got.usage.output_tokens) == (
        "Hi.", "end_turn", 11, 7,
    )  # fmt: skip
    assert raw.headers["x-polyroute-model"] == model


@pytest.mark.parametrize("model", MODELS)
async def test_anthropic_stream(ant: anthropic.AsyncAnthropic, provider: Upstream, model: Model) -> None:
    provider.answers(streams(model, "Hel", "lo", "!"))
    async with ant.messages.stream(model=model, max_tokens=50, messages=[{"role": "user", "content": "Hello"}]) as got:
        texts = [text async for text in got.text_stream]
        final = await got.get_final_message()
    assert "".join(texts) == "Hello!"
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7)
    assert final.model == ("served-model" if model == "gpt" else "served-claude")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_anthropic_tools_there_and_back(
    ant: anthropic.AsyncAnthropic, provider: Upstream, model: Model, is_stream: bool
) -> None:
    tools: Any = [{"name": "weather", "input_schema": WEATHER}]
    messages: list[Any] = [{"role": "user", "content": "Weather in Rome and Oslo?"}]
    provider.answers(streams_calls(model) if is_stream else calls(model), says(model, "Sun and snow."))
    first: Any
    if is_stream:
        async with ant.messages.stream(model=model, max_tokens=50, messages=messages, tools=tools) as got:
            first = await got.get_final_message()
    else:
        first = await ant.messages.create(model=model, max_tokens=50, messages=messages, tools=tools)
    made = [block for block in first.content if block.type == "tool_use"]
    assert [(block.id, block.input) for block in made] == [
        ("call_Rome", {"city": "Rome"}),
        ("call_Oslo", {"city": "Oslo"}),
    ]
    assert first.stop_reason == "tool_use"
    messages.append({"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in made]})
    results = [{"type": "tool_result", "tool_use_id": b.id, "content": f"result {b.id}"} for b in made]
    messages.append({"role": "user", "content": results})
    second = await ant.messages.create(model=model, max_tokens=50, messages=messages, tools=tools)
    assert second.content[0].type == "text"
    assert second.content[0].text == "Sun and snow."
    for word in (b"call_Rome", b"result call_Oslo"):
        assert word in provider.last.body


@pytest.mark.parametrize("model", MODELS)
async def test_anthropic_image_and_pdf(ant: anthropic.AsyncAnthropic, provider: Upstream, model: Model) -> None:
    provider.answers(says(model, "A cat."))
    await ant.messages.create(
        model=model,
        max_tokens=50,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ],
    )
    assert PNG.encode() in provider.last.body
    assert PDF.encode() in provider.last.body


async def test_anthropic_counts_as_its_provider_does(ant: anthropic.AsyncAnthropic, provider: Upstream) -> None:
    provider.answers(whole({"input_tokens": 4321}))
    got = await ant.messages.count_tokens(model="claude", messages=[{"role": "user", "content": "Hello"}])
    assert got.input_tokens == 4321
    assert provider.last.path == "/v1/messages/count_tokens"


async def test_anthropic_counts_by_estimate_elsewhere(ant: anthropic.AsyncAnthropic, provider: Upstream) -> None:
    raw = await ant.messages.with_raw_response.count_tokens(
        model="gpt", messages=[{"role": "user", "content": "Hello there, how are you?"}]
    )
    assert 3 < (await raw.parse()).input_tokens < 30
    assert raw.headers["x-polyroute-estimated"] == "true"
    assert provider.log == []


ANTHROPIC_ERRORS = [
    (failing_message(400, "bad block", "invalid_request_error"), anthropic.BadRequestError, 400),
    (failing_message(401, "invalid x-api-key", "authentication_error"), anthropic.InternalServerError, 502),
    (failing_message(403, "not you", "permission_error"), anthropic.InternalServerError, 502),
    (failing_message(404, "model: x", "not_found_error"), anthropic.NotFoundError, 404),
    (failing_message(413, "too big", "request_too_large"), anthropic.RequestTooLargeError, 413),
    (failing_message(429, "slow down", "rate_limit_error"), anthropic.RateLimitError, 429),
    (failing_message(500, "oops"), anthropic.InternalServerError, 502),
    (failing_message(529, "overloaded", "overloaded_error"), anthropic.InternalServerError, 502),
]


@pytest.mark.parametrize(("answer", "kind", "status"), ANTHROPIC_ERRORS)
@pytest.mark.parametrize("is_stream", [False, True])
async def test_anthropic_a_provider_s_errors_are_its_sdk_s_exceptions(
    ant: anthropic.AsyncAnthropic, provider: Upstream, answer: Answer, kind: type[anthropic.APIStatusError],
    status: int, is_stream: bool,
) -> None:  # fmt: skip
    provider.answers(answer)
    with pytest.raises(kind) as caught:
        await ant.messages.create(
            model="claude", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], stream=is_stream
        )
    assert caught.value.status_code == status


async def test_anthropic_our_own_errors(rig: Rig, ant: anthropic.AsyncAnthropic) -> None:
    ask: Any = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await ant.messages.create(model="cluade", **ask)
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]  # an object, as JSON has it
    with pytest.raises(anthropic.BadRequestError):
        await ant.messages.create(model="claude", extra_body={"temperature": "hot"}, **ask)
    with pytest.raises(anthropic.AuthenticationError):
        await ant.with_options(api_key="pk-wrong").messages.create(model="claude", **ask)


async def test_anthropic_under_its_own_prefix(rig: Rig, provider: Upstream) -> None:
    provider.answers(says("claude", "Hi."))
    async with anthropic.AsyncAnthropic(base_url=f"{rig.url}/anthropic", api_key=KEY, max_retries=0) as client:
        got = await client.messages.create(model="claude", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    assert got.content[0].type == "text"
