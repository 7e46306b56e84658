"""Answers that replicas share, in a real Valkey: found by all, kept apart, and never in the way."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.journeys.rig import DOCUMENT, ask, gateway
from tests.journeys.upstream import upstream
from tests.rig.servers import Valkey

from polyroute.stores.shared.answers import SharedAnswers
from polyroute.stores.shared.resp import Connection, connect, encode, parse_place
from polyroute.types.caching import CachedAnswer, Place, Purge
from polyroute.types.content import Text, ToolCall
from polyroute.types.response import Choice, Response, StopReason, Usage

KEY = "ab" * 32
RESPONSE = Response(
    id="r",
    model="m",
    usage=Usage(input_tokens=3, output_tokens=2),
    choices=(Choice(parts=(Text(text="hé"), ToolCall(id="c", name="f", arguments="{}")), stop=StopReason.END),),
)
ANSWER = CachedAnswer(
    request_id="req_1",
    model="m",
    provider="p",
    answered_model="up",
    stop=StopReason.END,
    usage=Usage(input_tokens=3, output_tokens=2),
    cost_usd=Decimal("0.000123456"),
    events=b"data: x\n\n",
    tail=b"data: [DONE]\n\n",
    response=RESPONSE,
)


def place(key: str = KEY, tenant: str = "a", route: str = "r") -> Place:
    return Place(tenant=tenant, route=route, key=key)


async def only_name(connection: Connection) -> bytes:
    names = await connection.call(encode("KEYS", "*"))
    assert isinstance(names, list)
    (name,) = names
    assert isinstance(name, bytes)
    return name


@pytest.fixture
async def answers(valkey_server: Valkey) -> AsyncIterator[SharedAnswers]:
    made = SharedAnswers(parse_place(valkey_server.url))
    yield made
    made.close()


async def test_what_one_replica_keeps_another_finds_as_it_was(valkey_server: Valkey, answers: SharedAnswers) -> None:
    await answers.put(place(), ANSWER, 300.0)
    other = SharedAnswers(parse_place(valkey_server.url))
    found = await other.get(place())
    other.close()
    assert found is not None
    assert found.answer == ANSWER
    assert 0.0 <= found.age_s < 60.0
    assert 240.0 < found.left_s <= 300.0


async def test_nobody_finds_what_is_another_s(answers: SharedAnswers) -> None:
    await answers.put(place(), ANSWER, 300.0)
    assert await answers.get(place(tenant="b")) is None
    assert await answers.get(place(route="s")) is None
    assert await answers.get(place("cd" * 32)) is None


async def test_names_are_not_told_in_keys(valkey_server: Valkey, answers: SharedAnswers) -> None:
    await answers.put(place(tenant="a very secret tenant"), ANSWER, 300.0)
    connection = await connect(parse_place(valkey_server.url), answer_s=1.0)
    name = await only_name(connection)
    connection.close()
    assert b"secret" not in name


async def test_a_purge_takes_what_fits_all_that_it_names(answers: SharedAnswers) -> None:
    for tenant in ("a", "b", "c*"):
        for number in range(3):
            await answers.put(place(f"{number:064x}", tenant), ANSWER, 300.0)
    assert await answers.purge(Purge(tenant="c*")) == 3
    assert await answers.purge(Purge(tenant="a", key=f"{1:064x}")) == 1
    assert (await answers.standing()).entries == 5
    assert await answers.purge(Purge()) == 5


async def test_an_answer_is_found_by_its_key_alone(answers: SharedAnswers) -> None:
    await answers.put(place(), ANSWER, 300.0)
    found = await answers.inspect(KEY)
    assert found is not None
    assert found[0] == place()
    assert await answers.inspect("cd" * 32) is None


async def test_its_time_is_the_server_s_to_end(valkey_server: Valkey, answers: SharedAnswers) -> None:
    await answers.put(place(), ANSWER, 300.0)
    connection = await connect(parse_place(valkey_server.url), answer_s=1.0)
    await connection.call(encode("PEXPIRE", await only_name(connection), 0))
    connection.close()
    assert await answers.get(place()) is None


async def test_what_cannot_be_read_is_a_miss(valkey_server: Valkey, answers: SharedAnswers) -> None:
    await answers.put(place(), ANSWER, 300.0)
    connection = await connect(parse_place(valkey_server.url), answer_s=1.0)
    await connection.call(encode("SET", await only_name(connection), b"garbage", "PX", 60_000))
    connection.close()
    assert await answers.get(place()) is None


async def test_what_one_gateway_answered_another_gives_again(valkey_server: Valkey, tmp_path: Path) -> None:
    async with upstream() as provider:
        store = f'store: {{{{database: "sqlite:///books.db", shared: "{valkey_server.url}"}}}}'
        text = DOCUMENT.replace('store: {{database: "sqlite:///books.db"}}', store)
        text = text.replace("keys:", "routes: {{kept: {{primary: gpt, cache: {{}}}}}}\nkeys:").format(url=provider.url)
        folders = [tmp_path / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        async with gateway(text, folders[0]) as one, gateway(text, folders[1]) as two:
            told = [await rig.post("/v1/chat/completions", ask(model="kept")) for rig in (one, two)]
            assert [answer.headers["x-polyroute-cache"] for answer in told] == ["miss", "exact"]
            assert told[0].body == told[1].body
            valkey_server.server.stop()
            away = await two.post("/v1/chat/completions", ask(model="kept"))
            assert (away.status, away.headers["x-polyroute-cache"], len(provider.log)) == (200, "miss", 2)


async def test_away_is_a_miss_and_never_an_error() -> None:
    answers = SharedAnswers(parse_place("redis://127.0.0.1:1"))
    await answers.put(place(), ANSWER, 300.0)
    assert await answers.get(place()) is None
    assert await answers.purge(Purge()) is None
    assert await answers.inspect(KEY) is None
    assert (await answers.standing()).entries is None
