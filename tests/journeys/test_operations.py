"""Completions, embeddings, moderations, reranking, images, audio: the official SDK, a scripted provider, the books."""

import base64
import math
import struct
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from tests.journeys.rig import KEY, Rig, Told, gateway
from tests.journeys.upstream import CUT, Answer, Upstream, chat, failing, stream, whole

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  gem: {{dialect: gemini, base_url: "{url}/v1beta", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  sim: {{dialect: simulated}}
models:
  embed-gem: {{provider: gem, model: gem-up, price: {{input: 0.15, output: 0}}, operations: [embeddings]}}
  chat: {{provider: oai, model: chat-up, price: {{input: 2.50, output: 10.00}}, operations: [chat]}}
  claude: {{provider: ant, model: claude-up, price: {{input: 3.00, output: 15.00}}}}
  embed: {{provider: oai, model: embed-up, price: {{input: 0.02, output: 0}}, operations: [embeddings]}}
  embed-2: {{provider: oai, model: embed-up-2, price: {{input: 0.13, output: 0}}, operations: [embeddings]}}
  guard: {{provider: oai, model: guard-up, price: free, operations: [moderation]}}
  sort: {{provider: oai, model: sort-up, price: {{search: 0.002}}, operations: [rerank]}}
  paint: {{provider: oai, model: paint-up, price: {{image: {{hd: 0.08, standard: 0.04}}}}, operations: [image]}}
  paint-tokens: {{provider: oai, model: paint-up-2, price: {{input: 5, output: 40}}, operations: [image]}}
  hear: {{provider: oai, model: hear-up, price: {{audio_minute: 0.006}}, operations: [transcription]}}
  hear-tokens: {{provider: oai, model: hear-up-2, price: {{input: 2.5, output: 10, input_audio: 6}}}}
  hear-unpriced: {{provider: oai, model: hear-up-3}}
  speak: {{provider: oai, model: speak-up, price: {{million_characters: 15}}, operations: [speech]}}
  speak-2: {{provider: oai, model: speak-up-2, price: {{million_characters: 30}}, operations: [speech]}}
  sim: sim/sim
routes:
  vectors: {{primary: embed, fallback: embed-2}}
  voices: {{primary: speak, fallback: speak-2}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
POOR = "limits: {{per_user_daily_usd: 0.01}}\n"
RATE = 8_000  # bytes for a second of sound


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as running:
        yield running


@pytest.fixture
async def poor(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    """Its user may spend a cent."""
    async with gateway((DOCUMENT + POOR).format(url=provider.url), tmp_path) as running:
        yield running


@pytest.fixture
async def sdk(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def wav(seconds: float) -> bytes:
    sound = b"\x80" * int(RATE * seconds)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE, 1, 8)
    data = b"WAVE" + form + b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(data)) + data


def vectors(*made: list[float], tokens: int | None = 8) -> Answer:
    body: dict[str, Any] = {
        "object": "list",
        "model": "embed-served",
        "data": [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(made)],
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return whole(body)


def upload(
    *, model: str | None = "hear", file: bytes | None = b"x", boundary: bytes = b"b", **fields: str
) -> tuple[bytes, dict[str, str]]:
    parts = [
        b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (n.encode(), v.encode()) for n, v in fields.items()
    ]
    if model is not None:
        parts.insert(0, b'Content-Disposition: form-data; name="model"\r\n\r\n' + model.encode())
    if file is not None:
        parts.append(b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + file)
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return body, {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}


async def hear(rig: Rig, *, path: str = "/v1/audio/transcriptions", **given: Any) -> Told:
    body, headers = upload(**given)
    return await rig.call("POST", path, body, headers=headers)


# ── embeddings ────────────────────────────────────────────────────────────────────────────────────────────


async def test_embeddings_pass_with_their_dimensions_and_cost_their_tokens(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    provider.answers(vectors([0.25, -1.0], [1.0, 0.5], tokens=1_000_000))
    answer = await sdk.embeddings.with_raw_response.create(
        model="embed", input=["one", "two"], dimensions=2, encoding_format="float"
    )
    assert [item.embedding for item in answer.parse().data] == [[0.25, -1.0], [1.0, 0.5]]
    assert provider.last.json == {
        "model": "embed-up", "input": ["one", "two"], "dimensions": 2, "encoding_format": "float",
    }  # fmt: skip
    assert answer.headers["x-polyroute-cost-usd"] == "0.02"
    assert answer.headers["x-polyroute-model"] == "embed"


async def test_the_sdks_own_base64_comes_back_as_numbers(sdk: openai.AsyncOpenAI, provider: Upstream) -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.25, -1.0)).decode()
    provider.answers(whole({"object": "list", "model": "m", "data": [{"index": 0, "embedding": packed}]}))
    answer = await sdk.embeddings.create(model="embed", input="one")
    assert provider.last.json["encoding_format"] == "base64"
    assert answer.data[0].embedding == [0.25, -1.0]


@pytest.mark.parametrize("form", ["float", "base64"])
async def test_vectors_are_packed_where_the_upstream_gives_numbers(
    sdk: openai.AsyncOpenAI, rig: Rig, form: str
) -> None:
    told = await rig.post("/v1/embeddings", {"model": "sim", "input": "a b", "dimensions": 4, "encoding_format": form})
    vector = told.json["data"][0]["embedding"]
    if form == "base64":
        vector = struct.unpack("<4f", base64.b64decode(vector))
    assert len(vector) == 4
    assert math.isclose(sum(value * value for value in vector), 1, rel_tol=1e-6)
    by_sdk = await sdk.embeddings.create(model="sim", input="a b", dimensions=4)
    assert by_sdk.data[0].embedding == pytest.approx(list(vector), rel=1e-6)


async def test_geminis_vectors_answer_openais_sdk(sdk: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(whole({"embeddings": [{"values": [0.5, 0.25]}, {"values": [1.0, -1.0]}]}))
    answer = await sdk.embeddings.create(model="embed-gem", input=["one", "two"], dimensions=2)
    assert [item.embedding for item in answer.data] == [[0.5, 0.25], [1.0, -1.0]]
    assert provider.last.path == "/v1beta/models/gem-up:batchEmbedContents"
    assert [one["outputDimensionality"] for one in provider.last.json["requests"]] == [2, 2]


async def test_a_failed_embedding_falls_back_and_both_attempts_are_in_the_books(rig: Rig, provider: Upstream) -> None:
    provider.answers(failing(500), vectors([1.0], tokens=100))
    told = await rig.post("/v1/embeddings", {"model": "vectors", "input": "x"})
    assert told.status == 200
    receipt = await rig.receipt(told)
    assert [attempt.model for attempt in receipt.attempts] == ["embed", "embed-2"]
    assert receipt.cost_usd == Decimal("0.000013")
    assert receipt.saved_usd is not None


async def test_usage_that_is_absent_is_an_estimate_and_says_so(rig: Rig, provider: Upstream) -> None:
    provider.answers(vectors([1.0], tokens=None))
    receipt = await rig.receipt(await rig.post("/v1/embeddings", {"model": "embed", "input": "some words of text"}))
    assert receipt.usage is not None
    assert receipt.usage.estimated
    assert receipt.usage.input_tokens > 0
    assert receipt.usage.output_tokens == 0
    assert receipt.cost_usd > 0


@pytest.mark.parametrize(
    ("path", "body", "lacks"),
    [
        ("/v1/embeddings", {"model": "chat", "input": "x"}, "does no embeddings, only chat"),
        ("/v1/chat/completions", {"model": "embed", "messages": [{"role": "user", "content": "x"}]}, "does no chat"),
        ("/v1/embeddings", {"model": "claude", "input": "x"}, "takes no embeddings requests"),
        ("/v1/images/generations", {"model": "speak", "prompt": "x"}, "does no image"),
    ],
)
async def test_a_model_is_never_asked_for_what_it_does_not_do(
    rig: Rig, provider: Upstream, path: str, body: object, lacks: str
) -> None:
    told = await rig.post(path, body)
    assert told.status == 503
    assert lacks in told.json["error"]["message"]
    assert provider.log == []


async def test_a_budget_holds_for_embeddings_before_the_call(poor: Rig, provider: Upstream) -> None:
    told = await poor.post("/v1/embeddings", {"model": "embed-2", "input": "word " * 40_000})
    assert told.status == 402
    assert provider.log == []


# ── moderations, reranking ────────────────────────────────────────────────────────────────────────────────


async def test_moderations_pass_and_are_free(sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream) -> None:
    result = {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}
    provider.answers(whole({"id": "modr-1", "model": "guard-served", "results": [result]}))
    answer = await sdk.moderations.with_raw_response.create(model="guard", input="words")
    assert answer.parse().results[0].flagged
    assert answer.headers["x-polyroute-cost-usd"] == "0"
    simulated = await sdk.moderations.create(model="sim", input=["one", "two"])
    assert [result.flagged for result in simulated.results] == [False, False]


async def test_reranking_is_billed_by_searches_and_ranks_by_common_words(rig: Rig, provider: Upstream) -> None:
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    provider.answers(whole({"id": "r", "results": results, "meta": {"billed_units": {"search_units": 2}}}))
    asked = {"model": "sort", "query": "q", "documents": ["a", {"text": "q"}], "top_n": 2}
    told = await rig.post("/v1/rerank", asked)
    assert told.json["results"] == results
    assert told.headers["x-polyroute-cost-usd"] == "0.004"
    assert provider.last.json == {**asked, "model": "sort-up"}
    simulated = await rig.post(
        "/v1/rerank",
        {"model": "sim", "query": "red fox", "documents": ["a dog", "a red fox"], "top_n": 1, "return_documents": True},
    )
    assert simulated.json["results"] == [{"index": 1, "relevance_score": 1.0, "document": {"text": "a red fox"}}]


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_images_cost_by_quality_size_and_number(sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"created": 1, "data": [{"b64_json": "eA=="}, {"b64_json": "eQ=="}]}))
    answer = await sdk.images.with_raw_response.generate(
        model="paint", prompt="a cat", n=2, quality="hd", size="1024x1024"
    )
    assert [image.b64_json for image in answer.parse().data or ()] == ["eA==", "eQ=="]
    assert answer.headers["x-polyroute-cost-usd"] == "0.16"
    receipt = rig.receipts()[0]
    assert receipt.usage is not None
    assert not receipt.usage.estimated
    simulated = await sdk.images.generate(model="sim", prompt="a cat")
    assert base64.b64decode((simulated.data or [])[0].b64_json or "").startswith(b"\x89PNG")
    assert ((simulated.data or [])[0].revised_prompt or "").startswith("simulated")


async def test_images_that_count_tokens_cost_their_tokens(rig: Rig, provider: Upstream) -> None:
    usage = {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210}
    provider.answers(whole({"created": 1, "data": [{"b64_json": "eA=="}], "usage": usage}))
    told = await rig.post("/v1/images/generations", {"model": "paint-tokens", "prompt": "a cat"})
    assert told.headers["x-polyroute-cost-usd"] == "0.16665"


async def test_a_budget_refuses_images_it_cannot_pay(poor: Rig, provider: Upstream) -> None:
    told = await poor.post("/v1/images/generations", {"model": "paint", "prompt": "x"})
    assert told.status == 402
    assert provider.log == []


async def test_partial_images_stream_through_and_the_last_event_tells_the_cost(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
    partial = {"type": "image_generation.partial_image", "b64_json": "eA==", "partial_image_index": 0}
    done = {"type": "image_generation.completed", "b64_json": "eQ==", "usage": usage}
    events = [b"event: %s\ndata: %s\n\n" % (told["type"].encode(), orjson.dumps(told)) for told in (partial, done)]  # type: ignore[attr-defined]
    provider.answers(stream(*events))
    answer = await sdk.images.generate(model="paint-tokens", prompt="a cat", stream=True, partial_images=1)
    seen = [event async for event in answer]
    assert [event.type for event in seen] == [partial["type"], done["type"]]
    assert seen[-1].model_extra is not None
    assert seen[-1].model_extra["polyroute"]["cost_usd"] == "0.00405"


# ── audio ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_recording_goes_on_as_it_came_and_costs_its_seconds(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    provider.answers(whole({"text": "hello", "usage": {"type": "duration", "seconds": 90}}))
    answer = await sdk.audio.transcriptions.with_raw_response.create(
        model="hear", file=("a.wav", wav(1)), timestamp_granularities=["word"], response_format="verbose_json"
    )
    assert answer.parse().text == "hello"
    assert answer.headers["x-polyroute-cost-usd"] == "0.009"
    heard = provider.last
    assert heard.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert wav(1) in heard.body
    assert b"hear-up\r\n" in heard.body
    assert b'name="timestamp_granularities[]"' in heard.body
    assert heard.path == "/v1/audio/transcriptions"


async def test_an_upload_is_changed_in_its_model_alone(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"text": "hi"}))
    body, headers = upload(file=wav(2), language="de", temperature="0.2")
    await rig.call("POST", "/v1/audio/transcriptions", body, headers=headers)
    assert provider.last.body == body.replace(b"\r\nhear\r\n", b"\r\nhear-up\r\n")


async def test_a_recording_without_usage_costs_what_its_header_says(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"text": "hi"}))
    told = await hear(rig, file=wav(30))
    assert told.headers["x-polyroute-cost-usd"] == "0.003"
    receipt = await rig.receipt(told)
    assert receipt.usage is not None
    assert not receipt.usage.estimated


