"""Pass rates, escalation rates and their band, from receipts."""

from datetime import UTC, datetime, timedelta

import pytest

from polyroute.state.escalations import HALF_LIFE_S, LEAST, Band, Escalations
from polyroute.types.access import Caller
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.routing import Verdict


def receipt(*, escalated: bool, total_ms: float = 10.0) -> Receipt:
    verdict = Verdict(gate="json", accepted=not escalated)
    first = attempt("cheap", "rejected" if escalated else "succeeded", verdict)
    attempts = (first, attempt("strong", "succeeded", None)) if escalated else (first,)
    return Receipt(
        request_id="r",
        time=datetime(2026, 3, 1, tzinfo=UTC),
        caller=Caller(user="u"),
        door="python",
        route="r",
        requested_model="r",
        policy="p",
        state="settled",
        strategy="cascade",
        attempts=attempts,
        total_ms=total_ms,
    )


def attempt(model: str, status: str, verdict: Verdict | None) -> Attempt:
    return Attempt(
        id=model,
        step=0,
        deployment=f"{model}@p",
        provider="p",
        model=model,
        upstream_model=model,
        status="rejected" if status == "rejected" else "succeeded",
        verdicts=() if verdict is None else (verdict,),
    )


class Watched:
    def __init__(self, band: Band | None = None) -> None:
        self.now_s = 0.0
        self.alarms: list[tuple[str, bool]] = []
        self.escalations = Escalations(
            lambda: self.now_s, lambda route, _, outside: self.alarms.append((route, outside))
        )
        if band is not None:
            self.escalations.bands = {"r": band}

    def note(self, times: int, *, escalated: bool) -> None:
        for _ in range(times):
            self.escalations.note(receipt(escalated=escalated))


def test_a_rate_is_told_once_enough_was_seen_and_shrinks_towards_a_half() -> None:
    watched = Watched()
    watched.note(int(LEAST) - 1, escalated=False)
    assert watched.escalations.pass_rates("r") == {}
    watched.note(1, escalated=False)
    assert watched.escalations.pass_rates("r") == {"cheap": (LEAST + 1) / (LEAST + 2)}


def test_old_observations_fade_until_nothing_is_known_again() -> None:
    watched = Watched()
    watched.note(40, escalated=True)
    assert watched.escalations.pass_rates("r")["cheap"] < 0.03
    watched.now_s += HALF_LIFE_S
    assert watched.escalations.pass_rates("r") == {}


def test_a_route_that_leaves_its_band_raises_the_alarm_once_and_ends_it_once() -> None:
    watched = Watched(Band(high=0.5))
    watched.note(60, escalated=True)
    assert watched.alarms == [("r", True)]
    watched.note(100, escalated=False)
    assert watched.alarms == [("r", True), ("r", False)]


def test_time_is_told_apart_by_escalation() -> None:
    watched = Watched()
    for at in range(20):
        watched.escalations.note(receipt(escalated=False, total_ms=at))
        watched.escalations.note(receipt(escalated=True, total_ms=100 + at))
    (standing,) = watched.escalations.standings()
    assert (standing.p95_s, standing.escalated_p95_s) == (0.018, 0.118)
    assert standing.escalated == {"cheap": 20}


def test_what_was_found_outlives_the_process_and_fades_meanwhile() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    before, after = Escalations(lambda: 5_000.0), Escalations(lambda: 7.0)
    for number in range(200):
        before.note(receipt(escalated=number % 4 == 0))
    after.recall(before.remembered(now), now + timedelta(seconds=HALF_LIFE_S))
    assert after.pass_rates("r") == {"cheap": (75 + 1) / (100 + 2)}
    assert after.standings()[0].rate == 0.25


@pytest.mark.parametrize("told", [b"", b"[]", b'{"at": 1}', b'{"at":"2026-03-01","passed":{},"escalated":{}}'])
def test_what_cannot_be_recalled_is_forgotten(told: bytes) -> None:
    escalations = Escalations(lambda: 0.0)
    escalations.recall(told, datetime(2026, 3, 1, tzinfo=UTC))
    assert escalations.standings() == []


def test_what_is_of_the_future_is_forgotten() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    before, after = Escalations(lambda: 0.0), Escalations(lambda: 0.0)
    before.note(receipt(escalated=False))
    after.recall(before.remembered(now), now - timedelta(seconds=1))
    assert after.standings() == []
