"""Sign-on as the document has it: the issuer's keys over our transport, read by the document's rules."""

import time
from importlib import import_module

from polyroute.config.document import Document, names
from polyroute.errors import ConfigError, Problem
from polyroute.ports import TokenIssuer, Transport
from polyroute.state.sign_on import ClaimRules, SignOn


def open_sign_on(document: Document, transport: Transport) -> SignOn | None:
    """Asks nobody yet. Raises ConfigError where the extra is not installed."""
    oidc = document.server.oidc
    if oidc is None or document.server.auth == "open":
        return None
    try:
        speaks = import_module("polyroute.providers.oidc").Issuer
    except ModuleNotFoundError as exc:
        fix = "pip install 'polyroute[oidc]'"
        message = "signed tokens need a library that is not here"
        raise ConfigError([Problem(path="server.oidc", message=message, fix=fix)]) from exc
    issuer: TokenIssuer = speaks(oidc.issuer, transport, time.monotonic, jwks_url=oidc.jwks_url)
    claims = oidc.claims
    rules = ClaimRules(
        issuer=oidc.issuer,
        audiences=frozenset(names(oidc.audience)),
        user=claims.user,
        team=claims.team,
        tenant=claims.tenant,
        role=claims.role,
        roles=oidc.roles,
    )
    return SignOn(rules, issuer, time.time)
