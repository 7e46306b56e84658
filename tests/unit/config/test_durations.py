"""Spans of time as people write them."""

from decimal import Decimal

import pytest

from polyroute.config.durations import Duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *[("30s", 30), ("5m", 300), ("24h", 86400), ("7d", 604800), ("1w", 604800), ("500ms", 0.5), ("1.5h", 5400)],
        *[("2 m", 120), ("9", 9), (90, 90), (Decimal("0.5"), 0.5)],
    ],
)
def test_it_is_seconds(written: object, seconds: float) -> None:
    assert Duration.read(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "5x", "m", "-5m", "0s", 0, -1, True, None, [], "nan", "inf", "1e99", "5 minutes", "1h30m"]
)
def test_anything_else_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match="30s, 5m, 24h or 7d"):
        Duration.read(written)
