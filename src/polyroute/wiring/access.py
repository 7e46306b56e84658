"""From what the document and the directory say of keys and limits to who may call, and how much."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from polyroute.config import document as settings
from polyroute.config.check import ADMIN_KEY
from polyroute.config.document import Document
from polyroute.config.resolve import placements
from polyroute.errors import Forbidden, StoreError, Unauthenticated
from polyroute.ports import Records
from polyroute.state.accounts.allowances import Allowance, Allowances, Budget, OfEach, Rates, Waiting
from polyroute.state.directory import read_account, read_key
from polyroute.state.keys import Digest, KeyEntry, KeyRing, digest_key, keyed_digest
from polyroute.state.sign_on import SignOn, is_token
from polyroute.types.access import Caller
from polyroute.types.identity import Account, KeyRecord, Money, Pace

PEPPER = "POLYROUTE_KEY_PEPPER"
_KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
_ANONYMOUS = Caller()
_NO_BUDGET, _NO_LIMITS = settings.Budget(), settings.Pace()
_SIGNED = (
    "a request signed with AWS credentials (SigV4) needs a key of this gateway: give it to the SDK as its access key "
    "id (with any secret) or, over https, as the bearer token AWS_BEARER_TOKEN_BEDROCK"
)


def key_digest(database: Path, env: Mapping[str, str]) -> Digest:
    """The hash under which keys are stored. Its pepper is in the environment, else in a file beside the books.

    Raises StoreError where that file can be neither read nor made.
    """
    if pepper := env.get(PEPPER):
        return keyed_digest(pepper.encode())
    path = database.with_name(f"{database.name}-pepper")
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return keyed_digest(path.read_bytes())
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        return keyed_digest(path.read_bytes())
    except OSError as fault:
        raise StoreError(f"the secret of the stored keys, {path}, cannot be used ({fault}); or set {PEPPER}") from fault


class Managed:
    """The keys and accounts of the directory, as they were when last read."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._generation = -1
        self.is_whole = False  # read at least once, and since then without a fault
        self.keys: tuple[KeyRecord, ...] = ()
        self.users: dict[tuple[str, str], Account] = {}
        self.teams: dict[tuple[str, str], Account] = {}
        self.tenants: dict[str, Account] = {}
        self.limits: Mapping[str, settings.Limits] = {}  # by tenant, of overrides in force: `Layers` sets them

    @property
    def was_read(self) -> bool:
        return self._generation >= 0

    def refresh(self) -> bool:
        """Reads them where anything changed; whether it did. What cannot be read stays as it was. Synchronous."""
        was_whole = self.is_whole
        try:
            generation = self._records.generation()
            if generation != self._generation:
                self.keys = tuple(map(read_key, self._records.every("key")))
                self.users = {(a.tenant, a.id): a for a in map(read_account, self._records.every("user"))}
                self.teams = {(a.tenant, a.id): a for a in map(read_account, self._records.every("team"))}
                self.tenants = {a.id: a for a in map(read_account, self._records.every("tenant"))}
        except StoreError:
            self.is_whole = False
            return was_whole
        changed = generation != self._generation or not was_whole
        self._generation, self.is_whole = generation, True
        return changed

    def entries(self) -> Iterator[KeyEntry]:
        for key in self.keys:
            caller = Caller(
                user=key.user,
                team=key.team,
                tenant=key.tenant,
                key_id=key.id,
                models=None if key.models is None else frozenset(key.models),
                role=key.role,
            )
            yield KeyEntry(
                digest=bytes.fromhex(key.digest),
                caller=self.bounded(caller),
                expires_at=key.expires_at,
                is_revoked=key.revoked_at is not None,
                blocked=self.blocked(caller),
            )

    def bounded(self, caller: Caller) -> Caller:
        """With the models that its user, team and tenant may ask for too."""
        every = (caller.models, *(owner.models for owner in self._owners(caller).values()))
        models = [frozenset(names) for names in every if names is not None]
        return replace(caller, models=frozenset.intersection(*models)) if models else caller

    def blocked(self, caller: Caller) -> str | None:
        """What of its owner is blocked: "team `x`"."""
        return next((name for name, owner in self._owners(caller).items() if owner.blocked), None)

    def _owners(self, caller: Caller) -> dict[str, Account]:
        found = {
            f"user `{caller.user}`": self.users.get((caller.tenant, caller.user)),
            f"team `{caller.team}`": self.teams.get((caller.tenant, caller.team)),
            f"tenant `{caller.tenant}`": self.tenants.get(caller.tenant),
        }
        return {name: account for name, account in found.items() if account is not None}


