"""The receipt while it is being written: stages note what they found, and `receipt` closes it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from polyroute.errors import PolyrouteError
from polyroute.stages.assembly.savings import saving
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment
from polyroute.types.moderation import Moderation
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Attempt, CandidateNote, Receipt, RequestState, StageTimes, milliseconds, usage_of
from polyroute.types.routing import Assignment, Candidate, Classification, Exclusion, Plan
from polyroute.types.trace import Trace


class Draft:
    """One per request; not shared. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        request_id: str,
        client_request_id: str | None,
        time: datetime,
        arrived_s: float,
        caller: Caller,
        door: str,
        requested_model: str,
        policy: str,
        stream: bool,
    ) -> None:
        self.request_id = request_id
        self.client_request_id = client_request_id
        self.time = time
        self.arrived_s = arrived_s
        self.caller = caller
        self.door = door
        self.requested_model = requested_model
        self.policy = policy
        self.stream = stream
        self.route = ""
        self.split: Assignment | None = None
        self.prompt: str | None = None  # name@version
        self.baseline: Deployment | None = None
        self.classification: Classification | None = None
        self.candidates: tuple[Candidate, ...] = ()
        self.exclusions: tuple[Exclusion, ...] = ()
        self.plan: Plan | None = None
        self.validation_s = 0.0
        self.paused_s = 0.0  # between attempts
        self.clamped_to: int | None = None
        self.review: str | None = None
        self.moderation: Moderation | None = None
        self.pii: dict[str, int] = {}
        self.pii_handling: tuple[str, ...] = ()
        self.passed_over: str | None = None
        self.cache_key: str | None = None
        self.trace: Trace | None = None
        self._marks: list[float] = [arrived_s]

    def mark(self, now_s: float) -> None:
        """The end of the next stage: classification, matching, selection, execution, in this order."""
        self._marks.append(now_s)

    @property
    def candidate_notes(self) -> tuple[CandidateNote, ...]:
        return tuple(map(_note, self.candidates))

    def receipt(
        self,
        state: RequestState,
        attempts: Sequence[Attempt],
        now_s: float,
        *,
        stop: str | None = None,
        error: BaseException | None = None,
    ) -> Receipt:
        """`error` is what the caller is told; only our own errors' words are kept."""
        tried = [attempt for attempt in attempts if attempt.purpose is None]  # to give the answer
        answer = next((a for a in reversed(tried) if a.status == "succeeded"), None)
        cost_usd, complete, upstream_ms = ZERO_USD, True, 0.0
        for attempt in attempts:
            upstream_ms += attempt.duration_ms
            if attempt.cost_usd is None:
                complete = False
            else:
                cost_usd += attempt.cost_usd
        usage = answer.usage if answer else None
        if answer is not None and answer.role == "continuation":
            usage = usage_of(attempts)
        saved = None
        if usage is not None and complete and self.baseline is not None:
            saved = saving(usage, cost_usd, self.baseline, self.time.date())
        total_ms = milliseconds(now_s - self.arrived_s)
        primary, plan = next(iter(tried), None), self.plan
        first = plan.steps[0].candidate if plan and plan.steps else None
        fell_back = answer is not None and primary is not None and answer.deployment != primary.deployment
        return Receipt(
            request_id=self.request_id,
            client_request_id=self.client_request_id,
            time=self.time,
            caller=self.caller,
            door=self.door,
            route=self.route,
            requested_model=self.requested_model,
            policy=self.policy,
            prompt=self.prompt,
            prompt_variant=answer.variant if answer else None,
            state=state,
            stream=self.stream,
            classification=self.classification,
            candidates=self.candidate_notes,
            exclusions=self.exclusions,
            split=self.split,
            strategy=plan.strategy if plan else "",
            plan=tuple(step.candidate.deployment.id for step in plan.steps) if plan else (),
            plan_reason=plan.reason if plan else "",
            estimated_cost_usd=first.expected_usd if first else None,
            estimated_cost_per_1k=first.usd_per_1k if first else None,
            attempts=tuple(attempts),
            verdicts=answer.verdicts if answer else (),
            fallback_reason=_why(tried, primary) if fell_back and primary else None,
            fallback_ms=_fallback_ms(tried, answer, primary) if fell_back and answer and primary else None,
            model=answer.model if answer else None,
            answered_model=answer.answered_model if answer else None,
            fingerprint=answer.fingerprint if answer else None,
            provider=answer.provider if answer else None,
            stop=stop,
            clamped_to=self.clamped_to,
            cache_key=self.cache_key,
            review=self.review,
            moderation=self.moderation,
            pii=self.pii,
            pii_handling=self.pii_handling,
            passed_over=self.passed_over,
            trace=self.trace,
            usage=usage,
            cost_usd=cost_usd,
            cost_complete=complete,
            baseline=saved.baseline if saved else None,
            baseline_usd=saved.baseline_usd if saved else None,
            saved_usd=saved.saved_usd if saved else None,
            total_ms=total_ms,
            upstream_ms=round(upstream_ms, 3),
            overhead_ms=max(0.0, round(total_ms - upstream_ms - milliseconds(self.paused_s), 3)),
            times=self._times(now_s),
            error=type(error).__name__ if error else None,
            error_message=error.message if isinstance(error, PolyrouteError) else None,
        )

    def _times(self, now_s: float) -> StageTimes:
        marks = [*self._marks, *([now_s] * (6 - len(self._marks)))]
        classification, matching, selection, execution, assembly = (
            later - earlier for earlier, later in pairwise(marks)
        )
        return StageTimes(
            classification_ms=milliseconds(classification),
            matching_ms=milliseconds(matching),
            selection_ms=milliseconds(selection),
            execution_ms=milliseconds(execution - self.validation_s),
            validation_ms=milliseconds(self.validation_s),
            assembly_ms=milliseconds(assembly),
        )


def _note(candidate: Candidate) -> CandidateNote:
    return CandidateNote(
        deployment=candidate.deployment.id,
        model=candidate.deployment.model,
        expected_usd=candidate.expected_usd,
        worst_usd=candidate.worst_usd,
        latency_ms=candidate.latency_ms,
        quality=candidate.quality,
    )


def _why(attempts: Sequence[Attempt], primary: Attempt) -> str:
    """Why the first deployment did not give the answer: its last attempt's error or the gate that rejected it."""
    last = [a for a in attempts if a.deployment == primary.deployment][-1]
    if last.error is not None:
        return f"{last.deployment}: {last.error}" + (f" {last.http_status}" if last.http_status else "")
    if last.status == "cancelled":
        return f"{last.deployment}: outrun"
    rejected = next((v.gate for v in last.verdicts if not v.accepted), "gate")
    return f"{last.deployment}: rejected by {rejected}"


def _fallback_ms(attempts: Sequence[Attempt], answer: Attempt, primary: Attempt) -> float:
    """From the end of the primary's last attempt to the answer."""
    last = [a for a in attempts if a.deployment == primary.deployment][-1]
    return round(answer.started_ms + answer.duration_ms - last.started_ms - last.duration_ms, 3)
