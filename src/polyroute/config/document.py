"""The settings: every section and field of `polyroute.yaml`, with its type, range, default and meaning.

The structs are what the document may say, no more: what this version does with it is told by `support.py`, and what
must fit together by `check.py`. Names, forms and defaults are promised in the interface's section on the document.
The descriptions become the JSON Schema for editors and the reference of settings.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from polyroute.conditions import Condition
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret
from polyroute.types.privacy import PiiAction, PiiKind
from polyroute.types.prompts import Prompt
from polyroute.types.request import Operation
from polyroute.types.routing import Precedence, RequestClass

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0.0)]
NotNegative = Annotated[float, Meta(ge=0.0)]
Temperature = Annotated[float, Meta(ge=0.0, le=2.0)]
Family = Literal["openai", "anthropic", "gemini", "bedrock", "simulated", "replay"]
Millis = Annotated[float, Meta(ge=0.0)]
Failure = Literal[
    "timeout", "rate_limit", "server_error", "unreachable", "auth", "bad_request", "too_long", "refused", "malformed",
    "interrupted",
]  # fmt: skip
Names = str | tuple[str, ...]  # one name, or several in order


def about(text: str) -> Meta:
    return Meta(description=text)


def names(written: Names | None) -> tuple[str, ...]:
    """One name or a list of them, as a tuple."""
    if written is None:
        return ()
    return (written,) if isinstance(written, str) else written


class JsonObject(dict[str, object]):
    """A JSON object that is passed on as it is: a schema."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings. Keys it does not have are errors."""


class Later(Struct, frozen=True, kw_only=True):
    """Options of something this version knows by name only; those not listed are read by the version that has it."""


# ── the process ───────────────────────────────────────────────────────────────────────────────────────


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


