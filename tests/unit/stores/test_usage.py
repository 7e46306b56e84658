"""Usage added up as somebody wants to see it."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from polyroute.stores.usage import NAMES, Usage, add_up, day_of

Lines = st.lists(
    st.builds(
        Usage,
        tenant=st.sampled_from("ab"),
        team=st.sampled_from("xy"),
        user=st.sampled_from("uv"),
        key=st.none() | st.just("k"),
        model=st.sampled_from("mn"),
        provider=st.just("p"),
        day=st.sampled_from([date(2026, 1, 1), date(2026, 1, 2)]),
        calls=st.integers(0, 9),
        failed=st.integers(0, 9),
        unpriced=st.integers(0, 9),
        input_tokens=st.integers(0, 9),
        output_tokens=st.integers(0, 9),
        cost_usd=st.integers(0, 10**9).map(lambda nanos: Decimal(nanos).scaleb(-9)),
    ),
    min_size=1,
)


@given(lines=Lines, by=st.sets(st.sampled_from(NAMES)))
def test_however_it_is_told_apart_nothing_is_lost(lines: list[Usage], by: set[str]) -> None:
    told = add_up(lines, sorted(by))
    (whole,) = add_up(lines, ())
    assert add_up(told, ()) == [whole]
    assert whole.cost_usd == sum((line.cost_usd for line in lines), Decimal(0))
    assert len({tuple(getattr(line, name) for name in sorted(by)) for line in told}) == len(told)


def test_days_are_counted_from_1970() -> None:
    assert day_of(0) == date(1970, 1, 1)
    assert day_of(20_514) == date(2026, 3, 2)
