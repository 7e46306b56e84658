"""What crosses from a caller to a provider and back: no hostile field there, no provider's header here."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import Rig, gateway
from tests.journeys.test_hostile_bodies import NOT_JSON
from tests.journeys.upstream import Answer, Upstream, chat, chat_events, stream, whole

from polyroute.providers.transport.connection import Connection
from polyroute.providers.transport.pool import Pool

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  goo: {{dialect: gemini, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  aws: {{dialect: bedrock, base_url: "{url}", region: us-east-1, api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 1, output: 1}}}}
  claude: {{provider: ant, model: claude-up, price: {{input: 1, output: 1}}}}
  gemini: {{provider: goo, model: gemini-up, price: {{input: 1, output: 1}}}}
  nova: {{provider: aws, model: nova-up, price: {{input: 1, output: 1}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}]
"""
SAID = [{"role": "user", "content": "hello"}]
TURN = {"role": "user", "parts": [{"text": "hello"}]}
# Every door where a model is called, with a body that is good there.
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "gpt", "messages": SAID}),
    "responses": ("/v1/responses", {"model": "gpt", "input": "hello"}),
    "messages": ("/v1/messages", {"model": "claude", "max_tokens": 9, "messages": SAID}),
    "count": ("/v1/messages/count_tokens", {"model": "claude", "messages": SAID}),
    "gemini": ("/v1beta/models/gemini:generateContent", {"contents": [TURN]}),
    "gemini stream": ("/v1beta/models/gemini:streamGenerateContent?alt=sse", {"contents": [TURN]}),
    "gemini embeddings": ("/v1beta/models/gemini:embedContent", {"content": TURN}),
    "bedrock": ("/model/nova/converse", {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}),
    "completions": ("/v1/completions", {"model": "gpt", "prompt": "hello"}),
    "embeddings": ("/v1/embeddings", {"model": "gpt", "input": "hello"}),
    "moderations": ("/v1/moderations", {"model": "gpt", "input": "hello"}),
    "rerank": ("/v1/rerank", {"model": "gpt", "query": "a", "documents": ["b"]}),
    "images": ("/v1/images/generations", {"model": "gpt", "prompt": "hello"}),
    "speech": ("/v1/audio/speech", {"model": "gpt", "input": "hello", "voice": "alloy"}),
    "transcriptions": (
        "/v1/audio/transcriptions",
        {"model": "gpt", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ),
}
EVIL = "http://169.254.169.254/latest/meta-data"
FIELDS: dict[str, Any] = {
    # addresses
    "api_base": EVIL, "base_url": "https://evil.example", "apiBase": EVIL, "BASE-URL": EVIL,
    "endpoint": "https://evil.example", "endpointUrl": EVIL, "proxy": EVIL, "proxies": {"https": EVIL},
    "httpOptions": {"baseUrl": EVIL},
    # credentials
    "api_key": "sk-evil", "apiKey": "sk-evil", "authorization": "Bearer x", "auth_token": "x", "credentials": {},
    "aws_access_key_id": "x", "aws_role_name": "x", "vertex_credentials": "x", "azure_ad_token": "x",
    "organization": "org-evil", "role_arn": "arn:aws:iam::1:role/x",
    # headers and code
    "extra_headers": {"authorization": "x"}, "headers": {"x": "y"}, "extra_body": {"a": 1}, "extra_query": {"a": "b"},
    "client": {}, "litellm_params": {"api_base": EVIL}, "custom_llm_provider": "openai",
    # callbacks
    "callback": "x", "callbacks": ["x"], "success_callback": ["x"], "webhook": "https://evil.example",
    "webhook_url": EVIL,
    # other models, other companies
    "models": ["openai/o1-pro"], "route": "fallback", "preset": "@dear", "fallbacks": ["o1-pro"], "model_list": [],
    "provider": {"order": ["Dear"], "allow_fallbacks": True},
    # data policy
    "inference_geo": "global",
    # what is handed on unread
    "unheard_of": {"deep": [{"link": "http://127.0.0.1:8080/"}]},
}  # fmt: skip
WIDENING: list[Any] = [
    "openai", ["openai"], {"sort": "price"}, {"data_collection": "allow"}, {"zdr": False}, {"only": "x"},
    {"allow_fallbacks": True}, {"require_parameters": False}, {"unheard": 1},
]  # fmt: skip
NARROWING = {"only": ["openai"], "ignore": ["x"], "zdr": True, "data_collection": "deny", "allow_fallbacks": False}


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as running:
        yield running


