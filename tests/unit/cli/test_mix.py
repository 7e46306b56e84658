from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.cli.mix import Counted, mix

COUNTED = st.builds(
    Counted, name=st.sampled_from("abc"), cost_usd=st.integers(0, 10**9).map(lambda nanos: Decimal(nanos).scaleb(-9))
)


def test_shares_of_requests_and_of_cost_stand_side_by_side() -> None:
    requests = [Counted(name="small", cost_usd=Decimal(1))] * 3 + [Counted(name="large", cost_usd=Decimal(7))]
    small, large = mix(requests)
    assert (small.name, small.requests, small.request_share, small.cost_share) == ("small", 3, 0.75, 0.3)
    assert (large.name, large.requests, large.request_share, large.cost_share) == ("large", 1, 0.25, 0.7)


def test_where_nothing_was_spent_no_share_of_cost_is_claimed() -> None:
    (part,) = mix([Counted(name="free", cost_usd=Decimal(0))])
    assert part.cost_share is None


@given(st.lists(COUNTED))
def test_no_request_and_no_cent_is_lost(requests: list[Counted]) -> None:
    parts = mix(requests)
    assert sum(part.requests for part in parts) == len(requests)
    assert sum((part.cost_usd for part in parts), Decimal(0)) == sum((r.cost_usd for r in requests), Decimal(0))


def test_a_target_shows_the_drift_also_of_what_nobody_asked_for() -> None:
    targets = {"simple": 0.7, "complex": 0.3}
    simple, complex_ = mix([Counted(name="simple", cost_usd=Decimal(1))], targets)
    assert (simple.name, complex_.name, complex_.requests) == ("simple", "complex", 0)
    assert (simple.drift, complex_.drift) == pytest.approx((0.3, -0.3))
