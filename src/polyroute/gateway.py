"""One request's life: six stages in order.

    classification → matching → selection → execution → validation → assembly

What each stage decides is decided in its own package, purely; here the stages are only put in order, and what was
decided is written into the receipt. The books are settled on every way out: answer, error, or the caller's leaving.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from msgspec.structs import replace

from polyroute.asides import Timed, aside, racing, rest
from polyroute.counting import Counting
from polyroute.deciding import Deciding
from polyroute.errors import AnswerHeld, PolyrouteError, StoreError
from polyroute.holding import review_of
from polyroute.joining import give_back
from polyroute.journey import Answer, Entry, Journey, LiveAnswer, Parts, Prepared
from polyroute.keeping import Keeping
from polyroute.live import Mended, Relayed, Restored, Told
from polyroute.ports import CallModel, Hearing, Monotonic
from polyroute.recalling import Recalling, Ways
from polyroute.stages.execution.attempts import AttemptLog
from polyroute.stages.execution.continuing import may_go_on
from polyroute.stages.execution.hedging import may_be_doubled
from polyroute.stages.execution.meter import Meter, RequestFacts, tokens_asked
from polyroute.stages.execution.runner import Flow, Order, Run
from polyroute.stages.route import ReviewPolicy, Routes
from polyroute.stages.selection.plan import need_steps
from polyroute.stages.validation import judge as validation
from polyroute.stages.validation.judge import Case
from polyroute.stages.validation.moderation.guarding import Guarding, refuse
from polyroute.state.health.health import Health
from polyroute.state.hedges import Hedge
from polyroute.state.reviews import review_id
from polyroute.staying import keep_place
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Attempt, Receipt, RequestState, Settlement
from polyroute.types.request import Request, opened, without_stream
from polyroute.types.response import Reply, Response

_T = TypeVar("_T")


class RequestPath:
    """The path that every door sends its requests along."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._deciding = Deciding(parts)
        self.counting = Counting(parts, self._deciding)
        self.keeping = Keeping(parts, self._deciding)
        self.recalling = Recalling(parts, Ways(whole=self._answer, live=self._stream, read=self.read))

    def over(self, change: Callable[[Parts], Parts]) -> "RequestPath":
        """The same path over other parts: another clock, other books."""
        return RequestPath(change(self._parts))

    @property
    def monotonic(self) -> Monotonic:
        return self._parts.around.monotonic

    @property
    def health(self) -> Health:
        return self._parts.around.health

    @property
    def routes(self) -> Routes:
        return self._parts.routes

    def routes_for(self, caller: Caller) -> Routes:
        return self._deciding.view_of(caller).routes

    async def foresee(self, request: Request, caller: Caller, entry: Entry) -> Prepared:
        """Stages 1 to 3: the dry run ends here. No model is asked what the request is."""
        return self.prepare(request, caller, await self._classed(request, caller, entry))

    def prepare(self, request: Request, caller: Caller, entry: Entry) -> Prepared:
        """As `foresee`, by what `entry` says of its classes."""
        return self._deciding.prepare(request, caller, entry)

    async def _classed(self, request: Request, caller: Caller, entry: Entry) -> Entry:
        return await self._deciding.classed(request, caller, entry) if self._parts.classifiers else entry

    async def answer(self, request: Request, caller: Caller, entry: Entry) -> Answer:
        """A whole answer. Raises CallerError or RoutingError; by then the books are settled."""
        if self._parts.classifiers:
            entry = await self._classed(request, caller, entry)
        prepared = self.prepare(request, caller, entry)
        if prepared.route.recall is not None:
            return await self.recalling.answer(prepared, entry)
        return await self._answer(prepared)

    async def stream(self, request: Request, caller: Caller, entry: Entry) -> LiveAnswer:
        """An answer whose first content has arrived, or was held until its gates had accepted it."""
        if self._parts.classifiers:
            entry = await self._classed(request, caller, entry)
        prepared = self.prepare(request, caller, entry)
        if prepared.route.recall is not None:
            return await self.recalling.stream(prepared, entry)
        live, guard = await self._stream(prepared), prepared.guard
        return Restored(live, guard) if guard is not None and guard.placeholders else live

    async def _stream(self, prepared: Prepared) -> LiveAnswer:
        """As it arrives: what was taken out of the request is not put back yet, but where it was whole before."""
        is_held_back = prepared.route.judges and prepared.route.commit == "validated"
        if is_held_back or prepared.route.may_hold:
            return await self._stream_judged(prepared)
        if prepared.route.judges:
            told = f"{prepared.plan.reason}; the stream is told from its first token on, so no gate judges it"
            prepared.draft.plan = replace(prepared.plan, reason=told)
        journey = await self._start(prepared)
        flow = await self._or_settle(journey, journey.run.open)
        receipt = self._receipt_so_far(journey, flow)
        if flow.kept:
            await self.keeping.note(flow.kept, prepared.request, receipt, goes_on=True)
        return Relayed(
            Mended(flow, journey.run) if journey.run.mends else flow,
            receipt,
            lambda state, error: self._settle_stream(journey, flow, state, error),
            lambda cause: self._settle_for_nobody(journey, cause),
        )

    async def _start(self, prepared: Prepared) -> Journey:
        """Stage 4, ready to go: rate limits are asked here, money is held attempt by attempt."""
        parts, draft = self._parts, prepared.draft
        if prepared.is_patient and parts.make_way is not None:
            await parts.make_way(draft.caller)
        parts.around.health.came(parts.around.monotonic())
        now_s, until_s = parts.around.monotonic(), draft.arrived_s + prepared.route.timeout_s
        admission = await parts.accounts.enter(draft.caller, tokens_asked(prepared.needs), now_s, until_s)
        meter = Meter(
            RequestFacts(
                request_id=draft.request_id,
                client_request_id=draft.client_request_id,
                caller=draft.caller,
                route=draft.route,
                policy=draft.policy,
                needs=prepared.needs,
                came_at=draft.time,
                min_output_tokens=prepared.route.min_output_tokens,
                has_ceiling=prepared.route.constraints.cost_ceiling_usd is not None,
            ),
            parts.accounts,
            parts.ledger,
            parts.utc_now,
        )
        log = AttemptLog(
            meter,
            needs=prepared.needs,
            arrived_s=draft.arrived_s,
            day=draft.time.date(),
            monotonic=parts.around.monotonic,
            health=parts.around.health,
            hide=prepared.guard.hide if prepared.guard is not None else None,
        )
        run = Run(self._order(prepared, log), parts.around, meter, log)
        journey = Journey(prepared=prepared, run=run, meter=meter, admission=admission)
        if prepared.route.moderation is not None:
            journey = await self._moderated(journey, prepared.route.moderation)
        if prepared.again is None:
            return journey
        return await self._or_settle(journey, lambda: self._reconsidered(journey))

    async def _moderated(self, journey: Journey, guarding: Guarding) -> Journey:
        """The same journey, where its texts may go on. What was found of them is its answer, or decides about it."""
        run, monotonic = journey.run, self._parts.around.monotonic
        found = await self._or_settle(journey, lambda: guarding.look(journey.prepared.request, run.ask, monotonic))
        prepared = journey.prepared
        prepared.draft.moderation = found.told
        if guarding.prompts == "answer":
            prepared = replace(prepared, request=replace(prepared.request, rulings=found.rulings))
            run.turn_to(self._order(prepared, run.log))
        elif found.told.flagged and guarding.prompts == "review":
            prepared = replace(prepared, route=replace(prepared.route, review=prepared.route.on_review))
        elif found.told.flagged:
            await self._or_settle(journey, lambda: refuse(found))
        return replace(journey, prepared=prepared)

    async def _reconsidered(self, journey: Journey) -> Journey:
        """The same journey, planned by what models say the request is; their calls are its first attempts."""
        prepared, run, monotonic = journey.prepared, journey.run, self._parts.around.monotonic
        assert prepared.again is not None  # only asked for where it is there
        asked = prepared.route.asked
        said = await asyncio.gather(*(c.classed(prepared.request, run.ask, monotonic) for c in asked))
        told = {classifier.name: found for classifier, found in zip(asked, said, strict=True)}
        prepared = replace(prepared.again(told), again=None)
        if not journey.prepared.request.stream and prepared.request.stream:
            prepared = replace(prepared, request=without_stream(prepared.request))
        seen, spent = prepared.draft.classification, sum((run.log.spent_on(c.purpose, 0) for c in asked), ZERO_USD)
        if seen is not None:
            prepared.draft.classification = replace(seen, cost_usd=spent)
        if (before := journey.prepared).draft.moderation is not None:
            prepared.draft.moderation = before.draft.moderation
            prepared = replace(prepared, route=replace(prepared.route, review=before.route.review))
        run.turn_to(self._order(prepared, run.log))
        return replace(journey, prepared=prepared)

    def _order(self, prepared: Prepared, log: AttemptLog) -> Order:
        parts, draft, request = self._parts, prepared.draft, prepared.request
        goes_on = prepared.route.on_interrupt == "continue" and _goes_on(prepared)
        if goes_on:
            request = opened(request)

        def latency_of(deployment: Deployment) -> float | None:
            return parts.latencies.of(deployment, parts.around.monotonic())

        return Order(
            request=request,
            plan=prepared.plan,
            deadline_s=draft.arrived_s + prepared.route.timeout_s,
            read=lambda reply: self.read(request, reply),
            race=racing(prepared) if prepared.route.races else (),
            hedge=self._hedge(prepared) if prepared.route.hedge is not None and prepared.again is None else None,
            route=draft.route,
            top_logprobs=prepared.route.top_logprobs if prepared.route.judges else 0,
            wording=prepared.wording,
            trace=draft.trace,
            rest=(lambda text: rest(prepared, text, self._deciding.obstacles, latency_of)) if goes_on else None,
            hear=self._hear(prepared, log) if prepared.route.judges else None,
            aside=lambda model, asked: aside(
                prepared,
                model,
                asked,
                self._deciding.obstacles,
                latency_of,
            ),
        )

    def _hedge(self, prepared: Prepared) -> Hedge | None:
        """The route's rule, where this request may be asked twice; it pays for others' second calls then."""
        hedge = prepared.route.hedge
        if hedge is None or not may_be_doubled(prepared.request):
            return None
        self._parts.around.hedges.came(prepared.route.name, hedge)
        return hedge

    def read(self, request: Request, reply: Reply) -> Response:
        """The canonical form of an answer; parses one that was only passed on."""
        if reply.response is not None:
            return reply.response
        assert reply.wire is not None  # a reply has one of the two forms
        assert request.wire is not None  # and bytes only where the door speaks the upstream's dialect
        return self._parts.dialects[request.wire.dialect].parse_response(reply.wire)

    def _receipt_so_far(self, journey: Journey, flow: Flow) -> Receipt:
        """For a stream's headers: who answers is known, what it will cost is not."""
        log, now_s = journey.run.log, self._parts.around.monotonic()
        attempts, draft = [*log.attempts, log.under_way(flow.trial, flow.dropped)], journey.prepared.draft
        draft.clamped_to = journey.meter.clamped_to
        return draft.receipt("open", attempts, now_s)

    def _hear(self, prepared: Prepared, log: AttemptLog) -> Callable[[int, CallModel], Hearing]:
        """Stage 5: opens the hearing on each call's answer before that is accepted."""
        monotonic, route = self._parts.around.monotonic, prepared.route

        def hear(step: int, call_model: CallModel) -> Hearing:
            model = prepared.plan.steps[step].candidate.deployment.model
            case = Case(
                request=prepared.request,
                model=model,
                checks=route.checks_for(model),
                contract=route.contract,
                call_model=call_model,
                spent_on=lambda purpose: log.spent_on(purpose, step),
                monotonic=monotonic,
                hides_logprobs=route.top_logprobs > 0 and not prepared.request.logprobs,
            )
            return Timed(validation.Hearing(case), monotonic, prepared.draft)

        return hear

    async def _settle(
        self, journey: Journey, state: RequestState, *, reply: Reply | None = None, error: BaseException | None = None
    ) -> Receipt:
        """Stage 6: the receipt, and the books. Durable when it returns, and written also where the caller leaves."""
        parts, draft, run = self._parts, journey.prepared.draft, journey.run
        attempts, now_s, flight = run.log.attempts, parts.around.monotonic(), journey.prepared.flight
        stop = None if reply is None else reply.stop.value
        parts.accounts.leave(journey.admission)
        draft.mark(now_s)
        draft.paused_s, draft.clamped_to = run.paused_s, journey.meter.clamped_to
        paid: Sequence[Attempt] = attempts
        if flight is not None:
            paid = flight.share(attempts, for_all=state == "settled" and draft.clamped_to is None).attempts
        receipt = draft.receipt(state, paid, parts.around.monotonic(), stop=stop, error=error)
        parts.accounts.correct(journey.admission, sum(a.usage.total_tokens for a in attempts if a.usage is not None))
        for attempt in attempts:
            if attempt.status == "succeeded":
                parts.latencies.note(attempt.deployment, attempt.first_token_ms or attempt.duration_ms, now_s)
        if journey.prepared.stays:
            keep_place(parts, journey.prepared, attempts, now_s)
        settlement = Settlement(request_id=draft.request_id, settled_at=parts.utc_now(), state=state, receipt=receipt)
        try:
            await parts.ledger.settle(settlement)
        except asyncio.CancelledError:
            await asyncio.shield(parts.ledger.settle(settlement))  # to settle twice alike is to settle once
            journey.meter.booked()
            parts.observe(receipt)
            raise
        journey.meter.booked()
        if flight is not None and flight.shares is not None:
            flight.receipt = receipt
            await give_back(parts, draft.caller, draft.time, flight.shares)
        parts.observe(receipt)
        request = journey.prepared.request
        parts.overhear(receipt, request, None if reply is None else lambda: self.read(request, reply))
        return receipt

    async def _settle_stream(
        self, journey: Journey, flow: Flow, state: RequestState, error: BaseException | None
    ) -> Receipt:
        receipt = await self._settle(journey, state, error=error)
        if flow.ended is not None and flow.ended.kept:
            await self.keeping.note(flow.ended.kept, journey.prepared.request, receipt, goes_on=False)
        return receipt

    async def _settle_for_nobody(self, journey: Journey, cause: BaseException) -> Receipt | None:
        """The caller left, or the gateway broke. Where the books fail the request stays open, to be recovered: None."""
        is_left = isinstance(cause, asyncio.CancelledError | GeneratorExit)
        with suppress(StoreError):
            return await self._settle(journey, "cancelled" if is_left else "failed", error=None if is_left else cause)
        return None

    async def _answer(self, prepared: Prepared) -> Answer:
        journey = await self._start(prepared)
        reply = await self._or_settle(journey, journey.run.answer)
        if prepared.flight is not None:
            prepared.flight.reply = reply
        if prepared.guard is not None:
            reply = prepared.guard.restored_reply(reply)
        route = journey.prepared.route
        policy = route.review or (route.on_review if journey.run.is_held else None)
        if policy is not None:
            await self._or_settle(journey, lambda: self._hold(journey, reply, policy))
        receipt = await self._settle(journey, "settled", reply=reply)
        if reply.kept:
            await self.keeping.note(reply.kept, prepared.request, receipt, goes_on=reply.goes_on)
        if policy is not None:
            raise AnswerHeld(review_id(receipt.request_id))
        return Answer(reply=reply, receipt=receipt)

    async def _hold(self, journey: Journey, reply: Reply, policy: ReviewPolicy) -> None:
        """For a person to decide on. What it cost is settled now, whatever is decided."""
        parts, draft, request = self._parts, journey.prepared.draft, journey.prepared.request
        answer, dialect = self.read(request, reply), parts.dialects.get(draft.door)
        body = reply.wire or (dialect.render_response(answer, request) if dialect is not None else None)
        draft.review = "pending"
        await parts.hold(review_of(journey, answer, body, policy, parts.utc_now()))

    async def _stream_judged(self, prepared: Prepared) -> LiveAnswer:
        """Gates need the whole answer: it is fetched unstreamed, judged, and only then told as a stream."""
        whole = replace(prepared, request=without_stream(prepared.request))
        answer = await self._answer(whole)
        flight = prepared.flight  # who joined it puts back its own
        reply = answer.reply if flight is None or flight.reply is None else flight.reply
        return Told(self.read(whole.request, reply), answer.receipt)

    async def _or_settle(self, journey: Journey, work: Callable[[], Awaitable[_T]]) -> _T:
        """What `work` gives; where it fails, the books are settled first."""
        try:
            need_steps(journey.prepared.plan, journey.prepared.draft.exclusions)
            return await work()
        except PolyrouteError as exc:
            await self._settle(journey, "failed", error=exc)
            raise
        except BaseException as exc:
            await self._settle_for_nobody(journey, exc)
            raise


def _goes_on(prepared: Prepared) -> bool:
    """Whether another model may go on where its stream breaks off, on a route that asks for it."""
    has_form = prepared.route.form is not None or prepared.route.contract is not None
    return prepared.request.stream and not has_form and may_go_on(prepared.request)
