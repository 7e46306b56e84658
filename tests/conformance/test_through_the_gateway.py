"""Every recorded exchange through a running gateway: asked at the door of its own dialect, and at the other's.

The provider is a script that answers with the recorded bytes. Its own dialect: it hears what was recorded but for the
model and the usage of streams, and the caller gets what was recorded but for what the interface promises to add. The
other dialect: the caller gets the recorded answer in its own words, or a refusal that says why.
Data: `../shared/data/conformance/cases.jsonl.gz` beside the checkout.
"""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tests.conformance.test_across import NOT_OFFERED, answered, joined, kind_of_stop, read, stop_of
from tests.journeys.rig import Rig, Told, gateway
from tests.journeys.upstream import Answer, Upstream, upstream

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.ports import Dialect
from polyroute.types.response import Response

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
PATHS = {
    "openai.chat": "/v1/chat/completions",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
}
DIALECTS: dict[str, Dialect] = {"openai.chat": OpenAIChat(), "anthropic.messages": AnthropicMessages()}
OTHER = {"openai.chat": "anthropic.messages", "anthropic.messages": "openai.chat"}
MODEL = {"openai.chat": "gpt", "anthropic.messages": "claude", "anthropic.count_tokens": "claude"}
# Cards without limits: what a model can do is not what is tried here.
DOCUMENT = """
server: {{auth: open, max_body_mb: 64}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models: {{gpt: oai/target-model, claude: ant/target-model}}
"""
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


def cases(*apis: str) -> list[Any]:
    if not CORPUS.exists():
        return [pytest.param({}, id="no corpus")]
    return [pytest.param(row, id=row["id"]) for row in rows() if row["api"] in apis]


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with (
        upstream() as provider,
        gateway(DOCUMENT.format(url=provider.url), folder, {"PROVIDER_KEY": "sk-of-the-provider"}) as rig,
    ):
        yield rig, provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with _running(tmp_path_factory.mktemp("gateway")) as both:
        yield both


# ── the same dialect on both sides ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases("openai.chat", "anthropic.messages"))
async def test_a_recorded_exchange_passes_through_untouched(running: tuple[Rig, Upstream], case: Case) -> None:
    rig, provider = running
    provider.answers(recorded(case))
    before = len(provider.log)
    told = await rig.post(PATHS[case["api"]], body_of(case), key=None, headers=headers_of(case))

    if case["status"] == 400 and len(provider.log) == before:  # the fault is plain: no provider is asked
        assert_told_error(told, case)
        return
    assert len(provider.log) == before + 1, told.body
    heard = provider.last
    assert heard.json == expected_request(case)
    for name, value in headers_of(case).items():
        assert heard.headers[name] == value
    if case["status"] != 200:
        assert_told_error(told, case)
    elif case["stream"]:
        assert_same_stream(told, case)
    else:
        assert told.status == 200
        assert told.body == recorded_bytes(case)


@pytest.mark.parametrize("case", cases("anthropic.count_tokens"))
async def test_a_recorded_count_passes_through_untouched(running: tuple[Rig, Upstream], case: Case) -> None:
    rig, provider = running
    provider.answers(recorded(case))
    told = await rig.post(PATHS[case["api"]], body_of(case), key=None, headers=headers_of(case))
    assert (told.status, told.json) == (200, case["response_body"])
    assert provider.last.path == "/v1/messages/count_tokens"
    assert provider.last.json == {**case["request_body"], "model": "target-model"}


# ── across ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("case", cases("openai.chat", "anthropic.messages"))
async def test_a_recorded_question_is_answered_by_the_other_dialect_or_refused(
    running: tuple[Rig, Upstream], case: Case
) -> None:
    rig, provider = running
    door, api = DIALECTS[case["api"]], OTHER[case["api"]]
    answer = answer_of_kind(api, case["id"], is_stream=bool(case["request_body"].get("stream")))
    provider.answers(recorded(answer))
    before = len(provider.log)
    told = await rig.post(PATHS[case["api"]], {**body_of(case), "model": MODEL[api]}, key=None)

    if told.status != 200:
        if told.status == 400:
            assert case["status"] == 400
            return
        assert told.status == 503, told.body
        assert any(mark in told.json["error"]["message"] for mark in NOT_OFFERED), told.body
        assert len(provider.log) == before
        return
    assert provider.last.path.endswith("/messages" if api == "anthropic.messages" else "/completions")
    assert provider.last.json["model"] == "target-model"
    given = response_of(DIALECTS[api], recorded_bytes(answer), is_stream=answer["stream"])
    got = response_of(door, told.body, is_stream=answer["stream"])
    assert got == given
    if answer["stream"] and case["api"] == "openai.chat":
        assert {event["model"] for event in told.events if event != "[DONE]"} == {told.events[0]["model"]}


