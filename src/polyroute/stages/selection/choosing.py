"""Which deployment of a model goes first, and in which order the others stand by. Pure: draws and signals come in.

    weighted     drawn by weight
    least_busy   the fewest calls under way for its weight; equals by weight
    latency      the better of two drawn, by its latency times the calls that would be under way, for its weight
    cheapest     the lowest expected cost; equals by weight
    by_class     interactive requests by latency, batch and deferred ones by cost

Of two drawn the worse is never taken, and yet not everybody runs to the one that looks best: Mitzenmacher, "The Power
of Two Choices in Randomized Load Balancing", 2001. Who sticks to a place goes there first whatever its load, unless
another is cheaper; a first place is found by weighted rendezvous hashing, so that replicas find the same one.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from hashlib import blake2b
from math import log

from msgspec import Struct

from polyroute.state.health.load import Load
from polyroute.state.places import Place
from polyroute.types.money import ZERO_USD
from polyroute.types.routing import Candidate, ChooseBy, RequestClass, StickyBy

_IDLE = Load()
_HASHES = 2.0**64


class Sticky(Struct, frozen=True, kw_only=True):
    """What keeps its place, and how long after its newest request."""

    by: StickyBy
    ttl_s: float = 3600.0


class Choosing(Struct, frozen=True, kw_only=True):
    by: ChooseBy = "weighted"
    sticky: Sticky | None = None


class Stay(Struct, frozen=True, kw_only=True):
    """Where a request sticks to."""

    key: bytes
    by: StickyBy
    place: Place | None = None  # that answered the newest request; None: not known


class Look(Struct, frozen=True, kw_only=True):
    """What choosing goes by, for one request."""

    choosing: Mapping[str, Choosing]  # by model; those without are weighted
    loads: Mapping[str, Load]
    now_s: float
    request_class: RequestClass
    stays: Mapping[str, Stay] = {}  # by model


class Ranked(Struct, frozen=True, kw_only=True):
    candidates: list[Candidate]
    why: str | None = None  # the first is the first


def rank(candidates: list[Candidate], model: str, look: Look | None, draw: float) -> Ranked:
    """All of a model's candidates, best first. `draw` in [0, 1)."""
    choosing = look.choosing.get(model) if look is not None else None
    if look is None or choosing is None or len(candidates) < 2:
        return Ranked(candidates=spread(candidates, draw))
    by, stay = _means(choosing.by, look.request_class), look.stays.get(model)
    if stay is not None:
        return _stuck(candidates, stay, by)
    match by:
        case "latency":
            ranked, how = _better_of_two(candidates, look, draw), "faster of two"
        case "least_busy":
            ranked, how = sorted(spread(candidates, draw), key=lambda c: _busy(c, look)), "least busy"
        case "cheapest":
            ranked, how = sorted(spread(candidates, draw), key=_price), "cheapest"
        case _:
            ranked, how = spread(candidates, draw), "drawn by weight"
    return Ranked(candidates=ranked, why=f"{ranked[0].deployment.id} is {how}")


def spread(candidates: list[Candidate], draw: float) -> list[Candidate]:
    """In an order drawn by weight: whoever fails is stood in for by weight, too."""
    left, drawn = list(candidates), list[Candidate]()
    while len(left) > 1:
        mark, at = draw * sum(c.deployment.weight for c in left), 0
        while at < len(left) - 1 and mark >= left[at].deployment.weight:
            mark -= left[at].deployment.weight
            at += 1
        draw = mark / left[at].deployment.weight  # what is left of a draw is a draw, too
        drawn.append(left.pop(at))
    return drawn + left


def rendezvous(candidates: Iterable[Candidate], key: bytes) -> list[Candidate]:
    """In an order that only the key decides, by weight over all keys; without one of them the others' stays.

    Source: Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005, the logarithmic method.
    """

    def score(candidate: Candidate) -> float:
        hashed = blake2b(candidate.deployment.id.encode(), digest_size=8, key=key).digest()
        return candidate.deployment.weight / -log((int.from_bytes(hashed) + 1) / (_HASHES + 1))

    return sorted(candidates, key=score, reverse=True)


def _means(by: ChooseBy, request_class: RequestClass) -> ChooseBy:
    if by != "by_class":
        return by
    return "latency" if request_class == "interactive" else "cheapest"


def _stuck(candidates: list[Candidate], stay: Stay, by: ChooseBy) -> Ranked:
    whose = stay.by.replace("_", " ")
    ranked = rendezvous(candidates, stay.key)
    place, why = ranked[0], f"the {whose}'s place is {ranked[0].deployment.id}"
    for candidate in ranked:
        if stay.place is not None and candidate.deployment.id == stay.place.deployment:
            place, why = candidate, f"the {whose} stays at {candidate.deployment.id}"
    ranked.sort(key=lambda candidate: candidate is not place)
    if by == "cheapest":
        ranked.sort(key=_price)
        if ranked[0] is not place:
            why = f"{ranked[0].deployment.id} is cheaper than the {whose}'s place"
    return Ranked(candidates=ranked, why=why)


def _better_of_two(candidates: list[Candidate], look: Look, draw: float) -> list[Candidate]:
    def cost(candidate: Candidate) -> float:
        deployment = candidate.deployment
        return look.loads.get(deployment.id, _IDLE).cost(look.now_s) / deployment.weight

    others = len(candidates) - 1
    one, other = divmod(int(draw * len(candidates) * others), others)
    other += other >= one
    first = min(candidates[one], candidates[other], key=cost)
    return [first, *sorted((c for c in candidates if c is not first), key=cost)]


def _busy(candidate: Candidate, look: Look) -> float:
    return look.loads.get(candidate.deployment.id, _IDLE).in_flight / candidate.deployment.weight


def _price(candidate: Candidate) -> tuple[bool, Decimal]:
    return candidate.expected_usd is None, candidate.expected_usd or ZERO_USD
