"""Answers that their provider keeps: gone on with, read again, cancelled, deleted; and by whom."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from tests.journeys.rig import PROVIDER_KEY, Rig, gateway
from tests.journeys.upstream import Answer, Heard, Json, Upstream, stream, whole

OTHER, MATE = "pk-other-0123456789abcdef", "pk-mate-0123456789abcdef"
DOCUMENT = """
server: {{auth: keys{more}}}
store: {{database: "sqlite:///books.db"}}
providers:
  one: {{dialect: openai, base_url: "{url}/one", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  two: {{dialect: openai, base_url: "{url}/two", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  gpt:
    deployments: [{{provider: one, model: gpt-up}}, {{provider: two, model: gpt-up}}]
    price: {{input: 2, output: 10}}
  first: {{provider: one, model: gpt-up, price: {{input: 2, output: 10}}}}
  second: {{provider: two, model: gpt-up, price: {{input: 2, output: 10}}}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, tenant: blue, team: platform, user: ci}}
  - {{name: mate, key: {{env: MATE_KEY}}, tenant: blue, team: platform, user: mate}}
  - {{name: other, key: {{env: OTHER_KEY}}, tenant: red, team: red, user: red}}
limits: {{per_user_daily_usd: 50}}
"""
ENV = {"CI_KEY": "pk-test-0123456789abcdef", "MATE_KEY": MATE, "OTHER_KEY": OTHER, "PROVIDER_KEY": PROVIDER_KEY}
RESPONSES = "/v1/responses"


def kept(answer_id: str = "resp_1", *, status: str = "completed", said: str = "Hi.", **more: object) -> Json:
    text = {"type": "output_text", "text": said, "annotations": []}
    item = {"type": "message", "id": f"msg_{answer_id}", "role": "assistant", "status": "completed", "content": [text]}
    done = status == "completed"
    return {
        "id": answer_id, "object": "response", "created_at": 1700000000, "status": status, "model": "gpt-up",
        "output": [item] if done else [], "store": True, "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "usage": usage(300, 20) if done else None, **more,
    }  # fmt: skip


def usage(given: int, made: int) -> Json:
    return {
        "input_tokens": given, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": given + made,
    }  # fmt: skip


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    provider.script = lambda heard: whole(kept())
    async with gateway(DOCUMENT.format(url=provider.url, more=""), tmp_path, ENV) as running:
        yield running


@pytest.fixture
async def oai(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=ENV["CI_KEY"], base_url=f"{rig.url}/v1", max_retries=0) as client:
        yield client


async def test_the_sdk_reads_an_answer_again_asks_what_it_was_asked_and_deletes_it(
    rig: Rig, oai: openai.AsyncOpenAI, provider: Upstream
) -> None:
    made = await oai.responses.create(model="second", input="Hello")

    def script(heard: Heard) -> Answer:
        if heard.method == "DELETE":
            return whole({"id": "resp_1", "object": "response", "deleted": True})
        if "/input_items" in heard.path:
            item = {"type": "message", "id": "msg_in", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
            return whole({"object": "list", "data": [item], "first_id": "a", "last_id": "a", "has_more": False})
        return whole(kept(said="Again."))

    provider.script = script
    assert (await oai.responses.retrieve(made.id, include=["file_search_call.results"])).output_text == "Again."
    assert (provider.last.method, provider.last.path) == (
        "GET",
        "/two/responses/resp_1?include[]=file_search_call.results",
    )
    assert provider.last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    listed = await oai.responses.input_items.list(made.id, limit=5, order="asc")
    assert [item.id for item in listed.data] == ["msg_in"]
    assert provider.last.path == "/two/responses/resp_1/input_items?limit=5&order=asc"
    await oai.responses.delete(made.id)
    assert (provider.last.method, provider.last.path) == ("DELETE", "/two/responses/resp_1")
    with pytest.raises(openai.NotFoundError):
        await oai.responses.retrieve(made.id)
    assert len(rig.receipts()) == 1  # nothing but the answer cost anything


@pytest.mark.parametrize(
    "refers",
    [
        pytest.param(lambda made: {"previous_response_id": made}, id="an earlier answer"),
        pytest.param(
            lambda made: {"input": [{"type": "item_reference", "id": f"msg_{made}"}, {"role": "user", "content": "x"}]},
            id="an item of one",
        ),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_a_conversation_goes_on_where_it_is_kept(
    rig: Rig, provider: Upstream, refers: Any, streams: bool
) -> None:
    def script(heard: Heard) -> Answer:
        made = kept(f"resp_{heard.path[1:4]}")
        return events(made) if heard.json.get("stream") else whole(made)

    provider.script = script
    for model in ("first", "second"):
        assert (await rig.post(RESPONSES, {"model": model, "input": "Hello", "stream": streams})).status == 200
    for _ in range(4):
        for place in ("one", "two"):
            told = await rig.post(RESPONSES, {"model": "gpt", "input": "And?", **refers(f"resp_{place}")})
            assert (told.status, provider.last.path) == (200, f"/{place}/responses")


def events(answer: Json) -> Answer:
    said: list[Json] = [
        {"type": "response.created", "response": {**answer, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hi."},
    ]
    if answer["status"] == "completed":
        said.append({"type": "response.completed", "response": answer})
    return stream(*(f"event: {e['type']}\ndata: ".encode() + orjson.dumps(e) + b"\n\n" for e in said))


async def test_a_conversation_kept_elsewhere_is_said_so_and_asked_of_nobody(rig: Rig, provider: Upstream) -> None:
    await rig.post(RESPONSES, {"model": "first", "input": "Hello"})
    told = await rig.post(RESPONSES, {"model": "second", "input": "And?", "previous_response_id": "resp_1"})
    assert told.status == 503
    assert "what the request refers to is bound to one" in told.json["error"]["message"]
    provider.script = lambda heard: whole({"error": {"message": "down", "type": "server_error"}}, 500)
    told = await rig.post(RESPONSES, {"model": "gpt", "input": "And?", "previous_response_id": "resp_1"})
    assert told.status == 502
    assert {heard.path for heard in provider.log} == {"/one/responses"}


async def test_an_answer_of_anothers_is_told_of_as_one_that_never_was(rig: Rig, provider: Upstream) -> None:
    await rig.post(RESPONSES, {"model": "first", "input": "Hello"})
    before = len(provider.log)
    for key in (OTHER, MATE):
        foreign, absent = [await told_of(rig, answer_id, key) for answer_id in ("resp_1", "resp_never")]
        assert [status for status, _ in foreign] == [404, 404, 404, 404, 400, 400]
        assert foreign == absent
    assert len(provider.log) == before
    assert (await rig.get(f"{RESPONSES}/resp_1")).status == 200


async def told_of(rig: Rig, answer_id: str, key: str) -> list[tuple[int, bytes]]:
    """Whatever may be asked about an answer: each status, and the words without its id."""
    goes_on = {"model": "gpt", "input": "x", "previous_response_id": answer_id}
    asked = [
        await rig.get(f"{RESPONSES}/{answer_id}", key=key),
        await rig.get(f"{RESPONSES}/{answer_id}/input_items", key=key),
        await rig.call("DELETE", f"{RESPONSES}/{answer_id}", key=key),
        await rig.call("POST", f"{RESPONSES}/{answer_id}/cancel", key=key),
        await rig.post(RESPONSES, goes_on, key=key),
        await rig.post(RESPONSES, {"model": "gpt", "input": [reference(answer_id)]}, key=key),
    ]
    return [(one.status, one.body.replace(answer_id.encode(), b"ID")) for one in asked]


def reference(answer_id: str) -> Json:
    return {"type": "item_reference", "id": f"msg_{answer_id}"}


@pytest.mark.parametrize(
    "named",
    [
        pytest.param({"conversation": "conv_1"}, id="a conversation"),
        pytest.param({"conversation": {"id": "conv_1"}}, id="a conversation by its object"),
        pytest.param({"previous_response_id": "resp_x"}, id="an answer"),
        pytest.param(
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}, id="a file"
        ),
    ],
)
async def test_an_id_that_nobody_made_is_named_by_nobody_where_callers_are_kept_apart(
    provider: Upstream, tmp_path: Path, named: Json
) -> None:
    body = {"model": "first", "input": "x", **named}
    for more, status in (("", 400), (", stored_ids: own", 400), (", stored_ids: any", 200)):
        provider.script = lambda heard: whole(kept())
        document = DOCUMENT.format(url=provider.url, more=more)
        async with gateway(document, tmp_path, ENV) as rig:
            assert (await rig.post(RESPONSES, body)).status == status


async def test_another_process_and_the_next_start_know_whose_an_answer_is(provider: Upstream, tmp_path: Path) -> None:
    provider.script = lambda heard: whole(kept())
    document = DOCUMENT.format(url=provider.url, more="")
    async with gateway(document, tmp_path, ENV) as first, gateway(document, tmp_path, ENV) as second:
        await first.post(RESPONSES, {"model": "first", "input": "Hello"})
        assert (await second.get(f"{RESPONSES}/resp_1")).status == 200
        assert (await second.get(f"{RESPONSES}/resp_1", key=OTHER)).status == 404
    async with gateway(document, tmp_path, ENV) as again:
        assert (await again.get(f"{RESPONSES}/resp_1")).status == 200
        told = await again.post(RESPONSES, {"model": "gpt", "input": [reference("resp_1")]})
        assert (told.status, provider.last.path) == (200, "/one/responses")


async def test_what_is_not_stored_is_nobodys(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: whole({**kept(), "store": False})
    await rig.post(RESPONSES, {"model": "first", "input": "Hello", "store": False})
    assert (await rig.get(f"{RESPONSES}/resp_1")).status == 404


async def test_a_providers_word_on_what_it_keeps_reaches_the_caller(rig: Rig, provider: Upstream) -> None:
    await rig.post(RESPONSES, {"model": "first", "input": "Hello"})
    provider.script = lambda heard: whole({"error": {"message": "It is gone.", "type": "invalid_request_error"}}, 404)
    told = await rig.get(f"{RESPONSES}/resp_1")
    assert (told.status, told.json["error"]["message"]) == (404, "It is gone.")
    provider.script = lambda heard: whole({"error": {"message": "bad key", "type": "x"}}, 401)
    assert (await rig.get(f"{RESPONSES}/resp_1")).status == 502
    told = await rig.get(f"{RESPONSES}/resp_1?api_key=x")
    assert (told.status, told.json["error"]["param"]) == (400, "api_key")


# ── in the background ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_background_answer_polled_to_its_end_costs_what_it_took_exactly_once(
    rig: Rig, oai: openai.AsyncOpenAI, provider: Upstream
) -> None:
    provider.script = lambda heard: whole(kept(status="queued", background=True))
    raw = await oai.responses.with_raw_response.create(
        model="first", input="think", background=True, max_output_tokens=1000
    )
    made, request_id = raw.parse(), raw.headers["x-polyroute-request-id"]
    assert made.status == "queued"
    first = await rig.built.services.ledger.receipt(request_id)
    assert first is not None
    assert first.usage is not None
    assert (first.usage.estimated, first.usage.output_tokens) == (True, 1000)

    provider.script = lambda heard: whole(kept(status="in_progress", background=True))
    assert (await oai.responses.retrieve(made.id)).status == "in_progress"
    provider.script = lambda heard: whole(kept(background=True))
    for _ in range(3):
        done = await oai.responses.retrieve(made.id)
        assert done.status == "completed"

    receipt = await rig.built.services.ledger.receipt(request_id)
    assert receipt is not None
    assert receipt.usage is not None
    exact = Decimal("0.0008")  # 300 tokens at 2 USD and 20 at 10 USD per million
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.usage.estimated) == (300, 20, False)
    assert (receipt.cost_usd, receipt.attempts[0].cost_usd) == (exact, exact)
    with rig.books() as books:
        assert list(books.verify()) == []
        assert [line.cost_usd for line in books.usage()] == [exact]
    left = rig.built.services.accounts.remaining_usd(receipt.caller, None, rig.built.services.utc_now())
    assert left == 50 - exact


async def test_a_background_stream_that_its_caller_leaves_is_booked_at_its_most_until_it_is_read(
    rig: Rig, provider: Upstream
) -> None:
    provider.script = lambda heard: Answer(
        pieces=events(kept(status="in_progress", background=True)).pieces,
        kind="text/event-stream", chunked=True, end="hang",
    )  # fmt: skip
    body = {"model": "first", "input": "think", "background": True, "stream": True, "max_output_tokens": 1000}
    data = orjson.dumps(body)
    lines = f"POST {RESPONSES} HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {ENV['CI_KEY']}\r\n"
    connection = await rig.send(
        f"{lines}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data
    )
    await connection.until(b"output_text.delta")
    connection.leave()
    (left,) = await rig.settled()
    attempt = left.attempts[0]
    assert attempt.usage is not None
    assert (left.state, attempt.usage.output_tokens >= 1000, attempt.usage.estimated) == ("cancelled", True, True)

    provider.script = lambda heard: whole(kept(background=True))
    assert (await rig.get(f"{RESPONSES}/resp_1")).json["status"] == "completed"
    (read,) = rig.receipts()
    assert (read.state, read.cost_usd) == ("cancelled", Decimal("0.0008"))


async def test_a_background_stream_is_taken_up_again_and_costs_what_it_took(
    rig: Rig, oai: openai.AsyncOpenAI, provider: Upstream
) -> None:
    provider.script = lambda heard: whole(kept(status="queued", background=True))
    told = await rig.post(
        RESPONSES, {"model": "first", "input": "think", "background": True, "max_output_tokens": 1000}
    )
    provider.script = lambda heard: events(kept(background=True))
    seen = [event.type async for event in await oai.responses.retrieve("resp_1", stream=True, starting_after=1)]
    assert provider.last.path == "/one/responses/resp_1?starting_after=1&stream=true"
    assert (seen[0], seen[-1]) == ("response.created", "response.completed")
    assert (await rig.receipt(told)).cost_usd == Decimal("0.0008")

    provider.script = lambda heard: whole({"error": {"message": "It is gone.", "type": "invalid_request_error"}}, 404)
    with pytest.raises(openai.NotFoundError):
        await oai.responses.retrieve("resp_1", stream=True)
    provider.script = lambda heard: events(kept(status="in_progress", background=True))  # cut before its end
    with pytest.raises(openai.APIError):
        _ = [event async for event in await oai.responses.retrieve("resp_1", stream=True)]


async def test_a_cancelled_answer_stays_booked_at_its_most(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: whole(kept(status="queued", background=True))
    told = await rig.post(
        RESPONSES, {"model": "first", "input": "think", "background": True, "max_output_tokens": 1000}
    )
    before = await rig.receipt(told)
    provider.script = lambda heard: whole(kept(status="cancelled", background=True))
    cancelled = await rig.call("POST", f"{RESPONSES}/resp_1/cancel")
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    assert (provider.last.method, provider.last.path, provider.last.body) == (
        "POST",
        "/one/responses/resp_1/cancel",
        b"",
    )
    assert await rig.receipt(told) == before


async def test_what_is_looked_at_first_is_not_worked_on_in_the_background(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.format(url=provider.url, more="") + (
        "routes: {seen: {primary: first, require_human_review: true}, checked: {primary: first, gates: [{use: json}]}}"
    )
    async with gateway(document, tmp_path, ENV) as rig:
        for route in ("seen", "checked"):
            told = await rig.post(RESPONSES, {"model": route, "input": "x", "background": True})
            assert (told.status, told.json["error"]["param"]) == (400, "background")
    assert provider.log == []
