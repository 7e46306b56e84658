"""Settings of the process: where it listens, what it remembers, where secrets are, whom it tells what."""

from typing import Annotated, Literal

from msgspec import Meta, field

from polyroute.config.document.words import Count, Names, NotNegative, Positive, Settings, Share, about
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret


class ClaimNames(Settings, frozen=True):
    """Which of a token's claims says what; a path with dots leads into nested ones."""

    user: Annotated[str, about("Who calls.")] = "sub"
    team: Annotated[str, about("Who pays; without it, `default`.")] = "team"
    tenant: Annotated[str, about("Whose data must stay apart; without it, `default`.")] = "tenant"
    role: Annotated[str, about("The issuer's role, or a list of them.")] = "role"


class Oidc(Settings, frozen=True):
    """Callers may bring a signed token (JWT) of this issuer in place of a key. Needs `polyroute[oidc]`."""

    issuer: Annotated[str, about("Exactly as its tokens say in `iss`.")]
    audience: Annotated[Names, about("What its tokens say in `aud` where they are meant for this gateway.")]
    jwks_url: Annotated[str | None, about("Where its keys are; else its discovery document says.")] = None
    claims: Annotated[ClaimNames, about("Which claim says what.")] = ClaimNames()
    roles: Annotated[
        dict[str, Literal["member", "team_admin", "viewer", "admin"]],
        about("The issuer's roles, and which of ours each is; any other is `member`."),
    ] = field(default_factory=dict)


class Overload(Settings, frozen=True):
    """What is done where more requests come than one process can serve."""

    shed: Annotated[
        bool, about("Let fewer in while the gateway's own work is late, and refuse (503, 429) who would wait in vain.")
    ] = True
    late_ms: Annotated[
        Positive, about("A turn of the event loop that takes longer is late; a slow provider makes none late.")
    ] = 5.0
    least: Annotated[Count, about("So many requests may be under way however late it is.")] = 64
    wait_ms: Annotated[
        NotNegative, about("While more come than are served, nobody is let wait who would wait longer than this.")
    ] = 10.0
    burst_s: Annotated[
        NotNegative, about("The same while a rush is young, in seconds; and how long anybody waits at most.")
    ] = 2.0
    batch_wait_s: Annotated[
        NotNegative, about("The same for requests of class `batch` or `deferred`, which let all others go first.")
    ] = 30.0
    bodies_mb: Annotated[
        Positive | None,
        about(
            "Bodies of requests under way, together, in megabytes; more are 503. Without it an eighth of the memory; at"
            " least two of the largest."
        ),
    ] = None