@pytest.mark.parametrize("door", DOORS)
async def test_each_door_reaches_its_provider_otherwise(rig: Rig, provider: Upstream, door: str) -> None:
    path, body = DOORS[door]
    await rig.post(path, body)
    assert len(provider.log) == 1


@pytest.mark.parametrize("door", DOORS)
async def test_each_door_reads_json_strictly(rig: Rig, provider: Upstream, door: str) -> None:
    for name, data in NOT_JSON.items():
        told = await rig.post(DOORS[door][0], data)
        assert (told.status, len(told.body) < 2048) == (400, True), (name, told.status, told.body[:300])
        assert data not in told.body or len(data) < 9, name
    assert provider.log == []


@pytest.mark.parametrize("door", DOORS)
async def test_no_hostile_field_reaches_a_provider(rig: Rig, provider: Upstream, door: str) -> None:
    path, body = DOORS[door]
    for name, value in FIELDS.items():
        told = await rig.post(path, {**body, name: value})
        assert told.status == 400, (door, name, told.status, told.body)
        assert len(told.body) < 2048
    assert provider.log == []


@pytest.mark.parametrize("door", ["chat", "responses", "completions", "embeddings"])
async def test_which_company_answers_may_be_narrowed_and_not_widened(rig: Rig, provider: Upstream, door: str) -> None:
    path, body = DOORS[door]
    for given in WIDENING:
        assert (await rig.post(path, {**body, "provider": given})).status == 400, given
    assert provider.log == []
    await rig.post(path, {**body, "provider": NARROWING})
    assert provider.last.json["provider"] == NARROWING


PRIVATE = ["http://127.0.0.1:6379/", "https://10.0.0.8/mcp", "http://[::1]/", "http://metadata.google.internal/"]


@pytest.mark.parametrize("address", PRIVATE)
async def test_no_tool_of_a_providers_leads_into_a_private_network(rig: Rig, provider: Upstream, address: str) -> None:
    mcp = {"type": "mcp", "server_label": "x", "server_url": address, "require_approval": "never"}
    for door, fields in (
        ("responses", {"tools": [mcp]}),
        ("responses", {"tools": [{"type": "connector", "settings": {"at": [address]}}]}),
        ("chat", {"tools": [{"type": "openrouter:web_fetch", "parameters": {"url": address}}]}),
        ("chat", {"web_search_options": {"engine": address}}),
        ("messages", {"mcp_servers": [{"type": "url", "name": "x", "url": address}]}),
        ("messages", {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "start": address}]}),
        ("gemini", {"tools": [{"retrieval": {"externalApi": {"endpoint": address}}}]}),
        ("gemini", {"tools": [{"mcpServers": [{"streamableHttpTransport": {"url": address}}]}]}),
        ("gemini", {"contents": [{"parts": [{"fileData": {"fileUri": address, "mimeType": "image/png"}}]}]}),
        ("bedrock", {"toolConfig": {"tools": [{"systemTool": {"name": "fetch", "at": address}}]}}),
        ("bedrock", {"additionalModelRequestFields": {"mcp_servers": [{"url": address}]}}),
        ("bedrock", {"additionalModelRequestFields": {"api_base": "https://evil.example"}}),
        ("transcriptions", {"file_url": address, "file": None}),
    ):
        path, body = DOORS[door]
        told = await rig.post(path, {**body, **fields})
        assert told.status == 400, (door, fields, told.body)
    assert provider.log == []


def s3(uri: str) -> tuple[str, dict[str, Any]]:
    part = {"document": {"format": "pdf", "name": "x", "source": {"s3Location": {"uri": uri}}}}
    return "/model/nova/converse", {"messages": [{"role": "user", "content": [part]}]}


def gs(uri: str, kind: str = "application/pdf") -> tuple[str, dict[str, Any]]:
    part = {"fileData": {"fileUri": uri, "mimeType": kind}}
    return "/v1beta/models/gemini:generateContent", {"contents": [{"role": "user", "parts": [part]}]}


