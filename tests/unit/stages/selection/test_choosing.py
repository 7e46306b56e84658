from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyroute.ports import Choice
from polyroute.stages.selection.choosing import Choosing, Look, Stay, Sticky, rank, rendezvous, spread
from polyroute.stages.selection.constraints import Constraints
from polyroute.stages.selection.plan import ask_last, make_plan
from polyroute.state.health.load import Load
from polyroute.state.places import Place
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.routing import Candidate, ChooseBy, RequestClass

WEIGHTS = st.lists(st.floats(0.1, 10), min_size=2, max_size=6)
DRAWS = st.floats(0, 1, exclude_max=True)


def place(at: str, *, weight: float = 1.0, usd: str | None = "0.01") -> Candidate:
    deployment = Deployment(
        id=f"m@{at}", model="m", provider=at, dialect="", upstream_model="m", card=ModelCard(id="m"), weight=weight
    )
    return Candidate(deployment=deployment, expected_usd=None if usd is None else Decimal(usd))


def load(latency_ms: float | None = None, *, in_flight: int = 0) -> Load:
    made = Load()
    if latency_ms is not None:
        made.took(latency_ms, 0.0)
    made.in_flight = in_flight
    return made


def look(
    by: ChooseBy,
    loads: Mapping[str, Load] | None = None,
    *,
    request_class: RequestClass = "interactive",
    stay: Stay | None = None,
) -> Look:
    return Look(
        choosing={"m": Choosing(by=by, sticky=None if stay is None else Sticky(by=stay.by))},
        loads={f"m@{at}": one for at, one in (loads or {}).items()},
        now_s=0.0,
        request_class=request_class,
        stays={} if stay is None else {"m": stay},
    )


def order(candidates: list[Candidate], looked: Look | None, draw: float = 0.0) -> list[str]:
    return [c.deployment.provider for c in rank(candidates, "m", looked, draw).candidates]


A, B, C = place("a"), place("b"), place("c")


@pytest.mark.parametrize(
    ("by", "loads", "expected"),
    [
        pytest.param("least_busy", {"a": load(in_flight=2), "b": load(in_flight=1)}, ["c", "b", "a"], id="least busy"),
        pytest.param("latency", {"a": load(900), "b": load(90), "c": load(500)}, ["b", "c", "a"], id="faster of two"),
        pytest.param(
            "latency", {"a": load(100, in_flight=3), "b": load(190)}, ["b", "c", "a"], id="calls under way make slower"
        ),
        pytest.param("weighted", {"a": load(900, in_flight=9)}, ["a", "b", "c"], id="weights look at nothing"),
    ],
)
def test_who_goes_first(by: ChooseBy, loads: dict[str, Load], expected: list[str]) -> None:
    looked = look(by, loads)
    if by == "latency" and "c" not in loads:
        looked = look(by, {**loads, "c": load(250)})
    assert order([A, B, C], looked) == expected


def test_a_busy_one_of_great_weight_is_less_busy_than_an_equal_small_one() -> None:
    big, small = place("big", weight=4), place("small")
    loads = {"big": load(in_flight=3), "small": load(in_flight=1)}
    assert order([small, big], look("least_busy", loads)) == ["big", "small"]
    assert order([small, big], look("latency", {"big": load(300), "small": load(100)})) == ["big", "small"]


def test_the_cheapest_goes_first_and_unknown_prices_last() -> None:
    dear, cheap, unknown = place("dear", usd="0.03"), place("cheap", usd="0.01"), place("unknown", usd=None)
    assert order([unknown, dear, cheap], look("cheapest")) == ["cheap", "dear", "unknown"]


@pytest.mark.parametrize(
    ("request_class", "first"), [("interactive", "fast"), ("batch", "cheap"), ("deferred", "cheap")]
)
def test_by_class_what_waits_goes_by_cost_and_what_is_waited_for_by_latency(
    request_class: RequestClass, first: str
) -> None:
    fast, cheap = place("fast", usd="0.03"), place("cheap", usd="0.01")
    loads = {"fast": load(100), "cheap": load(900)}
    assert order([cheap, fast], look("by_class", loads, request_class=request_class))[0] == first


def test_a_deployment_that_nobody_has_called_yet_is_tried() -> None:
    assert order([A, B], look("latency", {"a": load(5)}))[0] == "b"
    assert order([A, B], look("latency", {"a": load(5), "b": load(in_flight=1)}))[0] == "a", "by one call at first"


def test_without_the_setting_nothing_is_said() -> None:
    assert rank([A, B], "m", None, 0.0).why is None
    assert rank([A, B], "other", look("latency"), 0.0).why is None
    assert rank([A], "m", look("latency"), 0.0).why is None


@given(WEIGHTS, st.integers())
@settings(max_examples=20, deadline=None)
def test_weights_are_honoured_in_the_long_run(weights: list[float], seed: int) -> None:
    candidates, random = [place(str(n), weight=weight) for n, weight in enumerate(weights)], Random(seed)
    firsts = Counter(spread(candidates, random.random())[0].deployment.provider for _ in range(2000))
    for n, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(firsts[str(n)] / 2000 - share) < 5 * (share * (1 - share) / 2000) ** 0.5 + 0.001


