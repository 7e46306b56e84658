"""What a request's path makes of deployments that fail: left out, tried again, and back in full use."""

import pytest
from tests.unit.rig import Rig

from polyroute.errors import Overloaded, PlanExhausted, Rejected
from polyroute.testing.providers import a_response

HELLO = a_response("hello there")
DOWN = Overloaded("down", http_status=500)


async def who_answered(rig: Rig, requests: int) -> list[str | None]:
    return [(await rig.answer()).receipt.model for _ in range(requests)]


async def test_a_dead_primary_is_left_alone_after_five_failures_and_used_in_full_soon_after_its_return() -> None:
    rig = Rig({"first": [*[DOWN] * 5, *[HELLO] * 200], "second": HELLO})
    assert await who_answered(rig, 20) == ["second"] * 20
    assert [call.deployment for call in rig.provider.calls].count("first@provider") == 5
    last = rig.observed[-1]
    assert "first@provider is failing, so it is asked last" in last.plan_reason
    assert [attempt.deployment for attempt in last.attempts] == ["second@provider"]
    returned_at_s, answered = rig.clock.now_s, []
    while rig.clock.now_s - returned_at_s < 10:
        rig.clock.now_s += 0.1
        answered += await who_answered(rig, 1)
    assert answered[0] == "second"
    assert answered[-1] == "first"
    assert rig.path.health.states() == {"first@provider": "closed"}


async def test_where_everything_is_down_it_is_still_asked_though_not_again_and_again() -> None:
    rig = Rig({"first": DOWN, "second": DOWN})
    for _ in range(50):
        with pytest.raises(PlanExhausted):
            await rig.answer()
    assert len(rig.provider.calls) <= 1.5 * 50  # ten further attempts are free, and fifty requests earn some


async def test_a_callers_own_mistakes_never_count() -> None:
    rig = Rig({"first": Rejected("no such tool", http_status=400), "second": HELLO})
    for _ in range(20):
        with pytest.raises(PlanExhausted):
            await rig.answer()
    assert rig.path.health.states() == {}
    assert {call.deployment for call in rig.provider.calls} == {"first@provider"}


async def test_who_said_too_many_is_passed_over_until_it_wants_to_be_asked_again() -> None:
    rig = Rig({"first": [Overloaded("slow down", http_status=429, retry_after_s=30.0), HELLO], "second": HELLO})
    assert await who_answered(rig, 3) == ["second"] * 3
    assert "first@provider is resting" in rig.observed[-1].plan_reason
    rig.clock.now_s += 31
    assert await who_answered(rig, 1) == ["first"]


async def test_a_stream_is_under_way_until_its_end_and_its_first_token_is_told_at_once() -> None:
    rig = Rig({"first": HELLO})
    live = await rig.stream()
    load = rig.path.health.loads["first@provider"]
    assert load.in_flight == 1
    assert load.latency_ms(rig.clock.now_s) > 0
    assert [chunk async for chunk in live.chunks()]
    await live.aclose()
    assert load.in_flight == 0


async def test_who_leaves_a_stream_leaves_nothing_under_way() -> None:
    rig = Rig({"first": HELLO})
    live = await rig.stream()
    await live.aclose()
    assert rig.path.health.loads["first@provider"].in_flight == 0


async def test_where_all_fail_all_are_tried_as_if_they_were_well() -> None:
    rig = Rig({"first": [*[DOWN] * 12, *[HELLO] * 9], "second": DOWN})
    with pytest.raises(PlanExhausted):
        await rig.answer()
    while rig.observed[-1].state == "failed":
        rig.clock.now_s += 0.1  # too soon for either breaker to let a call through by itself
        try:
            await rig.answer()
        except PlanExhausted:
            assert rig.observed[-1].attempts, "nobody is refused without an attempt"
    assert rig.observed[-1].model == "first"
