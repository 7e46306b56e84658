"""Callers that leave, providers that break: the upstream is let go, and the books say what was spent."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, ENV, KEY, PATIENCE_S, Rig, Told, ask, ask_claude, gateway, read_answer, request
from tests.journeys.upstream import (
    CUT,
    HANGS,
    Answer,
    Heard,
    Upstream,
    chat,
    chat_events,
    failing,
    message,
    message_events,
    stream,
    text_block,
)

from polyroute.stores.sqlite.books import Books

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SOON_S = 0.5  # promised are 100 ms; the rest is for a busy machine
BACKED = DOCUMENT.replace(
    "keys:", "routes:\n  backed: {{primary: gpt, fallback: [claude]}}\n  alone: {{primary: gpt}}\nkeys:"
)


@pytest.fixture
async def backed(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    """`backed` is answered by gpt, else by claude."""
    async with gateway(BACKED.format(url=provider.url), tmp_path) as running:
        yield running


def primary_does(provider: Upstream, answer: Answer, *, is_stream: bool = False) -> None:
    """gpt answers so; claude says "backup"."""
    backup = stream(*message_events("back", "up")) if is_stream else message(text_block("backup"))

    def script(heard: Heard) -> Answer:
        return answer if heard.json["model"] == "gpt-up" else backup

    provider.script = script


# ── leaving ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_leaves_before_the_answer_frees_the_upstream_at_once(
    rig: Rig, provider: Upstream, is_stream: bool
) -> None:
    provider.answers(HANGS)
    connection = await rig.send(request("POST", CHAT, orjson.dumps(ask("x" * 400, stream=is_stream))))
    await provider.arrived.wait()
    left_s = asyncio.get_running_loop().time()
    connection.leave()
    async with asyncio.timeout(PATIENCE_S):
        await provider.last.left.wait()
    assert provider.last.left_s is not None
    assert provider.last.left_s - left_s < SOON_S
    (receipt,) = await rig.settled()
    assert (receipt.state, [attempt.status for attempt in receipt.attempts]) == ("cancelled", ["cancelled"])
    assert receipt.attempts[0].usage is not None
    assert receipt.attempts[0].usage.estimated
    assert receipt.cost_usd > 0  # what was read may be billed


async def test_who_leaves_in_the_middle_pays_for_the_tokens_seen(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    events = chat_events(*"abcdefgh")
    provider.answers(stream(*events[:8], gate, *events[8:]))
    connection = await rig.send(request("POST", CHAT, orjson.dumps(ask(stream=True))))
    await connection.until(b'"content":"f"')
    left_s = asyncio.get_running_loop().time()
    connection.leave()
    async with asyncio.timeout(PATIENCE_S):
        await provider.last.left.wait()
    assert provider.last.left_s is not None
    assert provider.last.left_s - left_s < SOON_S
    (receipt,) = await rig.settled()
    (attempt,) = receipt.attempts
    assert (receipt.state, attempt.status) == ("cancelled", "cancelled")
    assert attempt.usage is not None
    assert attempt.usage.estimated
    assert 6 <= attempt.usage.output_tokens <= 8


async def test_who_leaves_is_not_retried_for(backed: Rig, provider: Upstream) -> None:
    provider.answers(HANGS)
    connection = await backed.send(request("POST", CHAT, orjson.dumps(ask(model="backed"))))
    await provider.arrived.wait()
    connection.leave()
    await backed.settled()
    assert len(provider.log) == 1


async def test_who_leaves_while_a_retry_waits_is_not_asked_for_again(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.replace("max_tries: 1", "max_tries: 3")
    async with gateway(document.format(url=provider.url), tmp_path) as rig:
        provider.answers(failing(503, "busy"))
        connection = await rig.send(request("POST", CHAT, orjson.dumps(ask())))
        await provider.arrived.wait()
        connection.leave()
        (receipt,) = await rig.settled()
        assert receipt.state == "cancelled"
        assert len(provider.log) == 1


async def test_a_hundred_that_leave_leave_nothing_behind(provider: Upstream, tmp_path: Path) -> None:
    limits = "limits: {{per_user_daily_usd: 1000}}\nkeys:"
    async with gateway(DOCUMENT.replace("keys:", limits).format(url=provider.url), tmp_path) as rig:
        provider.answers(stream(*chat_events("a")[:2], end="hang"))
        body = request("POST", CHAT, orjson.dumps(ask(stream=True, max_tokens=100)))
        connections = [await rig.send(body) for _ in range(100)]
        for at, connection in enumerate(connections):
            if at % 2:
                await connection.until(b'"content":"a"')
            connection.leave()
        receipts = rig.receipts()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(heard.left.wait() for heard in provider.log))
        with rig.books() as books:
            while books.open_requests():
                await asyncio.sleep(0.005)
            receipts = books.recent(200)
        assert {receipt.state for receipt in receipts} <= {"cancelled"}
        accounts, caller = rig.built.services.accounts, receipts[0].caller
        left = accounts.remaining_usd(caller, None, rig.built.services.utc_now())
        assert left == 1000 - sum(receipt.cost_usd for receipt in receipts)  # nothing is held any more


async def test_a_server_that_stops_settles_what_is_under_way(provider: Upstream, tmp_path: Path) -> None:
    provider.answers(HANGS)
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as rig:
        await rig.send(request("POST", CHAT, orjson.dumps(ask())))
        await provider.arrived.wait()
    with Books(tmp_path / "books.db") as books:
        assert [receipt.state for receipt in books.recent()] == ["cancelled"]
        assert list(books.verify()) == []


# ── providers that break ──────────────────────────────────────────────────────────────────────────────────

GARBAGE = {
    "a status of 500": failing(500, "oops"),
    "a status of 503": failing(503, "busy"),
    "our key refused": failing(401, "bad key sk-of-the-provider-4242"),
    "an error page": Answer(status=502, kind="text/html", pieces=(b"<html><h1>Bad Gateway</h1> nginx/1.2.3</html>",)),
    "a page with status 200": Answer(kind="text/html", pieces=(b"<html>maintenance</html>",)),
    "nothing at all": Answer(pieces=(b"",)),
    "half a JSON": Answer(pieces=(b'{"id":"x","choices":[',)),
    "another JSON": Answer(pieces=(b'{"hello":"world"}',)),
    "a list": Answer(pieces=(b"[]",)),
    "bytes that are no UTF-8": Answer(pieces=(b'{"id":"\xff"}',)),
    "no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a head cut short": Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-le"),
    "a body cut short": CUT,
    "a connection closed": Answer(raw=b""),
    "a head without an end": Answer(raw=b"HTTP/1.1 200 OK\r\nx: " + b"a" * 400_000),
    "a redirect": Answer(status=302, headers={"location": "http://127.0.0.1:9/"}, pieces=(b"",)),
    "a redirect that keeps the method": Answer(status=307, headers={"location": "/elsewhere"}, pieces=(b"",)),
    "a bomb": Answer(headers={"content-encoding": "gzip"}, pieces=(b"\x1f\x8b\x08\x00" + b"\0" * 50,)),
    "a length that lies": Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}"),
    "an error with status 200": Answer(pieces=(b'{"error":{"message":"model crashed","code":500}}',)),
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_primary_that_breaks_is_replaced_by_the_fallback(
    backed: Rig, provider: Upstream, answer: Answer, is_stream: bool
) -> None:
    primary_does(provider, answer, is_stream=is_stream)
    told = await backed.post(CHAT, ask(model="backed", stream=is_stream))
    assert told.status == 200, told.body
    assert told.is_whole
    assert told.headers["x-polyroute-model"] == "claude"
    assert told.headers["x-polyroute-attempts"] == "2"
    assert told.headers["x-polyroute-fallback-reason"].startswith("gpt@oai: ")
    models = {event["model"] for event in told.events if event != "[DONE]"} if is_stream else {told.json["model"]}
    assert models == {"served-claude"}  # the one that really answered, in every chunk
    receipt = await backed.receipt(told)
    assert (receipt.model, receipt.provider, receipt.answered_model) == ("claude", "ant", "served-claude")
    assert receipt.fallback_reason == told.headers["x-polyroute-fallback-reason"]
    assert receipt.fallback_ms is not None
    assert receipt.fallback_ms >= 0
    assert [attempt.status for attempt in receipt.attempts] == ["failed", "succeeded"]
    assert receipt.attempts[0].error
    with backed.books() as books:
        assert list(books.verify()) == []


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize(("path", "is_stream"), [(CHAT, False), (CHAT, True), (MESSAGES, False)])
async def test_where_all_fail_the_attempts_are_listed_and_nothing_of_the_provider_shows(
    backed: Rig, provider: Upstream, answer: Answer, path: str, is_stream: bool
) -> None:
    provider.answers(answer)
    body = ask_claude(model="backed", stream=is_stream) if path == MESSAGES else ask(model="backed", stream=is_stream)
    told = await backed.post(path, body)
    assert told.status == 502, told.body
    text = told.json["error"]["message"]
    assert "gpt@oai" in text
    assert "claude@ant" in text
    assert len(told.body) <= 2048
    for secret in (b"sk-of-the-provider", b"nginx", b"<html", b"127.0.0.1", b"Traceback"):
        assert secret not in told.body
    receipt = (await backed.settled())[0]
    assert (receipt.state, receipt.error, len(receipt.attempts)) == ("failed", "PlanExhausted", 2)
    assert len(provider.log) == 2


BREAKS: dict[str, tuple[list[bytes], str]] = {
    "cut": ([], "cut"),
    "ended without its end": ([], "keep"),
    "an error in the stream": ([b'data: {"error":{"message":"crashed","code":500}}\n\n'], "keep"),
    "garbage in the stream": ([b"data: {{{\n\n"], "keep"),
    "a line without an end": ([b"x" * 1_000_000] * 20, "keep"),
}


@pytest.mark.parametrize(("pieces", "end"), BREAKS.values(), ids=BREAKS.keys())
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_a_stream_that_breaks_ends_with_an_error_never_cleanly(
    backed: Rig, provider: Upstream, pieces: list[bytes], end: str, path: str
) -> None:
    gate = asyncio.Event()
    provider.answers(stream(*chat_events("first", "b")[:3], gate, *pieces, end=end))
    body = ask_claude(model="alone", stream=True) if path == MESSAGES else ask(model="alone", stream=True)
    connection = await backed.send(request("POST", path, orjson.dumps(body)))
    seen = await connection.until(b'"first"')
    gate.set()
    seen += await connection.reader.read()
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert seen.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in seen
    assert b"message_stop" not in seen
    last = orjson.loads(seen.rpartition(b"data: ")[2].partition(b"\n")[0])
    assert last["error"]["message"]
    if path == MESSAGES:
        assert last["type"] == "error"
        assert b"event: error\n" in seen
    (receipt,) = await backed.settled()
    (attempt,) = receipt.attempts
    assert (receipt.state, attempt.status) == ("failed", "failed")
    assert attempt.usage is not None
    assert attempt.usage.estimated
    assert receipt.cost_usd > 0


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_first_token_that_is_late_falls_back(provider: Upstream, tmp_path: Path, is_stream: bool) -> None:
    document = BACKED.replace("model: gpt-up,", "model: gpt-up, timeouts: {{first_token_s: 0.05}},")
    async with gateway(document.format(url=provider.url), tmp_path) as rig:
        primary_does(provider, HANGS, is_stream=is_stream)
        told = await rig.post(CHAT, ask(model="backed", stream=is_stream))
        assert (told.status, told.headers["x-polyroute-model"]) == (200, "claude")
        assert "ProviderTimeout" in told.headers["x-polyroute-fallback-reason"]
        async with asyncio.timeout(PATIENCE_S):
            await provider.log[0].left.wait()


async def test_a_request_out_of_time_is_504(provider: Upstream, tmp_path: Path) -> None:
    document = BACKED.replace("{{primary: gpt}}", "{{primary: gpt, timeout_s: 0.05}}")
    async with gateway(document.format(url=provider.url), tmp_path) as rig:
        provider.answers(HANGS)
        told = await rig.post(CHAT, ask(model="alone"))
        assert told.status == 504
        assert told.json["error"]["code"] == "deadline_exceeded"


async def test_a_busy_provider_is_asked_again(provider: Upstream, tmp_path: Path) -> None:
    document = DOCUMENT.replace('"{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1', '"{url}/v1", max_tries: 2')
    async with gateway(document.format(url=provider.url), tmp_path) as rig:
        provider.answers(failing(503, "busy"), chat("there"))
        told = await rig.post(CHAT, ask())
        assert (told.status, told.headers["x-polyroute-attempts"]) == (200, "2")
        assert "x-polyroute-fallback-reason" not in told.headers


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_gateway_killed_in_the_middle_of_traffic_loses_no_row(provider: Upstream, tmp_path: Path) -> None:
    gate = asyncio.Event()
    events = chat_events("a", "b")

    def script(heard: Heard) -> Answer:
        text = heard.json["messages"][0]["content"]
        return chat("done") if text == "whole" else stream(*events[:2], gate, *events[2:])

    provider.script = script
    document = DOCUMENT.format(url=provider.url).replace("{auth: keys}", "{auth: keys, port: 0}")
    (tmp_path / "polyroute.yaml").write_text(document)
    told_ids, port, process = [], 0, await start(tmp_path)
    try:
        port = await port_of(process)
        for _ in range(5):
            told = await call(port, request("POST", CHAT, orjson.dumps(ask("whole"))))
            told_ids.append(told.headers["x-polyroute-request-id"])
        readers = []
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("POST", CHAT, orjson.dumps(ask("held", stream=True))))
            readers.append((await reader.readuntil(b'"content":"a"'), writer))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        for _, writer in readers:
            writer.transport.abort()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    again = await start(tmp_path)
    try:
        port = await port_of(again)
        for request_id in told_ids:
            told = await call(port, request("GET", f"/v1/receipts/{request_id}"))
            assert (told.status, told.json["state"]) == (200, "settled")
        assert (await call(port, request("POST", CHAT, orjson.dumps(ask("whole"))))).status == 200
    finally:
        again.send_signal(signal.SIGTERM)
        await again.wait()
    assert again.returncode == 0
    with Books(tmp_path / "books.db") as books:
        states = sorted(receipt.state for receipt in books.recent())
        assert states == ["recovered"] * 5 + ["settled"] * 6
        assert [finding for finding in books.verify() if finding.kind != "left_open"] == []


async def test_a_gateway_told_to_stop_finishes_what_it_began(provider: Upstream, tmp_path: Path) -> None:
    gate = asyncio.Event()
    events = chat_events("a", "b")
    provider.answers(stream(*events[:2], gate, *events[2:]))
    document = DOCUMENT.format(url=provider.url).replace("{auth: keys}", "{auth: keys, port: 0}")
    (tmp_path / "polyroute.yaml").write_text(document)
    process = await start(tmp_path)
    try:
        port = await port_of(process)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("POST", CHAT, orjson.dumps(ask(stream=True))))
        await reader.readuntil(b'"content":"a"')
        process.send_signal(signal.SIGTERM)
        gate.set()
        async with asyncio.timeout(PATIENCE_S):
            rest = await reader.read()
            assert await process.wait() == 0
        writer.transport.abort()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"data: [DONE]" in rest
    with Books(tmp_path / "books.db") as books:
        assert [receipt.state for receipt in books.recent()] == ["settled"]
        assert list(books.verify()) == []


async def start(folder: Path) -> asyncio.subprocess.Process:
    env = {**os.environ, **ENV, "CI_KEY": KEY}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "polyroute", "serve", "-c", str(folder / "polyroute.yaml"), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env,
    )  # fmt: skip


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while line := await process.stdout.readline():
            _, found, rest = line.partition(b"127.0.0.1:")
            if found:
                return int(rest.split(b"/")[0].split(b'"')[0].split()[0])
    raise AssertionError("the gateway did not start")


async def call(port: int, data: bytes) -> Told:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await read_answer(reader)
    finally:
        writer.transport.abort()