class Server(Settings, frozen=True):
    """Where the gateway listens, and whom it lets in."""

    host: Annotated[str, about("Address to listen on. 0.0.0.0 is every network of the machine.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), about("TCP port; 0 takes a free one.")] = 4000
    workers: Annotated[Count, about("Processes that share the port.")] = 1
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
    oidc: Annotated[Oidc | None, about("Sign-on with tokens of an OpenID Connect issuer, beside keys.")] = None


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


class Timeouts(Settings, frozen=True):
    """How long one attempt may take, in seconds. What is not given keeps the value of the level above."""

    connect_s: Annotated[Positive | None, about("Until the connection stands. Default 5.")] = None
    first_token_s: Annotated[Positive | None, about("Until the answer's first byte. Default 60.")] = None
    between_tokens_s: Annotated[Positive | None, about("Between two pieces of a stream. Default 30.")] = None
    total_s: Annotated[Positive | None, about("The whole attempt. Default 600.")] = None


# ── providers and models ──────────────────────────────────────────────────────────────────────────────


class VaultPlace(Settings, frozen=True):
    """HashiCorp Vault, or what speaks its API. What is not given here comes from Vault's own variables."""

    address: Annotated[str | None, about("Where it is; else VAULT_ADDR.")] = None
    token: Annotated[Secret | None, about("Opens it, from the environment or a file; else VAULT_TOKEN.")] = None
    namespace: Annotated[str | None, about("Of Vault Enterprise; else VAULT_NAMESPACE.")] = None


class SecretManagers(Settings, frozen=True):
    """Where secrets written as `{vault: PATH#FIELD}` are read, at the start and at each reload."""

    vault: Annotated[VaultPlace | None, about("HashiCorp Vault, KV version 2.")] = None


class Budget(Settings, frozen=True):
    """The most money that may be spent per period, in US dollars."""

    daily_usd: Annotated[Decimal | None, about("Per UTC day.")] = None
    weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    total_usd: Annotated[Decimal | None, about("Ever.")] = None


class Pace(Settings, frozen=True):
    """The most that may be asked in any 60 seconds, and at once."""

    per_minute: Annotated[Count | None, about("Requests.")] = None
    tokens_per_minute: Annotated[Count | None, about("Tokens, read and written.")] = None
    parallel: Annotated[Count | None, about("Requests under way at the same time.")] = None


class Credentials(Settings, frozen=True):
    """A key pair, where a provider signs requests with one."""

    access_key: Annotated[Secret, about("The public half.")]
    secret_key: Annotated[Secret, about("The secret half.")]
    session_token: Annotated[Secret | None, about("Goes with temporary credentials.")] = None


class DataPolicy(Settings, frozen=True):
    """What becomes of what a provider is sent. At a provider what it promises, elsewhere what is asked of it."""

    retention_days: Annotated[Annotated[int, Meta(ge=0)] | None, about("Kept for so many days; 0 is not at all.")] = (
        None
    )
    trains: Annotated[bool | None, about("Whether models learn from it.")] = None


class Privacy(Settings, frozen=True):
    """Personal data in requests: what is looked for, and what happens where it is found."""

    detect: Annotated[
        Literal["all"] | tuple[PiiKind, ...],
        about("Kinds: email, card, iban, phone, ip, national_id, passport, secret; phone needs `polyroute[pii]`."),
    ] = "all"
    on_pii: Annotated[
        PiiAction,
        about(
            "`private`: only private deployments may read it. `redact`: placeholders go out, and answers get the values"
            " back. `refuse`: 400. `allow`: told in the receipt."
        ),
    ] = "private"
    phone_regions: Annotated[
        tuple[str, ...],
        about("Countries whose telephone numbers are found without a country's code. Said for the document."),
    ] = ("US",)


class Tenant(Settings, frozen=True):
    """What holds for every request of a tenant, whatever model or route it names, in fallbacks too."""

    region: Annotated[str | None, about("Only deployments in this region.")] = None
    private: Annotated[bool, about("Only private deployments.")] = False
    allowed_providers: Annotated[tuple[str, ...] | None, about("Only deployments at these providers.")] = None
    data_policy: Annotated[DataPolicy | None, about("What providers must promise.")] = None
    privacy: Annotated[Privacy | None, about("Beside what the route says.")] = None


class Provider(Settings, frozen=True):
    """A company's API, or a server of one's own: dialect, address, credentials."""

    dialect: Annotated[
        Family,
        about("The wire format it speaks. `simulated` answers by itself; `replay` answers from recordings."),
    ]
    base_url: Annotated[str | None, about("As the provider's own SDK is given it: OpenAI-shaped `…/v1`.")] = None
    api_key: Annotated[Secret | None, about("Sent to this provider only.")] = None
    managed_key: Annotated[
        bool, about("Its key is given by `polyroute providers set-key` or the admin API, and kept sealed.")
    ] = False
    auth_header: Annotated[
        str | None, about("The header that carries the key; else the dialect's own, or the host's.")
    ] = None
    credentials: Annotated[Credentials | None, about("Bedrock: without it, the usual AWS chain.")] = None
    headers: Annotated[dict[str, Secret], about("Further headers for every call, such as an organisation.")] = field(
        default_factory=dict
    )
    region: Annotated[str | None, about("Where its models run; routes may be bound to a region.")] = None
    private: Annotated[bool, about("Data stays in one's own hands there; routes may be bound to that.")] = False
    data_policy: Annotated[DataPolicy | None, about("What it promises about what it is sent.")] = None
    recordings: Annotated[str | None, about("`replay`: the JSONL file of recorded answers.")] = None
    budget: Annotated[Budget, about("The most that may be spent there; beyond it another deployment is asked.")] = (
        Budget()
    )
    limits: Annotated[Pace, about("The account's own quota; beyond it another deployment is asked.")] = Pace()
    max_tries: Annotated[Count, about("Attempts at one deployment before the plan moves on.")] = 2
    timeouts: Annotated[Timeouts, about("For every model at this provider.")] = Timeouts()
    quirks: Annotated[
        tuple[str, ...],
        about("Where it departs from OpenAI's form, beside what the catalogue knows; `-name` takes one away."),
    ] = ()


class Tier(Settings, frozen=True):
    """Rates for the whole request once its input is longer than `above_input_tokens`. USD per million tokens."""

    above_input_tokens: Annotated[Count, about("From one token more on.")]
    input: Annotated[Decimal, about("Input tokens.")]
    output: Annotated[Decimal, about("Output tokens.")]
    cached_input: Annotated[Decimal | None, about("Input read from the provider's prompt cache.")] = None
    cache_write: Annotated[Decimal | None, about("Input written to the prompt cache.")] = None
    cache_write_1h: Annotated[Decimal | None, about("Written for an hour.")] = None
    reasoning: Annotated[Decimal | None, about("Reasoning tokens.")] = None
    input_audio: Annotated[Decimal | None, about("Audio input tokens.")] = None
    output_audio: Annotated[Decimal | None, about("Audio output tokens.")] = None


class PerToken(Settings, frozen=True):
    """US dollars per million tokens, or for what is not counted in tokens; or what a machine costs per hour."""

    input: Annotated[Decimal | None, about("Input tokens.")] = None
    output: Annotated[Decimal | None, about("Output tokens.")] = None
    cached_input: Annotated[Decimal | None, about("Input read from the provider's prompt cache; else as input.")] = None
    cache_write: Annotated[Decimal | None, about("Input written to the prompt cache; else as input.")] = None
    cache_write_1h: Annotated[Decimal | None, about("Written for an hour; else as cache_write.")] = None
    reasoning: Annotated[Decimal | None, about("Reasoning tokens; else as output.")] = None
    input_audio: Annotated[Decimal | None, about("Audio input tokens; else as input.")] = None
    output_audio: Annotated[Decimal | None, about("Audio output tokens; else as output.")] = None
    image: Annotated[
        Decimal | dict[str, Decimal] | None,
        about("Each image made; by quality and size where these matter: `{hd/1024x1024: 0.08, 1024x1024: 0.04}`."),
    ] = None
    audio_minute: Annotated[Decimal | None, about("Each minute of audio transcribed.")] = None
    million_characters: Annotated[Decimal | None, about("A million characters of text spoken.")] = None
    search: Annotated[Decimal | None, about("Each list of documents reranked.")] = None
    tiers: Annotated[tuple[Tier, ...], about("Other rates for long inputs, by rising length.")] = ()
    gpu_hour_usd: Annotated[Decimal | None, about("Self-hosted: the machine's price per hour.")] = None
    tokens_per_hour: Annotated[Count | None, about("Self-hosted: tokens, read and written, it makes per hour.")] = None


class Placement(Settings, frozen=True):
    """One place where a model can be called."""

    provider: Annotated[str, about("A name from `providers`.")]
    model: Annotated[str | None, about("The provider's own name for the model; else the document's.")] = None
    weight: Annotated[Positive, about("Share of the model's requests, against the other deployments' weights.")] = 1.0
    region: Annotated[str | None, about("Else the provider's.")] = None
    private: Annotated[bool | None, about("Else the provider's.")] = None
    budget: Annotated[Budget, about("The most that may be spent here.")] = Budget()
    limits: Annotated[Pace, about("The most that may be asked here.")] = Pace()
    max_tries: Annotated[Count | None, about("Else the provider's.")] = None
    timeouts: Annotated[Timeouts, about("Over the provider's.")] = Timeouts()
    quirks: Annotated[tuple[str, ...], about("Beside the model's; `-name` takes one away.")] = ()
    latency_ms: Annotated[Millis | None, about("Typical, or simulated, time to the first token.")] = None
    tokens_per_s: Annotated[Positive | None, about("Typical, or simulated, speed.")] = None
    error_rate: Annotated[Share | None, about("Simulated: the share of calls that fail.")] = None
    answer: Annotated[str | None, about("Simulated: the text; `echo` repeats the newest user text.")] = None
    fail: Annotated[Failure | None, about("Simulated: every call fails so.")] = None
    fail_times: Annotated[Count | None, about("With `fail`: only the first so many calls do.")] = None


class Manner(Settings, frozen=True):
    """How a simulated model answers prompts of one difficulty."""

    quality: Annotated[Share, about("Which share of its answers is good; a prompt always gets the same.")] = 1.0
    output_tokens: Annotated[Count | None, about("How long they are.")] = None


class Model(Settings, frozen=True):
    """A name that routes use. What is not said here comes from the catalogue."""

    deployments: Annotated[tuple[Placement, ...], about("Where it can be called, if at several places.")] = ()
    provider: Annotated[str | None, about("Where it can be called, if at one place.")] = None
    model: Annotated[str | None, about("With `provider`: the provider's own name for the model.")] = None
    region: Annotated[str | None, about("With `provider`: else the provider's.")] = None
    private: Annotated[bool | None, about("With `provider`: else the provider's.")] = None
    max_tries: Annotated[Count | None, about("Attempts at one deployment before the plan moves on.")] = None
    timeouts: Annotated[Timeouts, about("Over the provider's.")] = Timeouts()
    quirks: Annotated[tuple[str, ...], about("Beside the provider's; `-name` takes one away.")] = ()
    price: Annotated[Literal["free"] | PerToken | None, about("What it costs; `free` is a price of 0.")] = None
    context_tokens: Annotated[Count | None, about("The longest input and output together.")] = None
    max_output_tokens: Annotated[Count | None, about("The longest output.")] = None
    capabilities: Annotated[
        tuple[str, ...] | None,
        about("All it can do beside text: tools, vision, audio, pdf, json, json_schema, thinking, logprobs, …"),
    ] = None
    operations: Annotated[
        tuple[Operation, ...] | None,
        about("All it may be asked for: chat, embeddings, moderation, rerank, image, transcription, speech."),
    ] = None
    tags: Annotated[tuple[str, ...] | None, about("What it is good for: code, long_context, …")] = None
    quality: Annotated[Share | None, about("How good its answers are, measured or declared.")] = None
    latency_ms: Annotated[Millis | None, about("Typical, or simulated, time to the first token.")] = None
    tokens_per_s: Annotated[Positive | None, about("Typical, or simulated, speed.")] = None
    error_rate: Annotated[Share | None, about("Simulated: the share of calls that fail.")] = None
    answer: Annotated[str | None, about("Simulated: the text; `echo` repeats the newest user text.")] = None
    fail: Annotated[Failure | None, about("Simulated: every call fails so.")] = None
    fail_times: Annotated[Count | None, about("With `fail`: only the first so many calls do.")] = None
    by_difficulty: Annotated[
        dict[str, Manner] | None, about("Simulated: its manner where the request's `metadata.difficulty` is this.")
    ] = None
    budget: Annotated[Budget | None, about("The most that may be spent on it.")] = None
    limits: Annotated[Pace, about("The most that may be asked of it, at all its deployments together.")] = Pace()


# ── strategies ────────────────────────────────────────────────────────────────────────────────────────


class Fixed(Settings, frozen=True, tag_field="use", tag="fixed"):
    """Always the same models, in this order. A route's `primary` says the same."""

    models: Annotated[tuple[str, ...], Meta(min_length=1), about("In the order of trying.")]


class Rule(Settings, frozen=True):
    """Where `when` holds, the request goes to `model`."""

    when: Annotated[Condition, about("Everything it states must hold.")]
    model: Annotated[str, about("Answers then.")]
    name: Annotated[str | None, about("Shown in receipts.")] = None


class Rules(Settings, frozen=True, tag_field="use", tag="rules"):
    """The first rule that holds decides."""

    rules: Annotated[tuple[Rule, ...], about("From the top.")]
    default: Annotated[str, about("Where no rule holds.")]


class Thresholds(Settings, frozen=True):
    """Complexity scores, 0 (trivial) to 1 (hard), where the next tier begins."""

    moderate: Annotated[Share, about("From here on moderate.")] = 0.34
    complex: Annotated[Share, about("From here on complex.")] = 0.67


class TierTarget(Settings, frozen=True):
    """What a tier's answers should take and cost. Answers beyond it are counted; many of them raise an alert."""

    latency_ms: Annotated[
        Positive | None, about("To the first token; to the whole answer where it is not streamed.")
    ] = None
    usd_per_million: Annotated[Decimal | None, about("US dollars per million tokens, over all tokens.")] = None


class TierTargets(Settings, frozen=True):
    """A target for each tier that has one."""

    simple: Annotated[TierTarget | None, about("For simple requests.")] = None
    moderate: Annotated[TierTarget | None, about("For moderate requests.")] = None
    complex: Annotated[TierTarget | None, about("For complex requests.")] = None


class Complexity(Settings, frozen=True, tag_field="use", tag="complexity"):
    """A model for each tier of difficulty."""

    simple: Annotated[str, about("For simple requests.")]
    moderate: Annotated[str, about("For moderate requests.")]
    complex: Annotated[str, about("For complex requests.")]
    thresholds: Annotated[Thresholds, about("Where the tiers begin.")] = Thresholds()
    targets: Annotated[TierTargets, about("What each tier's answers should take and cost.")] = TierTargets()


class Task(Settings, frozen=True, tag_field="use", tag="task"):
    """A model for each kind of task, declared by the caller or detected."""

    default: Annotated[str, about("For every other task.")]
    tasks: Annotated[dict[str, str], about("Task to model.")] = field(default_factory=dict)
    models: Annotated[
        tuple[str, ...],
        about("For a task not listed above: of these, the one whose tags fit the task pack's advice best."),
    ] = ()


class Cheapest(Settings, frozen=True, tag_field="use", tag="cheapest"):
    """By rising expected cost, among those that can serve the request."""

    models: Annotated[tuple[str, ...], Meta(min_length=1), about("To choose from.")]


class Fastest(Settings, frozen=True, tag_field="use", tag="fastest"):
    """By rising time to the first token, among those that can serve the request."""

    models: Annotated[tuple[str, ...], Meta(min_length=1), about("To choose from.")]


class EscalationBand(Settings, frozen=True):
    """The share of a cascade's requests that its first model does not answer."""

    min: Annotated[Share, about("Fewer: the gates may have gone blind.")] = 0.0
    max: Annotated[Share, about("More: the cascade may cost more than it saves.")] = 1.0


class Cascade(Settings, frozen=True, tag_field="use", tag="cascade"):
    """In the order given; a gate that rejects an answer escalates to the next."""

    models: Annotated[tuple[str, ...], Meta(min_length=1), about("Small to large.")]
    gates: Annotated[
        "dict[str, tuple[Gate, ...]]", about("By model: what its answers must pass, in place of the route's gates.")
    ] = field(default_factory=dict)
    pass_rate: Annotated[
        dict[str, Share],
        about("By model: the share of answers that pass. Else it is observed; a level that cannot pay is left out."),
    ] = field(default_factory=dict)
    race: Annotated[bool, about("Call all its models at once; the first good answer wins, and every call is paid.")] = (
        False
    )
    escalation_band: Annotated[
        EscalationBand | None, about("Which share of requests is expected to escalate; outside of it, an alarm.")
    ] = None


class Lookup(Settings, frozen=True):
    """An answer by key."""

    key: Annotated[str, about("The key, made like `text`.")]
    table: Annotated[dict[str, str], about("Key to answer.")]
    missing: Annotated[str | None, about("The answer for any other key; without it a model answers.")] = None


class HttpCall(Settings, frozen=True):
    """An answer fetched over HTTP."""

    url: Annotated[str, about("Called with GET; `{name}` parts are filled in, escaped.")]
    headers: Annotated[dict[str, Secret], about("Sent along.")] = field(default_factory=dict)
    timeout_s: Annotated[Positive, about("Then a model answers.")] = 2.0


class LogicAnswer(Settings, frozen=True):
    """Where `when` holds, the answer is `text`, or looked up, or fetched: exactly one of the three."""

    when: Annotated[Condition, about("Everything it states must hold.")]
    text: Annotated[str | None, about("`{name}` is filled in from the named groups of `when.matches`.")] = None
    lookup: Annotated[Lookup | None, about("From a table.")] = None
    call: Annotated[HttpCall | None, about("From a service of one's own.")] = None


class Logic(Settings, frozen=True, tag_field="use", tag="logic"):
    """Answers without a model where plain logic can."""

    answers: Annotated[tuple[LogicAnswer, ...], Meta(min_length=1), about("The first that holds answers.")]
    otherwise: Annotated[Names, about("The models for every other request, in order.")] = ()


class Learned(Later, frozen=True, tag_field="use", tag="learned"):
    """A trained router predicts each model's quality and takes the cheapest that is good enough."""

    models: Annotated[tuple[str, ...], about("To choose from.")]
    artifact: Annotated[str | None, about("The trained router's file.")] = None
    quality_loss: Annotated[Share | None, about("How much quality may be given up for cost.")] = None


class LlmRouter(Later, frozen=True, tag_field="use", tag="llm"):
    """A small model reads the request and names the model."""

    models: Annotated[tuple[str, ...], about("To choose from.")]
    router: Annotated[str | None, about("The model that chooses.")] = None


class Arm(Later, frozen=True):
    """One arm of a split."""

    route: Annotated[str, about("A route.")]
    weight: Annotated[Positive, about("Its share.")] = 1.0


class Split(Later, frozen=True, tag_field="use", tag="split"):
    """A trial: requests are divided among routes."""

    arms: Annotated[tuple[Arm, ...], about("The routes.")]
    sticky: Annotated[str | None, about("Who stays with one arm: `user`, `team`, …")] = None


Strategy = (
    Fixed | Rules | Complexity | Task | Cheapest | Fastest | Cascade | Logic | Learned | LlmRouter | Split
)  # fmt: skip

# ── gates ─────────────────────────────────────────────────────────────────────────────────────────────

OnReject = Annotated[
    Literal["escalate", "retry", "review", "block"],
    about("What a rejected answer leads to: the next model, the same again, a person, or an error."),
]


class JsonGate(Settings, frozen=True, tag_field="use", tag="json"):
    """Accepts a response whose text is JSON."""

    allow_fences: Annotated[bool, about("Take it out of a Markdown fence first.")] = True
    on_reject: OnReject = "escalate"


class JsonSchemaGate(Settings, frozen=True, tag_field="use", tag="json_schema"):
    """Accepts a response whose text is JSON that fits the schema."""

    schema: Annotated[JsonObject, about("JSON Schema, 2020-12 unless it says otherwise.")]
    allow_fences: Annotated[bool, about("Take it out of a Markdown fence first.")] = True
    formats: Annotated[bool, about("Assert `format` too; else it is a remark, as the standard has it.")] = False
    resources: Annotated[
        dict[str, JsonObject], about("By address: other schemas that this one refers to. None is ever fetched.")
    ] = field(default_factory=dict)
    on_reject: OnReject = "escalate"


class LengthGate(Settings, frozen=True, tag_field="use", tag="length"):
    """Accepts a response whose text is neither too short nor too long."""

    min_chars: Annotated[int, Meta(ge=0), about("Characters, at least.")] = 1
    max_chars: Annotated[Count | None, about("Characters, at most.")] = None
    on_reject: OnReject = "escalate"


class RegexGate(Settings, frozen=True, tag_field="use", tag="regex"):
    """Accepts a response in which one pattern is found, and another is not. RE2 syntax, linear time."""

    matches: Annotated[str | None, about("Must be found.")] = None
    excludes: Annotated[str | None, about("Must not be found.")] = None
    on_reject: OnReject = "escalate"


class LanguageGate(Settings, frozen=True, tag_field="use", tag="language"):
    """Accepts a response in one of the languages, told by its script and frequent words; short texts pass."""

    languages: Annotated[tuple[str, ...], Meta(min_length=1), about("Two letters each: en, de, …")]
    on_reject: OnReject = "escalate"


class CodeGate(Settings, frozen=True, tag_field="use", tag="code"):
    """Accepts a response whose code parses."""

    language: Annotated[
        str, about("`python`; `javascript` with the extra `gates`; others where their tree-sitter wheel is installed.")
    ] = "python"
    run_examples: Annotated[
        bool,
        about("Python: also run the question's own examples, in a sandbox. Without one the gateway does not start."),
    ] = False
    on_reject: OnReject = "escalate"


class SqlGate(Settings, frozen=True, tag_field="use", tag="sql"):
    """Accepts a response whose SQL its dialect takes, against the declared tables. Nothing is run."""

    dialect: Annotated[str, about("`sqlite`; others by sqlglot's names (postgres, mysql, …), extra `gates`.")] = (
        "sqlite"
    )
    schema: Annotated[str | None, about("CREATE TABLE statements; else only the syntax is checked.")] = None
    tables: Annotated[tuple[str, ...] | None, about("The only tables that may be read.")] = None
    writes: Annotated[bool, about("Statements may do more than read.")] = False
    on_reject: OnReject = "escalate"


class AgreementGate(Settings, frozen=True, tag_field="use", tag="agreement"):
    """Accepts a response that other answers to the same question agree with."""

    samples: Annotated[
        int, Meta(ge=2, le=16), about("Answers of the same model, the response among them. Not with `models`.")
    ] = 3
    models: Annotated[
        tuple[str, ...], about("Other models, asked once each: two unlike models are worth three to four samples.")
    ] = ()
    by: Annotated[
        Literal["exact", "normalised", "numeric", "json"],
        about("Same text; same words; same last number; same JSON value."),
    ] = "normalised"
    field: Annotated[str | None, about("Compare only this member of a JSON answer.")] = None
    at_least: Annotated[Count | None, about("How many must say the same, the response among them; else all.")] = None
    temperature: Annotated[Temperature | None, about("Of further samples; else the request's own.")] = None
    parallel: Annotated[bool, about("Ask them beside the first call: faster, and all of them are paid.")] = False
    on_reject: OnReject = "escalate"


class EntropyGate(Settings, frozen=True, tag_field="use", tag="entropy"):
    """Accepts a response whose words the model was sure of, by its token probabilities."""

    max_bits: Annotated[Positive | None, about("Mean entropy per token, at most.")] = None
    max_token_bits: Annotated[Positive | None, about("Entropy of the least sure token, at most.")] = None
    min_mean_logprob: Annotated[float | None, about("Mean log probability (natural), at least: 0 or less.")] = None
    min_logprob: Annotated[float | None, about("Of the least sure token, at least: 0 or less.")] = None
    fallback: Annotated[
        "Gate | Literal['accept', 'reject']", about("Where the provider gives no probabilities: a gate, or a word.")
    ] = "reject"
    on_reject: OnReject = "escalate"


class JudgeGate(Settings, frozen=True, tag_field="use", tag="judge"):
    """Accepts a response that another model finds good, by a rubric."""

    model: Annotated[str, about("The model that judges.")]
    rubric: Annotated[str | None, about("What a good answer is; else: correct, complete, does what is asked.")] = None
    min_score: Annotated[Share, about("Of 0 to 1.")] = 0.7
    max_output_tokens: Annotated[Count, about("Of the judge's words.")] = 200
    on_reject: OnReject = "escalate"


class AllGate(Settings, frozen=True, tag_field="use", tag="all"):
    """Accepts what every gate in it accepts."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("In order; the first that rejects decides.")]
    on_reject: OnReject = "escalate"


class AnyGate(Settings, frozen=True, tag_field="use", tag="any"):
    """Accepts what one gate in it accepts."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("In order; the first that accepts decides.")]
    on_reject: OnReject = "escalate"


class WeightedGate(Settings, frozen=True, tag_field="use", tag="weighted"):
    """Accepts what its gates find good enough together: the mean of their scores, by weight."""

    gates: Annotated["tuple[Gate, ...]", Meta(min_length=1), about("Each is asked.")]
    weights: Annotated[tuple[float, ...], about("Of `gates`, in order; else all alike.")] = ()
    min_score: Annotated[Share, about("Of 0 to 1.")] = 0.5
    on_reject: OnReject = "escalate"


Gate = (
    JsonGate
    | JsonSchemaGate
    | LengthGate
    | RegexGate
    | LanguageGate
    | CodeGate
    | SqlGate
    | AgreementGate
    | EntropyGate
    | JudgeGate
    | AllGate
    | AnyGate
    | WeightedGate
)

# ── routes ────────────────────────────────────────────────────────────────────────────────────────────


class Output(Settings, frozen=True):
    """The shape every answer of a route is brought into."""

    schema: Annotated[JsonObject | None, about("JSON Schema of the answer; what it does not name is refused.")] = None
    aliases: Annotated[dict[str, str], about("Names a model may use: the names that callers get.")] = field(
        default_factory=dict
    )


class SemanticCache(Settings, frozen=True):
    """Answers kept for requests that mean the same."""

    ttl: Annotated[Duration, about("How long they are kept.")]
    max_wrong: Annotated[Share, about("The share of wrong hits that is tolerated.")] = 0.005


class Cache(Settings, frozen=True):
    """Answers kept for later requests."""

    exact: Annotated[Duration | None, about("How long an answer is kept for the very same request.")] = None
    semantic: Annotated[SemanticCache | None, about("For requests that mean the same.")] = None


# What a fallback may lack: abilities, kinds of input, room, where data may go, a known price.
GAPS = (
    *("tools", "json", "json_schema", "vision", "audio", "pdf", "video", "context", "output", "region", "private"),
    "price",
)


class Webhook(Settings, frozen=True):
    """Somebody's address that is told of what happens here."""

    url: Annotated[Secret, about("Where to.")]
    secret: Annotated[Secret | None, about("Signs each message, in `x-polyroute-signature`.")] = None


class Review(Settings, frozen=True):
    """How a person gets to see held answers."""

    deadline: Annotated[Duration | None, about("How long an answer waits for a decision; else 24h.")] = None
    on_deadline: Annotated[Literal["reject", "approve"], about("What becomes of an answer that nobody decided on.")] = (
        "reject"
    )
    webhook: Annotated[Webhook | None, about("Told of each held answer and of each decision.")] = None


class Route(Settings, frozen=True):
    """A name that callers send as `model`: who answers, within which limits, how good it must be.

    Where a name of another route stands in place of a model's, it means that route's models, in its order; limits
    and gates of that route are not taken over.
    """

    primary: Annotated[str | None, about("The model that answers. Instead of `strategy`.")] = None
    fallback: Annotated[Names, about("Models that answer where the chosen one fails, in order.")] = ()
    accepts: Annotated[
        dict[str, tuple[str, ...]],
        about("What a fallback may lack, by its name: `{claude: [json_schema, output]}`. `check` tells what it lacks."),
    ] = field(default_factory=dict)
    strategy: Annotated[Strategy | None, about("The rule that chooses the model.")] = None
    gates: Annotated[tuple[Gate, ...], about("What an answer must pass, in order.")] = ()
    commit: Annotated[
        Literal["validated", "first_token"],
        about("Streams with gates: held until accepted, or passed on from the first token, and not judged."),
    ] = "validated"
    latency_budget_ms: Annotated[Positive | None, about("Slower models come last.")] = None
    cost_ceiling_usd: Annotated[Decimal | None, about("The most one attempt may cost, held before it is sent.")] = None
    quality_floor: Annotated[Share | None, about("Models known to be worse are left out.")] = None
    precedence: Annotated[Precedence, about("Who wins where no model meets both cost ceiling and quality floor.")] = (
        "refuse"
    )
    max_input_tokens: Annotated[Count | None, about("The longest input this route takes.")] = None
    on_too_long: Annotated[
        Literal["refuse", "truncate", "reroute"],
        about("Beyond it: 400, without the oldest messages, or to the fallback."),
    ] = "refuse"
    min_output_tokens: Annotated[Count, about("Where money left allows fewer output tokens than these, 402.")] = 16
    timeout_s: Annotated[Positive, about("Until the whole request, all attempts, must be done.")] = 600.0
    region: Annotated[str | None, about("Only deployments in this region, in fallbacks too.")] = None
    private: Annotated[bool, about("Only private deployments, in fallbacks too.")] = False
    allowed_providers: Annotated[
        tuple[str, ...] | None, about("Only deployments at these providers, in fallbacks too.")
    ] = None
    data_policy: Annotated[DataPolicy | None, about("What providers must promise, in fallbacks too.")] = None
    privacy: Annotated[Privacy | None, about("Of its requests; in place of the document's.")] = None
    task: Annotated[str | None, about("What its requests are; else the caller says so, or it is detected.")] = None
    class_: Annotated[RequestClass, about("How urgent: batch and deferred requests go by price.")] = field(
        default="interactive", name="class"
    )
    baseline: Annotated[str | None, about("The model that savings are measured against.")] = None
    require_human_review: Annotated[bool, about("Answers are held until a person approves them.")] = False
    review: Annotated[Review | None, about("Of held answers: how long, and who is told.")] = None
    prompt: Annotated[
        str | None,
        about("Put in front of every request: `support@3`, `support@live`, or `support` (live, else newest)."),
    ] = None
    output: Annotated[Output | None, about("The shape every answer is brought into.")] = None
    cache: Annotated[Cache | None, about("Answers kept for later requests.")] = None


# ── callers ───────────────────────────────────────────────────────────────────────────────────────────


class Key(Settings, frozen=True):
    """A caller's key."""

    name: Annotated[str, Meta(min_length=1, max_length=100), about("Shown in receipts.")]
    key: Annotated[Secret, about("What the caller sends.")]
    team: Annotated[str, Meta(min_length=1), about("Who pays.")] = "default"
    user: Annotated[str | None, about("Who calls; else the key's name.")] = None
    tenant: Annotated[str, Meta(min_length=1), about("Whose data must stay apart.")] = "default"
    models: Annotated[tuple[str, ...] | None, about("Routes and models it may ask for; else all.")] = None
    budget: Annotated[Budget, about("The most it may spend.")] = Budget()
    limits: Annotated[Pace, about("The most it may ask.")] = Pace()


class Team(Settings, frozen=True):
    """What one team may use, beside what holds for every team."""

    tenant: Annotated[str, Meta(min_length=1), about("Whose team it is.")] = "default"
    weight: Annotated[
        int, Meta(ge=1, le=1000), about("Its share where there is not enough for all, against other teams' weights.")
    ] = 1
    budget: Annotated[Budget, about("The most it may spend.")] = Budget()
    limits: Annotated[Pace, about("The most it may ask.")] = Pace()


class Limits(Settings, frozen=True):
    """What every user and team may use, and how requests wait where there is not enough for all."""

    per_user_per_minute: Annotated[Count | None, about("Requests of one user.")] = None
    per_team_per_minute: Annotated[Count | None, about("Requests of one team.")] = None
    per_user_tokens_per_minute: Annotated[Count | None, about("Tokens of one user.")] = None
    per_team_tokens_per_minute: Annotated[Count | None, about("Tokens of one team.")] = None
    per_user_parallel: Annotated[Count | None, about("Requests of one user under way at the same time.")] = None
    per_team_parallel: Annotated[Count | None, about("Requests of one team under way at the same time.")] = None
    per_user_daily_usd: Annotated[Decimal | None, about("Money of one user per UTC day.")] = None
    per_user_weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    per_user_monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    per_user_total_usd: Annotated[Decimal | None, about("Ever.")] = None
    per_team_daily_usd: Annotated[Decimal | None, about("Money of one team per UTC day.")] = None
    per_team_weekly_usd: Annotated[Decimal | None, about("Per ISO week, UTC.")] = None
    per_team_monthly_usd: Annotated[Decimal | None, about("Per calendar month, UTC.")] = None
    per_team_total_usd: Annotated[Decimal | None, about("Ever.")] = None
    parallel: Annotated[
        Count | None, about("Requests under way in one gateway process; more wait, each team in its turn.")
    ] = None
    waiting_per_team: Annotated[
        int, Meta(ge=0), about("Requests of one team that wait for room under a limit that all share; more are 429.")
    ] = 100
    wait_s: Annotated[float, Meta(ge=0.0), about("How long such a request waits at most, in seconds.")] = 10.0


# ── the rest ──────────────────────────────────────────────────────────────────────────────────────────


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


class Classifier(Later, frozen=True):
    """A classifier of one's own."""

    use: Annotated[str, about("Its kind: `examples`, …")]
    classes: Annotated[dict[str, tuple[str, ...]], about("Class to utterances.")] = field(default_factory=dict)
    file: Annotated[str | None, about("JSONL rows of `{text, label}`.")] = None


class Document(Settings, frozen=True):
    """The whole of `polyroute.yaml`."""

    include: Annotated[Names, about("Files merged into this one, relative to its folder.")] = ()
    server: Annotated[Server, about("Where the gateway listens, and whom it lets in.")] = Server()
    store: Annotated[Store, about("What is remembered, and where.")] = Store()
    secrets: Annotated[SecretManagers, about("Secret managers that secrets are read from.")] = SecretManagers()
    providers: Annotated[dict[str, Provider], about("Companies' APIs and servers of one's own, by name.")] = field(
        default_factory=dict
    )
    models: Annotated[
        dict[str, str | Model], about("Models by the name that routes use; short form `provider/model`.")
    ] = field(default_factory=dict)
    routes: Annotated[dict[str, Route], about("Routes by the name that callers send.")] = field(default_factory=dict)
    keys: Annotated[tuple[Key, ...], about("The callers' keys.")] = ()
    privacy: Annotated[Privacy | None, about("Of every request whose route does not say otherwise.")] = None
    tenants: Annotated[dict[str, Tenant], about("What holds for a tenant's requests, by its name.")] = field(
        default_factory=dict
    )
    teams: Annotated[dict[str, Team], about("What single teams may use, and their weights.")] = field(
        default_factory=dict
    )
    limits: Annotated[Limits, about("What every user and team may use.")] = Limits()
    tasks: Annotated[str | None, about("File of the task policy pack; else the one that is shipped.")] = None
    classifier: Annotated[
        str, about("What scores requests: `heuristic`, `article`, or the name of an installed plug-in.")
    ] = "heuristic"
    telemetry: Annotated[Telemetry, about("What is told to those who watch.")] = Telemetry()
    pipelines: Annotated[dict[str, Any], about("Graphs of nodes, callable as model `pipeline/NAME`.")] = field(
        default_factory=dict
    )
    prompts: Annotated[dict[str, Prompt], about("Prompts by name.")] = field(default_factory=dict)
    batch: Annotated[Batch | None, about("When work that can wait is done.")] = None
    alerts: Annotated[tuple[Alert, ...], about("Who is told of what.")] = ()
    classifiers: Annotated[dict[str, Classifier], about("Classifiers of one's own, by name.")] = field(
        default_factory=dict
    )
    economics: Annotated[dict[str, Any], about("Figures for the business side.")] = field(default_factory=dict)
