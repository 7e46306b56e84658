"""Which arm of a trial a request belongs to. Pure: the same unit always gets the same arm.

Weighted rendezvous hashing: of all arms the one with the least -ln(u) / weight, u drawn by hash from unit and arm, so
each arm gets its share, and a changed weight moves only units to or from that arm. Source: J. Resch, *New Hashing
Algorithms for Data Storage*, SNIA Storage Developer Conference 2015.
"""

from hashlib import blake2b
from math import log
from typing import Literal

from msgspec import Struct

from polyroute.stages.selection.sticky import sticky_key
from polyroute.types.access import Caller
from polyroute.types.request import Request
from polyroute.types.routing import Assignment

SplitBy = Literal["user", "session", "team", "key"]
_SIZE = 8
_SPACE = float(1 << 8 * _SIZE)


class Arm(Struct, frozen=True, kw_only=True):
    route: str  # or model
    weight: float = 1.0


class Split(Struct, frozen=True, kw_only=True):
    name: str  # of its route
    arms: tuple[Arm, ...]
    by: SplitBy | None = None  # None: each request on its own

    def assign(self, request: Request, caller: Caller, session: str | None, request_id: str) -> Assignment:
        """A request that says nothing to stick by is on its own."""
        key = None if self.by is None else _unit(self.by, request, caller, session)
        unit = None if key is None else key.hex()[:16]
        return Assignment(split=self.name, arm=self.arm_of(unit or request_id), unit=unit)

    def arm_of(self, unit: str) -> str:
        """`unit` is an assignment's own, or a request's id where it has none."""
        key = unit.encode()
        return min(self.arms, key=lambda arm: -log(_drawn(self.name, arm.route, key)) / arm.weight).route


def _unit(by: SplitBy, request: Request, caller: Caller, session: str | None) -> bytes | None:
    match by:
        case "user" | "session":
            return sticky_key(by, request, caller, session)
        case "team":
            return _hash(by, caller.tenant, caller.team)
        case "key":
            return None if caller.key_id is None else _hash(by, caller.tenant, caller.key_id)


def _drawn(split: str, arm: str, key: bytes) -> float:
    """Above 0, at most 1. Trials do not go together: a unit's arm in one says nothing of its arm in another."""
    digest = blake2b(key, digest_size=_SIZE, person=_hash(split, arm)).digest()
    return (int.from_bytes(digest) + 1) / _SPACE


def _hash(*texts: str) -> bytes:
    hashed = blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(4))  # so that texts cannot run into one another
        hashed.update(data)
    return hashed.digest()
