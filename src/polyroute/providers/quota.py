"""What is left of an account's quota, from an answer's headers. Pure.

Sources: OpenAI, "Rate limits", headers `x-ratelimit-*` (also Azure's, Groq's, and many servers' that speak its API);
Anthropic, "Rate limits", headers `anthropic-ratelimit-*`; both 2026. What cannot be read was not said.
"""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite

from polyroute.types.quota import Left, Quota

_MARKS = ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens")
_ANTHROPIC = "anthropic-ratelimit-requests-remaining"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def quota(headers: Mapping[str, str], utc_s: float) -> Quota | None:
    """None where nothing is said. Lower-case names; `utc_s`: Unix time, which resets at a moment are read from."""
    if _MARKS[0] in headers or _MARKS[1] in headers:
        return Quota(requests=_openai(headers, "requests"), tokens=_openai(headers, "tokens"))
    if _ANTHROPIC in headers:
        return Quota(
            requests=_anthropic(headers, "requests", utc_s),
            tokens=_anthropic(headers, "input-tokens", utc_s) or _anthropic(headers, "tokens", utc_s),
        )
    return None


def span_s(written: str | None) -> float | None:
    """Seconds in `1s`, `6m0s`, `1m2.5s`, `20ms`, or a plain number of seconds."""
    total, number = 0.0, ""
    rest = (written or "").strip()
    if not rest:
        return None
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        letters = len(rest) - digits - len(rest[digits:].lstrip("dhms"))
        number, unit = rest[:digits], rest[digits : digits + letters]
        rest = rest[digits + letters :]
        try:
            total += float(number) * _UNITS[unit or "s"]
        except (ValueError, KeyError):
            return None
    return total if isfinite(total) else None


def _openai(headers: Mapping[str, str], kind: str) -> Left | None:
    remaining = _count(headers.get(f"x-ratelimit-remaining-{kind}"))
    if remaining is None:
        return None
    limit, reset = headers.get(f"x-ratelimit-limit-{kind}"), headers.get(f"x-ratelimit-reset-{kind}")
    return Left(remaining=remaining, limit=_count(limit), reset_s=span_s(reset))


def _anthropic(headers: Mapping[str, str], kind: str, utc_s: float) -> Left | None:
    said = f"anthropic-ratelimit-{kind}"
    remaining = _count(headers.get(f"{said}-remaining"))
    if remaining is None:
        return None
    reset_s = _until(headers.get(f"{said}-reset"), utc_s)
    return Left(remaining=remaining, limit=_count(headers.get(f"{said}-limit")), reset_s=reset_s)


def _count(written: str | None) -> int | None:
    text = (written or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _until(written: str | None, utc_s: float) -> float | None:
    try:
        then = datetime.fromisoformat(written) if written is not None else None
    except ValueError:
        return None
    return max(0.0, then.timestamp() - utc_s) if then is not None and then.tzinfo is not None else None
