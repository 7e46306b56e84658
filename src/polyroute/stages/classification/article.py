"""The phrase-and-length heuristic, exactly as its article states it: no negation, no features.

Simple: a simple phrase in a query of fewer than 20 words. Complex: a complex phrase, or more than 80 words.
Moderate: the rest. Source: "Working Router Implementation", the multi-model routing article (docs/mission.md, M029).
"""

from msgspec import Struct

from polyroute.catalog.tasks import TaskPack
from polyroute.types.request import Request
from polyroute.types.routing import DEFAULT_THRESHOLDS, Classification, Complexity, Thresholds

SIMPLE_PHRASES = ("is this", "does this", "yes or no", "classify", "extract the", "what is the")
COMPLEX_PHRASES = ("analyze", "compare", "explain why", "design", "write a", "reasoning", "evaluate")
SIMPLE_BELOW_WORDS = 20
COMPLEX_ABOVE_WORDS = 80

NAME = "article@1"
_SCORES: dict[Complexity, float] = {"simple": 0.165, "moderate": 0.5, "complex": 0.835}  # each band's middle


class ArticleClassifier(Struct, frozen=True, kw_only=True):
    """The rule alone: three tiers, one score each."""

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
        score = _SCORES[label(query)]
        return Classification(
            label=thresholds.label(score),
            score=score,
            classifier=NAME,
            task=task or (self.tasks.detect(query.lower()) if wants_task else None),
        )


def label(query: str) -> Complexity:
    lowered = query.lower()
    words = len(query.split(None, COMPLEX_ABOVE_WORDS + 1))  # more than that many need no counting
    if words < SIMPLE_BELOW_WORDS and any(phrase in lowered for phrase in SIMPLE_PHRASES):
        return "simple"
    if words > COMPLEX_ABOVE_WORDS or any(phrase in lowered for phrase in COMPLEX_PHRASES):
        return "complex"
    return "moderate"
