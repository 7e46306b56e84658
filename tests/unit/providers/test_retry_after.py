import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.providers.retry_after import retry_after_s

NOON = 1_772_366_400.0  # Sun, 01 Mar 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="not said"),
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": " 0.5 "}, 0.5, id="a fraction, as some send it"),
        pytest.param({"retry-after-ms": "250", "retry-after": "1"}, 0.25, id="milliseconds are finer"),
        pytest.param({"retry-after-ms": "soon", "retry-after": "1"}, 1.0, id="nonsense is passed over"),
        pytest.param({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0, id="a date"),
        pytest.param(
            {"retry-after": "Sun, 01 Mar 2026 11:00:30 GMT", "date": "Sun, 01 Mar 2026 11:00:00 GMT"},
            30.0,
            id="a date by the provider's own clock",
        ),
        pytest.param({"retry-after": "Sun, 01 Mar 2020 12:00:00 GMT"}, 0.0, id="a date gone by"),
        pytest.param({"retry-after": "-5"}, 0.0, id="less than nothing"),
        pytest.param({"retry-after": "1e12"}, 86_400.0, id="never"),
        pytest.param({"retry-after": "inf"}, None, id="infinity"),
        pytest.param({"retry-after": "nan"}, None, id="no number"),
        pytest.param({"retry-after": "tomorrow"}, None, id="no date"),
    ],
)
def test_when_to_come_back(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, NOON) == expected


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_whatever_is_sent_the_wait_is_none_or_bounded(headers: dict[str, str]) -> None:
    wait_s = retry_after_s(headers, NOON)
    assert wait_s is None or 0 <= wait_s <= 86_400