async def test_packed_sound_without_usage_is_an_estimate_and_says_so(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"text": "hi"}))
    receipt = await rig.receipt(await hear(rig, file=b"\xff\xfb" + b"\0" * 479_998))
    assert receipt.usage is not None
    assert receipt.usage.estimated
    assert receipt.cost_usd == Decimal("0.006")  # a minute at 64 kbit/s


async def test_recordings_that_count_tokens_cost_their_tokens(rig: Rig, provider: Upstream) -> None:
    usage = {
        "type": "tokens", "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 1000},
    }  # fmt: skip
    provider.answers(whole({"text": "hi", "usage": usage}))
    told = await hear(rig, model="hear-tokens", file=wav(1))
    assert told.headers["x-polyroute-cost-usd"] == "0.007"


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
async def test_words_come_in_the_form_asked_for(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream, form: Any
) -> None:
    provider.answers(Answer(pieces=("1\n00:00 --> hé\n".encode(),), kind="text/plain; charset=utf-8"))
    told = await hear(rig, file=wav(1), response_format=form)
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    assert told.body.decode() == "1\n00:00 --> hé\n"
    simulated = await sdk.audio.transcriptions.create(model="sim", file=("a.wav", wav(1)), response_format=form)
    assert "simulated transcript" in str(simulated)


