from decimal import Decimal

import pytest

from polyroute.stages.selection.sameness import Asked, place_of
from polyroute.state.answers import AnswersInMemory
from polyroute.types.caching import CachedAnswer, Place, Purge
from polyroute.types.request import ask
from polyroute.types.response import StopReason

TTL_S = 300.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def place(key: str, tenant: str = "a", route: str = "r") -> Place:
    return Place(tenant=tenant, route=route, key=key)


def answer(text: bytes = b"x", request_id: str = "req_1") -> CachedAnswer:
    return CachedAnswer(
        request_id=request_id,
        model="m",
        provider="p",
        answered_model="up",
        stop=StopReason.END,
        usage=None,
        cost_usd=Decimal("0.01"),
        wire=text,
    )


async def test_an_answer_is_told_until_its_time_is_over_and_not_an_instant_longer() -> None:
    clock = Clock()
    answers = AnswersInMemory(clock)
    await answers.put(place("k"), answer(), TTL_S)
    clock.now_s += TTL_S - 0.001
    found = await answers.get(place("k"))
    assert found is not None
    assert (found.answer, round(found.age_s, 3), round(found.left_s, 3)) == (answer(), TTL_S - 0.001, 0.001)
    clock.now_s += 0.001
    assert await answers.get(place("k")) is None
    assert (await answers.standing()).entries == 0


async def test_the_least_recently_read_goes_first() -> None:
    answers = AnswersInMemory(Clock(), most_entries=2)
    await answers.put(place("1"), answer(), TTL_S)
    await answers.put(place("2"), answer(), TTL_S)
    await answers.get(place("1"))
    await answers.put(place("3"), answer(), TTL_S)
    assert [await answers.get(place(key)) is not None for key in "123"] == [True, False, True]


async def test_bytes_are_bounded_and_what_is_replaced_counts_once() -> None:
    answers = AnswersInMemory(Clock(), most_bytes=10_000)
    for number in range(50):
        await answers.put(place(str(number % 7)), answer(b"x" * 2000), TTL_S)
    standing = await answers.standing()
    assert standing.bytes is not None
    assert 0 < standing.bytes <= 10_000
    assert standing.entries == 3
    await answers.put(place("huge"), answer(b"x" * 20_000), TTL_S)
    assert await answers.get(place("huge")) is None
    assert (await answers.standing()).entries == 3


async def test_who_fills_a_cache_pushes_out_its_own() -> None:
    answers = AnswersInMemory(Clock(), most_bytes=20_000)
    await answers.put(place("mine", "quiet"), answer(b"x" * 1000), TTL_S)
    for number in range(100):
        await answers.put(place(str(number), "loud"), answer(b"x" * 1000), TTL_S)
    assert await answers.get(place("mine", "quiet")) is not None


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (Purge(), set[str]()),
        (Purge(tenant="a"), {"3"}),
        (Purge(route="r"), {"2"}),
        (Purge(tenant="a", route="r"), {"2", "3"}),
        (Purge(key="1"), {"2", "3"}),
        (Purge(tenant="b", key="1"), {"1", "2", "3"}),
    ],
)
async def test_a_purge_takes_what_fits_all_that_it_names(what: Purge, left: set[str]) -> None:
    answers = AnswersInMemory(Clock())
    places = (place("1"), place("2", route="s"), place("3", "b"))
    for each in places:
        await answers.put(each, answer(), TTL_S)
    assert await answers.purge(what) == 3 - len(left)
    assert {each.key for each in places if await answers.get(each) is not None} == left


async def test_no_tenant_finds_what_is_another_s() -> None:
    """100 tenants, the same 1,000 prompts of each."""
    answers, tenants, prompts = AnswersInMemory(Clock(), most_entries=200_000), range(100), range(1000)
    requests = [ask("m", f"prompt {number}") for number in prompts]
    asked = [Asked(tenant=f"t{number}", route="r", policy="p", door="d") for number in tenants]
    foreign = 0
    for number in tenants:
        for request in requests:
            where = place_of(request, asked[number])
            foreign += await answers.get(where) is not None
            await answers.put(where, answer(request_id=f"t{number}"), TTL_S)
    for number in tenants:
        for request in requests[::50]:
            found = await answers.get(place_of(request, asked[number]))
            assert found is not None
            foreign += found.answer.request_id != f"t{number}"
    assert foreign == 0