class Gate:
    """Who may call under one document, as its keys and the managed ones stand. One per version of the document."""

    def __init__(
        self,
        document: Document,
        env: Mapping[str, str],
        managed: Managed | None = None,
        *,
        digest: Digest = digest_key,
        on_change: Callable[[], Awaitable[None]] | None = None,
        sign_on: SignOn | None = None,
    ) -> None:
        """`on_change` is told that managed allowances changed. Raises ConfigError where keys clash."""
        self._sign_on = sign_on
        self._document = document
        self._admin = env.get(ADMIN_KEY)
        self._managed = managed
        self._digest = digest
        self._on_change = on_change
        self._ring = self._made()

    def authenticate(self, headers: Mapping[str, str]) -> Caller | None:
        """The holder of the key or token among a request's lower-case headers; None for a token to `introduce` first.

        Raises Unauthenticated or Forbidden.
        """
        if self._document.server.auth == "open":
            return _anyone(headers, self._ring)
        key, now = _presented(headers), datetime.now(UTC)
        if key is None and headers.get("authorization", "").startswith("AWS4-"):
            try:
                return self._ring.authenticate(_access_key(headers["authorization"]), now)
            except Unauthenticated as exc:
                raise Unauthenticated(_SIGNED) from exc
        if self._sign_on is not None and key is not None and is_token(key):
            bearer = self._sign_on.known(key)
            return None if bearer is None else self._standing(bearer)
        return self._ring.authenticate(key, now)

    async def introduce(self, headers: Mapping[str, str]) -> Caller:
        """The bearer of a token that `authenticate` did not know. Raises Unauthenticated, Forbidden or StoreError."""
        token = _presented(headers)
        if self._sign_on is None or token is None:
            raise Unauthenticated("tokens are not taken here")
        return self._standing(await self._sign_on.introduce(token))

    def _standing(self, bearer: Caller) -> Caller:
        """As what is managed of its user, team and tenant bounds it."""
        managed = self._managed
        if managed is None:
            return bearer
        if not managed.was_read:
            raise StoreError("who is blocked cannot be read yet: try again")
        if blocked := managed.blocked(bearer):
            raise Forbidden(f"the {blocked} of this token is blocked")
        return managed.bounded(bearer)

    async def refresh(self) -> None:
        """Takes what was managed since, here or elsewhere, into force."""
        if self._managed is not None and await asyncio.to_thread(self._managed.refresh):
            self._ring = self._made()
            if self._on_change is not None:
                await self._on_change()

    def _made(self) -> KeyRing:
        managed, digest = self._managed, self._digest
        declared = []
        for key in self._document.keys:
            caller = Caller(
                user=key.user or key.name,
                team=key.team,
                tenant=key.tenant,
                key_id=key.name,
                models=None if key.models is None else frozenset(key.models),
            )
            blocked = None if managed is None else managed.blocked(caller)
            bounded = caller if managed is None else managed.bounded(caller)
            declared.append(KeyEntry(digest=digest(key.key.reveal()), caller=bounded, blocked=blocked))
        return KeyRing(
            (*declared, *(managed.entries() if managed is not None else ())),
            admin_digest=digest(self._admin) if self._admin else None,
            digest=digest,
            is_whole=managed is None or managed.is_whole,
        )


def takes_strangers(document: Document, managed: Managed) -> bool:
    """Whether ids may be named that nobody made here: as the document says, else where nobody is to be kept apart."""
    server = document.server
    if server.stored_ids is not None:
        return server.stored_ids == "any"
    if server.auth == "open":
        return True
    known = {(key.tenant, key.team, key.user or key.name) for key in document.keys}
    known |= {(key.tenant, key.team, key.user) for key in managed.keys}
    return server.oidc is None and len(known) <= 1


