"""Stages 1 to 3 of a request: what it is, who can serve it, and the plan. No model is called and nothing is spent.

What holds for the caller's tenant (its routes, bounds and privacy) is looked up here, once per request.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from polyroute.asides import check_costs
from polyroute.catalog import tokens
from polyroute.errors import NoCandidate
from polyroute.journey import Entry, Parts, Prepared
from polyroute.ports import Selection
from polyroute.privacy.guard import Guard, guard
from polyroute.stages.assembly.draft import Draft
from polyroute.stages.execution.wording import Wording, word
from polyroute.stages.matching.estimates import candidate
from polyroute.stages.matching.files import refuse_closed, refuse_ids
from polyroute.stages.matching.match import Boundary, match
from polyroute.stages.matching.needs import needs_of
from polyroute.stages.route import Route, View, admit, check_unseen, checked, fit
from polyroute.stages.selection.constraints import constrain
from polyroute.stages.selection.plan import ask_last, make_plan
from polyroute.stages.selection.warmth import told, warmed
from polyroute.staying import look_of, saved_by_caches
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment
from polyroute.types.money import ZERO_USD
from polyroute.types.request import Request
from polyroute.types.routing import Classed


class Deciding:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._usual = View(routes=parts.routes, policy=parts.policy)

    def view_of(self, caller: Caller) -> View:
        """What holds for the caller's tenant."""
        return self._parts.view_of(caller.tenant) or self._usual

    async def classed(self, request: Request, caller: Caller, entry: Entry) -> Entry:
        """With what classifiers on this machine say, where its route looks at any."""
        view = self.sound_view(caller)
        route = entry.route or view.routes.find(request.model)
        if not route.classifiers and route.split is None:
            return entry
        admit(route, request, caller)
        if route.split is not None:
            route = view.routes.find(route.split.assign(request, caller, entry.session, entry.request_id).arm)
        text, known = request.last_user_text, self._parts.classifiers
        said = await asyncio.gather(*(known[name].classed(text) for name in route.classifiers))
        return replace(entry, classes={**entry.classes, **dict(zip(route.classifiers, said, strict=True))})

    def prepare(self, request: Request, caller: Caller, entry: Entry) -> Prepared:
        """Stages 1 to 3: no model is called and nothing is spent."""
        parts = self._parts
        now = parts.around.monotonic
        view = self.sound_view(caller)
        route = entry.route or view.routes.find(request.model)
        admit(route, request, caller)
        assigned = None
        if route.split is not None:
            assigned = route.split.assign(request, caller, entry.session, entry.request_id)
            route = view.routes.find(assigned.arm)
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
        draft.split = assigned
        draft.baseline = route.baseline
        asked = request
        request, wording, shield = self.shielded(request, route, view)
        if wording is not None:
            draft.prompt = wording.prompt_id
        looked_at = request
        if shield is not None:
            draft.pii, draft.pii_handling = {str(kind): n for kind, n in shield.counts.items()}, shield.actions
            looked_at = shield.masked(request)  # what is seen there is told as evidence

        seen = parts.classifier.classify(
            looked_at,
            task=entry.task or route.task or _task_of(route, entry),
            wants_task=route.wants_task,
            thresholds=route.thresholds,
        )
        if entry.classes:
            seen = replace(seen, classes=entry.classes)
        classified_s = now()
        draft.mark(classified_s)
        draft.classification = replace(seen, elapsed_ms=round((classified_s - entry.arrived_s) * 1000, 3))

        request, size, route = fit(request, route, wording.added if wording is not None else tokens.NOTHING)
        needs = needs_of(request, size)
        if needs.files:
            refuse_closed(needs.files, route.deployments)
            if not parts.takes_strangers():
                refuse_ids(needs.files)
        if request.background:
            check_unseen(route)
        boundaries = boundaries_of(route, view, shield)
        if entry.holder is not None:
            boundaries += (Boundary(whose="what the request refers to", providers=frozenset({entry.holder})),)
        matched = match(route.deployments, needs, boundaries, lambda d: self.obstacles(request, d))
        today, latency_of = draft.time.date(), parts.latencies.of
        draft.candidates = tuple(
            candidate(d, needs, size, today, latency_of(d, classified_s)) for d in matched.deployments
        )
        constraints = route.constraints
        if entry.request_class is not None and entry.request_class != constraints.request_class:
            constraints = replace(constraints, request_class=entry.request_class)
        look, saved = None, dict[str, Decimal]()
        if route.choosing:
            look = look_of(parts, route, request, caller, entry, constraints.request_class, classified_s)
            if look.stays:
                saved = saved_by_caches(look, draft.candidates, today)
                draft.candidates = tuple(warmed(c, saved.get(c.deployment.id, ZERO_USD)) for c in draft.candidates)
        draft.mark(now())

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
        plan = make_plan(
            route.strategy_name, choice, route.fallback, within.candidates, constraints, parts.draw(), look
        )
        if within.note:
            plan = replace(plan, reason=f"{plan.reason}; {within.note}")
        unwell = parts.around.health.unwell(
            [step.candidate.deployment.id for step in plan.steps], classified_s, parts.draw(), needs.input_tokens
        )
        if unwell:
            first = plan.steps[0].candidate.deployment.id
            if first in unwell:
                draft.passed_over = f"{first}: {unwell[first]}"
            plan = ask_last(plan, unwell)
        if saved and plan.steps and (why := told(plan.steps[0].candidate.deployment.id, saved)):
            plan = replace(plan, reason=f"{plan.reason}; {why}")
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
            stays=look.stays if look is not None else {},
            is_patient=constraints.request_class != "interactive",
            again=self._again(asked, caller, entry, draft) if route.asked else None,
        )

    def _again(
        self, request: Request, caller: Caller, entry: Entry, draft: Draft
    ) -> Callable[[dict[str, Classed]], Prepared]:
        """The same request prepared anew, in the same trace, once models have said what it is."""
        return lambda said: self.prepare(
            request, caller, replace(entry, trace=draft.trace, classes={**entry.classes, **said})
        )

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

    def sound_view(self, caller: Caller) -> View:
        """What holds for the caller's tenant. Raises NoCandidate where nothing can be answered under it."""
        view = self.view_of(caller)
        if view.fault is not None:
            raise NoCandidate(view.fault, ())
        return view

    def shielded(self, request: Request, route: Route, view: View) -> tuple[Request, Wording | None, Guard | None]:
        """With the route's words, and with the personal data that must not go out replaced.

        Raises InvalidRequest where it must not come in.
        """
        request, wording = self._word(request, route)
        rules = (*route.privacy, *view.privacy)
        if not rules:
            return request, wording, None
        found = guard(request, wording.texts if wording is not None else {}, rules, self._parts.detector)
        if found is None:
            return request, wording, None
        worded = None if wording is None else replace(wording, texts=found.texts)
        return found.request, worded, found.guard

    def obstacles(self, request: Request, deployment: Deployment) -> tuple[str, ...]:
        return self._parts.around.providers[deployment.provider].obstacles(request, deployment)


def _task_of(route: Route, entry: Entry) -> str | None:
    found = None if route.task_by is None else entry.classes.get(route.task_by)
    return None if found is None else found.label


def boundaries_of(route: Route, view: View, shield: Guard | None) -> tuple[Boundary, ...]:
    """Where a request may go: all of them hold, in fallbacks too."""
    if shield is None or not shield.private:
        return (route.boundary, view.boundary)
    why = f"the request holds personal data ({', '.join(shield.private)})"
    return (route.boundary, view.boundary, Boundary(private=True, why=why))
