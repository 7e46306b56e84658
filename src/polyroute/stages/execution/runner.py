"""Carries a plan out: asks `progress.decide` what to do next, and does it.

A provider's error never leaves by itself: it is an attempt on the record, and either another attempt cures it or the
caller learns of all of them (PlanExhausted, DeadlineExceeded). Cancellation passes through; what was held is settled.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from typing import TypeVar, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from polyroute.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    NoCandidate,
    PlanExhausted,
    PolyrouteError,
    PriceUnknown,
    ProviderError,
    RateLimited,
    StreamInterrupted,
)
from polyroute.ports import CallModel, Hearing, Monotonic, Provider
from polyroute.stages.execution import costs, hedging
from polyroute.stages.execution.attempts import NOTHING, AttemptLog, Heard, Trial
from polyroute.stages.execution.contest import first_good, late
from polyroute.stages.execution.continuing import Partial, rest_of
from polyroute.stages.execution.meter import Meter
from polyroute.stages.execution.probabilities import with_logprobs
from polyroute.stages.execution.progress import MAX_JITTER, USEFUL_S, Accept, GiveUp, Try, decide
from polyroute.stages.execution.timeliness import in_time
from polyroute.stages.execution.wording import Wording
from polyroute.state.health.health import Health
from polyroute.state.hedges import Hedge, Hedges
from polyroute.types.cards import Deadlines
from polyroute.types.receipt import Attempt, Role
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Ended, Reply, Response, Started, WireBytes
from polyroute.types.routing import Candidate, Needs, Plan, Step
from polyroute.types.trace import Trace

_T = TypeVar("_T")


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a run acts through; the same for every request."""

    providers: Mapping[str, Provider]
    monotonic: Monotonic
    sleep: Callable[[float], Awaitable[None]]
    jitter: Callable[[], float]  # in [0, 1)
    health: Health
    hedges: Hedges = field(default_factory=Hedges)


class Aside(Struct, frozen=True, kw_only=True):
    """A call that a gate asks for: who can answer it, best first, and what it needs of them."""

    candidates: tuple[Candidate, ...]
    needs: Needs


class Order(Struct, frozen=True, kw_only=True):
    """One request's plan, and what carrying it out needs to know."""

    request: Request
    plan: Plan
    deadline_s: float  # monotonic
    read: Callable[[Reply], Response]
    rest: Callable[[str], Aside] | None = None  # who goes on where an answer broke off after this text; None: nobody
    hear: Callable[[int, CallModel], Hearing] | None = (
        None  # opens the hearing on a step's answer; None: none is judged
    )
    aside: Callable[[str, Request], Aside] | None = None  # whom a gate's call may go to
    race: tuple[int, ...] = ()  # the steps that are called at once, to begin with
    hedge: Hedge | None = None  # when a second deployment is asked beside a late one; None: never
    route: str = ""  # whose requests pay for that
    top_logprobs: int = 0  # asked of models that give them, whatever the caller asked
    wording: Wording | None = None  # what the route adds to the request, whoever answers it
    trace: Trace | None = None  # that the request belongs to


