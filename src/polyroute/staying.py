"""What choosing between a model's deployments goes by, for one request; and where a session was, for its next one.

Signals are read and the memory of places is asked here; what follows from them is decided in `stages.selection`.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from polyroute.catalog.pricing import price_at
from polyroute.journey import Entry, Parts, Prepared
from polyroute.stages.route import Route
from polyroute.stages.selection.choosing import Look, Stay
from polyroute.stages.selection.sticky import sticky_key
from polyroute.stages.selection.warmth import KEPT_S, cached_tokens, saved_usd
from polyroute.state.places import Place
from polyroute.types.access import Caller
from polyroute.types.receipt import Attempt
from polyroute.types.request import Request
from polyroute.types.routing import Candidate, RequestClass, StickyBy


def look_of(
    parts: Parts,
    route: Route,
    request: Request,
    caller: Caller,
    entry: Entry,
    request_class: RequestClass,
    now_s: float,
) -> Look:
    keys, stays = dict[StickyBy, bytes | None](), dict[str, Stay]()
    for model, choosing in route.choosing.items():
        if (sticky := choosing.sticky) is None:
            continue
        if sticky.by not in keys:
            keys[sticky.by] = sticky_key(sticky.by, request, caller, entry.session)
        if (key := keys[sticky.by]) is not None:
            place = parts.places.find(caller.tenant, model, key, sticky.ttl_s, now_s)
            stays[model] = Stay(key=key, by=sticky.by, place=place)
    loads = parts.around.health.loads
    return Look(choosing=route.choosing, loads=loads, now_s=now_s, request_class=request_class, stays=stays)


def saved_by_caches(look: Look, candidates: Sequence[Candidate], today: date) -> dict[str, Decimal]:
    """By deployment: what its provider's prompt cache saves of this request, where it holds some of it."""
    found = dict[str, Decimal]()
    for candidate in candidates:
        deployment, stay = candidate.deployment, look.stays.get(candidate.deployment.model)
        place = stay.place if stay is not None else None
        if place is None or place.deployment != deployment.id or look.now_s - place.at_s > KEPT_S:
            continue
        if saved := saved_usd(candidate, place.cached_tokens, price_at(deployment.card, today)):
            found[deployment.id] = saved
    return found


def keep_place(parts: Parts, prepared: Prepared, attempts: Sequence[Attempt], now_s: float) -> None:
    """Where the answer came from is where the next request of the same session goes."""
    answer = next((a for a in reversed(attempts) if a.status == "succeeded" and a.purpose is None), None)
    stay = prepared.stays.get(answer.model) if answer is not None else None
    if answer is None or stay is None:
        return
    deployment = prepared.plan.steps[answer.step].candidate.deployment
    price = price_at(deployment.card, prepared.draft.time.date())
    cached = cached_tokens(answer.usage, price) if answer.usage is not None else 0
    place = Place(deployment=answer.deployment, cached_tokens=cached, at_s=now_s)
    parts.places.keep(prepared.draft.caller.tenant, answer.model, stay.key, place)
