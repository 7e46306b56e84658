"""What deployments took lately: a moving average of the time to the first token, once enough was seen.

Until then, and for deployments nobody has called for a while, what the card says stands: a deployment that was slow
once, and is avoided since, gets another chance. Pure: the caller passes the time.
"""

from msgspec import Struct

from polyroute.types.cards import Deployment

_WEIGHT = 0.1  # of the newest observation
_ENOUGH = 5  # observations
_STALE_S = 300.0


class _Seen(Struct):
    average_ms: float
    count: int
    at_s: float  # monotonic, of the newest


class Latencies:
    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}  # by deployment id

    def note(self, deployment_id: str, latency_ms: float, now_s: float) -> None:
        seen = self._seen.get(deployment_id)
        if seen is None or now_s - seen.at_s > _STALE_S:
            self._seen[deployment_id] = _Seen(latency_ms, 1, now_s)
            return
        seen.average_ms += _WEIGHT * (latency_ms - seen.average_ms)
        seen.count += 1
        seen.at_s = now_s

    def of(self, deployment: Deployment, now_s: float) -> float | None:
        seen = self._seen.get(deployment.id)
        if seen is None or seen.count < _ENOUGH or now_s - seen.at_s > _STALE_S:
            return deployment.card.latency_ms
        return seen.average_ms
