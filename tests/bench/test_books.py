"""Where the soak says that books, upstream and callers disagree."""

from collections import Counter
from decimal import Decimal

import pytest
from bench.books import ANSWER_USD, Books, Upstream, discrepancies

ANSWERED, LEFT = 100, 10


def _books(*, requests: int = 105, succeeded: int = 98, cancelled: int = 8, usd: Decimal | None = None) -> Books:
    attempts = Counter({"succeeded": succeeded, "cancelled": cancelled, "failed": 4})
    return Books(
        requests=requests,
        attempts=attempts,
        succeeded_usd=succeeded * ANSWER_USD if usd is None else usd,
    )


def test_what_leaving_callers_explain_is_no_discrepancy() -> None:
    assert discrepancies(_books(), Upstream(calls=108, done=101), answered=ANSWERED, left=LEFT) == []


@pytest.mark.parametrize(
    ("books", "upstream", "named"),
    [
        pytest.param(_books(requests=99), Upstream(calls=108, done=101), "requests booked", id="an answer unbooked"),
        pytest.param(_books(requests=111), Upstream(calls=108, done=101), "requests booked", id="booked twice"),
        pytest.param(_books(), Upstream(calls=111, done=101), "upstream's calls", id="a call unbooked"),
        pytest.param(_books(), Upstream(calls=99, done=101), "upstream's calls", id="attempts without a call"),
        pytest.param(_books(), Upstream(calls=108, done=97), "upstream's answers", id="a success nobody gave"),
        pytest.param(_books(), Upstream(calls=108, done=109), "upstream's answers", id="answers not booked as such"),
        pytest.param(_books(usd=Decimal("0.005")), Upstream(calls=108, done=101), "USD", id="money that is off"),
    ],
)
def test_a_discrepancy_is_named(books: Books, upstream: Upstream, named: str) -> None:
    (found,) = discrepancies(books, upstream, answered=ANSWERED, left=LEFT)
    assert named in found


def test_the_upstreams_counters_are_read_together() -> None:
    stats = b'{"chat":1,"stream":2,"messages":3,"errors":9,"done":5,"cut":1}'
    assert Upstream.read(stats) == Upstream(calls=6, done=5)