class Run:
    """A plan under way. `log` is whole when `answer` returns, or when the flow from `open` has ended."""

    def __init__(self, order: Order, around: Surroundings, meter: Meter, log: AttemptLog) -> None:
        self._order = order
        self._around = around
        self._meter = meter
        self.log = log
        self._opening = asyncio.Lock()  # attempts are numbered, and written down, one after another
        self._begun = 0
        self._won: Reply | Flow | None = None  # the accepted answer
        self._is_hedged = False
        self.is_held = False  # the accepted answer waits for a person
        self._waits_until_s: float | None = None
        self.paused_s = 0.0  # between attempts, and for room

    async def answer(self) -> Reply:
        """The accepted answer."""
        reply: Reply | None = None
        try:
            if self._order.race:
                reply = await self._race(self._order.race)
            while (step := await self._next_step()) is not None:
                reply = await (self._call(step) if self._order.hedge is None else self._hedged(step, self._call))
        finally:
            self._meter.pass_on()
        assert reply is not None  # `Accept` follows an accepted answer only
        return reply

    async def open(self) -> "Flow":
        """A stream whose first content has arrived; from there on no other deployment takes over."""
        try:
            while True:
                step = await self._next_step()
                assert step is not None  # a stream is accepted by being returned
                flow = await (self._open(step) if self._order.hedge is None else self._hedged(step, self._open))
                if flow is not None:
                    return flow
        finally:
            self._meter.pass_on()

    async def _next_step(self) -> int | None:
        """The step to try now, its pause over; None once an answer is accepted."""
        order, around = self._order, self._around
        if self._won is not None:
            return None  # whatever became of those that were asked beside it
        now_s = around.monotonic()
        left_s = order.deadline_s - now_s
        decision = decide(order.plan.steps, self.log.outcomes, time_left_s=left_s, now_s=now_s, is_well=self._is_well)
        match decision:
            case Accept():
                return None
            case Try():
                if self.log.outcomes:
                    decision = self._timely(decision, left_s)
                if self.log.has_failed:
                    decision = self._spared(decision)
                if decision.pause_s:
                    paused_at_s = around.monotonic()
                    await around.sleep(decision.pause_s * (1 + around.jitter() * MAX_JITTER))
                    self.paused_s += around.monotonic() - paused_at_s
                    self._need_rested(decision.step)
                return decision.step
            case GiveUp():
                room = None if decision.out_of_time else self._fullest()
                if room is None:
                    raise self._gave_up(decision)
                return await self._wait_for(room)
            case _ as never:
                assert_never(never)

    def _timely(self, next_try: Try, left_s: float) -> Try:
        """The same, or a later step that is fast enough. Raises DeadlineExceeded where none is worth starting."""
        tried = {outcome.step for outcome in self.log.outcomes}
        step = in_time(self._order.plan.steps, next_try.step, tried, left_s - next_try.pause_s)
        if step is None:
            raise self._gave_up(GiveUp(out_of_time=True))
        return next_try if step == next_try.step else Try(step=step)

    def _spared(self, next_try: Try) -> Try:
        """The same, or the next deployment at once where this one is found to be failing. Raises PlanExhausted where
        further attempts are all spent.
        """
        health, now = self._around.health, self._around.monotonic()
        is_again = next_try.step == self.log.outcomes[-1].step
        has_others = next_try.step + 1 < len(self._order.plan.steps)
        if is_again and has_others and health.standing(self._deployment(next_try.step), now, 0.0) == "failing":
            next_try = Try(step=next_try.step + 1)
        if not health.allows_another(self._deployment(next_try.step), inf if next_try.pause_s else now):
            raise self._gave_up(GiveUp())
        return next_try

    def _need_rested(self, step: int) -> None:
        """After a pause: others may have been told meanwhile that it wants more rest. Raises PlanExhausted."""
        health, now, deployment = self._around.health, self._around.monotonic(), self._deployment(step)
        if health.standing(deployment, now, 0.0) == "resting" and not health.allows_another(deployment, now):
            raise self._gave_up(GiveUp())

    def _is_well(self, step: Step) -> bool:
        return self._around.health.standing(step.candidate.deployment.id, self._around.monotonic(), 0.0) == "well"

    def _fullest(self) -> tuple[int, RateLimited] | None:
        """The first step that may have room soon."""
        for refused in self.log.refusals:
            if isinstance(refused.error, RateLimited) and refused.error.subject:
                return refused.step, refused.error
        return None

    async def _wait_for(self, room: tuple[int, RateLimited]) -> int:
        """The step, once it is this team's turn there. Raises RateLimited."""
        (step, refused), now = room, self._around.monotonic()
        if self._waits_until_s is None:
            self._waits_until_s = min(self._order.deadline_s, now + self._meter.longest_wait_s)
        if now + refused.retry_after_s > self._waits_until_s:
            raise refused
        self.log.refusals.clear()
        await self._meter.wait(refused, self._waits_until_s)
        self.paused_s += self._around.monotonic() - now
        return step

    def _gave_up(self, decision: GiveUp) -> PlanExhausted | DeadlineExceeded | RateLimited | BudgetExceeded:
        attempts = self.log.attempts
        if self.log.refusals and not attempts and not decision.out_of_time:
            refusals = [refused.error for refused in self.log.refusals]
            return min(refusals, key=lambda error: isinstance(error, BudgetExceeded))
        tried = "; ".join(f"{a.deployment}: {a.message or _rejection(a)}" for a in attempts) or "nothing was tried"
        if decision.out_of_time:
            return DeadlineExceeded(f"the request's time ran out ({tried})", attempts)
        return PlanExhausted(f"every attempt failed ({tried})", attempts, self.log.last_error)

    async def _race(self, steps: tuple[int, ...]) -> Reply | None:
        """The first good answer of several calls made at once; the others are given up. None where none is good."""
        racing = [asyncio.ensure_future(self._call(step)) for step in steps]
        reply = await first_good(racing, self._has_won)
        if reply is None:
            self.log.in_order_of_steps()
        return reply

    def _has_won(self, answer: object) -> bool:
        return answer is self._won

    async def _hedged(
        self, step: int, call: "Callable[[int, Role | None], Coroutine[None, None, _T | None]]"
    ) -> _T | None:
        """What `call` gives for `step`, or where that is late, for another deployment beside it: the first good one."""
        calls = [asyncio.ensure_future(call(step, None))]
        try:
            second = await self._second(step, calls[0])
            if second is not None:
                self._is_hedged = True
                calls.append(asyncio.ensure_future(call(second, "hedge")))
            answer = await first_good(calls, self._has_won)
        except BaseException:
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            if isinstance(self._won, Flow):
                await self._won.aclose()
            raise
        if answer is None and second is not None:
            self.log.in_order_of_steps()
        return answer

    async def _second(self, step: int, first: "asyncio.Task[_T]") -> int | None:
        """The step to call beside `first`, once that is late and the bucket has one; None where it answers before, or
        nobody may be asked.
        """
        order, around, hedges = self._order, self._around, self._around.hedges
        assert order.hedge is not None  # whoever asks has looked
        other = None if self._is_hedged else hedging.beside(order.plan.steps, step, order.hedge, self._is_well)
        pace = hedges.pace(self._deployment(step), streamed=order.request.stream)
        late_s = hedges.late_after_s(order.route, order.hedge, pace)
        if other is None or late_s is None:
            return None
        is_late = await late(first, asyncio.ensure_future(around.sleep(late_s)))
        pace.was(late=is_late)
        its_pace, again_s = hedges.pace(self._deployment(other), streamed=order.request.stream), late_s / 8
        while is_late and not (pace.is_slow or its_pace.is_slow):
            if order.deadline_s - around.monotonic() < USEFUL_S or not self._is_well(order.plan.steps[other]):
                return None
            if hedges.spend(order.route):
                return other
            again_s *= 2
            is_late = await late(first, asyncio.ensure_future(around.sleep(again_s)))
        return None

    def _took(self, trial: Trial) -> None:
        """For what counts as late."""
        if self._order.hedge is not None:
            pace = self._around.hedges.pace(trial.deployment.id, streamed=self._order.request.stream)
            pace.took(self._around.monotonic() - trial.started_s)

    async def _call(self, number: int, role: Role | None = None) -> Reply | None:
        order, trial = self._order, await self._begin(number, role)
        if trial is None:
            return None
        heard, judgement = NOTHING, None
        hearing = None if order.hear is None else order.hear(number, partial(self._ask, number))
        try:
            reply = await self._provider(trial).complete(
                self._worded(trial), trial.deployment, self._deadlines(trial), trial.ticket.max_output_tokens
            )
            heard = Heard(
                usage=reply.usage,
                model=reply.model,
                fingerprint=reply.response.system_fingerprint if reply.response is not None else reply.fingerprint,
                dropped=reply.dropped,
                ended_s=self._around.monotonic(),
            )
            if reply.usage is None:
                most = trial.candidate.output_bound_tokens
                heard = replace(heard, output_tokens=most if reply.goes_on else costs.tokens_in(order.read(reply)))
            if hearing is not None:
                judgement = await hearing.judge(order.read(reply))
                if judgement.response is not None:
                    reply = replace(reply, wire=None, response=judgement.response)
        except ProviderError as exc:
            self.log.failed(trial, exc, heard)
            return None
        except BaseException as exc:
            self._given_up(trial, exc, heard)
            raise
        finally:
            if hearing is not None:
                await hearing.aclose()
        self._took(trial)
        if self._won is not None:
            self.log.outrun(trial, heard, judgement, remedy=self._remedy)
            return None
        self.log.answered(trial, heard, judgement)
        if judgement is None or judgement.remedy is None:
            self._won = reply
            self.is_held = judgement is not None and judgement.is_held
        return reply

    async def ask(self, model: str, request: Request, *, purpose: str) -> Response:
        """`CallModel` for what must be known before the plan: the first attempts of the request."""
        return await self._ask(0, model, request, purpose=purpose)

    def turn_to(self, order: Order) -> None:
        """Another plan, before any of its steps is tried."""
        self._order = order

    async def _ask(self, step: int, model: str, request: Request, *, purpose: str) -> Response:
        """`CallModel` for what judges the answer of `step`: attempts of this request, until one answers."""
        order = self._order
        assert order.aside is not None  # gates that ask come with somebody to ask
        aside = order.aside(model, request)
        for candidate in aside.candidates:
            trial = await self._begin_with(candidate, step, purpose=purpose, needs=aside.needs)
            worded = self._worded(trial, request)
            try:
                reply = await self._provider(trial).complete(
                    worded, trial.deployment, self._deadlines(trial), trial.ticket.max_output_tokens
                )
            except ProviderError as exc:
                self.log.failed(trial, exc)
                continue
            except BaseException as exc:
                self.log.abandoned(trial, exc)
                raise
            assert reply.response is not None  # no wire was sent, so none came back
            tokens = 0 if reply.usage is not None else costs.tokens_in(reply.response)
            self.log.answered(trial, Heard(usage=reply.usage, model=reply.model, output_tokens=tokens))
            return reply.response
        raise PlanExhausted(f"{model} did not answer", self.log.attempts)

    @property
    def mends(self) -> bool:
        """Whether another deployment is to go on where its stream breaks off."""
        return self._order.rest is not None

    async def go_on(self, partial: Partial) -> "Flow | None":
        """The rest of an answer that broke off, from a deployment that has not failed this request; None where nobody
        can tell it.
        """
        order, health, wanted = self._order, self._around.health, self._order.rest
        assert wanted is not None  # whoever goes on was ordered to
        self._won, self._is_hedged = None, False
        try:
            aside = wanted(partial.text)
        except NoCandidate:
            return None
        failed = {attempt.deployment for attempt in self.log.attempts if attempt.status == "failed"}
        places = {step.candidate.deployment.id: at for at, step in enumerate(order.plan.steps)}
        others = [candidate for candidate in aside.candidates if candidate.deployment.id not in failed]
        for candidate in sorted(others, key=lambda one: not self._is_well(Step(candidate=one))):
            now, deployment = self._around.monotonic(), candidate.deployment
            if order.deadline_s - now < USEFUL_S or not health.allows_another(deployment.id, now):
                return None
            try:
                trial = await self._begin_with(candidate, places[deployment.id], needs=aside.needs, role="continuation")
            except (RateLimited, BudgetExceeded, PriceUnknown):
                continue
            flow = await self._answering(trial, rest_of(self._worded(trial), partial.text, deployment))
            if flow is not None:
                return flow
        return None

    async def _open(self, number: int, role: Role | None = None) -> "Flow | None":
        trial = await self._begin(number, role)
        return None if trial is None else await self._answering(trial, self._worded(trial))

    async def _answering(self, trial: Trial, worded: Request) -> "Flow | None":
        """Up to its first content."""
        opening: list[Chunk] = []
        try:
            rest = self._provider(trial).stream(
                worded, trial.deployment, self._deadlines(trial), trial.ticket.max_output_tokens
            )
            async for chunk in rest:
                opening.append(chunk)
                if not isinstance(chunk, Started):
                    break
            else:
                raise StreamInterrupted("the provider's stream ended before it began")
        except ProviderError as exc:
            self.log.failed(trial, exc)
            return None
        except BaseException as exc:
            self._given_up(trial, exc, NOTHING)
            raise
        self._took(trial)
        if self._won is not None:
            self._given_up(trial, GeneratorExit(), Heard(output_tokens=sum(map(costs.tokens_of, opening))))
            await rest.aclose()
            return None
        most = self._at_most(trial, NOTHING).output_tokens
        self._won = Flow(trial, self.log, opening, rest, self._around.monotonic, at_least=most)
        return self._won

    def _given_up(self, trial: Trial, cause: BaseException, heard: Heard) -> None:
        """It was cut short: by its caller, by something that broke, or by another answer that came before its own."""
        if self._won is None:
            self.log.abandoned(trial, cause, self._at_most(trial, heard))
            return
        if not self._order.request.stream and heard is NOTHING:
            elapsed_s = self._around.monotonic() - trial.started_s
            heard = Heard(output_tokens=costs.likely_written(trial.candidate, elapsed_s))
        self.log.abandoned(trial, cause, heard, remedy=self._remedy)

    @property
    def _remedy(self) -> str | None:
        """What helped against those that another answer came before."""
        return "hedge" if self._is_hedged else None

    def _at_most(self, trial: Trial, heard: Heard) -> Heard:
        """What an attempt comes to that its caller leaves: where its provider goes on, to all that it may."""
        if not self._order.request.background:
            return heard
        return replace(heard, output_tokens=max(heard.output_tokens, trial.candidate.output_bound_tokens))

    def _deployment(self, number: int) -> str:
        return self._order.plan.steps[number].candidate.deployment.id

    async def _begin(self, number: int, role: Role | None = None) -> Trial | None:
        """None where there is no room for another call."""
        candidate = self._order.plan.steps[number].candidate
        try:
            return await self._begin_with(candidate, number, role=role)
        except (RateLimited, BudgetExceeded, PriceUnknown) as refusal:
            if role is not None:  # it would have been beside another, which goes on
                self._around.hedges.give_back(self._order.route)
                return None
            if isinstance(refusal, PriceUnknown) or not refusal.elsewhere:
                raise
            self.log.refused(number, refusal)
            return None

    async def _begin_with(
        self,
        candidate: Candidate,
        step: int,
        *,
        purpose: str | None = None,
        needs: Needs | None = None,
        role: Role | None = None,
    ) -> Trial:
        """Leave to call `candidate`. Who is cancelled meanwhile leaves no attempt open behind."""
        wording, now = self._order.wording, self._around.monotonic()

        async def begun() -> Trial:
            async with self._opening:
                number = self._begun
                ticket = await self._meter.begin(candidate, number, now, needs, is_whole=role == "hedge")
                self._begun += 1
            self._around.health.began(candidate.deployment.id, now, candidate.input_tokens or 0)
            return Trial(
                ticket=ticket,
                step=step,
                candidate=candidate,
                started_s=self._around.monotonic(),
                variant=wording.variant_for(candidate.deployment) if wording is not None and purpose is None else None,
                number=number,
                purpose=purpose,
                needs=needs,
                role=role,
            )

        if purpose is None and not self._order.race and self._order.hedge is None:
            return await begun()
        opening = asyncio.ensure_future(begun())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(PolyrouteError):
                self.log.unsent(await opening)
            raise

    def _worded(self, trial: Trial, request: Request | None = None) -> Request:
        """The request as this deployment is to read it, and what it is told of the trace.

        The caller's own conversation gets what the route adds to it; what a gate asks otherwise goes as it is.
        """
        order = self._order
        worded = asked = order.request if request is None else request
        if order.wording is not None and asked.messages is order.request.messages:
            worded = order.wording.put_to(asked, trial.deployment)
        if order.top_logprobs and request is None:
            worded = with_logprobs(worded, trial.deployment, order.top_logprobs)
        return worded if order.trace is None else replace(worded, trace=order.trace.under(trial.ticket.attempt_id))

    def _provider(self, trial: Trial) -> Provider:
        return self._around.providers[trial.deployment.provider]

    def _deadlines(self, trial: Trial) -> Deadlines:
        deadlines = trial.deployment.deadlines
        left_s = max(0.0, self._order.deadline_s - trial.started_s)
        return deadlines if left_s >= deadlines.total_s else replace(deadlines, total_s=left_s)


