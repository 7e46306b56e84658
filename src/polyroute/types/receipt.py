"""What was decided, tried, spent and why: one `Receipt` per request, and the ledger's entries behind it.

There are many of these, and never a cycle among them: the garbage collector has nothing to look for (`gc=False`).
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from polyroute.types.access import Caller
from polyroute.types.moderation import Moderation
from polyroute.types.response import Usage
from polyroute.types.routing import Assignment, Classification, Exclusion, Verdict
from polyroute.types.trace import Trace

RequestState = Literal["open", "settled", "failed", "cancelled", "recovered"]
AttemptStatus = Literal["open", "succeeded", "rejected", "failed", "cancelled", "unknown"]
Role = Literal["hedge", "continuation", "shared"]  # beside a late call; from a break on; of another request's call


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One call to one deployment, however it ended."""

    id: str
    step: int
    deployment: str
    provider: str
    model: str  # the document's name
    upstream_model: str  # asked for
    answered_model: str | None = None  # what the provider says answered
    fingerprint: str | None = None  # of the provider's own setup (`system_fingerprint`), where it gives one
    variant: str | None = None  # of the prompt
    status: AttemptStatus
    error: str | None = None  # the error's class name
    message: str | None = None  # scrubbed
    remedy: str | None = None  # what may help, or what helped: "hedge" where a second call came before it
    http_status: int | None = None
    started_ms: float = 0.0  # after the request's arrival
    first_token_ms: float | None = None  # after the attempt's start
    duration_ms: float = 0.0
    usage: Usage | None = None
    cost_usd: Decimal | None = None  # None: price unknown
    dropped: tuple[str, ...] = ()  # hints this upstream cannot express
    purpose: str | None = None  # the gate that asked for it; None: it was to give the answer
    role: Role | None = None  # None: it was its turn
    verdicts: tuple[Verdict, ...] = ()


def usage_of(attempts: Iterable[Attempt]) -> Usage | None:
    """Of the answer as its caller got it: what was asked, once, and all that was told, by whomever."""
    told = [
        attempt.usage
        for attempt in attempts
        if attempt.usage is not None
        and attempt.purpose is None
        and (attempt.status == "succeeded" or (attempt.status == "failed" and attempt.first_token_ms is not None))
    ]
    return told[0].gone_on_with(told[1:]) if told else None


class CandidateNote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A candidate as the receipt keeps it."""

    deployment: str
    model: str
    expected_usd: Decimal | None = None
    worst_usd: Decimal | None = None
    latency_ms: float | None = None
    quality: float | None = None


def milliseconds(seconds: float) -> float:
    """To the microsecond. Nothing here is negative, and `round` takes three times as long."""
    return int(seconds * 1_000_000 + 0.5) / 1000


class StageTimes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Milliseconds in each stage; they add up to the request's total within the overhead of measuring."""

    classification_ms: float = 0.0
    matching_ms: float = 0.0
    selection_ms: float = 0.0
    execution_ms: float = 0.0
    validation_ms: float = 0.0
    assembly_ms: float = 0.0


class Feedback(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one caller thought of an answer."""

    score: float  # 0 to 1
    comment: str | None = None
    tenant: str
    team: str
    user: str
    key_id: str | None = None
    at: datetime  # aware UTC

    @property
    def giver(self) -> tuple[str, str, str, str | None]:
        """Whoever has one word on a receipt."""
        return self.tenant, self.team, self.user, self.key_id


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    request_id: str
    client_request_id: str | None = None
    time: datetime  # arrival, aware UTC
    caller: Caller
    door: str  # dialect of the door, or "python"
    route: str
    requested_model: str
    policy: str  # content hash of the document
    prompt: str | None = None  # name@version
    prompt_variant: str | None = None  # of the answer
    state: RequestState
    stream: bool = False
    classification: Classification | None = None
    candidates: tuple[CandidateNote, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    split: Assignment | None = None  # of the trial that was called; `route` is its arm
    strategy: str = ""
    plan: tuple[str, ...] = ()  # deployment ids in order
    plan_reason: str = ""
    passed_over: str | None = None  # the deployment that should have been first, and how it is: "gpt@eu: failing"
    estimated_cost_usd: Decimal | None = None  # of the plan's first deployment, before anything was sent
    estimated_cost_per_1k: Decimal | None = None  # the same, per 1,000 input tokens
    attempts: tuple[Attempt, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    fallback_reason: str | None = None  # why the primary did not answer
    fallback_ms: float | None = None  # from the primary's failure to the answer
    cache: str = "miss"
    cache_key: str | None = None  # under which its answer is looked for; None: it is not
    cache_source: str | None = None  # the request whose answer was given again, or whose call was shared
    cache_age_s: float | None = None  # of an answer given again
    model: str | None = None  # the document's name of the model that answered
    answered_model: str | None = None  # the provider's own name
    fingerprint: str | None = None  # of the provider's own setup, where it gives one
    provider: str | None = None
    stop: str | None = None
    clamped_to: int | None = None  # output tokens: the money left allowed no more
    usage: Usage | None = None  # of the answer; attempts hold the rest
    cost_usd: Decimal = Decimal(0)  # all attempts
    cost_complete: bool = True  # False: an attempt had no known price
    baseline: str | None = None
    baseline_usd: Decimal | None = None
    saved_usd: Decimal | None = None  # signed
    total_ms: float = 0.0
    upstream_ms: float = 0.0
    overhead_ms: float = 0.0
    times: StageTimes = StageTimes()
    review: str | None = None
    feedback: tuple[Feedback, ...] = ()  # joined on when it is read; never in the books
    moderation: Moderation | None = None  # of what was asked; answers have it among their verdicts
    pii: dict[str, int] = {}  # kinds of personal data in the request, and how many different values of each
    pii_handling: tuple[str, ...] = ()  # "private", "redact"
    trace: Trace | None = None  # W3C; None: it belongs to no trace
    error: str | None = None  # class name of what the caller was told
    error_message: str | None = None


class AttemptOpening(Struct, frozen=True, kw_only=True, gc=False):
    """Written, durable, before an upstream is called."""

    id: str
    request_id: str
    number: int  # from 0
    deployment: str
    provider: str
    model: str
    worst_usd: Decimal | None
    opened_at: datetime


class Opening(Struct, frozen=True, kw_only=True, gc=False):
    """A request's reservation with its first attempt, one durable write."""

    request_id: str
    client_request_id: str | None
    opened_at: datetime
    caller: Caller
    route: str
    policy: str
    reserved_usd: Decimal
    attempt: AttemptOpening | None  # None: answered without a model


class Settlement(Struct, frozen=True, kw_only=True, gc=False):
    """The true cost after the calls, durable before the answer's last byte leaves."""

    request_id: str
    settled_at: datetime
    state: RequestState
    receipt: Receipt


class Amended(Struct, frozen=True, kw_only=True):
    """A settled receipt whose figures came to be known better."""

    before: Receipt
    after: Receipt


class Spent(Struct, frozen=True, kw_only=True):
    """What one caller has spent at one deployment since some moment."""

    tenant: str
    team: str
    user: str
    key_id: str | None
    model: str
    deployment: str = ""
    provider: str = ""
    cost_usd: Decimal
