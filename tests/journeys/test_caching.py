"""Answers given again and calls shared, through a real gateway: what is kept, for whom, and what it costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, ENV, Rig, Told, ask, ask_claude, gateway, request
from tests.journeys.upstream import Answer, Heard, Upstream, chat, chat_events, failing, message_events, stream, whole

CHAT = "/v1/chat/completions"
TENANTS = 10
ROUTES = """
routes:
  kept: {primary: gpt, cache: {exact: 5m}}
  plain: {primary: gpt}
  shared: {primary: gpt, coalesce: true}
  apart: {primary: gpt, cache: {exact: 5m}, coalesce: false}
  claude-kept: {primary: claude, cache: {}}
  hidden: {primary: gpt, cache: {}, privacy: {detect: [email], on_pii: redact}}
  judged: {primary: gpt, cache: {}, gates: [{use: length, min_chars: 2}]}
  held: {primary: gpt, cache: {}, require_human_review: true}
"""
COST = Decimal("0.0000975")  # 11 tokens in and 7 out


def key_of(number: int) -> str:
    return f"pk-tenant-{number}-0123456789abcdef"


def document(url: str) -> str:
    keys = "".join(
        f"  - {{name: t{n}, key: {{env: KEY_{n}}}, tenant: tenant-{n}, team: team-{n}, user: user-{n}}}\n"
        for n in range(TENANTS)
    )
    return DOCUMENT.format(url=url).replace("keys:\n", f"{ROUTES.lstrip()}keys:\n{keys}")


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    env = {**ENV, **{f"KEY_{n}": key_of(n) for n in range(TENANTS)}}
    async with gateway(document(provider.url), tmp_path, env) as running:
        yield running


def cache_of(told: Told) -> str:
    return told.headers["x-polyroute-cache"]


async def test_an_equal_request_is_answered_again_and_costs_nothing(rig: Rig, provider: Upstream) -> None:
    first = await rig.post(CHAT, ask(model="kept"))
    second = await rig.post(CHAT, ask(model="kept"))
    assert (cache_of(first), cache_of(second)) == ("miss", "exact")
    assert len(provider.log) == 1
    assert second.body == first.body
    before, receipt = await rig.receipt(first), await rig.receipt(second)
    assert second.headers["x-polyroute-cost-usd"] == "0"
    assert receipt.cache_source == before.request_id
    assert receipt.usage == before.usage
    assert receipt.model == "gpt"
    assert receipt.saved_usd == before.cost_usd > 0
    assert receipt.attempts == ()


async def test_a_route_without_a_cache_calls_each_time(rig: Rig, provider: Upstream) -> None:
    told = [await rig.post(CHAT, ask(model="plain", cache={"no-such": "control"})) for _ in range(2)]
    assert [cache_of(one) for one in told] == ["miss", "miss"]
    assert len(provider.log) == 2
    assert "cache" not in provider.last.json


@pytest.mark.parametrize("again_streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_what_came_in_one_form_is_told_in_either(
    rig: Rig, provider: Upstream, streams: bool, again_streams: bool
) -> None:
    provider.script = lambda heard: stream(*chat_events("he", "llo")) if heard.json.get("stream") else chat("hello")
    told_live = {"stream": True, "stream_options": {"include_usage": True}}
    first = await rig.post(CHAT, {**ask(model="kept"), **(told_live if streams else {})})
    second = await rig.post(CHAT, {**ask(model="kept"), **(told_live if again_streams else {})})
    assert (first.status, second.status, cache_of(second), len(provider.log)) == (200, 200, "exact", 1)
    assert (_text(first), _text(second)) == ("hello", "hello")
    assert second.headers["x-polyroute-cost-usd"] == "0"
    assert _usage(second) == _usage(first) == (11, 7)


async def test_the_other_doors_are_told_again_in_their_own_dialect(rig: Rig, provider: Upstream) -> None:
    body = ask_claude(model="claude-kept", stream=True)
    provider.answers(stream(*message_events("hi", "there")))
    first, second = [await rig.post("/v1/messages", body) for _ in range(2)]
    assert (cache_of(second), len(provider.log)) == ("exact", 1)
    assert _events_without_report(second) == _events_without_report(first)


@pytest.mark.parametrize(
    "more",
    [
        {"cache": {"no-cache": True}},
        {"cache": {"s-maxage": 0}},
        {"cache": {"namespace": "mine"}},
        {"temperature": 0.5},
        {"user": "somebody"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]},
    ],
)
async def test_another_question_or_a_fresh_one_calls(rig: Rig, provider: Upstream, more: dict[str, object]) -> None:
    await rig.post(CHAT, ask(model="kept"))
    assert cache_of(await rig.post(CHAT, {**ask(model="kept"), **more})) == "miss"
    assert len(provider.log) == 2
    assert "cache" not in provider.last.json


@pytest.mark.parametrize("header", ["no-cache", "max-age=0", "No-Cache"])
async def test_the_header_is_heard(rig: Rig, provider: Upstream, header: str) -> None:
    await rig.post(CHAT, ask(model="kept"))
    assert cache_of(await rig.post(CHAT, ask(model="kept"), headers={"cache-control": header})) == "miss"
    assert len(provider.log) == 2


async def test_what_must_not_be_stored_is_not(rig: Rig, provider: Upstream) -> None:
    await rig.post(CHAT, ask(model="kept", cache={"no-store": True}))
    assert cache_of(await rig.post(CHAT, ask(model="kept"))) == "miss"
    assert len(provider.log) == 2


async def test_a_wrong_control_is_refused_by_name(rig: Rig) -> None:
    told = await rig.post(CHAT, ask(model="kept", cache={"ttl": "soon"}))
    assert told.status == 400
    assert told.json["error"]["param"] == "cache.ttl"


def _ended(finish: str) -> Answer:
    message = {"role": "assistant", "content": "cut"}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return whole(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(_ended("length"), id="cut by its length"),
        pytest.param(_ended("content_filter"), id="moderated"),
        pytest.param(failing(500), id="an error"),
        pytest.param(whole({"error": {"message": "no"}}), id="an error in a 200"),
        pytest.param(stream(*chat_events("hal")[:1], end="cut"), id="garbage"),
    ],
)
async def test_only_good_answers_are_kept(rig: Rig, provider: Upstream, answer: Answer) -> None:
    provider.answers(answer, chat("ok"))
    await rig.post(CHAT, ask(model="kept"))
    assert cache_of(await rig.post(CHAT, ask(model="kept"))) == "miss"
    assert len(provider.log) >= 2


async def test_an_answer_that_a_gate_rejects_is_not_kept(rig: Rig, provider: Upstream) -> None:
    provider.answers(chat("x"), chat("good"))
    await rig.post(CHAT, ask(model="judged"))
    told = await rig.post(CHAT, ask(model="judged"))
    assert (cache_of(told), _text(told)) == ("miss", "good")
    assert cache_of(await rig.post(CHAT, ask(model="judged", stream=True))) == "exact"


async def test_held_answers_are_never_given_again(rig: Rig, provider: Upstream) -> None:
    told = [await rig.post(CHAT, ask(model="held")) for _ in range(2)]
    assert [one.status for one in told] == [202, 202]
    assert len(provider.log) == 2


async def test_personal_data_is_kept_as_placeholders_only(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: chat("to " + heard.json["messages"][-1]["content"])
    first = await rig.post(CHAT, ask("write ann@example.com", model="hidden"))
    second = await rig.post(CHAT, ask("write bob@example.org", model="hidden"))
    third = await rig.post(CHAT, ask("write cid@example.net", model="hidden", stream=True))
    assert [_text(one) for one in (first, second, third)] == [
        "to write ann@example.com", "to write bob@example.org", "to write cid@example.net"
    ]  # fmt: skip
    assert (cache_of(second), cache_of(third), len(provider.log)) == ("exact", "exact", 1)


async def test_no_tenant_is_given_the_answer_of_another(rig: Rig, provider: Upstream) -> None:
    count = Counter[str]()

    def script(heard: Heard) -> Answer:
        count["calls"] += 1
        return chat(f"answer {count['calls']}")

    provider.script = script
    texts = {_text(await rig.post(CHAT, ask(model="kept"), key=key_of(n))) for n in range(TENANTS)}
    again = [await rig.post(CHAT, ask(model="kept"), key=key_of(n)) for n in range(TENANTS)]
    assert len(texts) == len(provider.log) == TENANTS
    assert {cache_of(told) for told in again} == {"exact"}
    for told in again:
        receipt = await rig.receipt(told)
        assert receipt.cache_source is not None
        source = await rig.built.services.ledger.receipt(receipt.cache_source)
        assert source is not None
        assert source.caller.tenant == receipt.caller.tenant


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_a_thousand_equal_requests_of_ten_tenants_make_ten_calls(
    rig: Rig, provider: Upstream, streams: bool
) -> None:
    gate, calls = asyncio.Event(), Counter[str]()

    def script(heard: Heard) -> Answer:
        calls["all"] += 1
        text = f"answer {calls['all']}"
        if heard.json.get("stream"):
            return stream(gate, *chat_events(text))
        body = chat(text).pieces
        return Answer(pieces=(gate, *body))

    provider.script = script
    each = 100
    asked = [
        asyncio.ensure_future(rig.post(CHAT, ask(model="kept", stream=streams), key=key_of(n)))
        for _ in range(each)
        for n in range(TENANTS)
    ]
    recalling = rig.built.path.recalling
    while sum(len(flight.waiting) for flight in recalling._flights.values()) < TENANTS * (each - 1):
        await asyncio.sleep(0)
    gate.set()
    told = await asyncio.gather(*asked)
    assert {one.status for one in told} == {200}
    assert len(provider.log) == TENANTS
    assert Counter(cache_of(one) for one in told) == {"miss": TENANTS, "coalesced": TENANTS * (each - 1)}
    texts = Counter(_text(one) for one in told)
    assert sorted(texts.values()) == [each] * TENANTS
    receipts = [await rig.receipt(one) for one in told]
    owner = {_text(one): receipt.caller.tenant for one, receipt in zip(told, receipts, strict=True)}
    assert all(owner[_text(one)] == r.caller.tenant for one, r in zip(told, receipts, strict=True))
    by_tenant: dict[str, Decimal] = {}
    for receipt in receipts:
        by_tenant[receipt.caller.tenant] = by_tenant.get(receipt.caller.tenant, Decimal(0)) + receipt.cost_usd
    assert set(by_tenant.values()) == {COST}
    await rig.built.foundation.ledger.drain()
    with rig.books() as books:
        assert books.verify() == []


async def test_the_call_goes_on_when_its_caller_leaves(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    body = _bytes(ask(model="shared"))
    leader = await rig.send(request("POST", CHAT, body))
    await provider.arrived.wait()
    follower = asyncio.ensure_future(rig.post(CHAT, ask(model="shared")))
    await _joined(rig, 1)
    leader.leave()
    while any(flight.has_leader for flight in rig.built.path.recalling._flights.values()):
        await asyncio.sleep(0)
    gate.set()
    told = await follower
    assert (told.status, cache_of(told), _text(told), len(provider.log)) == (200, "coalesced", "ok", 1)
    receipts = await rig.settled(2)
    assert sum(receipt.cost_usd for receipt in receipts) == COST


async def test_a_call_that_fails_does_not_fail_those_who_joined_it(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(status=500, pieces=(gate, b"{}")), chat("ok"))
    leader = asyncio.ensure_future(rig.post(CHAT, ask(model="shared")))
    await provider.arrived.wait()
    followers = [asyncio.ensure_future(rig.post(CHAT, ask(model="shared"))) for _ in range(5)]
    await _joined(rig, 5)
    gate.set()
    assert (await leader).status >= 500
    told = await asyncio.gather(*followers)
    assert [one.status for one in told] == [200] * 5
    assert len(provider.log) == 2
    assert sum([(await rig.receipt(one)).cost_usd for one in told]) == COST


async def test_whoever_leaves_all_end_the_call(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    provider.answers(Answer(pieces=(gate, *chat("ok").pieces)))
    connections = [await rig.send(request("POST", CHAT, _bytes(ask(model="shared")))) for _ in range(3)]
    await _joined(rig, 2)
    await provider.arrived.wait()
    for connection in connections:
        connection.leave()
    await asyncio.wait_for(provider.log[0].left.wait(), 5)
    receipts = await rig.settled(3)
    assert {receipt.state for receipt in receipts} == {"cancelled"}


async def test_a_stream_is_told_from_its_start_to_whom_joins_in_its_middle(rig: Rig, provider: Upstream) -> None:
    gate = asyncio.Event()
    pieces = chat_events("one ", "two")
    provider.answers(stream(*pieces[:2], gate, *pieces[2:]))
    leader = await rig.send(request("POST", CHAT, _bytes(ask(model="shared", stream=True))))
    await leader.until(b"one ")
    late = await rig.send(request("POST", CHAT, _bytes(ask(model="shared", stream=True))))
    await late.until(b"one ")  # before the call has ended
    gate.set()
    await late.until(b"[DONE]")
    await leader.until(b"[DONE]")
    assert len(provider.log) == 1


def _bytes(body: object) -> bytes:
    return orjson.dumps(body)


async def _joined(rig: Rig, count: int) -> None:
    flights = rig.built.path.recalling._flights
    while sum(len(flight.waiting) for flight in flights.values()) < count:
        await asyncio.sleep(0)


def _text(told: Told) -> str:
    if told.headers["content-type"].startswith("text/event-stream"):
        deltas = [event["choices"][0]["delta"] for event in told.events if isinstance(event, dict) and event["choices"]]
        return "".join(delta.get("content") or "" for delta in deltas)
    return str(told.json["choices"][0]["message"]["content"])


def _usage(told: Told) -> tuple[int, int]:
    if told.headers["content-type"].startswith("text/event-stream"):
        usage = next(event["usage"] for event in told.events if isinstance(event, dict) and event.get("usage"))
    else:
        usage = told.json["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def _events_without_report(told: Told) -> list[object]:
    return [
        {name: value for name, value in event.items() if name != "polyroute"} if isinstance(event, dict) else event
        for event in told.events
    ]
