"""AWS's own SDK at Bedrock's door, and Bedrock behind every door: signed, streamed, and honest about errors."""

import asyncio
import hashlib
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import openai
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from tests.journeys.rig import ADMIN, ENV, KEY, Rig, gateway, request
from tests.journeys.upstream import Answer, Heard, Upstream, chat, chat_events, chunk, stream, upstream, whole

from polyroute.dialects.bedrock_converse import BedrockConverse
from polyroute.dialects.event_stream import encode_frame

ACCESS_KEY, SECRET_KEY, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "a-session-token-0123"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  aws:
    dialect: bedrock
    region: eu-west-1
    base_url: "{url}"
    credentials: {{access_key: {{env: ACCESS}}, secret_key: {{env: SECRET}}, session_token: {{env: TOKEN}}}}
    max_tries: 1
  token: {{dialect: bedrock, region: eu-west-1, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  haiku: {{provider: aws, model: "{model}", price: {{input: 1.00, output: 5.00, cached_input: 0.10}}}}
  keyed: {{provider: token, model: "{model}", price: {{input: 1.00, output: 5.00}}}}
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2.50, output: 10.00}}}}
routes:
  support: {{primary: haiku, fallback: gpt}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
CREDENTIALS = {**ENV, "ACCESS": ACCESS_KEY, "SECRET": SECRET_KEY, "TOKEN": TOKEN}
PNG = bytes.fromhex("89504e470d0a1a0a")
USER = {"role": "user", "content": [{"text": "hello"}]}
TOOL = {
    "toolSpec": {
        "name": "weather",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with upstream() as found:
        yield found


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url, model=MODEL), tmp_path, CREDENTIALS) as found:
        yield found


def converse(*content: dict[str, Any], stop: str = "end_turn") -> Answer:
    return whole({
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
        "metrics": {"latencyMs": 5},
    })  # fmt: skip


def event(kind: str, **payload: object) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(headers, orjson.dumps({**payload, "p": "abcdef"}))


def events(*texts: str) -> list[bytes]:
    return [
        event("messageStart", role="assistant"),
        *(event("contentBlockDelta", contentBlockIndex=0, delta={"text": text}) for text in texts),
        event("contentBlockStop", contentBlockIndex=0),
        event("messageStop", stopReason="end_turn"),
        event("metadata", usage={"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}, metrics={"latencyMs": 5}),
    ]


def binary(*pieces: bytes | asyncio.Event, end: str = "keep") -> Answer:
    return Answer(pieces=pieces, kind="application/vnd.amazon.eventstream", chunked=True, end=end)


def exception(kind: str, message: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(headers, orjson.dumps({"message": message}))


class Sdk:
    """boto3 with the gateway's key as its access key id, for it sends a bearer over https alone.

    Each call in a thread: it blocks, and the gateway serves in the test's own loop.
    """

    def __init__(self, rig: Rig, key: str = KEY) -> None:
        self._client = boto3.client(
            "bedrock-runtime",
            endpoint_url=rig.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}),
        )

    async def converse(self, **asked: Any) -> Any:
        return await asyncio.to_thread(self._client.converse, **asked)

    async def stream(self, **asked: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(self._client.converse_stream(**asked)["stream"]))


@pytest.fixture
def sdk(rig: Rig) -> Sdk:
    return Sdk(rig)


# ── the door ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_conversation_passes_as_it_is_and_is_booked(rig: Rig, provider: Upstream, sdk: Sdk) -> None:
    provider.answers(converse({"text": "Hi there"}))
    asked = {"messages": [USER], "inferenceConfig": {"maxTokens": 50}, "additionalModelRequestFields": {"top_k": 5}}

    answer = await sdk.converse(modelId="haiku", **asked)

    assert answer["output"]["message"]["content"] == [{"text": "Hi there"}]
    assert answer["metrics"] == {"latencyMs": 5}
    assert provider.last.path == f"/model/{quote(MODEL, safe='')}/converse"
    assert provider.last.json == asked
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-polyroute-cost-usd"] == "0.000046"
    (receipt,) = rig.receipts()
    assert (receipt.door, receipt.model, receipt.answered_model) == ("bedrock_converse", "haiku", MODEL)


@pytest.mark.parametrize("model", ["support", "polyroute/support", f"aws/{MODEL}"])
async def test_the_path_names_a_route_or_a_model_escaped(provider: Upstream, sdk: Sdk, model: str) -> None:
    provider.answers(converse({"text": "Hi"}))
    assert (await sdk.converse(modelId=model, messages=[USER]))["stopReason"] == "end_turn"
    assert provider.last.path == f"/model/{quote(MODEL, safe='')}/converse"


async def test_a_stream_passes_byte_for_byte(rig: Rig, provider: Upstream, sdk: Sdk) -> None:
    sent = events("Hi ", "the", "re")
    provider.answers(binary(*sent))

    told = await rig.post("/model/haiku/converse-stream", {"messages": [USER]})
    assert told.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert told.body == b"".join(sent)

    heard = await sdk.stream(modelId="haiku", messages=[USER])
    assert [item["contentBlockDelta"]["delta"]["text"] for item in heard if "contentBlockDelta" in item] == [
        "Hi ", "the", "re",
    ]  # fmt: skip
    assert heard[-1]["metadata"]["usage"]["totalTokens"] == 18
    assert provider.last.path.endswith("/converse-stream")
    assert provider.last.json == {"messages": [USER]}
    assert [receipt.cost_usd for receipt in rig.receipts()] == [rig.receipts()[0].cost_usd] * 2


async def test_tools_and_their_results_reach_another_provider_and_come_back(provider: Upstream, sdk: Sdk) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    provider.answers(chat(None, tool_calls=[call]))
    config = {"tools": [TOOL], "toolChoice": {"any": {}}}

    answer = await sdk.converse(modelId="gpt", messages=[USER], toolConfig=config)

    assert answer["stopReason"] == "tool_use"
    (block,) = answer["output"]["message"]["content"]
    assert block["toolUse"] == {"toolUseId": "call_1", "name": "weather", "input": {"city": "Bern"}}
    assert provider.last.json["tool_choice"] == "required"

    provider.answers(chat("Sunny"))
    result = {"toolResult": {"toolUseId": "call_1", "content": [{"json": {"sky": "clear"}}]}}
    turns = [USER, answer["output"]["message"], {"role": "user", "content": [result]}]
    answer = await sdk.converse(modelId="gpt", messages=turns, toolConfig={"tools": [TOOL]})
    assert answer["output"]["message"]["content"] == [{"text": "Sunny"}]
    assert provider.last.json["messages"][-1] == {
        "role": "tool", "tool_call_id": "call_1", "content": '{"sky":"clear"}',
    }  # fmt: skip


async def test_another_providers_stream_is_told_in_events(provider: Upstream, sdk: Sdk) -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    provider.answers(
        stream(
            chunk({"role": "assistant", "content": "Let me see"}),
            chunk({"tool_calls": [call]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Bern"}'}}]}),
            chunk({}, "tool_calls"),
            *chat_events()[-2:],
        )
    )
    heard = await sdk.stream(modelId="gpt", messages=[USER], toolConfig={"tools": [TOOL]})
    assert [next(iter(item)) for item in heard] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "contentBlockStart", "contentBlockDelta",
        "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert heard[4]["contentBlockDelta"]["delta"]["toolUse"]["input"] == '{"city":"Bern"}'
    assert heard[-1]["metadata"]["usage"]["inputTokens"] == 11


async def test_an_image_goes_as_bytes(provider: Upstream, sdk: Sdk) -> None:
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    provider.answers(chat("a dot"))
    await sdk.converse(modelId="gpt", messages=[{"role": "user", "content": [{"text": "what?"}, image]}])
    url = provider.last.json["messages"][0]["content"][1]["image_url"]["url"]
    assert url == f"data:image/png;base64,{b64encode(PNG).decode()}"


@pytest.mark.parametrize(
    ("asked", "status", "name"),
    [
        ({"modelId": "nobody", "messages": [USER]}, 404, "ResourceNotFoundException"),
        ({"modelId": "haiku", "messages": []}, 400, "ValidationException"),
    ],
)
async def test_an_error_has_bedrocks_name_and_says_what_to_do(
    sdk: Sdk, asked: dict[str, Any], status: int, name: str
) -> None:
    with pytest.raises(ClientError) as caught:
        await sdk.converse(**asked)
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == name
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    assert len(answer["Error"]["Message"]) > 10


async def test_objects_in_our_buckets_may_not_be_named(rig: Rig) -> None:
    image = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://ours/secret.png"}}}}
    told = await rig.post("/model/haiku/converse", {"messages": [{"role": "user", "content": [image]}]})
    assert (told.status, told.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert "`s3://ours`" in told.json["message"]
    assert "providers.NAME.buckets" in told.json["message"]


async def test_a_signed_request_without_our_key_is_told_where_the_key_goes(rig: Rig) -> None:
    with pytest.raises(ClientError, match="as its access key id") as caught:
        await Sdk(rig, ACCESS_KEY).converse(modelId="haiku", messages=[USER])
    answer: Any = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (
        "UnrecognizedClientException",
        401,
    )


async def test_an_open_door_ignores_a_signature(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.format(url=provider.url, model=MODEL).replace("auth: keys", "auth: open").split("keys:\n")[0]
    provider.answers(converse({"text": "Hi"}))
    async with gateway(document, tmp_path, {**CREDENTIALS, "POLYROUTE_ADMIN_KEY": ADMIN}) as rig:
        signed = {"authorization": "AWS4-HMAC-SHA256 Credential=AKID/20250101/us-east-1/bedrock/aws4_request"}
        told = await rig.post("/model/haiku/converse", {"messages": [USER]}, key=None, headers=signed)
        assert told.status == 200


async def test_a_stream_that_breaks_ends_in_an_exception(rig: Rig, provider: Upstream) -> None:
    for broken, name in ((exception("throttlingException", "Too many requests"), b"throttlingException"), (b"", b"")):
        gate = asyncio.Event()
        provider.answers(binary(*events("Hello")[:2], gate, broken))
        body = orjson.dumps({"messages": [USER]})
        connection = await rig.send(request("POST", "/model/haiku/converse-stream", body))
        await connection.until(b"Hello")
        gate.set()
        rest = await connection.until(b"0\r\n\r\n")
        assert b":message-type\x07\x00\x09exception" in rest
        assert name in rest or b"modelStreamErrorException" in rest


async def test_the_sdk_raises_what_a_broken_stream_says(provider: Upstream, sdk: Sdk) -> None:
    writer = BedrockConverse().open_writer(BedrockConverse().parse_request({"model": "m", "messages": [USER]}, {}))
    told = binary(events("Hi")[0], events("Hi")[1], writer.error("rate_limit_error", "Too many requests", None))
    provider.answers(told)
    with pytest.raises((EventStreamError, ClientError), match="Too many requests"):
        await sdk.stream(modelId="haiku", messages=[USER])


async def test_an_exception_before_the_first_word_falls_back(rig: Rig, provider: Upstream, sdk: Sdk) -> None:
    def script(heard: Heard) -> Answer:
        if "/model/" in heard.path:
            return binary(events()[0], exception("serviceUnavailableException", "busy"))
        return stream(*chat_events("Hello"))

    provider.script = script
    heard = await sdk.stream(modelId="support", messages=[USER])
    assert heard[1]["contentBlockDelta"]["delta"] == {"text": "Hello"}


# ── the upstream ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def openai_sdk(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


async def test_a_chat_is_answered_by_converse(provider: Upstream, openai_sdk: openai.AsyncOpenAI) -> None:
    provider.answers(converse({"text": "Hi there"}))
    answer = await openai_sdk.chat.completions.create(model="haiku", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].message.content == "Hi there"
    assert answer.model == MODEL
    assert answer.id.startswith("req_")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 18


async def test_a_chat_is_streamed_from_events_cut_anywhere(provider: Upstream, openai_sdk: openai.AsyncOpenAI) -> None:
    whole_stream = b"".join(events("Hi ", "there"))
    provider.answers(binary(*(whole_stream[at : at + 7] for at in range(0, len(whole_stream), 7))))
    answer = await openai_sdk.chat.completions.create(
        model="haiku",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [item async for item in answer]
    assert "".join(item.choices[0].delta.content or "" for item in chunks if item.choices) == "Hi there"
    assert {item.model for item in chunks} == {MODEL}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 18


@pytest.mark.parametrize("path", ["/model/haiku/converse", "/model/haiku/converse-stream"])
async def test_every_call_is_signed_as_aws_verifies_it(rig: Rig, provider: Upstream, path: str) -> None:
    provider.answers(binary(*events("Hi")) if path.endswith("stream") else converse({"text": "Hi"}))
    await rig.post(path, {"messages": [{"role": "user", "content": [{"text": "grüezi"}]}]})
    heard = provider.last
    assert heard.headers["x-amz-security-token"] == TOKEN
    assert signature_of(heard, SECRET_KEY, "eu-west-1", "bedrock") in heard.headers["authorization"]
    assert "host" in heard.headers["authorization"]


async def test_an_api_key_goes_as_a_bearer_and_nothing_is_signed(rig: Rig, provider: Upstream) -> None:
    provider.answers(converse({"text": "Hi"}))
    await rig.post("/model/keyed/converse", {"messages": [USER]})
    assert provider.last.headers["authorization"] == f"Bearer {ENV['PROVIDER_KEY']}"
    assert "x-amz-date" not in provider.last.headers


async def test_a_refused_signature_shows_nothing_of_it(rig: Rig, provider: Upstream) -> None:
    said = f"The request signature does not match.\n\nThe Canonical String was 'POST\nx-amz-security-token:{TOKEN}'"
    provider.answers(whole({"message": said}, 403, x_amzn_errortype="InvalidSignatureException:http://internal/"))
    told = await rig.post("/model/haiku/converse", {"messages": [USER]})
    assert (told.status, told.headers["x-amzn-errortype"]) == (502, "ModelErrorException")
    assert TOKEN.encode() not in told.body
    (receipt,) = rig.receipts()
    assert receipt.attempts[0].error == "AuthRejected"


async def test_a_throttled_call_falls_back(provider: Upstream, sdk: Sdk) -> None:
    def script(heard: Heard) -> Answer:
        if "/model/" in heard.path:
            return whole({"message": "Too many tokens"}, 429, x_amzn_errortype="ThrottlingException")
        return chat("Hello")

    provider.script = script
    answer = await sdk.converse(modelId="support", messages=[USER])
    assert answer["output"]["message"]["content"] == [{"text": "Hello"}]
    assert answer["trace"]["promptRouter"]["invokedModelId"] == "served-model"


# ── a verifier of signatures, after AWS's published procedure ("Create a signed AWS API request") ──────────


def signature_of(heard: Heard, secret_key: str, region: str, service: str) -> str:
    """What AWS computes from a request as it arrived."""
    signed = heard.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    canonical = "\n".join([
        heard.method,
        quote(heard.path, safe="/~-_."),  # every service but S3 encodes the path once more
        "",
        *(f"{name}:{heard.headers[name]}" for name in signed),
        "",
        ";".join(signed),
        hashlib.sha256(heard.body).hexdigest(),
    ])  # fmt: skip
    time = heard.headers["x-amz-date"]
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return "Signature=" + hmac.new(key, to_sign.encode(), "sha256").hexdigest()
