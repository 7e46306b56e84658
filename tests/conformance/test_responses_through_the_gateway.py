"""Every recorded exchange of the Responses API through a running gateway: before its own upstream, and before others.

The provider is a script that answers with the recorded bytes. Its own dialect: it hears what was recorded but for the
model, and the caller gets what was recorded but for the report. Others: their answer in this door's words, or a
refusal that says why. Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

from collections.abc import AsyncIterator
from typing import Any

import openai.types.responses
import orjson
import pytest
import pytest_asyncio
from tests.conformance.test_openai_responses_corpus import CORPUS, cases, events_in
from tests.conformance.test_responses_across import NOT_OFFERED
from tests.journeys.rig import Rig, gateway
from tests.journeys.upstream import (
    Answer,
    Upstream,
    chat,
    chat_events,
    message,
    message_events,
    stream,
    text_block,
    upstream,
)

DOCUMENT = """
server: {{auth: open, max_body_mb: 64}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  old: {{dialect: openai, base_url: "{url}/old", quirks: [no_openai_responses], max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models: {{gpt: oai/target-model, llama: old/target-model, claude: ant/target-model}}
"""
CREDENTIALS = (401, 403)  # ours, not the caller's
PATH = "/v1/responses"

Case = dict[str, Any]
pytestmark = [
    pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with upstream() as provider:
        folder = tmp_path_factory.mktemp("gateway")
        async with gateway(DOCUMENT.format(url=provider.url), folder, {"PROVIDER_KEY": "sk-of-the-provider"}) as rig:
            yield rig, provider


def asked(case: Case, model: str) -> Case:
    return {**case["request_body"], "model": model}


def recorded(case: Case) -> Answer:
    if case["stream"]:
        return stream(*[event.encode() for event in case["sse_events"]])
    body = case.get("response_body")
    return Answer(status=case["status"], pieces=(b"" if body is None else orjson.dumps(body),))


@pytest.mark.parametrize("case", [*cases(), *cases(ok=False)])
async def test_a_recorded_exchange_passes_through_untouched(running: tuple[Rig, Upstream], case: Case) -> None:
    rig, provider = running
    provider.answers(recorded(case))
    before = len(provider.log)
    told = await rig.post(PATH, asked(case, "gpt"), key=None)

    if case["status"] != 200:
        assert told.status == (502 if case["status"] in CREDENTIALS else case["status"])
        assert told.json["error"]["message"]
        return
    assert len(provider.log) == before + 1, told.body
    assert (provider.last.path, provider.last.json) == (PATH, asked(case, "target-model"))
    raw = "".join(case["sse_events"]).encode() if case["stream"] else orjson.dumps(case["response_body"])
    if not case["stream"]:
        assert (told.status, told.body) == (200, raw)
        return
    *_, last = events_in(told.body)
    report = last["response"]["polyroute"]
    assert report["model"] == "gpt"
    assert told.body.replace(b',"polyroute":' + orjson.dumps(report), b"") == raw


@pytest.mark.parametrize("model", ["llama", "claude"])
@pytest.mark.parametrize("case", cases())
async def test_a_recorded_question_is_answered_by_another_dialect_or_refused(
    running: tuple[Rig, Upstream], case: Case, model: str
) -> None:
    rig, provider = running
    streams = bool(case["request_body"].get("stream"))
    if streams:
        provider.answers(stream(*(chat_events if model == "llama" else message_events)("An ", "answer.")))
    else:
        provider.answers(chat("An answer.") if model == "llama" else message(text_block("An answer.")))
    before = len(provider.log)
    told = await rig.post(PATH, asked(case, model), key=None)

    if told.status != 200:
        assert told.status == 503, told.body
        marks = (*NOT_OFFERED, "what the request refers to is bound to oai")
        assert any(mark in told.json["error"]["message"] for mark in marks), told.body
        assert len(provider.log) == before
        return
    answer = events_in(told.body)[-1]["response"] if streams else told.json
    typed = openai.types.responses.Response.model_validate(answer)  # strictly, as OpenAI's own schema has it
    assert (typed.output_text, typed.status, typed.id[:5]) == ("An answer.", "completed", "resp_")
    assert typed.usage is not None
    assert typed.usage.total_tokens == 18
