"""Settings of a route: its strategy, its fallbacks, its gates and what its answers must look like."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, field

from polyroute.config.document.gates import Gate
from polyroute.config.document.policy import DataPolicy, Privacy, Sticky
from polyroute.config.document.strategies import Strategy
from polyroute.config.document.words import Count, JsonObject, Names, NotNegative, Positive, Settings, Share, about
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret
from polyroute.types.routing import ChooseBy, Precedence, RequestClass, StickyBy


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

    exact: Annotated[
        Duration | None, about("How long an answer is kept for the very same request of the same tenant; null: not.")
    ] = field(default_factory=lambda: Duration(300))
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


OnFlagged = Literal["off", "block", "review"]


class ModeratedBy(Settings, frozen=True):
    """What a route lets a moderator look at."""

    by: Annotated[str, about("A route whose strategy is `moderation`.")]
    prompts: Annotated[
        OnFlagged, about("Of a flagged request: it is refused before any model answers, or the answer is held.")
    ] = "block"
    answers: Annotated[OnFlagged, about("Of a flagged answer: an error in its place, or it is held.")] = "off"


class Hedge(Settings, frozen=True):
    """A second deployment is asked beside one that is late; the first good answer wins, the other call is cut."""

    after_ms: Annotated[
        Positive | None, about("How long a call is waited for alone; else the 95th of 100 of its deployment's last.")
    ] = None
    max_share: Annotated[float, Meta(gt=0.0, le=0.05), about("The most second calls, of the route's requests.")] = 0.03
    max_cost_share: Annotated[
        NotNegative,
        about("The most the second call may cost, of what is held for the first: dearer ones are not asked."),
    ] = 1.0


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
    moderation: Annotated[ModeratedBy | None, about("What is kept out of its requests and answers.")] = None
    commit: Annotated[
        Literal["validated", "first_token"],
        about("Streams with gates: held until accepted, or passed on from the first token, and not judged."),
    ] = "validated"
    on_interrupt: Annotated[
        Literal["error", "continue"],
        about(
            "A stream that breaks off once something was told: it ends in an error event, or another deployment goes on"
            " with its text, which is marked."
        ),
    ] = "error"
    hedge: Annotated[Hedge | None, about("A second deployment is asked beside a late one. Off unless given.")] = None
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
    choose: Annotated[
        ChooseBy | None, about("Which deployment of a model goes first, in place of the models' own words.")
    ] = None
    sticky: Annotated[
        StickyBy | Sticky | None,
        about("Requests that belong together go to the same deployment, in place of the models' own words."),
    ] = None
    baseline: Annotated[str | None, about("The model that savings are measured against.")] = None
    require_human_review: Annotated[bool, about("Answers are held until a person approves them.")] = False
    review: Annotated[Review | None, about("Of held answers: how long, and who is told.")] = None
    prompt: Annotated[
        str | None,
        about("Put in front of every request: `support@3`, `support@live`, or `support` (live, else newest)."),
    ] = None
    output: Annotated[Output | None, about("The shape every answer is brought into.")] = None
    cache: Annotated[Cache | None, about("Answers kept for later requests; `{}` for five minutes.")] = None
    coalesce: Annotated[
        bool | None,
        about("The very same requests of a tenant under way at once share one call; on where there is a `cache`."),
    ] = None
