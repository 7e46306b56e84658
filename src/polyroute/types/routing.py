"""What the first three stages decide: classification, candidates, plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from polyroute.types.cards import Deployment
from polyroute.types.request import Operation
from polyroute.types.response import Units

Complexity = Literal["simple", "moderate", "complex"]
RequestClass = Literal["interactive", "batch", "deferred"]
Precedence = Literal["cost", "quality", "refuse"]
ChooseBy = Literal["weighted", "least_busy", "latency", "cheapest", "by_class"]  # between a model's deployments
StickyBy = Literal["session", "user", "prompt_prefix"]


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One observation and how far it moved the score."""

    feature: str  # "phrase: analyze", "words: 132"
    weight: float  # signed; towards complex is positive
    span: str | None = None  # the text it was seen in


class Thresholds(Struct, frozen=True, kw_only=True):
    """Scores from which a request counts as moderate, and as complex."""

    moderate: float = 0.34
    complex: float = 0.67

    def label(self, score: float) -> Complexity:
        if score >= self.complex:
            return "complex"
        return "moderate" if score >= self.moderate else "simple"


DEFAULT_THRESHOLDS = Thresholds()


class Classed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one classifier of the document says of a request."""

    label: str | None = None  # None: none of its classes
    score: float = 0.0  # 0..1: the probability that the best class is right
    classifier: str = ""  # kind@version
    elapsed_ms: float = 0.0
    fault: str | None = None  # why it said nothing; then no class holds


class Classification(Struct, frozen=True, kw_only=True, omit_defaults=True):
    label: Complexity
    score: float  # 0 (trivial) .. 1 (hard)
    classifier: str  # name@version
    task: str | None = None  # "summarize", "code", ...
    evidence: tuple[Evidence, ...] = ()
    classes: dict[str, Classed] = {}  # by the document's name of the classifier
    elapsed_ms: float = 0.0
    cost_usd: Decimal = Decimal(0)  # of models that were asked for it


class Needs(Struct, frozen=True, kw_only=True):
    """What a request asks of any model that is to serve it."""

    input_tokens: int  # estimate
    output_tokens: int | None  # the caller's cap on each answer; None: the model's own limit
    choices: int = 1  # answers asked for at once, each up to that cap
    capabilities: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset({"text"})
    caches: bool = False  # it marks prefixes for caching, whose writes cost more
    operation: Operation = "chat"
    units: Units | None = None  # billed otherwise than by tokens, at most
    files: tuple[str, ...] = ()  # that only a provider can read: ids of its own, addresses in its buckets

    @property
    def audio(self) -> bool:
        """Whether sound may go in or come out."""
        return "audio" in self.modalities or self.operation in ("transcription", "speech")


class Candidate(Struct, frozen=True, kw_only=True):
    """A deployment that can serve the request, with estimates. Money is None where the price is unknown."""

    deployment: Deployment
    input_tokens: int | None = None  # as the model's family counts, most likely; None: as anybody's
    input_bound_tokens: int = 0  # no tokenizer counts more
    output_bound_tokens: int = 0  # of each answer, once sent with that cap
    usd_per_1k: Decimal | None = None  # input tokens, in thousands
    expected_usd: Decimal | None = None
    worst_usd: Decimal | None = None  # both bounds reached
    latency_ms: float | None = None
    quality: float | None = None


class Exclusion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    deployment: str  # its id
    model: str
    reason: str  # "context 8192 < needed 11200"


class Step(Struct, frozen=True, kw_only=True):
    candidate: Candidate
    max_tries: int = 2


class Assignment(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The arm of a trial that a request went to."""

    split: str  # the route that was called
    arm: str  # the route, or model, that took its place
    unit: str | None = None  # a hash of what stays with one arm; None: the request alone


class Plan(Struct, frozen=True, kw_only=True):
    """Which deployments to try, in order. A printed plan can be replayed."""

    strategy: str
    steps: tuple[Step, ...]
    reason: str  # one sentence for people
    scores: Mapping[str, float] = {}  # quality expected, by model, where the strategy predicts any
    abstained: bool = False  # the strategy knew too little of such requests


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    gate: str
    accepted: bool
    score: float | None = None  # 0..1
    reasons: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()  # what an output contract did to the answer
    cost_usd: Decimal | None = None  # of the models it asked; they are attempts of their own
    elapsed_ms: float = 0.0
