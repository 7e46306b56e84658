"""One request's life: six stages in order.

    classification → matching → selection → execution → validation → assembly

What each stage decides is decided in its own package, purely; here the stages are only put in order, and what was
decided is written into the receipt. The books are settled on every way out: answer, error, or the caller's leaving.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from msgspec.structs import replace

from polyroute.asides import Timed, aside, check_costs, racing
from polyroute.catalog import tokens
from polyroute.errors import AnswerHeld, NoCandidate, PolyrouteError, ProviderError, StoreError
from polyroute.journey import Answer, Entry, Journey, LiveAnswer, Parts, Prepared
from polyroute.live import Relayed, Restored, Told
from polyroute.ports import CallModel, CountsTokens, Hearing, Monotonic, Selection
from polyroute.privacy.guard import Guard, guard
from polyroute.stages.assembly.draft import Draft
from polyroute.stages.execution.attempts import AttemptLog
from polyroute.stages.execution.meter import Meter, RequestFacts, tokens_asked
from polyroute.stages.execution.runner import Flow, Order, Run
from polyroute.stages.execution.wording import Wording, word
from polyroute.stages.matching.estimates import candidate
from polyroute.stages.matching.match import Boundary, match
from polyroute.stages.matching.needs import needs_of
from polyroute.stages.route import ReviewPolicy, Route, Routes, View, admit, checked, fit
from polyroute.stages.selection.constraints import constrain
from polyroute.stages.selection.plan import ask_last, make_plan, need_steps
from polyroute.stages.validation import judge as validation
from polyroute.stages.validation.judge import Case
from polyroute.state.health.health import Health
from polyroute.state.reviews import review_id
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment
from polyroute.types.receipt import Receipt, RequestState, Settlement
from polyroute.types.request import Request, without_stream
from polyroute.types.response import Reply, Response
from polyroute.types.review import Review

_T = TypeVar("_T")


class RequestPath:
    """The path that every door sends its requests along."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._usual = View(routes=parts.routes, policy=parts.policy)

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
        return (self._parts.view_of(caller.tenant) or self._usual).routes

    async def answer(self, request: Request, caller: Caller, entry: Entry) -> Answer:
        """A whole answer. Raises CallerError or RoutingError; by then the books are settled."""
        return await self._answer(self.prepare(request, caller, entry))

    async def stream(self, request: Request, caller: Caller, entry: Entry) -> LiveAnswer:
        """An answer whose first content has arrived, or was held until its gates had accepted it."""
        prepared = self.prepare(request, caller, entry)
        is_held_back = prepared.route.judges and prepared.route.commit == "validated"
        if is_held_back or prepared.route.review is not None:
            return await self._stream_judged(prepared)
        if prepared.route.judges:
            told = f"{prepared.plan.reason}; the stream is told from its first token on, so no gate judges it"
            prepared.draft.plan = replace(prepared.plan, reason=told)
        journey = await self._start(prepared)
        flow = await self._or_settle(journey, journey.run.open)
        relayed = Relayed(
            flow,
            self._receipt_so_far(journey, flow),
            lambda state, error: self._settle(journey, state, error=error),
            lambda cause: self._settle_for_nobody(journey, cause),
        )
        guard = prepared.guard
        return Restored(relayed, guard) if guard is not None and guard.placeholders else relayed

    async def count_tokens(self, request: Request, caller: Caller) -> int | None:
        """Input tokens as the route's first able model counts them; None where its provider does not count."""
        parts, view = self._parts, self._view(caller)
        route = view.routes.find(request.model)
        admit(route, request, caller)
        request, wording, shield = self._shielded(*self._word(request, route), route, view)
        needs, boundaries = needs_of(request, tokens.measure(request)), _boundaries(route, view, shield)
        able = match(route.deployments, needs, boundaries, lambda d: self._obstacles(request, d)).deployments
        counter: object = parts.around.providers[able[0].provider] if able else None
        if not isinstance(counter, CountsTokens):
            return None
        admission = await parts.accounts.enter(caller, 0, parts.around.monotonic())
        try:
            worded = request if wording is None else wording.put_to(request, able[0])
            return await counter.count_tokens(worded, able[0], able[0].deadlines)
        except ProviderError:
            return None
        finally:
            parts.accounts.leave(admission)

    def estimate_tokens(self, request: Request) -> int:
        """Input tokens, most likely, as the route's first model counts them; with what the route puts to the request."""
        route = self._parts.routes.find(request.model)
        request, wording = self._word(request, route)
        size = tokens.measure(request).plus(wording.added if wording is not None else tokens.NOTHING)
        return size.estimate_for(route.deployments[0].upstream_model) if route.deployments else size.estimate

    def call_model_for(self, caller: Caller) -> CallModel:
        """The port for a stage that needs a model's answer: a request of its own, on `caller`'s limits and budgets.

        Which models a stage asks is the document's business, so a key's own list of models does not bind it.
        """
        payer = replace(caller, models=None)

        async def call_model(model: str, request: Request, *, purpose: str) -> Response:
            entry = Entry(
                request_id=self._parts.new_request_id(), arrived_s=self.monotonic(), door=f"internal/{purpose}"
            )
            asked = replace(request, model=model)
            answer = await self.answer(asked, payer, entry)
            return self.read(asked, answer.reply)

        return call_model

    def prepare(self, request: Request, caller: Caller, entry: Entry) -> Prepared:
        """Stages 1 to 3: no model is called and nothing is spent."""
        parts = self._parts
        now = parts.around.monotonic
        view = self._view(caller)
        route = entry.route or view.routes.find(request.model)
        admit(route, request, caller)
        draft = Draft(
            request_id=entry.request_id,
            client_request_id=entry.client_request_id,
            time=parts.utc_now(),
            arrived_s=entry.arrived_s,
            caller=caller,
            door=entry.door,
            requested_model=request.model,
            policy=view.policy,
            stream=request.stream,
        )
        draft.trace = entry.trace or parts.begin_trace(entry.request_id)
        draft.route = route.name
        draft.baseline = route.baseline
        request, wording, shield = self._shielded(*self._word(request, route), route, view)
        if wording is not None:
            draft.prompt = wording.prompt_id
        looked_at = request
        if shield is not None:
            draft.pii, draft.pii_handling = {str(kind): n for kind, n in shield.counts.items()}, shield.actions
            looked_at = shield.masked(request)  # what is seen there is told as evidence

        seen = parts.classifier.classify(
            looked_at, task=entry.task or route.task, wants_task=route.wants_task, thresholds=route.thresholds
        )
        classified_s = now()
        draft.mark(classified_s)
        draft.classification = replace(seen, elapsed_ms=round((classified_s - entry.arrived_s) * 1000, 3))

        request, size, route = fit(request, route, wording.added if wording is not None else tokens.NOTHING)
        needs = needs_of(request, size)
        boundaries = _boundaries(route, view, shield)
        matched = match(route.deployments, needs, boundaries, lambda d: self._obstacles(request, d))
        today, latency_of = draft.time.date(), parts.latencies.of
        draft.candidates = tuple(
            candidate(d, needs, size, today, latency_of(d, classified_s)) for d in matched.deployments
        )
        draft.mark(now())

        constraints = route.constraints
        if entry.request_class is not None and entry.request_class != constraints.request_class:
            constraints = replace(constraints, request_class=entry.request_class)
        within = constrain(draft.candidates, constraints)
        draft.exclusions = matched.exclusions + within.exclusions
        choice = route.strategy.choose(
            Selection(
                request=request,
                classification=draft.classification,
                candidates=within.candidates,
                pass_rates=parts.pass_rates(route.name) if route.doubted else {},
                check_usd=check_costs(route, needs, size, today) if route.helpers else {},
            )
        )
        plan = make_plan(route.strategy_name, choice, route.fallback, within.candidates, constraints, parts.draw())
        if within.note:
            plan = replace(plan, reason=f"{plan.reason}; {within.note}")
        unwell = parts.around.health.unwell(
            [step.candidate.deployment.id for step in plan.steps], classified_s, parts.draw()
        )
        if unwell:
            first = plan.steps[0].candidate.deployment.id
            if first in unwell:
                draft.passed_over = f"{first}: {unwell[first]}"
            plan = ask_last(plan, unwell)
        draft.plan = plan
        draft.mark(now())
        route = checked(route, request, plan)
        return Prepared(
            request=request,
            route=route,
            plan=plan,
            needs=needs,
            draft=draft,
            boundaries=boundaries,
            wording=wording,
            guard=shield,
        )

    async def _start(self, prepared: Prepared) -> Journey:
        """Stage 4, ready to go: rate limits are asked here, money is held attempt by attempt."""
        parts, draft, request = self._parts, prepared.draft, prepared.request
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
                day=draft.time.date(),
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
        order = Order(
            request=request,
            plan=prepared.plan,
            deadline_s=draft.arrived_s + prepared.route.timeout_s,
            read=lambda reply: self.read(request, reply),
            race=racing(prepared) if prepared.route.races else (),
            top_logprobs=prepared.route.top_logprobs if prepared.route.judges else 0,
            wording=prepared.wording,
            trace=draft.trace,
            hear=self._hear(prepared, log) if prepared.route.judges else None,
            aside=lambda model, asked: aside(
                prepared, model, asked, self._obstacles, lambda d: parts.latencies.of(d, parts.around.monotonic())
            ),
        )
        return Journey(prepared=prepared, run=Run(order, parts.around, meter, log), meter=meter, admission=admission)

    def _word(self, request: Request, route: Route) -> tuple[Request, Wording | None]:
        """The request without what it says to the gateway alone, and what the route adds to it."""
        parts = self._parts
        return word(
            request,
            route=route.name,
            prompt=route.prompt,
            form=route.form,
            deployments=route.deployments,
            registry=parts.prompts,
            dialects=parts.dialects,
        )

    def _view(self, caller: Caller) -> View:
        """What holds for the caller's tenant. Raises NoCandidate where nothing can be answered under it."""
        view = self._parts.view_of(caller.tenant) or self._usual
        if view.fault is not None:
            raise NoCandidate(view.fault, ())
        return view

    def _shielded(
        self, request: Request, wording: Wording | None, route: Route, view: View
    ) -> tuple[Request, Wording | None, Guard | None]:
        """With the personal data that must not go out replaced. Raises InvalidRequest where it must not come in."""
        rules = (*route.privacy, *view.privacy)
        if not rules:
            return request, wording, None
        found = guard(request, wording.texts if wording is not None else {}, rules, self._parts.detector)
        if found is None:
            return request, wording, None
        worded = None if wording is None else replace(wording, texts=found.texts)
        return found.request, worded, found.guard

    def _obstacles(self, request: Request, deployment: Deployment) -> tuple[str, ...]:
        return self._parts.around.providers[deployment.provider].obstacles(request, deployment)

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
        attempts, now_s = run.log.attempts, parts.around.monotonic()
        stop = None if reply is None else reply.stop.value
        parts.accounts.leave(journey.admission)
        draft.mark(now_s)
        draft.paused_s, draft.clamped_to = run.paused_s, journey.meter.clamped_to
        receipt = draft.receipt(state, attempts, parts.around.monotonic(), stop=stop, error=error)
        parts.accounts.correct(journey.admission, sum(a.usage.total_tokens for a in attempts if a.usage is not None))
        for attempt in attempts:
            if attempt.status == "succeeded":
                parts.latencies.note(attempt.deployment, attempt.first_token_ms or attempt.duration_ms, now_s)
        settlement = Settlement(request_id=draft.request_id, settled_at=parts.utc_now(), state=state, receipt=receipt)
        try:
            await parts.ledger.settle(settlement)
        except asyncio.CancelledError:
            await asyncio.shield(parts.ledger.settle(settlement))  # to settle twice alike is to settle once
            parts.observe(receipt)
            raise
        parts.observe(receipt)
        request = journey.prepared.request
        parts.overhear(receipt, request, None if reply is None else lambda: self.read(request, reply))
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
        if prepared.guard is not None:
            reply = prepared.guard.restored_reply(reply)
        policy = prepared.route.review or (prepared.route.on_review if journey.run.is_held else None)
        if policy is not None:
            await self._or_settle(journey, lambda: self._hold(journey, reply, policy))
        receipt = await self._settle(journey, "settled", reply=reply)
        if policy is not None:
            raise AnswerHeld(review_id(receipt.request_id))
        return Answer(reply=reply, receipt=receipt)

    async def _hold(self, journey: Journey, reply: Reply, policy: ReviewPolicy) -> None:
        """For a person to decide on. What it cost is settled now, whatever is decided."""
        parts, draft, request = self._parts, journey.prepared.draft, journey.prepared.request
        answer, now = self.read(request, reply), parts.utc_now()
        dialect = parts.dialects.get(draft.door)
        answered = next(a for a in reversed(journey.run.log.attempts) if a.status == "succeeded")
        draft.review = "pending"
        await parts.hold(
            Review(
                id=review_id(draft.request_id),
                request_id=draft.request_id,
                tenant=draft.caller.tenant,
                team=draft.caller.team,
                user=draft.caller.user,
                key_id=draft.caller.key_id,
                route=draft.route,
                model=answered.model,
                door=draft.door,
                asked=request.last_user_text,
                answer=answer,
                body=reply.wire or (dialect.render_response(answer, request) if dialect is not None else None),
                created_at=now,
                expires_at=now + timedelta(seconds=policy.deadline_s),
                lapses_to=policy.lapses_to,
            )
        )

    async def _stream_judged(self, prepared: Prepared) -> LiveAnswer:
        """Gates need the whole answer: it is fetched unstreamed, judged, and only then told as a stream."""
        whole = replace(prepared, request=without_stream(prepared.request))
        answer = await self._answer(whole)
        return Told(self.read(whole.request, answer.reply), answer.receipt)

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


def _boundaries(route: Route, view: View, shield: Guard | None) -> tuple[Boundary, ...]:
    """Where a request may go: all of them hold, in fallbacks too."""
    if shield is None or not shield.private:
        return (route.boundary, view.boundary)
    why = f"the request holds personal data ({', '.join(shield.private)})"
    return (route.boundary, view.boundary, Boundary(private=True, why=why))
