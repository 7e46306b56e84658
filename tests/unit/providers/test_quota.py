import pytest

from polyroute.providers.quota import quota, span_s
from polyroute.types.quota import Left, Quota

NOON_S = 1_767_268_800.0  # 2026-01-01 12:00 UTC


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            Quota(
                requests=Left(remaining=59, limit=60, reset_s=1.0),
                tokens=Left(remaining=149984, limit=150000, reset_s=360.0),
            ),
            id="OpenAI, as its guide shows it",
        ),
        pytest.param(
            {"x-ratelimit-remaining-tokens": "7"}, Quota(tokens=Left(remaining=7)), id="only what is left, of tokens"
        ),
        pytest.param(
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-01-01T12:00:02Z",
                "anthropic-ratelimit-input-tokens-remaining": "30000",
                "anthropic-ratelimit-tokens-remaining": "38000",
            },
            Quota(requests=Left(remaining=49, limit=50, reset_s=2.0), tokens=Left(remaining=30000)),
            id="Anthropic: what is left of the input tokens",
        ),
        pytest.param({"content-type": "application/json"}, None, id="nothing said"),
        pytest.param({"x-ratelimit-remaining-requests": "many"}, Quota(), id="no number"),
        pytest.param({"x-ratelimit-remaining-requests": "9" * 400}, Quota(), id="no number that is meant"),
        pytest.param(
            {"anthropic-ratelimit-requests-remaining": "1", "anthropic-ratelimit-requests-reset": "soon"},
            Quota(requests=Left(remaining=1)),
            id="no moment",
        ),
    ],
)
def test_what_headers_say(headers: dict[str, str], expected: Quota | None) -> None:
    assert quota(headers, NOON_S) == expected


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1m2.5s", 62.5),
        ("1h0m1s", 3601.0),
        ("12", 12.0),
        ("", None),
        (None, None),
        ("soon", None),
        ("1x", None),
        ("-1s", None),
        ("1.2.3s", None),
        ("1e9s", None),
        ("9" * 500 + "s", None),
    ],
)
def test_spans(written: str | None, seconds: float | None) -> None:
    assert span_s(written) == seconds
