"""The default classifier: the article's rule chooses the band, features place the score inside it.

Two departures from the article: a negated phrase ("do not analyze this") does not count, and the score says
how far into its band a request lies, so that other thresholds than the bands' own mean something.
Prompt length carries most of the weight: untrained, it is the best predictor of difficulty we measured against
(docs/decisions/0006). Reads the newest user message only. Costs a lower(), a bounded split() and substring
searches: no regular expression.
"""

from msgspec import Struct

from polyroute import phrases
from polyroute.catalog.tasks import TaskPack
from polyroute.stages.classification.article import (
    COMPLEX_ABOVE_WORDS,
    COMPLEX_PHRASES,
    SIMPLE_BELOW_WORDS,
    SIMPLE_PHRASES,
)
from polyroute.types.content import Image, ToolResult
from polyroute.types.request import Request
from polyroute.types.routing import DEFAULT_THRESHOLDS, Classification, Complexity, Evidence, Thresholds

NAME = "heuristic@1"
_BANDS: dict[Complexity, tuple[float, float]] = {
    "simple": (0.0, 0.33),
    "moderate": (0.34, 0.66),
    "complex": (0.67, 1.0),
}
_SPAN = 24  # characters around a hit that evidence shows
_LONG_WORDS = 400  # where length stops adding


class HeuristicClassifier(Struct, frozen=True, kw_only=True):
    """Needs no training and no network."""

    tasks: TaskPack

    def classify(
        self,
        request: Request,
        *,
        task: str | None = None,
        wants_task: bool = False,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> Classification:
        query = request.last_user_text
        lowered = query.lower()
        words = len(query.split(None, _LONG_WORDS))
        evidence = [Evidence(feature=f"words: {words}", weight=_length_weight(words))]
        band = _band(lowered, words, evidence)
        evidence += _features(request, lowered)
        inside = min(1.0, max(0.0, sum(item.weight for item in evidence)))
        low, high = _BANDS[band]
        score = round(low + inside * (high - low), 4)
        return Classification(
            label=thresholds.label(score),
            score=score,
            classifier=NAME,
            task=task or (self.tasks.detect(lowered) if wants_task else None),
            evidence=tuple(evidence),
        )


def _band(lowered: str, words: int, evidence: list[Evidence]) -> Complexity:
    """The article's rule, phrases that are negated left out. Appends what it saw."""
    if words < SIMPLE_BELOW_WORDS and _saw(lowered, SIMPLE_PHRASES, evidence, weight=0.0):
        return "simple"
    if _saw(lowered, COMPLEX_PHRASES, evidence, weight=0.1) or words > COMPLEX_ABOVE_WORDS:
        return "complex"
    return "moderate"


def _saw(lowered: str, wanted: tuple[str, ...], evidence: list[Evidence], *, weight: float) -> bool:
    hits = phrases.find(lowered, wanted)
    for hit in hits:
        end = hit.start + len(hit.phrase)
        evidence.append(
            Evidence(
                feature=f"{'negated ' if hit.negated else ''}phrase: {hit.phrase}",
                weight=0.0 if hit.negated else weight,
                span=lowered[max(0, hit.start - _SPAN) : end + _SPAN],
            )
        )
    return any(not hit.negated for hit in hits)


def _length_weight(words: int) -> float:
    return round(0.6 * min(words, _LONG_WORDS) / _LONG_WORDS, 4)


def _features(request: Request, lowered: str) -> list[Evidence]:
    found = []
    if "```" in lowered or "def " in lowered or "select " in lowered:
        found.append(Evidence(feature="code", weight=0.15))
    if request.tools:
        found.append(Evidence(feature=f"tools: {len(request.tools)}", weight=0.1))
    if request.reasoning is not None and request.reasoning.enabled:
        found.append(Evidence(feature="reasoning asked for", weight=0.3))
    if len(request.messages) > 6:
        found.append(Evidence(feature=f"messages: {len(request.messages)}", weight=0.1))
    newest = request.messages[-1].parts if request.messages else ()
    if any(isinstance(part, Image) for part in newest):
        found.append(Evidence(feature="image", weight=0.1))
    if any(isinstance(part, ToolResult) for part in newest):
        found.append(Evidence(feature="tool results", weight=0.1))
    return found
