"""What deployments took lately: a moving average of the time to the first token, once enough was seen.

Until then, and for deployments nobody calls, what the card says stands.
"""

from polyroute.types.cards import Deployment

_WEIGHT = 0.1  # of the newest observation
_ENOUGH = 5  # observations


class Latencies:
    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}  # deployment id: average in ms, observations

    def note(self, deployment_id: str, latency_ms: float) -> None:
        average, count = self._seen.get(deployment_id, (latency_ms, 0))
        self._seen[deployment_id] = (average + _WEIGHT * (latency_ms - average), count + 1)

    def of(self, deployment: Deployment) -> float | None:
        average, count = self._seen.get(deployment.id, (0.0, 0))
        return average if count >= _ENOUGH else deployment.card.latency_ms
