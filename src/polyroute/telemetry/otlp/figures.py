"""Figures as OTLP metrics, cumulative since the start; and those that the GenAI conventions name."""

from collections.abc import Iterable, Mapping

from polyroute.telemetry import semantics as names
from polyroute.telemetry.figures import Buckets, Sums
from polyroute.telemetry.otlp.values import Json, attributes
from polyroute.types.receipt import Receipt

_CUMULATIVE = 2
_MOST_COMBINATIONS = 2_000  # a provider may name a new model in every answer


class GenAiFigures:
    """One observation per call to a model; the first token as this server's callers saw it."""

    def __init__(self, providers: Mapping[str, str]) -> None:
        """`providers`: the conventions' names of the document's."""
        self._providers = providers
        asked = (names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.RESPONSE_MODEL)
        self._tokens = Buckets(
            names.TOKEN_USAGE, "Tokens of a call", (*asked, names.TOKEN_TYPE), names.TOKEN_BOUNDS, "{token}"
        )
        self._duration = Buckets(names.DURATION, "Time of a call", (*asked, names.ERROR_TYPE), names.DURATION_BOUNDS)
        self._first_token = Buckets(names.FIRST_TOKEN, "To the first token", asked, names.FIRST_TOKEN_BOUNDS)

    def note(self, receipt: Receipt) -> None:
        operation = names.operation_of(receipt.door)
        for attempt in receipt.attempts:
            provider = self._providers.get(attempt.provider, attempt.provider)
            answered = attempt.answered_model if len(self._duration.seen) < _MOST_COMBINATIONS else None
            asked = (operation, provider, attempt.upstream_model, answered or attempt.upstream_model)
            self._duration.observe((*asked, attempt.error or ""), attempt.duration_ms / 1000)
            if attempt.first_token_ms is not None:
                waited_ms = attempt.started_ms + attempt.first_token_ms
                self._first_token.observe(asked, waited_ms / 1000)
            if attempt.usage is not None:
                self._tokens.observe((*asked, "input"), attempt.usage.total_input_tokens)
                self._tokens.observe((*asked, "output"), attempt.usage.total_output_tokens)

    def figures(self) -> tuple[Buckets, ...]:
        return self._tokens, self._duration, self._first_token


def metrics(figures: Iterable[Sums | Buckets], start_ns: int, now_ns: int) -> list[Json]:
    """Of those that have anything to say."""
    times = {"startTimeUnixNano": str(start_ns), "timeUnixNano": str(now_ns)}
    found = []
    for figure in figures:
        described = {"name": figure.name, "description": figure.about}
        if isinstance(figure, Buckets):
            points = [
                {
                    **times,
                    "count": str(int(sum(counts))),
                    "sum": total,
                    "bucketCounts": [str(int(count)) for count in counts],
                    "explicitBounds": figure.bounds,
                    "attributes": _labels(figure, labels),
                }
                for labels, (*counts, total) in figure.seen.items()
            ]
            data: Json = {"histogram": {"dataPoints": points, "aggregationTemporality": _CUMULATIVE}}
            described["unit"] = figure.unit
        else:
            points = [
                {**times, "asDouble": float(amount), "attributes": _labels(figure, labels)}
                for labels, amount in figure.figures.items()
            ]
            data = {"gauge": {"dataPoints": points}}
            if not figure.is_gauge:
                data = {"sum": {"dataPoints": points, "aggregationTemporality": _CUMULATIVE, "isMonotonic": True}}
        if points:
            found.append({**described, **data})
    return found


def _labels(figure: Sums | Buckets, labels: tuple[str, ...]) -> list[Json]:
    return attributes({name: label or None for name, label in zip(figure.labels, labels, strict=True)})
