"""The attempts of one request, noted down as they end: what each cost, and what was held for it set free."""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from polyroute.errors import ProviderError, Remedy
from polyroute.ports import Judgement, Monotonic
from polyroute.stages.execution import costs
from polyroute.stages.execution.meter import Meter, Ticket
from polyroute.stages.execution.progress import Outcome
from polyroute.types.cards import Deployment
from polyroute.types.receipt import Attempt, AttemptStatus
from polyroute.types.response import Usage


class Trial(Struct, frozen=True, kw_only=True):
    """An attempt under way. Times are monotonic seconds."""

    ticket: Ticket
    step: int
    deployment: Deployment
    started_s: float


class AttemptLog:
    """Grows as attempts end. `attempts` is for the receipt, `outcomes` for the next decision."""

    def __init__(self, meter: Meter, *, input_tokens: int, arrived_s: float, day: date, monotonic: Monotonic) -> None:
        self._meter = meter
        self._input_tokens = input_tokens
        self._arrived_s = arrived_s
        self._day = day
        self._monotonic = monotonic
        self.attempts: list[Attempt] = []
        self.outcomes: tuple[Outcome, ...] = ()
        self.last_error: ProviderError | None = None

    def answered(
        self,
        trial: Trial,
        usage: Usage | None,
        seen_output_tokens: int,
        *,
        answered_model: str,
        judgement: Judgement | None = None,
        first_token_s: float | None = None,
        dropped: tuple[str, ...] = (),
    ) -> None:
        """A whole answer, accepted or not. `seen_output_tokens` counts where the provider gave no usage."""
        remedy = judgement.remedy if judgement else None
        usage = usage or costs.counted(self._input_tokens, seen_output_tokens)
        attempt = self._attempt(
            trial,
            "succeeded" if remedy is None else "rejected",
            usage,
            self._cost(usage, trial),
            answered_model=answered_model,
            judgement=judgement,
            first_token_s=first_token_s,
            dropped=dropped,
        )
        self._note(attempt, trial)
        self.outcomes += (Outcome(step=trial.step, accepted=remedy is None, remedy=remedy or Remedy.SWITCH),)

    def failed(self, trial: Trial, error: ProviderError, seen_output_tokens: int = 0) -> None:
        usage = costs.usage_of_failure(error, self._input_tokens, seen_output_tokens)
        self._note(self._attempt(trial, "failed", usage, self._cost(usage, trial), error=error), trial)
        self.outcomes += (Outcome(step=trial.step, remedy=error.remedy, retry_after_s=error.retry_after_s),)
        self.last_error = error

    def abandoned(self, trial: Trial, seen_output_tokens: int = 0) -> None:
        """The caller left. The provider may bill what it had read and written until then."""
        usage = costs.counted(self._input_tokens, seen_output_tokens)
        self._note(self._attempt(trial, "cancelled", usage, self._cost(usage, trial)), trial)

    def under_way(self, trial: Trial, dropped: tuple[str, ...]) -> Attempt:
        """The attempt whose stream has begun, as far as it is known."""
        return self._attempt(trial, "succeeded", None, None, dropped=dropped)

    def _note(self, attempt: Attempt, trial: Trial) -> None:
        self._meter.end(trial.ticket, attempt.cost_usd)
        self.attempts.append(attempt)

    def _cost(self, usage: Usage | None, trial: Trial) -> Decimal | None:
        return costs.cost_of(usage, trial.deployment, self._day)

    def _attempt(
        self,
        trial: Trial,
        status: AttemptStatus,
        usage: Usage | None,
        cost_usd: Decimal | None,
        *,
        answered_model: str | None = None,
        error: ProviderError | None = None,
        judgement: Judgement | None = None,
        first_token_s: float | None = None,
        dropped: tuple[str, ...] = (),
    ) -> Attempt:
        deployment = trial.deployment
        return Attempt(
            id=trial.ticket.attempt_id,
            step=trial.step,
            deployment=deployment.id,
            provider=deployment.provider,
            model=deployment.model,
            upstream_model=deployment.upstream_model,
            answered_model=answered_model,
            status=status,
            error=type(error).__name__ if error else None,
            message=error.message if error else None,
            remedy=error.remedy.value if error else None,
            http_status=error.http_status if error else None,
            started_ms=_ms(trial.started_s - self._arrived_s),
            first_token_ms=None if first_token_s is None else _ms(first_token_s - trial.started_s),
            duration_ms=_ms(self._monotonic() - trial.started_s),
            usage=usage,
            cost_usd=cost_usd,
            dropped=dropped,
            verdicts=judgement.verdicts if judgement else (),
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