def answer_of_kind(api: str, case_id: str, *, is_stream: bool) -> Case:
    """An answer to give: any of the kind that was asked for, another one for each case."""
    fitting = [row for row in rows() if row["api"] == api and row["status"] == 200 and row["stream"] == is_stream]
    return fitting[sum(case_id.encode()) % len(fitting)]


def response_of(dialect: Dialect, body: bytes, *, is_stream: bool) -> Any:
    if is_stream:
        chunks = read(dialect, body)
        return answered(joined(chunks)), kind_of_stop(stop_of(chunks))
    response: Response = dialect.parse_response(body)
    return answered(response.choices[0].parts), kind_of_stop(response.choices[0].stop)


# ── what was recorded ─────────────────────────────────────────────────────────────────────────────────────


def recorded_bytes(case: Case) -> bytes:
    if "sse_events" in case:
        return "".join(case["sse_events"]).encode()
    if "response_text" in case or "response_b64" in case:
        return b"the recorded error is no JSON"
    return orjson.dumps(case["response_body"])


def recorded(case: Case) -> Answer:
    body = recorded_bytes(case)
    kind = case["response_headers"].get("content-type", "application/json")
    if not case["stream"]:
        return Answer(status=case["status"], pieces=(body,), kind=kind)
    third = len(body) // 3
    return Answer(pieces=(body[:third], body[third : 2 * third + 1], body[2 * third + 1 :]), kind=kind, chunked=True)


def body_of(case: Case) -> dict[str, Any]:
    return {**case["request_body"], "model": MODEL[case["api"]]}


def headers_of(case: Case) -> dict[str, str]:
    return {name: value for name, value in case["request_headers"].items() if name.startswith("anthropic-")}


def expected_request(case: Case) -> dict[str, Any]:
    expected = {**case["request_body"], "model": "target-model"}
    if case["api"] == "openai.chat" and expected.get("stream"):
        expected["stream_options"] = {**(expected.get("stream_options") or {}), "include_usage": True}
    return expected


def assert_same_stream(told: Told, case: Case) -> None:
    """Event for event what was recorded; without the usage that only we asked for, with what we promise to add."""
    assert told.status == 200
    assert told.is_whole
    asked = bool((case["request_body"].get("stream_options") or {}).get("include_usage"))
    was = [
        event for event in parsed(recorded_bytes(case)) if not (isinstance(event, dict) and event.get("type") == "ping")
    ]
    got = [event for event in parsed(told.body) if not (isinstance(event, dict) and event.get("type") == "ping")]
    added = [event.pop("polyroute") for event in got if isinstance(event, dict) and "polyroute" in event]
    if case["api"] == "anthropic.messages" or asked:
        assert len(added) == 1
        assert got == was
    else:
        assert added == []
        assert [without_usage(event) for event in got] == [
            without_usage(event) for event in was if not is_usage_only(event)
        ]


def parsed(stream: bytes) -> list[Any]:
    lines = (line[5:].strip() for line in stream.splitlines() if line.startswith(b"data:"))
    return ["[DONE]" if line == b"[DONE]" else orjson.loads(line) for line in lines]


def is_usage_only(event: Any) -> bool:
    return isinstance(event, dict) and event.get("choices") == [] and bool(event.get("usage"))


def without_usage(event: Any) -> Any:
    return {name: value for name, value in event.items() if name != "usage"} if isinstance(event, dict) else event


def assert_told_error(told: Told, case: Case) -> None:
    assert told.status == (502 if case["status"] in CREDENTIALS else case["status"]), told.body
    assert len(told.body) <= 2048
    error = told.json["error"]
    assert error["message"]
    assert (told.json.get("type") == "error") == (case["api"] == "anthropic.messages")
    assert b"sk-of-the-provider" not in told.body
