"""Callers known by an issuer's signed token (OpenID Connect Core 1.0; RFC 7519) in place of a key of ours.

What a token says becomes a `Caller` by the rules of the document: which claims name user, team and tenant, and which
of the issuer's roles is which of ours. A role that is not mapped is `member`. A token that was verified is known by the
SHA-256 of the whole of it until it expires, so that its next request costs one look-up. Who verifies signatures is the
port `TokenIssuer`.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping

from msgspec import Struct

from polyroute.authorisation import GRANTS
from polyroute.errors import Unauthenticated
from polyroute.ports import TokenIssuer
from polyroute.types.access import Caller, Role

LEEWAY_S = 30.0  # clocks differ; RFC 7519, 4.1.4: "usually no more than a few minutes"
_MOST_KNOWN = 10_000
_LONGEST_TOKEN = 16_384
_LONGEST_NAME = 100
_DEFAULT = "default"


class ClaimRules(Struct, frozen=True, kw_only=True):
    """How a token is read. A claim's name is its own, or else a path with dots into nested ones."""

    issuer: str
    audiences: frozenset[str]
    user: str = "sub"
    team: str = "team"
    tenant: str = "tenant"
    role: str = "role"
    roles: Mapping[str, Role] = {}  # the issuer's word, and ours


class Identity(Struct, frozen=True, kw_only=True):
    caller: Caller
    until_s: float  # Unix seconds


class SignOn:
    def __init__(self, rules: ClaimRules, issuer: TokenIssuer, unix_s: Callable[[], float]) -> None:
        self._rules = rules
        self._issuer = issuer
        self._unix_s = unix_s
        self._known: OrderedDict[bytes, Identity] = OrderedDict()

    def known(self, token: str) -> Caller | None:
        """The bearer of a token that was verified before; None for any other."""
        identity = self._known.get(_digest(token))
        return identity.caller if identity is not None and self._unix_s() < identity.until_s else None

    async def introduce(self, token: str) -> Caller:
        """Raises Unauthenticated; StoreError where the issuer's keys cannot be had."""
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated(f"the token is longer than {_LONGEST_TOKEN} characters")
        claims = await self._issuer.claims(token)
        identity = read_claims(claims, self._rules, self._unix_s())
        self._known[_digest(token)] = identity
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return identity.caller


def is_token(presented: str) -> bool:
    """Whether it has the form of a signed token (RFC 7515, 7.1): three parts, the first a JSON object in base64."""
    return presented.startswith("eyJ") and presented.count(".") == 2


def read_claims(claims: Mapping[str, object], rules: ClaimRules, now_s: float) -> Identity:
    """Pure. Raises Unauthenticated with what is wrong; of the token it repeats nothing."""
    if claims.get("iss") != rules.issuer:
        raise Unauthenticated("the token is of another issuer")
    named = claims.get("aud")
    audiences = {named} if isinstance(named, str) else set(map(str, named)) if isinstance(named, list) else set()
    if not audiences & rules.audiences:
        raise Unauthenticated("the token is meant for another audience")
    until_s = _time(claims, "exp")
    if until_s is None:
        raise Unauthenticated("the token says not when it expires (`exp`)")
    if now_s >= until_s + LEEWAY_S:
        raise Unauthenticated("the token has expired: get a new one from its issuer")
    for name in ("nbf", "iat"):
        begins_s = _time(claims, name)
        if begins_s is not None and begins_s > now_s + LEEWAY_S:
            raise Unauthenticated(f"the token is not valid yet (`{name}`)")
    caller = Caller(
        user=_name(claims, rules.user, None),
        team=_name(claims, rules.team, _DEFAULT),
        tenant=_name(claims, rules.tenant, _DEFAULT),
        role=_role(claims, rules),
    )
    return Identity(caller=caller, until_s=until_s + LEEWAY_S)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _time(claims: Mapping[str, object], name: str) -> float | None:
    given = claims.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 2**53:
        raise Unauthenticated(f"the token's `{name}` is no time")
    return float(given)


def _find(claims: Mapping[str, object], name: str) -> object:
    if name in claims:
        return claims[name]
    found: object = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found if "." in name else None


def _name(claims: Mapping[str, object], claim: str, default: str | None) -> str:
    given = _find(claims, claim)
    if given is None and default is not None:
        return default
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_NAME or not given.isprintable() or "/" in given:
        raise Unauthenticated(f"the token's `{claim}` must be 1 to {_LONGEST_NAME} printable characters without `/`")
    return given


def _role(claims: Mapping[str, object], rules: ClaimRules) -> Role:
    """The one that reaches furthest of those that are mapped."""
    given = _find(claims, rules.role)
    held = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    mapped = {rules.roles[role] for role in held if isinstance(role, str) and role in rules.roles}
    return next((role for role in reversed(list(GRANTS)) if role in mapped), "member")