class Flow:
    """A stream under way. `ended` is set once the provider ended it properly, and only then."""

    def __init__(
        self,
        trial: Trial,
        log: AttemptLog,
        opening: list[Chunk],
        rest: AsyncGenerator[Chunk, None],
        monotonic: Monotonic,
        *,
        at_least: int = 0,
    ) -> None:
        """`at_least`: output tokens of a stream that breaks off and is gone on with by its provider."""
        self.trial = trial
        self.ended: Ended | None = None
        self._log = log
        self._opening = opening
        self._rest = rest
        self._first_token_s = monotonic()
        log.begun(trial, self._first_token_s)
        self._started = next((chunk for chunk in opening if isinstance(chunk, Started)), None)
        self._seen_tokens = at_least
        self._is_noted = False

    @property
    def model(self) -> str:
        """That answers, in its provider's own name."""
        return (self._started.model if self._started else "") or self.trial.deployment.upstream_model

    @property
    def dropped(self) -> tuple[str, ...]:
        return next((chunk.dropped for chunk in self._opening if isinstance(chunk, Started | WireBytes)), ())

    @property
    def kept(self) -> tuple[str, ...]:
        """Ids of an answer that its provider goes on with when this stream breaks off."""
        return next((chunk.kept for chunk in self._opening if type(chunk) is WireBytes), ())

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Everything before `Ended`. Raises ProviderError where the stream breaks; the attempt is noted by then."""
        try:
            for chunk in self._opening:
                if not self._ends(chunk):
                    yield chunk
            if self.ended is None:
                async for chunk in self._rest:
                    if type(chunk) is WireBytes:  # nearly every chunk
                        self._seen_tokens += costs.events_in(chunk)
                        yield chunk
                    elif not self._ends(chunk):
                        yield chunk
                    else:
                        break
                else:
                    raise StreamInterrupted("the provider's stream stopped without its end")
        except ProviderError as exc:
            self._log.failed(self.trial, exc, self._heard())
            raise
        except BaseException as exc:
            self._log.abandoned(self.trial, exc, self._heard())
            raise
        self._log.answered(self.trial, self._heard())

    async def aclose(self) -> None:
        """Closes the upstream. A stream that nobody began to read is abandoned here."""
        if not self._is_noted:
            self._log.abandoned(self.trial, GeneratorExit(), self._heard())
        await self._rest.aclose()

    def _heard(self) -> Heard:
        """For the log, once."""
        self._is_noted = True
        ended = self.ended
        return Heard(
            usage=ended.usage if ended else None,
            output_tokens=self._seen_tokens,
            model=(ended and ended.model) or (self._started.model if self._started else None),
            fingerprint=ended.fingerprint if ended else None,
            dropped=self.dropped,
            first_token_s=self._first_token_s,
        )

    def _ends(self, chunk: Chunk) -> bool:
        if isinstance(chunk, Ended):
            self.ended = chunk
            return True
        self._seen_tokens += costs.tokens_of(chunk)
        return False


def _rejection(attempt: Attempt) -> str:
    reasons = [reason for verdict in attempt.verdicts if not verdict.accepted for reason in verdict.reasons]
    return f"answer rejected: {', '.join(reasons)}" if reasons else "answer rejected"
