"""The same request under one idempotency key: answered once, paid once, never silently twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec import json
from msgspec.structs import replace
from tests.journeys.rig import DOCUMENT, KEY, Rig, Told, gateway, request
from tests.journeys.upstream import Answer, Upstream, chat, chat_events, failing, stream, whole

from polyroute.errors import StoreError
from polyroute.server.idempotency import Kept, fingerprint
from polyroute.types.access import Caller
from polyroute.types.receipt import Settlement

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}
SPACE = "idempotency/default"


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(DOCUMENT.format(url=provider.url), tmp_path) as opened:
        yield opened


async def post(rig: Rig, name: str, body: object = BODY, path: str = CHAT) -> Told:
    return await rig.post(path, body, headers={"idempotency-key": name})


async def test_a_second_one_gets_the_very_same_answer_and_costs_nothing(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: stream(*chat_events("ok")) if heard.json.get("stream") else chat("ok")
    for body in (BODY, {**BODY, "stream": True}):
        name = f"key-{body.get('stream')}"
        first, second = await post(rig, name, body), await post(rig, name, body)
        assert (first.status, second.body) == (200, first.body)
        assert second.headers["x-polyroute-replayed"] == "true"
        assert second.headers["content-type"] == first.headers["content-type"]
        assert second.headers["x-polyroute-request-id"] == first.headers["x-polyroute-request-id"]
    assert len(provider.log) == len(rig.receipts()) == 2


async def test_the_key_is_bound_to_what_was_sent_with_it(rig: Rig, provider: Upstream) -> None:
    await post(rig, "k")
    told = await post(rig, "k", {**BODY, "temperature": 1})
    assert (told.status, told.json["error"]["code"]) == (400, "idempotency_key_reused")
    assert len(provider.log) == 1


async def test_all_who_ask_while_the_first_is_under_way_get_its_answer(rig: Rig, provider: Upstream) -> None:
    go_on = asyncio.Event()
    provider.script = lambda heard: replace_pieces(chat("ok"), go_on)
    asking = [asyncio.create_task(post(rig, "k")) for _ in range(5)]
    await provider.arrived.wait()
    go_on.set()
    told = await asyncio.gather(*asking)
    assert {(t.status, t.body) for t in told} == {(200, told[0].body)}
    assert len(provider.log) == len(rig.receipts()) == 1


def replace_pieces(answer: Answer, first: asyncio.Event) -> Answer:
    return Answer(headers=answer.headers, pieces=(first, *answer.pieces), chunked=True)


async def test_a_failure_that_cost_nothing_frees_the_key(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: failing(500)
    assert (await post(rig, "k")).status == 502
    provider.script = lambda heard: chat("ok")
    assert (await post(rig, "k")).status == 200


async def test_what_could_not_be_settled_is_not_paid_for_again(
    rig: Rig, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(settlement: Settlement) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(rig.built.foundation.ledger, "settle", full)
    assert (await post(rig, "k")).status == 503
    monkeypatch.undo()
    assert (await post(rig, "k")).status == 409
    assert len(provider.log) == 1


async def test_a_failure_that_was_billed_is_told_and_not_paid_for_again(rig: Rig, provider: Upstream) -> None:
    for body in (BODY, {**BODY, "stream": True}):
        name = f"k{body.get('stream')}"
        provider.script = lambda heard: (
            stream(chat_events("ok")[0], end="cut") if heard.json.get("stream") else whole(7)
        )
        first = await post(rig, name, body)
        assert b"error" in first.body
        provider.script = lambda heard: chat("ok")
        told = await post(rig, name, body)
        assert (told.status, "new key" in told.json["error"]["message"]) == (409, True)
    assert len(provider.log) == 2


async def test_who_left_finds_the_answer_when_coming_back(rig: Rig, provider: Upstream) -> None:
    go_on = asyncio.Event()
    provider.script = lambda heard: replace_pieces(chat("ok"), go_on)
    connection = await rig.send(request("POST", CHAT, orjson.dumps(BODY), key=KEY, headers={"idempotency-key": "k"}))
    await provider.arrived.wait()
    connection.leave()
    await asyncio.sleep(0)
    go_on.set()
    [receipt] = await rig.settled()
    assert receipt.state == "settled"
    told = await post(rig, "k")
    assert (told.status, told.json["choices"][0]["message"]["content"]) == (200, "ok")
    assert len(provider.log) == 1


async def test_after_a_crash_a_second_is_told_what_is_known_and_never_paid_for_silently(
    rig: Rig, provider: Upstream
) -> None:
    provider.script = lambda heard: failing(500)
    failed = await rig.post(CHAT, BODY)  # stands for a request that was cut off: its receipt is there
    kept = _kept(rig, failed.headers["x-polyroute-request-id"])
    told = await post(rig, "k")
    assert told.status == 409
    assert kept.request_id in told.json["error"]["message"]
    assert "new key" in told.json["error"]["message"]


async def test_one_that_never_called_anybody_gives_its_place_up(rig: Rig, provider: Upstream) -> None:
    kept = _kept(rig, "req_of_a_dead_process")
    notes = rig.built.services.notes
    old = replace(kept, begun_at=kept.begun_at - timedelta(minutes=1))
    assert notes.swap(SPACE, "k", json.encode(kept), json.encode(old), until=kept.begun_at + timedelta(days=1))
    assert (await post(rig, "k")).status == 200
    assert len(provider.log) == 1


def _kept(rig: Rig, request_id: str) -> Kept:
    """Begun under key `k` and never finished."""
    notes, now = rig.built.services.notes, rig.built.services.utc_now()
    mark = fingerprint("POST", CHAT, Caller(user="ci", team="platform"), orjson.dumps(BODY))
    kept = Kept(fingerprint=mark, request_id=request_id, begun_at=now)
    assert notes.keep(SPACE, "k", json.encode(kept), now=now, until=now + timedelta(days=1)) is None
    return kept


async def test_after_a_day_the_key_is_free(rig: Rig, provider: Upstream) -> None:
    assert (await post(rig, "k")).status == 200
    notes, now = rig.built.services.notes, rig.built.services.utc_now()
    tomorrow = now + timedelta(days=2)
    assert notes.keep(SPACE, "other", b"x", now=tomorrow, until=tomorrow) is None  # what is over goes with it
    assert (await post(rig, "k")).status == 200
    assert len(provider.log) == 2


@pytest.mark.parametrize("name", ["x" * 256, "k\u00e9y"])
async def test_a_bad_key_is_named(rig: Rig, provider: Upstream, name: str) -> None:
    told = await post(rig, name)
    assert (told.status, told.json["error"]["param"]) == (400, "idempotency-key")
    assert provider.log == []
