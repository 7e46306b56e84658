"""Where sessions were served last, and what their provider has cached of them. Bounded, and apart for each tenant.

May forget: the first place of a session is found by hashing, on every replica alike; what is kept here is only where
it went since. The caller passes the time.
"""

from collections import OrderedDict

from msgspec import Struct

_TENANTS = 64  # those heard of last
_PLACES = 2048  # of each


class Place(Struct, frozen=True, kw_only=True):
    deployment: str
    cached_tokens: int  # of its newest prompt, as far as is known
    at_s: float  # monotonic


class Places:
    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[tuple[str, bytes], Place]] = OrderedDict()

    def find(self, tenant: str, model: str, key: bytes, ttl_s: float, now_s: float) -> Place | None:
        place = self._tenants.get(tenant, _NONE).get((model, key))
        return place if place is not None and now_s - place.at_s <= ttl_s else None

    def keep(self, tenant: str, model: str, key: bytes, place: Place) -> None:
        places = self._tenants.setdefault(tenant, OrderedDict())
        self._tenants.move_to_end(tenant)
        places[model, key] = place
        places.move_to_end((model, key))
        if len(places) > _PLACES:
            places.popitem(last=False)
        if len(self._tenants) > _TENANTS:
            self._tenants.popitem(last=False)


_NONE: OrderedDict[tuple[str, bytes], Place] = OrderedDict()
