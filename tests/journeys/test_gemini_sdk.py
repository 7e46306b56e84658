"""Google's own SDK, unchanged, against a running gateway: its own upstream behind it, and others."""

from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types
from tests.journeys.rig import KEY, Rig, gateway
from tests.journeys.upstream import (
    Answer,
    Json,
    Upstream,
    chat,
    chat_events,
    message,
    message_events,
    stream,
    text_block,
    upstream,
    whole,
)

# The SDK subclasses aiohttp's session, which aiohttp advises against.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
keys: [{{name: app, key: "{key}", team: t, user: u}}]
providers:
  google: {{dialect: gemini, base_url: "{url}/v1beta", api_key: {{env: GOOGLE}}, max_tries: 1}}
  vertex:
    dialect: gemini
    base_url: "{url}/v1/projects/p/locations/eu/publishers/google"
    api_key: {{env: GOOGLE}}
    auth_header: authorization
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: GOOGLE}}}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: GOOGLE}}}}
models:
  flash: google/gemini-2.5-flash
  vectors: google/gemini-embedding-001
  vflash: vertex/gemini-2.5-flash
  gpt: oai/gpt-4o
  claude: ant/claude-sonnet-4-5
routes: {{support: {{primary: flash, fallback: gpt}}}}
"""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def content(*parts: Json, model: str = "gemini-2.5-flash-001", finish: str | None = "STOP") -> Json:
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 17}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "resp-1"}


def events(*contents: Json) -> Answer:
    return stream(*[b"data: " + orjson.dumps(item) + b"\r\n\r\n" for item in contents])


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with upstream() as provider:
        document = DOCUMENT.format(url=provider.url, key=KEY)
        async with gateway(document, tmp_path, {"GOOGLE": "AIza-of-the-provider"}) as rig:
            yield rig, provider


Google = Callable[..., genai.Client]


@pytest.fixture
def google(running: tuple[Rig, Upstream]) -> Google:
    """Makes clients, and holds them: one that nobody holds closes its connections."""
    made = []

    def client(key: str = KEY, version: str | None = None) -> genai.Client:
        options = types.HttpOptions(base_url=f"http://127.0.0.1:{running[0].port}", api_version=version)
        made.append(genai.Client(api_key=key, http_options=options))
        return made[-1]

    return client


async def test_an_answer_comes_as_google_gave_it(running: tuple[Rig, Upstream], google: Google) -> None:
    provider = running[1]
    provider.answers(whole(content({"text": "Hello!"})))
    answer = await google().aio.models.generate_content(model="flash", contents="hi")

    assert (answer.text, answer.model_version) == ("Hello!", "gemini-2.5-flash-001")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 17
    assert provider.last.path == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert provider.last.headers["x-goog-api-key"] == "AIza-of-the-provider"
    assert "model" not in provider.last.json


async def test_a_stream_arrives_with_the_report_in_its_last_chunk(
    running: tuple[Rig, Upstream], google: Google
) -> None:
    rig, provider = running
    provider.answers(events(content({"text": "Hel"}, finish=None), content({"text": "lo"})))
    told = [chunk async for chunk in await google().aio.models.generate_content_stream(model="flash", contents="hi")]

    assert "".join(chunk.text or "" for chunk in told) == "Hello"
    assert provider.last.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    [receipt] = rig.receipts()
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.usage.reasoning_tokens) == (9, 5, 3)

    provider.answers(events(content({"text": "Hel"}, finish=None), content({"text": "lo"})))
    raw = await rig.post(
        "/v1beta/models/flash:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "q"}]}]}
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert [list(event) for event in raw.events][-1][-1] == "polyroute"
    assert raw.events[-1]["polyroute"]["model"] == "flash"


async def test_without_alt_sse_a_stream_is_one_json_array(running: tuple[Rig, Upstream], google: Google) -> None:
    rig, provider = running
    path = "/v1beta/models/{}:streamGenerateContent"
    for model, answer in (
        ("flash", events(content({"text": "Hel"}, finish=None), content({"text": "lo"}))),
        ("claude", stream(*message_events("Hel", "lo"))),
    ):
        provider.answers(answer)
        told = await rig.post(path.format(model), {"contents": [{"parts": [{"text": "q"}]}]})
        assert told.headers["content-type"] == "application/json"
        pieces = [part["text"] for item in told.json for part in item["candidates"][0]["content"]["parts"]]
        assert "".join(pieces) == "Hello"
        assert told.json[-1]["polyroute"]["attempts"] == 1


async def test_tools_go_round_with_signatures_untouched(running: tuple[Rig, Upstream], google: Google) -> None:
    provider = running[1]
    call: Json = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2lnbmVk"}
    provider.answers(whole(content(call)), whole(content({"text": "Sunny"})))
    tool = types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="weather",
                parameters=types.Schema(
                    type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
                ),
            )
        ]
    )
    config = types.GenerateContentConfig(
        tools=[tool], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    ask = google().aio.models.generate_content
    asked = types.Content(role="user", parts=[types.Part.from_text(text="weather?")])
    first = await ask(model="flash", contents=[asked], config=config)
    assert first.function_calls is not None
    assert first.function_calls[0].args == {"city": "Paris"}
    assert first.candidates is not None
    said = first.candidates[0].content
    assert said is not None
    result = types.Content(
        role="user", parts=[types.Part.from_function_response(name="weather", response={"output": "sun"})]
    )
    second = await ask(model="flash", contents=[asked, said, result], config=config)
    assert second.text == "Sunny"
    assert provider.last.json["contents"][1]["parts"][0]["thoughtSignature"] == "c2lnbmVk"


@pytest.mark.parametrize("model", ["gpt", "claude"])
async def test_a_foreign_model_calls_a_tool_and_gets_its_result_by_id(
    running: tuple[Rig, Upstream], google: Google, model: str
) -> None:
    provider = running[1]
    made = {"id": "call_7", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    block: Json = {"type": "tool_use", "id": "call_7", "name": "weather", "input": {"city": "Paris"}}
    provider.answers(chat(None, tool_calls=[made]) if model == "gpt" else message(block, stop="tool_use"))
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    ask = google().aio.models.generate_content
    asked = types.Content(role="user", parts=[types.Part.from_text(text="weather?")])
    first = await ask(model=model, contents=[asked], config=config)
    assert first.function_calls is not None
    [called] = first.function_calls
    assert (called.id, called.name, called.args) == ("call_7", "weather", {"city": "Paris"})
    assert first.candidates is not None
    said = first.candidates[0].content
    assert said is not None
    result = types.Part(
        function_response=types.FunctionResponse(id="call_7", name="weather", response={"output": "sun"})
    )
    provider.answers(chat("Sunny") if model == "gpt" else message(text_block("Sunny")))
    second = await ask(model=model, contents=[asked, said, types.Content(role="user", parts=[result])], config=config)
    assert second.text == "Sunny"
    heard = provider.last.json["messages"]
    assert "call_7" in orjson.dumps(heard[-1]).decode()
    assert b"ignature" not in provider.last.body

    # The same conversation goes on at Gemini: the foreign call carries the mark it takes in place of a signature.
    provider.answers(whole(content({"text": "Still sunny"})))
    third = await ask(model="flash", contents=[asked, said, types.Content(role="user", parts=[result])], config=config)
    assert third.text == "Still sunny"
    assert provider.last.json["contents"][1]["parts"][0]["thoughtSignature"]


@pytest.mark.parametrize("model", ["flash", "gpt", "claude"])
async def test_a_picture_and_a_schema_reach_every_model(
    running: tuple[Rig, Upstream], google: Google, model: str
) -> None:
    provider = running[1]
    answers = {
        "flash": whole(content({"text": '{"colour": "red"}'})),
        "gpt": chat('{"colour": "red"}'),
        "claude": message(text_block('{"colour": "red"}')),
    }
    provider.answers(answers[model])
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}, "required": ["colour"]}
    answer = await google().aio.models.generate_content(
        model=model,
        contents=["which colour?", types.Part.from_bytes(data=b64decode(PNG), mime_type="image/png")],
        config=types.GenerateContentConfig(
            system_instruction="be brief",
            response_mime_type="application/json",
            response_json_schema=schema,
            max_output_tokens=50,
        ),
    )
    assert answer.text == '{"colour": "red"}'
    own = PNG.replace("+", "-").replace("/", "_") if model == "flash" else PNG  # as Google's SDK writes base64
    assert own.encode() in provider.last.body
    assert b"be brief" in provider.last.body
    assert b'"colour"' in provider.last.body


@pytest.mark.parametrize("model", ["gpt", "claude"])
async def test_a_foreign_stream_arrives_as_geminis(running: tuple[Rig, Upstream], google: Google, model: str) -> None:
    provider = running[1]
    provider.answers(stream(*(chat_events("Hel", "lo") if model == "gpt" else message_events("Hel", "lo"))))
    told = [chunk async for chunk in await google().aio.models.generate_content_stream(model=model, contents="hi")]
    assert "".join(chunk.text or "" for chunk in told) == "Hello"
    assert told[-1].usage_metadata is not None
    assert told[-1].usage_metadata.prompt_token_count == 11
    assert told[-1].candidates is not None
    assert told[-1].candidates[0].finish_reason is types.FinishReason.STOP


async def test_a_route_with_its_prefix_falls_back_to_another_dialect(
    running: tuple[Rig, Upstream], google: Google
) -> None:
    provider = running[1]
    busy = whole({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, 503)
    provider.script = lambda heard: busy if "generateContent" in heard.path else chat("from elsewhere")
    answer = await google().aio.models.generate_content(model="polyroute/support", contents="hi")
    assert (answer.text, answer.model_version) == ("from elsewhere", "served-model")


async def test_tokens_are_counted_by_google_or_estimated(running: tuple[Rig, Upstream], google: Google) -> None:
    provider = running[1]
    provider.answers(whole({"totalTokens": 31}))
    counted = await google().aio.models.count_tokens(model="flash", contents="hello")
    assert counted.total_tokens == 31
    assert provider.last.path == "/v1beta/models/gemini-2.5-flash:countTokens"

    asked = len(provider.log)
    estimated = await google().aio.models.count_tokens(model="gpt", contents="hello world")
    assert estimated.total_tokens is not None
    assert estimated.total_tokens > 0
    assert len(provider.log) == asked


async def test_an_anthropic_caller_is_counted_by_google(running: tuple[Rig, Upstream], google: Google) -> None:
    rig, provider = running
    provider.answers(whole({"totalTokens": 12}))
    body = {"model": "flash", "system": "be brief", "messages": [{"role": "user", "content": "hi"}]}
    told = await rig.post("/v1/messages/count_tokens", body)
    assert told.json == {"input_tokens": 12}
    inner = provider.last.json["generateContentRequest"]
    assert inner["model"] == "models/gemini-2.5-flash"
    assert inner["systemInstruction"] == {"parts": [{"text": "be brief"}]}


async def test_vertex_is_called_on_its_own_path_with_a_bearer(running: tuple[Rig, Upstream], google: Google) -> None:
    rig, provider = running
    provider.answers(whole(content({"text": "ok"})))
    await google().aio.models.generate_content(model="vflash", contents="hi")
    base = "/v1/projects/p/locations/eu/publishers/google"
    assert provider.last.path == f"{base}/models/gemini-2.5-flash:generateContent"
    assert provider.last.headers["authorization"] == "Bearer AIza-of-the-provider"

    provider.answers(whole({"totalTokens": 3}))
    body = {"model": "vflash", "system": "s", "messages": [{"role": "user", "content": "hi"}]}
    await rig.post("/v1/messages/count_tokens", body)
    assert set(provider.last.json) == {"contents", "systemInstruction", "generationConfig"}


async def test_errors_are_told_in_googles_shape(running: tuple[Rig, Upstream], google: Google) -> None:
    rig, provider = running
    quota: Json = {
        "code": 429,
        "message": "quota",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}],
    }
    provider.answers(whole({"error": quota}, 429))
    with pytest.raises(errors.ClientError) as caught:
        await google().aio.models.generate_content(model="flash", contents="hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")

    provider.answers(whole({"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}, 400))
    with pytest.raises(errors.ClientError) as caught:
        await google().aio.models.generate_content(model="flash", contents="hi")
    assert (caught.value.code, caught.value.message) == (400, "bad")

    for key, model, status in (("wrong", "flash", 401), (KEY, "nothing", 404)):
        with pytest.raises(errors.ClientError) as caught:
            await google(key).aio.models.generate_content(model=model, contents="hi")
        assert caught.value.code == status
    for path, status in (
        ("/v1beta/models/flash:predict", 404),
        ("/v1beta/nothing", 404),
        ("/v1/models/flash:generateContent", 400),
    ):
        told = await rig.post(path, {})
        assert told.status == status
        assert told.json["error"]["code"] == status
        assert set(told.json["error"]) >= {"message", "status"}


async def test_an_error_in_the_middle_of_a_stream_reaches_the_caller(
    running: tuple[Rig, Upstream], google: Google
) -> None:
    provider = running[1]
    broken: Json = {"error": {"code": 503, "message": "lost it", "status": "UNAVAILABLE"}}
    for last in ([broken], []):
        provider.answers(events(content({"text": "Hel"}, finish=None), *last))
        with pytest.raises(errors.APIError):
            async for _ in await google().aio.models.generate_content_stream(model="flash", contents="hi"):
                pass


async def test_models_are_listed_as_googles(running: tuple[Rig, Upstream], google: Google) -> None:
    for version in (None, "v1beta"):
        told = google(version=version)
        assert "models/support" in [model.name async for model in await told.aio.models.list()]
        assert (await told.aio.models.get(model="flash")).name == "models/flash"


async def test_embeddings_are_asked_at_googles_door_and_at_openais(
    running: tuple[Rig, Upstream], google: Google
) -> None:
    rig, provider = running
    provider.answers(whole({"embeddings": [{"values": [0.25, 0.5]}, {"values": [1, 0]}]}))
    told = await google().aio.models.embed_content(model="vectors", contents=["a", "b"])
    assert told.embeddings is not None
    assert [item.values for item in told.embeddings] == [[0.25, 0.5], [1, 0]]
    assert provider.last.path.endswith(":batchEmbedContents")

    answer = await rig.post("/v1/embeddings", {"model": "vectors", "input": ["a", "b"], "dimensions": 2})
    assert [item["embedding"] for item in answer.json["data"]] == [[0.25, 0.5], [1, 0]]
    assert answer.json["model"] == "gemini-embedding-001"
    assert provider.last.json["requests"][0]["outputDimensionality"] == 2
