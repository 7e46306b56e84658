"""What one deployment is doing now: calls under way, how long they take, what its account may still ask.

Pure: the caller passes the time. The latency is a moving average that follows a slower call at once and faster ones,
or silence, only slowly: who is avoided for being slow is asked again after a while. Source: "Peak EWMA", the load
balancer of Finagle and Linkerd.
"""

from math import exp

from polyroute.types.quota import Left, Quota

_MEMORY_S = 30.0  # until a peak counts for a third
_WITHOUT_RESET_S = 60.0  # quotas are per minute
_LONGEST_RESET_S = 3600.0  # then it is asked again, whatever it said
_SHORTEST_MS = 0.001  # 0 is not known
_UNKNOWN = 1e12  # milliseconds: nobody is sent where the first call is still under way


class Load:
    __slots__ = ("_at_s", "_peak_ms", "_quota", "_quota_at_s", "_since_requests", "_since_tokens", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._peak_ms = 0.0
        self._at_s = 0.0  # of the newest observation
        self._quota: Quota | None = None
        self._quota_at_s = 0.0
        self._since_requests = self._since_tokens = 0  # sent since the quota was told

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────

    def took(self, latency_ms: float, now: float) -> None:
        """A call's time to its first token."""
        share = exp((self._at_s - now) / _MEMORY_S)
        if latency_ms < (before_ms := self._peak_ms * share):
            latency_ms = before_ms + latency_ms * (1 - share)
        self._peak_ms, self._at_s = max(latency_ms, _SHORTEST_MS), now

    def waited(self, latency_ms: float, now: float) -> None:
        """A call that ended without a first token: it would have taken longer than that."""
        if latency_ms > self.latency_ms(now):
            self._peak_ms, self._at_s = latency_ms, now

    def latency_ms(self, now: float) -> float:
        """0 where nothing is known."""
        return self._peak_ms * exp((self._at_s - now) / _MEMORY_S) if self._peak_ms else 0.0

    def cost(self, now: float) -> float:
        """What one more call there waits for, in milliseconds. 0 where nobody has called yet: it is tried."""
        if not self._peak_ms:
            return _UNKNOWN * self.in_flight
        return self.latency_ms(now) * (self.in_flight + 1)

    # ── quota ─────────────────────────────────────────────────────────────────────────────────────────

    def sent(self, tokens: int) -> None:
        """A call goes there."""
        self.in_flight += 1
        if self._quota is not None:
            self._since_requests += 1
            self._since_tokens += tokens

    def told(self, quota: Quota, now: float) -> None:
        self._quota, self._quota_at_s = quota, now
        self._since_requests = self._since_tokens = 0

    def carries(self, tokens: int, now: float) -> bool:
        """Whether the quota, as far as it is known, has room for a call of so many tokens."""
        quota = self._quota
        if quota is None:
            return True
        requests, some = self.remaining(now)
        return (requests is None or requests >= 1) and (some is None or some >= tokens)

    def remaining(self, now: float) -> tuple[float | None, float | None]:
        """Requests and tokens left; None where nothing is known, or what was known is out of date."""
        quota, since_s = self._quota, now - self._quota_at_s
        if quota is None:
            return None, None
        requests = None if quota.requests is None else _left(quota.requests, since_s, self._since_requests)
        tokens = None if quota.tokens is None else _left(quota.tokens, since_s, self._since_tokens)
        return requests, tokens


def _left(told: Left, since_s: float, sent: int) -> float | None:
    """Quotas fill up evenly until their reset; where that is not said, or all is back, nothing is known any more."""
    reset_s = _WITHOUT_RESET_S if told.reset_s is None else min(told.reset_s, _LONGEST_RESET_S)
    if since_s >= reset_s:
        return None
    refilled = 0.0 if told.limit is None else max(0, told.limit - told.remaining) * since_s / reset_s
    return max(0.0, told.remaining + refilled - sent)
