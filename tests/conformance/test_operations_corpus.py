"""Every recorded exchange beside chat through a running gateway: heard as it was recorded, and told as it was.

The provider is a script that answers with the recorded bytes. It hears what the caller sent but for the model and the
usage of streams; the caller gets what was recorded, and the books what it says was used.
Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import base64
import gzip
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tests.journeys.rig import Rig, gateway
from tests.journeys.upstream import Answer, Upstream, upstream

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
PATHS = {
    "openai.completions": "/v1/completions",
    "openai.embeddings": "/v1/embeddings",
    "openai.images": "/v1/images/generations",
    "openai.moderations": "/v1/moderations",
    "openai.audio.speech": "/v1/audio/speech",
    "openai.audio.transcriptions": "/v1/audio/transcriptions",
}
DOCUMENT = """
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers: {{oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}}}
models: {{any: oai/target-model}}
"""
UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nany\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
    b"\xff\xfb\x90\x00sound\r\n--b--\r\n"
)
CREDENTIALS = (401, 403)  # ours, not the caller's

Case = dict[str, Any]
pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout"),
    pytest.mark.asyncio(loop_scope="module"),
]


@cache
def rows() -> list[Case]:
    with gzip.open(CORPUS) as lines:
        return [row for line in lines if (row := orjson.loads(line))["api"] in PATHS]


def cases() -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    return [pytest.param(row, id=row["id"]) for row in rows()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with (
        upstream() as provider,
        gateway(
            DOCUMENT.format(url=provider.url), tmp_path_factory.mktemp("gateway"), {"PROVIDER_KEY": "sk-provider-1"}
        ) as rig,
    ):
        yield rig, provider


@pytest.mark.parametrize("case", cases())
async def test_a_recorded_exchange_passes_untouched(case: Case, running: tuple[Rig, Upstream]) -> None:
    rig, provider = running
    recorded = body_of(case)
    kind = case["response_headers"].get("content-type", "application/json")
    provider.answers(Answer(status=case["status"], pieces=(recorded,), kind=kind, chunked=case["stream"]))
    if case["request_body"] is None:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        told = await rig.call("POST", PATHS[case["api"]], UPLOAD, key=None, headers=headers)
        assert provider.last.body == UPLOAD.replace(b"\r\nany\r\n", b"\r\ntarget-model\r\n")
    else:
        told = await rig.post(PATHS[case["api"]], {**case["request_body"], "model": "any"}, key=None)
        heard = provider.last.json
        if case["stream"]:
            assert heard.pop("stream_options") == {"include_usage": True}
        assert heard == {**case["request_body"], "model": "target-model"}
    assert provider.last.path == PATHS[case["api"]]
    assert told.status == (502 if case["status"] in CREDENTIALS else case["status"]), told.body
    receipt = await rig.receipt(told)
    if case["status"] >= 400:
        assert told.json["error"]["message"]
        assert receipt.cost_usd == 0
        return
    assert told.headers["content-type"].partition(";")[0] == kind.partition(";")[0]
    assert told.body == recorded
    assert receipt.usage is not None
    counts = case["response_body"].get("usage") if isinstance(case.get("response_body"), dict) else None
    assert receipt.usage.estimated == (counts is None)
    if counts is not None:
        assert receipt.usage.total_tokens == counts["total_tokens"]


def body_of(case: Case) -> bytes:
    if case.get("sse_events"):
        return "".join(case["sse_events"]).encode()
    if case.get("response_b64"):
        return base64.b64decode(case["response_b64"])
    return orjson.dumps(case["response_body"])
