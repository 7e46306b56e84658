"""Every error Polyroute raises.

    PolyrouteError
    ├─ ConfigError               a list of problems, each with the path into the document
    ├─ CallerError               the caller can fix it
    │   ├─ InvalidRequest        the field at fault
    │   │   └─ UnknownModel · UnknownObject · WrongMethod · TooLarge · Unsupported · ContentFlagged
    │   ├─ Unauthenticated · Forbidden · Conflict · Gone
    │   ├─ RateLimited           which limit, retry_after_s
    │   ├─ BudgetExceeded        which budget, spent_usd, limit_usd
    │   └─ PriceUnknown          which model, under which budget
    ├─ AnswerHeld                a person must approve it first: the review's id
    ├─ RoutingError
    │   ├─ NoCandidate           every exclusion with its reason
    │   ├─ PlanExhausted         every attempt
    │   ├─ DeadlineExceeded      every attempt until then
    │   └─ GatewayBusy          the gateway itself has no room
    ├─ ProviderError             one attempt failed; has a Remedy; never leaves execution by itself
    │   ├─ ProviderTimeout (connect, first_token, between_tokens, total) · Unreachable
    │   ├─ Overloaded · AuthRejected · Rejected
    │   ├─ ContextTooLong · ContentRefused · MalformedReply · StreamInterrupted
    ├─ WorkerFailed             a process of the gateway's own did not do its work
    └─ StoreError

An error carries data in fields; its message says what happened, with which value, and what to do about it.
No status codes here: `server/errors.py` maps types to statuses and bodies.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Literal

from msgspec import Struct

from polyroute.types.receipt import Attempt
from polyroute.types.routing import Exclusion


class PolyrouteError(Exception):
    """The root. `message` is written for the person who can act on it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with a document."""

    path: str  # "routes.support.fallback[1]"
    message: str  # what is wrong, with the value
    fix: str | None = None  # what to write instead
    file: str | None = None
    line: int | None = None  # from 1
    column: int | None = None  # from 1

    def __str__(self) -> str:
        place = ":".join(str(item) for item in (self.file, self.line, self.column) if item is not None)
        where = f"{place}: {self.path}" if place else self.path
        return f"{where}: {self.message}" + (f" ({self.fix})" if self.fix else "")


class ConfigError(PolyrouteError):
    """The document cannot be used; `problems` is all that is wrong, not the first only."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class CallerError(PolyrouteError):
    """The caller can fix it."""


class InvalidRequest(CallerError):
    def __init__(self, message: str, *, field: str | None = None, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.field = field
        self.code = code


class UnknownModel(InvalidRequest):
    def __init__(self, message: str) -> None:
        super().__init__(message, field="model", code="model_not_found")


class UnknownObject(InvalidRequest):
    """A receipt, key or path that is not there, or not the caller's: the two look the same."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_found")


class ContentFlagged(InvalidRequest):
    """A route's moderator has flagged what was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="content_policy_violation")


class WrongMethod(InvalidRequest):
    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message, code="method_not_allowed")
        self.allowed = tuple(allowed)


class TooLarge(InvalidRequest):
    def __init__(self, message: str) -> None:
        super().__init__(message, code="request_too_large")


class Unsupported(InvalidRequest):
    """Understood, and not offered by this version."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message, field=field, code="not_supported")


class Unauthenticated(CallerError):
    pass


class Forbidden(CallerError):
    pass


class Conflict(CallerError):
    """It is there already, or was changed meanwhile."""


class RateLimited(CallerError):
    def __init__(
        self,
        message: str,
        *,
        limit: str,
        retry_after_s: float,
        elsewhere: bool = False,
        subject: tuple[str, ...] = (),
    ) -> None:
        """`elsewhere`: it is a limit of a model, deployment or provider, and another may have room."""
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.elsewhere = elsewhere
        self.subject = subject


class BudgetExceeded(CallerError):
    def __init__(
        self, message: str, *, budget: str, spent_usd: Decimal, limit_usd: Decimal, elsewhere: bool = False
    ) -> None:
        """`elsewhere`: as of RateLimited."""
        super().__init__(message)
        self.budget = budget
        self.spent_usd = spent_usd
        self.limit_usd = limit_usd
        self.elsewhere = elsewhere


class PriceUnknown(CallerError):
    """A money limit applies, and the model's price is not known."""

    def __init__(self, message: str, *, model: str) -> None:
        super().__init__(message)
        self.model = model


class Gone(CallerError):
    """It was there, and its time is over."""


class AnswerHeld(PolyrouteError):
    """There is an answer, and a person has to approve it first."""

    def __init__(self, review_id: str) -> None:
        super().__init__(f"the answer is held for human review: ask for review `{review_id}` later")
        self.review_id = review_id


class RoutingError(PolyrouteError):
    pass


class NoCandidate(RoutingError):
    def __init__(self, message: str, exclusions: Sequence[Exclusion]) -> None:
        super().__init__(message)
        self.exclusions = tuple(exclusions)


class PlanExhausted(RoutingError):
    """Every step failed. `last` is the newest provider error."""

    def __init__(self, message: str, attempts: Sequence[Attempt], last: "ProviderError | None" = None) -> None:
        super().__init__(message)
        self.attempts = tuple(attempts)
        self.last = last


class DeadlineExceeded(RoutingError):
    def __init__(self, message: str, attempts: Sequence[Attempt] = ()) -> None:
        super().__init__(message)
        self.attempts = tuple(attempts)


class GatewayBusy(RoutingError):
    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Remedy(Enum):
    """What may help after a failed attempt; every provider error carries one."""

    RETRY = "retry"  # the same deployment, after a pause
    SWITCH = "switch"  # another deployment
    STOP = "stop"  # nobody can do this: the request itself is at fault


class ProviderError(PolyrouteError):
    """One attempt failed. The message holds nothing secret: no key, no address, no raw error page."""

    remedy: Remedy = Remedy.SWITCH

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.code = code
        self.field = field


class ProviderTimeout(ProviderError):
    def __init__(self, message: str, *, phase: Literal["connect", "first_token", "between_tokens", "total"]) -> None:
        super().__init__(message, code=f"timeout_{phase}")
        self.phase = phase


class Unreachable(ProviderError):
    """No connection, TLS failure, or a connection cut before the answer began."""

    remedy = Remedy.RETRY


class Overloaded(ProviderError):
    """429, 5xx: it may be better soon."""

    remedy = Remedy.RETRY


class AuthRejected(ProviderError):
    """Our credential failed (401, 403): no retry helps, another account may."""


class Rejected(ProviderError):
    """The provider calls the request itself wrong (other 4xx)."""

    remedy = Remedy.STOP


class ContextTooLong(ProviderError):
    """Longer than this model reads; another may read it."""


class ContentRefused(ProviderError):
    """The provider's filter refused prompt or answer; another's may not."""


class MalformedReply(ProviderError):
    """The answer is not what the dialect promises."""


class StreamInterrupted(ProviderError):
    """The stream stopped without its proper end, or carried an error."""


class WorkerFailed(PolyrouteError):
    """A process of the gateway's own (embeddings, classifiers) ended, or took too long. The next one asked is new."""


class StoreError(PolyrouteError):
    pass
