from datetime import UTC, datetime

from polyroute.cli.demo.figures import policies
from polyroute.cli.demo.traffic import Sent
from polyroute.stores.rows import RequestRow, to_micros
from polyroute.stores.verify import Entry

AT_US = to_micros(datetime(2026, 1, 1, tzinfo=UTC))


def entry(request_id: str, route: str, model: str, cost_nanos: int, saved_nanos: int, total_ms: float) -> Entry:
    row = RequestRow(
        id=request_id,
        client_request_id=None,
        opened_us=AT_US,
        settled_us=AT_US,
        tenant="default",
        team="default",
        user="anonymous",
        key_id=None,
        route=route,
        policy="p",
        state="settled",
        reserved_nanos=None,
        cost_nanos=cost_nanos,
        cost_complete=True,
        baseline="strong",
        baseline_nanos=cost_nanos + saved_nanos,
        saved_nanos=saved_nanos,
        model=model,
        provider="sim",
        cache="miss",
        total_ms=total_ms,
        overhead_ms=0.1,
    )
    return Entry(request=row, attempts=(), receipt=None)


def sent(request_id: str, *, is_good: bool) -> Sent:
    return Sent(request_id=request_id, difficulty="simple", is_good=is_good)


def test_a_policys_figures_come_from_its_rows_and_its_quality_from_the_answers() -> None:
    rows = [
        entry("a", "routed", "small", 1_000, 9_000, 10.0),
        entry("b", "routed", "strong", 10_000, 0, 30.0),
        entry("c", "always-strong", "strong", 10_000, 0, 30.0),
    ]
    strong, routed = policies(rows, [sent("a", is_good=False), sent("b", is_good=True), sent("c", is_good=True)])
    assert (strong.name, routed.name) == ("always-strong", "routed")
    assert (str(routed.usd_per_million_requests), routed.p50_ms, routed.p95_ms) == ("5.50", 10.0, 30.0)
    assert (routed.quality.good, routed.quality.of, routed.quality.share) == (1, 2, 0.5)
    assert (routed.baseline, str(routed.saved_usd), routed.saved_share) == ("strong", "0.000009000", 0.45)
    assert [(part.name, part.request_share) for part in routed.mix] == [("small", 0.5), ("strong", 0.5)]


def test_a_policy_that_costs_more_than_its_baseline_lost_money() -> None:
    (policy,) = policies([entry("a", "routed", "dear", 10_000, -5_000, 1.0)], [])
    assert policy.saved_share == -1.0
