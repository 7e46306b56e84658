"""Every recorded exchange of Google's API through a running gateway, asked at its own door.

The provider is a script that answers with the recorded bytes: it hears what was recorded, and the caller gets what was
recorded, but for the report in a stream's last event.
Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tests.conformance.test_gemini_corpus import CORPUS, Case, cases
from tests.journeys.rig import Rig, gateway
from tests.journeys.upstream import Answer, Upstream, upstream

DOCUMENT = """
server: {{auth: open, max_body_mb: 64}}
store: {{database: "sqlite:///books.db"}}
providers:
  google:
    {{dialect: gemini, base_url: "{url}/v1beta", api_key: {{env: PROVIDER_KEY}}, max_tries: 1,
      buckets: ["gs://pydantic-ai-dev"]}}
models: {{flash: google/target-model}}
"""

pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        upstream() as provider,
        gateway(DOCUMENT.format(url=provider.url), folder, {"PROVIDER_KEY": "AIza-of-the-provider"}) as rig,
    ):
        yield rig, provider


@pytest.mark.parametrize("case", cases() + cases(ok=False))
async def test_a_recorded_exchange_passes_through_untouched(running: tuple[Rig, Upstream], case: Case) -> None:
    rig, provider = running
    provider.answers(recorded(case))
    before = len(provider.log)
    verb = "streamGenerateContent?alt=sse" if case["stream"] else "generateContent"
    told = await rig.post(f"/v1beta/models/flash:{verb}", case["request_body"], key=None)

    if case["status"] == 400 and len(provider.log) == before:  # the fault is plain: no provider is asked
        assert told.status == 400
        return
    assert len(provider.log) == before + 1, told.body
    assert provider.last.path == f"/v1beta/models/target-model:{verb}"
    assert provider.last.json == case["request_body"]
    assert told.status == case["status"]
    if case["status"] != 200:
        assert told.json["error"]["code"] == case["status"]
        assert told.json["error"]["message"][:30] == case["response_body"]["error"]["message"][:30]
    elif case["stream"]:
        *rest, last = told.events
        assert last.pop("polyroute")["attempts"] == 1
        assert [*rest, last] == [orjson.loads(event.strip()[5:]) for event in case["sse_events"]]
    else:
        assert told.body == orjson.dumps(case["response_body"])


@pytest.mark.parametrize("case", cases(api="gemini.countTokens"))
async def test_a_recorded_count_passes_through(running: tuple[Rig, Upstream], case: Case) -> None:
    rig, provider = running
    provider.answers(recorded(case))
    told = await rig.post("/v1beta/models/flash:countTokens", case["request_body"], key=None)
    assert told.json == {"totalTokens": case["response_body"]["totalTokens"]}
    heard: dict[str, Any] = dict(case["request_body"])
    if "generateContentRequest" in heard:
        heard["generateContentRequest"] = {**heard["generateContentRequest"], "model": "models/target-model"}
    assert provider.last.json == heard


def recorded(case: Case) -> Answer:
    kind = case["response_headers"].get("content-type", "application/json")
    if not case["stream"]:
        return Answer(status=case["status"], pieces=(orjson.dumps(case["response_body"]),), kind=kind)
    body = "".join(case["sse_events"]).encode()
    third = len(body) // 3
    return Answer(pieces=(body[:third], body[third : 2 * third + 1], body[2 * third + 1 :]), kind=kind, chunked=True)
