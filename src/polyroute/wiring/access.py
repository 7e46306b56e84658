"""From what a document says of keys and limits to who may call, and how much."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address

from polyroute.config import document as settings
from polyroute.config.check import ADMIN_KEY
from polyroute.config.document import Document
from polyroute.errors import Forbidden
from polyroute.state.accounts.allowances import Allowances, Budget, Rates
from polyroute.state.keys import KeyEntry, KeyRing, digest_key
from polyroute.types.access import Caller

Authenticate = Callable[[Mapping[str, str]], Caller]

_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_ANONYMOUS = Caller()


def authenticator(document: Document, env: Mapping[str, str]) -> Authenticate:
    """Who holds the key among a request's lower-case headers. Raises ConfigError where keys clash."""
    if document.server.auth == "open":
        return _anyone
    admin = env.get(ADMIN_KEY)
    entries = [
        KeyEntry(
            digest=digest_key(key.key.reveal()),
            caller=Caller(
                user=key.user or key.name,
                team=key.team,
                tenant=key.tenant,
                key_id=key.name,
                models=None if key.models is None else frozenset(key.models),
            ),
        )
        for key in document.keys
    ]
    ring = KeyRing(entries, admin_digest=digest_key(admin) if admin else None)
    return lambda headers: ring.authenticate(_presented(headers), datetime.now(UTC))


def allowances(document: Document) -> Allowances:
    limits = document.limits
    return Allowances(
        per_user=Rates(
            requests_per_minute=limits.per_user_per_minute, tokens_per_minute=limits.per_user_tokens_per_minute
        ),
        per_team=Rates(
            requests_per_minute=limits.per_team_per_minute, tokens_per_minute=limits.per_team_tokens_per_minute
        ),
        user_budget=Budget(daily_usd=limits.per_user_daily_usd),
        team_budget=Budget(daily_usd=limits.per_team_daily_usd),
        model_budgets={
            name: _budget(model.budget)
            for name, model in document.models.items()
            if isinstance(model, settings.Model) and model.budget is not None
        },
    )


def _anyone(headers: Mapping[str, str]) -> Caller:
    """An open door, though not for other sites' pages in a browser on this machine: they could spend its money.

    Browsers say where a call comes from (Fetch Metadata, W3C); a name that was rebound to loopback shows in `host`.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and (site == "cross-site" or not is_loopback(_hostname(headers.get("host", "")))):
        raise Forbidden("a page of another site may not call this gateway: declare a key (`auth: keys`)")
    return _ANONYMOUS


def _hostname(host: str) -> str:
    """`host` without its port and brackets."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.strip("[]")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _budget(budget: settings.Budget) -> Budget:
    return Budget(
        daily_usd=budget.daily_usd,
        weekly_usd=budget.weekly_usd,
        monthly_usd=budget.monthly_usd,
        total_usd=budget.total_usd,
    )


def _presented(headers: Mapping[str, str]) -> str | None:
    """The key a request brings, wherever its SDK puts it."""
    bearer = headers.get("authorization", "")
    scheme, _, key = bearer.partition(" ")
    if key and scheme.lower() == "bearer":
        return key.strip()
    return next((headers[name] for name in _KEY_HEADERS if headers.get(name)), None)
