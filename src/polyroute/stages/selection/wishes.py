"""What a caller says about caches: LiteLLM's `cache` in the body, or `cache-control` in the headers. Pure.

Sources: docs.litellm.ai, "Caching", per-request controls; RFC 9111, 5.2.1, request directives, of which those are heard
that have a meaning here. Where both are given the stricter holds.
"""

from typing import NoReturn

from polyroute.errors import InvalidRequest
from polyroute.types.caching import CacheWish

FIELD = "cache"  # of a body: never sent upstream
_SWITCHES = frozenset({"no-cache", "no-store", "use-cache"})
_AGES = frozenset({"ttl", "s-maxage", "s-max-age"})
_MOST_NAME = 200
_MOST_S = 10**9
_USUAL = CacheWish()


def wish_of(body: object, header: str | None) -> CacheWish:
    """Raises InvalidRequest, naming the field."""
    if body is None and header is None:
        return _USUAL
    said: dict[str, object] = {} if body is None else _checked(body)
    reads, stores = not said.get("no-cache"), not said.get("no-store")
    ages = [_seconds(said[name], name) for name in ("s-maxage", "s-max-age") if said.get(name) is not None]
    for directive in (header or "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-cache":
            reads = False
        elif name == "no-store":
            stores = False
        elif name == "max-age" and value.strip('" ').isascii() and value.strip('" ').isdecimal():
            ages.append(float(value.strip('" ')[:12]))
    ttl = said.get("ttl")
    return CacheWish(
        reads=reads,
        stores=stores and ttl != 0,
        ttl_s=None if ttl is None else _seconds(ttl, "ttl"),
        max_age_s=min(ages) if ages else None,
        namespace=str(said.get("namespace") or ""),
    )


def _checked(body: object) -> dict[str, object]:
    if not isinstance(body, dict):
        _refuse(FIELD, 'must be an object such as {"no-cache": true}')
    known = {**body}
    for name, value in known.items():
        if name in _SWITCHES:
            if value is not None and not isinstance(value, bool):
                _refuse(f"{FIELD}.{name}", "must be true or false")
        elif name == "namespace":
            if value is not None and not (isinstance(value, str) and len(value) <= _MOST_NAME):
                _refuse(f"{FIELD}.namespace", f"must be text of at most {_MOST_NAME} characters")
        elif name not in _AGES:
            _refuse(f"{FIELD}.{str(name)[:60]}", "is not known: no-cache, no-store, ttl, s-maxage or namespace")
    return known


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_S:
        _refuse(f"{FIELD}.{name}", "must be a number of seconds, zero or more")
    return float(value)


def _refuse(field: str, why: str) -> NoReturn:
    raise InvalidRequest(f"`{field}` {why}", field=field, code="invalid_value")
