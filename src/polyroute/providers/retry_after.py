"""When a provider wants to be asked again, from its answer's headers. Pure.

Source: RFC 9110, section 10.2.3 (seconds or a date); `retry-after-ms` is OpenAI's and Azure's.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

_LONGEST_S = 24 * 3600.0  # more is as good as never


def retry_after_s(headers: Mapping[str, str], utc_s: float) -> float | None:
    """Seconds from now; None where the provider does not say. `utc_s`: Unix time, used where a date has no other."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    given = headers.get("retry-after")
    seconds = _number(given)
    if seconds is not None:
        return _bounded(seconds)
    then_s = _unix_time(given)
    if then_s is None:
        return None
    now_s = _unix_time(headers.get("date"))  # the provider's own clock, which its date was read from
    return _bounded(then_s - (utc_s if now_s is None else now_s))


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) else None


def _unix_time(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text is not None else None
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_S)