@pytest.mark.parametrize("whole_answer", [False, True])
async def test_words_stream_as_events_also_where_the_provider_answers_whole(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream, whole_answer: bool
) -> None:
    usage = {"type": "duration", "seconds": 60}
    if whole_answer:
        provider.answers(whole({"text": "good day", "usage": usage}))
    else:
        told: list[dict[str, Any]] = [
            {"type": "transcript.text.delta", "delta": "good "},
            {"type": "transcript.text.delta", "delta": "day"},
            {"type": "transcript.text.done", "text": "good day", "usage": usage},
        ]
        provider.answers(stream(*(b"data: %s\n\n" % orjson.dumps(event) for event in told)))
    answer = await sdk.audio.transcriptions.create(model="hear", file=("a.wav", wav(1)), stream=True)
    events = [event async for event in answer]
    assert "".join(event.delta for event in events if event.type == "transcript.text.delta") == "good day"
    assert events[-1].type == "transcript.text.done"
    assert (await rig.settled())[0].cost_usd == Decimal("0.006")


async def test_a_broken_stream_of_words_ends_with_an_error(rig: Rig, provider: Upstream) -> None:
    provider.answers(stream(b'data: {"type":"transcript.text.delta","delta":"good"}\n\n'))
    told = await hear(rig, file=wav(1), stream="true")
    assert told.events[0]["delta"] == "good"
    assert told.events[-1]["type"] == "error"
    assert rig.receipts()[0].state == "failed"


