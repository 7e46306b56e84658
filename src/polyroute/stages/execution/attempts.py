"""The attempts of one request, noted down as they end: what each cost, and what was held for it set free."""

import asyncio
from bisect import insort
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import BudgetExceeded, ProviderError, ProviderTimeout, RateLimited, Remedy
from polyroute.ports import Judgement, Monotonic
from polyroute.stages.execution import costs
from polyroute.stages.execution.meter import Meter, Ticket
from polyroute.stages.execution.progress import Outcome
from polyroute.state.health.health import Health
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Attempt, AttemptStatus, Role, milliseconds
from polyroute.types.response import Usage
from polyroute.types.routing import Candidate, Needs, Verdict

_TOO_MANY = 429
_AS_LONG_AGAIN = 50.0  # output tokens: a whole answer of so many takes about twice its time to the first token


class Trial(Struct, frozen=True, kw_only=True):
    """An attempt under way. Times are monotonic seconds."""

    ticket: Ticket
    step: int
    candidate: Candidate
    started_s: float
    variant: str | None = None  # of the route's prompt
    number: int = 0  # of all attempts of the request, in the order they began
    purpose: str | None = None  # the gate that asked for it
    needs: Needs | None = None  # of a call that asks something else than the request does
    role: Role | None = None

    @property
    def deployment(self) -> Deployment:
        return self.candidate.deployment


class Heard(Struct, frozen=True, kw_only=True):
    """What an attempt had brought by its end. Times are monotonic seconds."""

    usage: Usage | None = None
    output_tokens: int = 0  # counted by us, for where the provider gave no usage
    model: str | None = None  # that answered, in the provider's own words
    fingerprint: str | None = None
    dropped: tuple[str, ...] = ()
    first_token_s: float | None = None
    ended_s: float | None = None  # None: now


NOTHING = Heard()


class Refused(Struct, frozen=True, kw_only=True):
    """A step that had no room under a limit or budget of its own; no attempt was made there."""

    step: int
    error: RateLimited | BudgetExceeded