async def test_a_bucket_is_read_for_callers_where_its_provider_opens_it(provider: Upstream, tmp_path: Path) -> None:
    opened = DOCUMENT.replace("dialect: gemini,", 'dialect: gemini, buckets: ["gs://open", "gs://mixed/public/"],')
    opened = opened.replace("dialect: bedrock,", 'dialect: bedrock, buckets: ["s3://open"],')
    async with gateway(opened.format(url=provider.url), tmp_path) as rig:
        for path, body in (gs("gs://open/a.pdf"), gs("gs://mixed/public/a.mp3", "audio/mp3"), s3("s3://open/a.pdf")):
            before = len(provider.log)
            await rig.post(path, body)
            assert len(provider.log) == before + 1, body
            said = orjson.dumps(provider.last.json)
            assert orjson.dumps(body[next(iter(body))]) in said
        provider.log.clear()
        for path, body in (
            gs("gs://secret/a.pdf"),
            gs("gs://mixed/a.pdf"),
            gs("gs://mixed/public2/a.pdf"),
            gs("gs://opened/a.mp4", "video/mp4"),
            gs("gs://open"),
            s3("s3://opened/a.pdf"),
        ):
            told = await rig.post(path, body)
            assert told.status == 400, (body, told.body)
            assert b"providers.NAME.buckets" in told.body
    assert provider.log == []


async def test_files_of_the_gateways_own_account_are_not_read_for_a_caller(rig: Rig, provider: Upstream) -> None:
    place = {"s3Location": {"uri": "s3://private-bucket/secret.pdf"}}
    for part in (
        {"document": {"format": "pdf", "name": "x", "source": place}},
        {"image": {"format": "png", "source": place}},
        {"video": {"format": "mp4", "source": place}},
    ):
        told = await rig.post("/model/nova/converse", {"messages": [{"role": "user", "content": [part]}]})
        assert told.status == 400, told.body
    assert provider.log == []


async def test_the_gateway_itself_fetches_nothing_that_a_request_names(
    rig: Rig, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is all that is called."""
    called, connect = list[str](), Pool._connect

    async def watched(pool: Pool) -> Connection:
        called.append(f"{pool._origin.host}:{pool._origin.port}")
        return await connect(pool)

    monkeypatch.setattr(Pool, "_connect", watched)
    link = "https://images.example.com/cat.png"
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": link}}]}
    provider.answers(chat("a cat"))
    assert (await rig.post("/v1/chat/completions", {"model": "gpt", "messages": [image]})).status == 200
    assert provider.last.json["messages"][0]["content"][0]["image_url"]["url"] == link
    assert called == [f"127.0.0.1:{provider.port}"]


# ── and back ──────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = {
    "set-cookie": "session=evil", "location": "https://evil.example", "access-control-allow-origin": "*",
    "server": "leaky/1.0",
    "x-request-id": "req_of_the_provider", "openai-organization": "org-secret", "x-ratelimit-limit-requests": "9999",
    "x-polyroute-cost-usd": "0", "strict-transport-security": "max-age=1", "refresh": "0;url=https://evil.example",
    "link": "<x>", "clear-site-data": '"*"', "www-authenticate": "Basic", "alt-svc": 'h3=":443"', "via": "1.1 inside",
    "x-internal-host": "10.0.0.7",
}  # fmt: skip
OURS = ("x-polyroute-", "x-ratelimit-")
FIXED = {
    "content-type", "content-length", "connection", "transfer-encoding", "cache-control", "x-accel-buffering",
    "retry-after", "x-should-retry", "x-request-id", "traceparent",
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("door", ["chat", "responses", "messages", "gemini", "embeddings", "images"])
async def test_no_header_of_a_providers_reaches_a_caller(rig: Rig, provider: Upstream, door: str, status: int) -> None:
    answer = chat("ok") if status == 200 else whole({"error": {"message": "no", "type": "x"}}, status)
    provider.answers(Answer(status=status, headers=HOSTILE, pieces=answer.pieces))
    path, body = DOORS[door]
    told = await rig.post(path, body)
    unknown = [name for name in told.headers if name not in FIXED and not name.startswith(OURS)]
    assert unknown == []
    for name, value in HOSTILE.items():
        assert told.headers.get(name) != value, name


async def test_no_header_of_a_providers_reaches_a_streams_caller(rig: Rig, provider: Upstream) -> None:
    told_at = stream(*chat_events("hi"))
    provider.answers(Answer(headers=HOSTILE, pieces=told_at.pieces, kind=told_at.kind, chunked=True))
    path, body = DOORS["chat"]
    told = await rig.post(path, {**body, "stream": True})
    assert told.status == 200
    assert not [name for name, value in HOSTILE.items() if told.headers.get(name) == value]


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript; charset=x"])
@pytest.mark.parametrize("door", ["chat", "embeddings", "speech", "images", "moderations"])
async def test_no_answer_is_called_what_a_browser_would_run(rig: Rig, provider: Upstream, door: str, kind: str) -> None:
    provider.answers(Answer(pieces=chat("<script>").pieces, kind=kind))
    path, body = DOORS[door]
    assert (await rig.post(path, body)).headers["content-type"] in ("application/json", "application/octet-stream")