async def test_a_translation_goes_to_its_own_endpoint(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"text": "hi"}))
    told = await hear(rig, path="/v1/audio/translations", file=wav(1))
    assert told.status == 200
    assert provider.last.path == "/v1/audio/translations"


async def test_speech_streams_through_as_it_comes_and_costs_its_characters(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    provider.answers(Answer(pieces=(b"{not json", b"\x00\xff" * 500, b"end"), kind="audio/mpeg", chunked=True))
    async with sdk.audio.speech.with_streaming_response.create(
        model="speak", input="Hello there, world!!", voice="alloy"
    ) as answer:
        sound = b"".join([piece async for piece in answer.iter_bytes()])
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["x-polyroute-model"] == "speak"
    assert sound == b"{not json" + b"\x00\xff" * 500 + b"end"
    assert provider.last.json == {"model": "speak-up", "input": "Hello there, world!!", "voice": "alloy"}
    receipt = (await rig.settled())[0]
    assert receipt.cost_usd == Decimal("0.0003")
    assert receipt.usage is not None
    assert not receipt.usage.estimated


async def test_speech_falls_back_and_an_error_is_no_sound(rig: Rig, provider: Upstream) -> None:
    provider.answers(failing(500), Answer(pieces=(b"sound",), kind="audio/mpeg"))
    told = await rig.post("/v1/audio/speech", {"model": "voices", "input": "hi", "voice": "a"})
    assert told.body == b"sound"
    assert told.headers["x-polyroute-model"] == "speak-2"
    provider.answers(whole({"error": {"message": "no voice", "type": "server_error"}}))
    told = await rig.post("/v1/audio/speech", {"model": "speak", "input": "hi", "voice": "a"})
    assert told.status == 502
    assert told.headers["content-type"] == "application/json"


async def test_sound_that_breaks_off_is_never_a_whole_answer(rig: Rig, provider: Upstream) -> None:
    provider.answers(Answer(pieces=(b"some", b"sound"), kind="audio/mpeg", chunked=True, end="cut"))
    told = await rig.post("/v1/audio/speech", {"model": "speak", "input": "hi", "voice": "a"})
    assert not told.is_whole or told.status == 502
    assert (await rig.settled())[0].state == "failed"


async def test_simulated_speech_is_a_wav_file_that_says_so(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.audio.speech.create(model="sim", input="Hello", voice="alloy")
    assert answer.response.headers["content-type"] == "audio/wav"
    assert answer.content.startswith(b"RIFF")
    assert b"simulated" in answer.content


async def test_a_price_that_is_unknown_is_flagged(rig: Rig, provider: Upstream) -> None:
    provider.answers(whole({"text": "hi"}))
    told = await hear(rig, model="hear-unpriced", file=wav(1))
    assert told.status == 200
    assert told.headers["x-polyroute-cost-usd"] == "unknown"


async def test_a_price_that_is_unknown_is_refused_where_money_is_limited(poor: Rig) -> None:
    told = await hear(poor, model="hear-unpriced", file=wav(1))
    assert told.status == 402
    assert told.json["error"]["code"] == "price_unknown"


# ── legacy completions ────────────────────────────────────────────────────────────────────────────────────


def text_chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return (
        b"data: " + orjson.dumps({"id": "c", "object": "text_completion", "model": "m", "choices": [choice]}) + b"\n\n"
    )


async def test_a_completion_streams_through_untouched_but_for_usage_nobody_asked_for(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    last = b"data: " + orjson.dumps({"id": "c", "object": "text_completion", "choices": [], "usage": usage}) + b"\n\n"
    provider.answers(stream(text_chunk("Once"), text_chunk(" more"), text_chunk("", "stop"), last, b"data: [DONE]\n\n"))
    answer = await sdk.completions.create(model="chat", prompt="Once upon", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in answer]) == "Once more"
    assert provider.last.path == "/v1/completions"
    assert provider.last.json["stream_options"] == {"include_usage": True}
    receipt = (await rig.settled())[0]
    assert receipt.cost_usd == Decimal("0.00003")
    assert receipt.door == "openai_completions"


async def test_a_completion_is_a_conversation_where_the_model_knows_no_completions(
    sdk: openai.AsyncOpenAI, rig: Rig, provider: Upstream
) -> None:
    provider.answers(whole({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-served",
        "content": [{"type": "text", "text": "there was"}], "stop_reason": "max_tokens", "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 2},
    }))  # fmt: skip
    answer = await sdk.completions.create(model="claude", prompt="Once upon a time", max_tokens=2)
    assert answer.object == "text_completion"
    assert answer.choices[0].text == "there was"
    assert answer.choices[0].finish_reason == "length"
    said = [{"type": "text", "text": "Once upon a time"}]
    assert provider.last.json["messages"] == [{"role": "user", "content": said}]
    assert provider.last.json["max_tokens"] == 2
    told = await sdk.completions.create(model="sim", prompt="hi", stream=True, max_tokens=50)
    assert "simulated" in "".join([chunk.choices[0].text async for chunk in told])


@pytest.mark.parametrize(
    "more", [{"echo": True}, {"suffix": "."}, {"best_of": 2}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}]
)
async def test_what_no_conversation_can_say_is_a_reason_of_its_own(
    rig: Rig, provider: Upstream, more: dict[str, object]
) -> None:
    told = await rig.post("/v1/completions", {"model": "claude", "prompt": "x", **more})
    assert told.status == 503
    assert "openai_completions" in told.json["error"]["message"]
    assert provider.log == []


# ── hostile bodies ────────────────────────────────────────────────────────────────────────────────────────

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("embeddings", {"model": "embed"}, "input"),
    ("embeddings", {"model": "embed", "input": []}, "input"),
    ("embeddings", {"model": "embed", "input": {"a": 1}}, "input"),
    ("embeddings", {"model": "embed", "input": ["a", 1]}, "input[1]"),
    ("embeddings", {"model": "embed", "input": [1, "a"]}, "input[1]"),
    ("embeddings", {"model": "embed", "input": [[1], []]}, "input[1]"),
    ("embeddings", {"model": "embed", "input": [-1]}, "input[0]"),
    ("embeddings", {"model": "embed", "input": ["x"] * 1_000_000}, "input"),
    ("embeddings", {"model": "embed", "input": "x", "dimensions": 0}, "dimensions"),
    ("embeddings", {"model": "embed", "input": "x", "encoding_format": "hex"}, "encoding_format"),
    ("embeddings", {"model": "embed", "input": "x", "api_base": "http://x"}, "api_base"),
    ("embeddings", {"model": 1, "input": "x"}, "model"),
    ("moderations", {"model": "guard"}, "input"),
    ("moderations", {"model": "guard", "input": [{"type": "video"}]}, "input[0].type"),
    (
        "moderations",
        {"model": "guard", "input": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x"}}]},
        "input[0].image_url.url",
    ),
    ("rerank", {"model": "sort", "query": "q"}, "documents"),
    ("rerank", {"model": "sort", "query": "q", "documents": []}, "documents"),
    ("rerank", {"model": "sort", "query": "q", "documents": [1]}, "documents[0]"),
    ("rerank", {"model": "sort", "query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
    ("rerank", {"model": "sort", "documents": ["a"]}, "query"),
    ("images/generations", {"model": "paint"}, "prompt"),
    ("images/generations", {"model": "paint", "prompt": ""}, "prompt"),
    ("images/generations", {"model": "paint", "prompt": "x", "n": 1_000_000}, "n"),
    ("images/generations", {"model": "paint", "prompt": "x", "size": 1024}, "size"),
    ("audio/speech", {"model": "speak", "voice": "a"}, "input"),
    ("audio/speech", {"model": "speak", "input": "", "voice": "a"}, "input"),
    ("audio/speech", {"model": "speak", "input": "x", "speed": 99}, "speed"),
    ("audio/transcriptions", {"model": "hear"}, "file"),
    ("completions", {"model": "chat"}, "prompt"),
    ("completions", {"model": "chat", "prompt": []}, "prompt"),
    ("completions", {"model": "chat", "prompt": "x", "n": 10_000}, "n"),
    ("completions", {"model": "chat", "prompt": "x", "stop": [1]}, "stop[0]"),
]


@pytest.mark.parametrize(("path", "body", "field"), WRONG)
async def test_a_wrong_body_is_one_error_that_names_the_field(
    rig: Rig, provider: Upstream, path: str, body: dict[str, Any], field: str
) -> None:
    told = await rig.post(f"/v1/{path}", body)
    assert told.status == 400
    assert told.json["error"]["param"] == field
    assert len(told.body) < 1000
    assert provider.log == []


BROKEN: list[tuple[bytes, str, str | None]] = [
    (b"", "multipart/form-data; boundary=b", None),
    (b"--b\r\n", "multipart/form-data; boundary=b", None),
    (b"--b--\r\n", "multipart/form-data; boundary=b", "model"),
    (b"junk", "multipart/form-data; boundary=b", None),
    (upload()[0], "multipart/form-data", None),
    (upload()[0], "multipart/form-data; boundary=c", None),
    (upload()[0], "text/plain", None),
    (upload()[0][:-9], "multipart/form-data; boundary=b", None),
    (upload()[0] + b"more", "multipart/form-data; boundary=b", None),
    (upload(file=None)[0], "multipart/form-data; boundary=b", "file"),
    (upload(file=b"")[0], "multipart/form-data; boundary=b", "file"),
    (upload(model=None)[0], "multipart/form-data; boundary=b", "model"),
    (upload(stream="maybe")[0], "multipart/form-data; boundary=b", "stream"),
    (upload(temperature="hot")[0], "multipart/form-data; boundary=b", "temperature"),
    (upload(response_format="pdf")[0], "multipart/form-data; boundary=b", "response_format"),
    (upload(base_url="http://x")[0], "multipart/form-data; boundary=b", "base_url"),
    (upload()[0].replace(b'"file"; filename="a.wav"', b'"model"'), "multipart/form-data; boundary=b", "model"),
    (b"--b\r\n\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", None),
    (b"--b\r\n" * 1000 + b"--b--", "multipart/form-data; boundary=b", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "field"), BROKEN)
async def test_a_broken_upload_is_one_error(
    rig: Rig, provider: Upstream, body: bytes, kind: str, field: str | None
) -> None:
    told = await rig.call("POST", "/v1/audio/transcriptions", body, headers={"content-type": kind})
    assert told.status == 400
    assert told.json["error"]["param"] == field
    assert provider.log == []


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(pieces=(b"",)),
        Answer(pieces=(b"null",)),
        Answer(pieces=(b"{}",)),
        Answer(pieces=(b'{"data":null}',)),
        Answer(pieces=(b"<html>no</html>",), kind="text/html"),
        Answer(pieces=(b'{"error":{"message":"full","type":"server_error"}}',)),
        CUT,
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("embeddings", {"model": "embed", "input": "x"}),
        ("moderations", {"model": "guard", "input": "x"}),
        ("rerank", {"model": "sort", "query": "q", "documents": ["d"]}),
        ("images/generations", {"model": "paint", "prompt": "x"}),
        ("completions", {"model": "chat", "prompt": "x"}),
    ],
)
async def test_a_providers_garbage_is_a_bad_gateway(
    rig: Rig, provider: Upstream, path: str, body: object, garbage: Answer
) -> None:
    provider.answers(garbage)
    told = await rig.post(f"/v1/{path}", body)
    assert told.status == 502
    assert told.json["error"]["type"]


async def test_every_model_is_listed(sdk: openai.AsyncOpenAI, provider: Upstream) -> None:
    provider.answers(chat("ok"))
    names = {model.id async for model in sdk.models.list()}
    assert {"vectors", "voices", "embed", "hear", "paint"} <= names