class AttemptLog:
    """Grows as attempts end. `attempts` is for the receipt, `outcomes` for the next decision."""

    def __init__(
        self,
        meter: Meter,
        *,
        needs: Needs,
        arrived_s: float,
        day: date,
        monotonic: Monotonic,
        health: Health,
        hide: Callable[[str], str] | None = None,
    ) -> None:
        """`hide` takes out of a message what must be neither kept nor told."""
        self._meter = meter
        self._needs = needs
        self._arrived_s = arrived_s
        self._day = day
        self._monotonic = monotonic
        self._hide = hide
        self._health = health
        self.attempts: list[Attempt] = []
        self._numbers: list[int] = []  # of `attempts`
        self.outcomes: tuple[Outcome, ...] = ()
        self.last_error: ProviderError | None = None
        self.refusals: list[Refused] = []

    @property
    def has_failed(self) -> bool:
        """Whether the newest attempt at an answer failed; a rejected answer did not."""
        tried = [attempt.status for attempt in self.attempts if attempt.purpose is None]
        return bool(tried) and tried[-1] == "failed"

    def spent_on(self, purpose: str, step: int) -> Decimal:
        """By the calls that a gate asked for, so far."""
        asked = (a.cost_usd for a in self.attempts if a.purpose == purpose and a.step == step)
        return sum((cost for cost in asked if cost is not None), ZERO_USD)

    def answered(self, trial: Trial, heard: Heard, judgement: Judgement | None = None) -> None:
        """A whole answer, accepted or not."""
        remedy = judgement.remedy if judgement else None
        if self._hide is not None and judgement is not None:
            judgement = replace(judgement, verdicts=tuple(_hidden(v, self._hide) for v in judgement.verdicts))
        status: AttemptStatus = "succeeded" if remedy is None else "rejected"
        self._note(trial, status, heard, heard.usage or self._counted(trial, heard), judgement=judgement)
        self._health.succeeded(trial.deployment.id, self._monotonic())
        if trial.purpose is None:
            self.outcomes += (Outcome(step=trial.step, accepted=remedy is None, remedy=remedy or Remedy.SWITCH),)

    def begun(self, trial: Trial, first_token_s: float) -> None:
        """A stream's first content has arrived; it may go on for long."""
        load = self._health.loads[trial.deployment.id]
        load.took(milliseconds(first_token_s - trial.started_s), first_token_s)

    def failed(self, trial: Trial, error: ProviderError, heard: Heard = NOTHING) -> None:
        if self._hide is not None:
            error.message = self._hide(error.message)
            error.args = (error.message,)
        usage = heard.usage
        if usage is None and (heard.output_tokens or not costs.is_unbilled(error)):
            usage = self._counted(trial, heard)
        self._note(trial, "failed", heard, usage, error=error)
        self._health.failed(trial.deployment.id, error, self._monotonic())
        if trial.purpose is not None:
            return
        self.outcomes += (
            Outcome(
                step=trial.step,
                remedy=error.remedy,
                retry_after_s=error.retry_after_s,
                wants_rest=error.http_status == _TOO_MANY or error.retry_after_s is not None,
                ended_s=self._monotonic(),
            ),
        )
        self.last_error = error.with_traceback(None)  # its frames hold this log, and would keep both

    def refused(self, step: int, refusal: RateLimited | BudgetExceeded) -> None:
        """There is no room there now: the next one may have some."""
        self.refusals.append(Refused(step=step, error=refusal))
        self.outcomes += (Outcome(step=step, remedy=Remedy.SWITCH),)

    def abandoned(
        self, trial: Trial, cause: BaseException, heard: Heard = NOTHING, *, remedy: str | None = None
    ) -> None:
        """The caller left, something broke, or another answer came first, which `remedy` tells: the provider may bill
        what it had read and written until then.
        """
        usage = heard.usage or self._counted(trial, heard)
        if isinstance(cause, asyncio.CancelledError | GeneratorExit):
            self._note(trial, "cancelled", heard, usage, remedy=remedy)
        else:
            self._note(trial, "failed", heard, usage, error=cause)

    def outrun(self, trial: Trial, heard: Heard, judgement: Judgement | None, *, remedy: str | None = None) -> None:
        """A whole answer that came after another had been accepted."""
        usage = heard.usage or self._counted(trial, heard)
        self._note(trial, "cancelled", heard, usage, judgement=judgement, remedy=remedy)
        self._health.succeeded(trial.deployment.id, self._monotonic())

    def in_order_of_steps(self) -> None:
        """Where several steps were tried at once: what comes next is decided from the last of them."""
        self.outcomes = tuple(sorted(self.outcomes, key=lambda outcome: outcome.step))

    def unsent(self, trial: Trial) -> None:
        """It was opened, and nothing was sent."""
        self._note(trial, "cancelled", NOTHING, None)

    def under_way(self, trial: Trial, dropped: tuple[str, ...]) -> Attempt:
        """The attempt whose stream has begun, as far as it is known."""
        return self._attempt(trial, "succeeded", Heard(dropped=dropped), None, None)

    def _counted(self, trial: Trial, heard: Heard) -> Usage:
        return costs.counted(
            trial.needs or self._needs, trial.candidate, trial.ticket.max_output_tokens, heard.output_tokens
        )

    def _note(
        self,
        trial: Trial,
        status: AttemptStatus,
        heard: Heard,
        usage: Usage | None,
        *,
        error: BaseException | None = None,
        judgement: Judgement | None = None,
        remedy: str | None = None,
    ) -> None:
        if usage is not None and self._needs.units is not None:
            usage = costs.metered(usage, self._needs, trial.deployment, self._day)
        cost_usd = costs.cost_of(usage, trial.deployment, self._day)
        self._meter.end(trial.ticket, cost_usd, 0 if usage is None else usage.total_tokens)
        ended = self._attempt(trial, status, heard, usage, cost_usd, error=error, judgement=judgement, remedy=remedy)
        self._observe(ended, error)
        # In the order they began, also where several are under way at once.
        insort(self._numbers, trial.number)
        self.attempts.insert(self._numbers.index(trial.number), ended)

    def _observe(self, ended: Attempt, error: BaseException | None) -> None:
        """For whoever chooses between deployments; a whole answer's time is brought back to its first token's."""
        load, now = self._health.ended(ended.deployment), self._monotonic()
        if ended.first_token_ms is not None:
            return  # `begun` has told it
        if ended.status in ("succeeded", "rejected"):
            tokens = 0 if ended.usage is None else ended.usage.total_output_tokens
            load.took(ended.duration_ms / (1 + tokens / _AS_LONG_AGAIN), now)
        elif ended.status == "cancelled" or isinstance(error, ProviderTimeout):
            load.waited(ended.duration_ms, now)

    def _attempt(
        self,
        trial: Trial,
        status: AttemptStatus,
        heard: Heard,
        usage: Usage | None,
        cost_usd: Decimal | None,
        *,
        error: BaseException | None = None,
        judgement: Judgement | None = None,
        remedy: str | None = None,
    ) -> Attempt:
        deployment = trial.deployment
        told = error if isinstance(error, ProviderError) else None  # any other error's words are not for callers
        first_token_s = heard.first_token_s
        return Attempt(
            id=trial.ticket.attempt_id,
            step=trial.step,
            deployment=deployment.id,
            provider=deployment.provider,
            model=deployment.model,
            upstream_model=deployment.upstream_model,
            answered_model=heard.model,
            fingerprint=heard.fingerprint,
            variant=trial.variant,
            status=status,
            error=None if error is None else type(error).__name__,
            message=told.message if told else None,
            remedy=told.remedy.value if told else remedy,
            http_status=told.http_status if told else None,
            started_ms=milliseconds(trial.started_s - self._arrived_s),
            first_token_ms=None if first_token_s is None else milliseconds(first_token_s - trial.started_s),
            duration_ms=milliseconds((self._monotonic() if heard.ended_s is None else heard.ended_s) - trial.started_s),
            usage=usage,
            cost_usd=cost_usd,
            dropped=heard.dropped,
            purpose=trial.purpose,
            role=trial.role,
            verdicts=judgement.verdicts if judgement else (),
        )


def _hidden(verdict: Verdict, hide: Callable[[str], str]) -> Verdict:
    return replace(verdict, reasons=tuple(map(hide, verdict.reasons)), changes=tuple(map(hide, verdict.changes)))