def test_whoever_fails_is_stood_in_for_by_weight() -> None:
    trio, random = [place("gone"), place("big", weight=3), place("small")], Random(5)
    orders = [[c.deployment.provider for c in spread(trio, random.random())] for _ in range(4000)]
    seconds = Counter(order[1] for order in orders if order[0] == "gone")
    assert 0.70 < seconds["big"] / seconds.total() < 0.80


@given(DRAWS, st.lists(st.tuples(st.floats(1, 1e4), st.integers(0, 50)), min_size=2, max_size=6))
def test_of_two_drawn_the_worse_is_never_taken(draw: float, seen: list[tuple[float, int]]) -> None:
    candidates = [place(str(n)) for n in range(len(seen))]
    loads = {str(n): load(latency_ms, in_flight=calls) for n, (latency_ms, calls) in enumerate(seen)}
    costs = [loads[c.deployment.provider].cost(0.0) for c in candidates]
    first = order(candidates, look("latency", loads), draw)[0]
    assert costs[int(first)] < max(costs) or len(set(costs)) < len(costs), "the worst of all is never the better"


@given(DRAWS, st.sampled_from(["weighted", "least_busy", "latency", "cheapest", "by_class"]), WEIGHTS)
def test_everybody_stands_in_the_order_once(draw: float, by: ChooseBy, weights: list[float]) -> None:
    candidates = [place(str(n), weight=weight) for n, weight in enumerate(weights)]
    assert sorted(order(candidates, look(by), draw)) == sorted(c.deployment.provider for c in candidates)


@given(
    DRAWS,
    st.sampled_from(["weighted", "least_busy", "latency", "cheapest", "by_class"]),
    st.sets(st.sampled_from(["a", "b", "c"]), max_size=2),
    st.booleans(),
)
def test_a_broken_one_is_never_first_while_a_healthy_one_stands(
    draw: float, by: ChooseBy, broken: set[str], sticks: bool
) -> None:
    stay = Stay(key=b"k", by="session", place=Place(deployment="m@a", cached_tokens=0, at_s=0.0)) if sticks else None
    choice = Choice(models=("m",), reason="m")
    looked = look(by, {"a": load(1)}, stay=stay)
    plan = make_plan("fixed", choice, (), (A, B, C), Constraints(), draw, looked)
    unwell = {f"m@{at}": "failing" for at in broken}
    if unwell:
        plan = ask_last(plan, unwell)
    assert plan.steps[0].candidate.deployment.provider not in broken


# ── sticking ──────────────────────────────────────────────────────────────────────────────────────────


def stay(key: bytes = b"key", at: str | None = None) -> Stay:
    known = None if at is None else Place(deployment=f"m@{at}", cached_tokens=0, at_s=0.0)
    return Stay(key=key, by="session", place=known)


def test_a_key_finds_the_same_place_whatever_is_drawn_or_busy() -> None:
    loads = {"a": load(900, in_flight=9)}
    firsts = {order([A, B, C], look("latency", loads, stay=stay()), draw)[0] for draw in (0.0, 0.3, 0.6, 0.9)}
    assert len(firsts) == 1


def test_where_it_was_last_is_where_it_stays() -> None:
    for at in ("a", "b", "c"):
        assert order([A, B, C], look("weighted", stay=stay(at=at)))[0] == at


def test_a_place_that_is_gone_is_forgotten() -> None:
    assert order([A, B], look("weighted", stay=stay(at="gone"))) == order([A, B], look("weighted", stay=stay()))


@given(st.binary(min_size=1, max_size=64), st.lists(st.floats(0.1, 10), min_size=2, max_size=6), st.data())
def test_without_one_place_all_other_keys_keep_theirs(key: bytes, weights: list[float], data: st.DataObject) -> None:
    candidates = [place(str(n), weight=weight) for n, weight in enumerate(weights)]
    gone = data.draw(st.sampled_from(candidates))
    before = rendezvous(candidates, key)
    assert rendezvous([c for c in candidates if c is not gone], key) == [c for c in before if c is not gone]


def test_keys_spread_by_weight() -> None:
    pair = [place("big", weight=3), place("small")]
    firsts = Counter(rendezvous(pair, str(n).encode())[0].deployment.provider for n in range(4000))
    assert 0.72 < firsts["big"] / 4000 < 0.78


def test_by_cost_a_session_leaves_its_place_only_for_a_cheaper_one() -> None:
    dear, cheap = place("dear", usd="0.03"), place("cheap", usd="0.01")
    assert order([dear, cheap], look("cheapest", stay=stay(at="dear"))) == ["cheap", "dear"]
    same = place("same", usd="0.01")
    assert order([cheap, same], look("cheapest", stay=stay(at="same"))) == ["same", "cheap"]


def test_the_reason_says_why_the_first_is_the_first() -> None:
    pair = [place("dear", usd="0.03"), place("cheap", usd="0.01")]
    assert rank(pair, "m", look("cheapest"), 0.0).why == "m@cheap is cheapest"
    assert rank(pair, "m", look("weighted", stay=stay(at="dear")), 0.0).why == "the session stays at m@dear"
    why = rank(pair, "m", look("cheapest", stay=stay(at="dear")), 0.0).why
    assert why == "m@cheap is cheaper than the session's place"