def _of_each(limits: settings.Limits) -> OfEach:
    return OfEach(
        per_user=Rates(
            requests_per_minute=limits.per_user_per_minute,
            tokens_per_minute=limits.per_user_tokens_per_minute,
            parallel=limits.per_user_parallel,
        ),
        per_team=Rates(
            requests_per_minute=limits.per_team_per_minute,
            tokens_per_minute=limits.per_team_tokens_per_minute,
            parallel=limits.per_team_parallel,
        ),
        user_budget=Budget(
            daily_usd=limits.per_user_daily_usd,
            weekly_usd=limits.per_user_weekly_usd,
            monthly_usd=limits.per_user_monthly_usd,
            total_usd=limits.per_user_total_usd,
        ),
        team_budget=Budget(
            daily_usd=limits.per_team_daily_usd,
            weekly_usd=limits.per_team_weekly_usd,
            monthly_usd=limits.per_team_monthly_usd,
            total_usd=limits.per_team_total_usd,
        ),
    )


def allowances(document: Document, managed: Managed | None = None) -> Allowances:
    limits = document.limits
    teams = {(team.tenant, name): _allowance(team, weight=team.weight) for name, team in document.teams.items()}
    keys = {key.name: _allowance(key) for key in document.keys if key.budget != _NO_BUDGET or key.limits != _NO_LIMITS}
    if managed is not None:
        keys |= {key.id: _allowance(key) for key in managed.keys}
        teams |= {place: _allowance(team, weight=team.weight) for place, team in managed.teams.items()}
    of_each = _of_each(limits)
    return Allowances(
        per_user=of_each.per_user,
        per_team=of_each.per_team,
        user_budget=of_each.user_budget,
        team_budget=of_each.team_budget,
        of_tenants={} if managed is None else {name: _of_each(said) for name, said in managed.limits.items()},
        models={
            name: _allowance(model) for name, model in document.models.items() if isinstance(model, settings.Model)
        },
        deployments={place: _allowance(placement) for place, placement in placements(document)},
        providers={name: _allowance(provider) for name, provider in document.providers.items()},
        keys=keys,
        users={} if managed is None else {place: _allowance(user) for place, user in managed.users.items()},
        teams=teams,
        tenants={} if managed is None else {name: _allowance(tenant) for name, tenant in managed.tenants.items()},
        gateway=Rates(parallel=limits.parallel),
        waiting=Waiting(per_team=limits.waiting_per_team, longest_s=limits.wait_s),
    )


def _anyone(headers: Mapping[str, str], ring: KeyRing) -> Caller:
    """An open door, though not for other sites' pages in a browser on this machine: they could spend its money.

    Browsers say where a call comes from (Fetch Metadata, W3C); a name that was rebound to loopback shows in `host`.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and (site == "cross-site" or not is_loopback(_hostname(headers.get("host", "")))):
        raise Forbidden("a page of another site may not call this gateway: declare a key (`auth: keys`)")
    return ring.admin(_presented(headers)) or _ANONYMOUS


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


class _Limited(Protocol):
    """A part of the document, or a record, that has a budget and limits of its own."""

    @property
    def limits(self) -> Pace | settings.Pace: ...

    @property
    def budget(self) -> Money | settings.Budget | None: ...


def _allowance(owner: _Limited, *, weight: int = 1) -> Allowance:
    return Allowance(rates=_rates(owner.limits), budget=_budget(owner.budget or _NO_BUDGET), weight=weight)


def _rates(limits: Pace | settings.Pace) -> Rates:
    return Rates(
        requests_per_minute=limits.per_minute, tokens_per_minute=limits.tokens_per_minute, parallel=limits.parallel
    )


def _budget(budget: settings.Budget | Money) -> Budget:
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


def _access_key(authorization: str) -> str | None:
    """The access key id of a signed request: `AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/…`."""
    return authorization.partition("Credential=")[2].partition("/")[0] or None