class Server(Settings, frozen=True):
    """Where the gateway listens, and whom it lets in."""

    host: Annotated[str, about("Address to listen on. 0.0.0.0 is every network of the machine.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), about("TCP port; 0 takes a free one.")] = 4000
    workers: Annotated[
        int, Meta(ge=1, le=256), about("Processes that share the port, and count limits and budgets together.")
    ] = 1
    max_body_mb: Annotated[Positive, about("Largest request body, in megabytes (1,000,000 bytes); larger is 413.")] = 32
    drain_s: Annotated[
        Positive, about("Asked to end, requests and streams under way get so long to finish, in seconds.")
    ] = 30.0
    notice_s: Annotated[
        NotNegative,
        about("Asked to end by SIGTERM, `/health/ready` says so this long before new connections are refused."),
    ] = 1.0
    keepalive_s: Annotated[
        Positive, about("A stream whose provider is silent says that it is alive, at least so often, in seconds.")
    ] = 15.0
    auth: Annotated[
        Literal["keys", "open"],
        about("`keys`: every caller needs a key. `open`: nobody does, on loopback addresses only."),
    ] = "keys"
    stored_ids: Annotated[
        Literal["own", "any"] | None,
        about(
            "Which ids of what providers keep (answers, conversations, files, caches) a request may name: its caller's"
            " `own`, which went out with answers of this gateway, or `any`. Without it: `any` while one caller alone is"
            " known (or `auth: open`), else `own`."
        ),
    ] = None
    oidc: Annotated[Oidc | None, about("Sign-on with tokens of an OpenID Connect issuer, beside keys.")] = None
    overload: Annotated[Overload, about("More requests than one process can serve.")] = Overload()


_DAY_S = 86_400
_KEPT_S = 90 * _DAY_S


class Retention(Settings, frozen=True):
    """How long what is kept is kept; then it is deleted, a little at a time. For ever is `36500d`."""

    receipts: Annotated[
        Duration | None,
        about("What was decided, tried and why, by request; else 90d, at least 2d. No sum is made of it."),
    ] = None
    reviews: Annotated[Duration | None, about("Held answers, from their decision or deadline on; else 90d.")] = None
    ledger: Annotated[
        Duration | None,
        about("Money and tokens, by request and call; else for ever, at least 62d. Usage, savings, budgets sum these."),
    ] = None

    @property
    def receipts_s(self) -> float:
        return self.receipts or _KEPT_S

    @property
    def reviews_s(self) -> float:
        return self.reviews or _KEPT_S


def kept_for(retention: Retention) -> str:
    """To say after `there is no receipt`."""
    return f"; receipts are kept for {retention.receipts_s / _DAY_S:g} days (store.retention.receipts)"


class Store(Settings, frozen=True):
    """What is remembered, and where."""

    database: Annotated[str, about("Requests, money and keys: `sqlite:///FILE` or `postgresql://…`.")] = (
        "sqlite:///polyroute.db"
    )
    shared: Annotated[
        str, about("Counters: `memory` (of this process), or `redis://…`, `rediss://…` or `unix://…` for replicas.")
    ] = "memory"
    when_away: Annotated[
        Literal["share", "refuse"],
        about(
            "While the shared store is away: each replica goes on with its `share` of what was left of a limit, or it"
            " does `refuse` (503) whoever has a limit."
        ),
    ] = "share"
    replicas: Annotated[
        int,
        about("How many gateways share the counters, at least: the share of each while the store is away."),
        Meta(ge=1),
    ] = 1
    vectors: Annotated[str, about("Where vectors are searched: `embedded`, or a server's address.")] = "embedded"
    durability: Annotated[
        Literal["process", "power"],
        about("`process` survives the process being killed; `power` also a power cut (fsync before each call)."),
    ] = "process"
    retention: Annotated[Retention, about("How long things are kept.")] = Retention()


class VaultPlace(Settings, frozen=True):
    """HashiCorp Vault, or what speaks its API. What is not given here comes from Vault's own variables."""

    address: Annotated[str | None, about("Where it is; else VAULT_ADDR.")] = None
    token: Annotated[Secret | None, about("Opens it, from the environment or a file; else VAULT_TOKEN.")] = None
    namespace: Annotated[str | None, about("Of Vault Enterprise; else VAULT_NAMESPACE.")] = None


class SecretManagers(Settings, frozen=True):
    """Where secrets written as `{vault: PATH#FIELD}` are read, at the start and at each reload."""

    vault: Annotated[VaultPlace | None, about("HashiCorp Vault, KV version 2.")] = None


class Batch(Settings, frozen=True):
    """When work that can wait is done."""

    window: Annotated[str | None, about("Hours of the day, as 22:00-06:00.")] = None
    deadline: Annotated[Duration | None, about("At the latest after this long.")] = None


class Telemetry(Settings, frozen=True):
    """What is told to those who watch."""

    otlp: Annotated[str | None, about("An OpenTelemetry collector's address (OTLP over HTTP).")] = None
    headers: Annotated[dict[str, Secret], about("For the collector: a key, a tenant.")] = field(default_factory=dict)
    encoding: Annotated[Literal["protobuf", "json"], about("What the collector is sent.")] = "protobuf"
    service: Annotated[str, Meta(min_length=1), about("This gateway's name there (`service.name`).")] = "polyroute"
    sampled: Annotated[
        Share, about("Which share of requests is traced, where the caller's own `traceparent` does not say.")
    ] = 1.0
    prometheus: Annotated[bool, about("Offer /metrics.")] = True
    content: Annotated[
        bool, about("Tell the collector prompts and answers too; personal data that is found in them is masked.")
    ] = False


class Alert(Settings, frozen=True):
    """Somebody is told when something happens."""

    use: Annotated[
        Literal["webhook", "slack", "log"], about("How: plain JSON, the form of Slack's incoming webhooks, or the log.")
    ]
    url: Annotated[Secret | None, about("Where to.")] = None
    secret: Annotated[Secret | None, about("With `webhook`: signs what is sent.")] = None
    on: Annotated[tuple[str, ...], about("What: `plan_exhausted`, `fallback_share > 0.4`, `budget > 0.9`, …")] = ()
    routes: Annotated[tuple[str, ...], about("Of these routes only; else of all.")] = ()
    window: Annotated[Duration | None, about("What figures are about: so long until now; else 5m.")] = None
    at_least: Annotated[Count, about("A figure of fewer requests than these says nothing.")] = 10
