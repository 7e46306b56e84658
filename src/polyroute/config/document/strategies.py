"""Settings of selection: one group for each strategy a route may `use`."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, field

from polyroute.conditions import Condition
from polyroute.config.document.gates import Gate
from polyroute.config.document.words import Later, Names, Positive, Settings, Share, about
from polyroute.config.secret import Secret


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
    classifier: Annotated[
        str | None, about("Of `classifiers`: names the task where the caller declares none, by its classes.")
    ] = None
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
        dict[str, tuple[Gate, ...]], about("By model: what its answers must pass, in place of the route's gates.")
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


class Learned(Settings, frozen=True, tag_field="use", tag="learned"):
    """A trained router predicts each model's quality and takes the cheapest that is good enough."""

    models: Annotated[
        tuple[str, ...], Meta(min_length=2), about("To choose from; the router was trained on each, by this name.")
    ]
    artifact: Annotated[str, about("The trained router's file, which `polyroute train` makes.")]
    quality_loss: Annotated[
        Share, about("How much of the best model's mean quality may be given up for cost: 0.01 is one percent.")
    ] = 0.01


class Doubt(Settings, frozen=True):
    """Where a moderation model's highest score leaves it open."""

    low: Annotated[Share, about("Up to here its word stands.")] = 0.2
    high: Annotated[Share, about("From here on too.")] = 0.8


class Moderation(Settings, frozen=True, tag_field="use", tag="moderation"):
    """Says of texts whether they are flagged, on `/v1/moderations` and for routes that name it under `moderation`.

    Each text is settled as near as it can be: by the artifact on this machine, else by a moderation model, else by a
    large one. What is settled goes no further.
    """

    artifact: Annotated[str | None, about("A file that `polyroute moderate --train` makes.")] = None
    model: Annotated[str | None, about("A moderation model, asked for what is left.")] = None
    llm: Annotated[str | None, about("A model that converses, asked for what is still open.")] = None
    policy: Annotated[str | None, about("What is flagged and what is not, told to `llm`.")] = None
    doubt: Annotated[Doubt, about("Highest scores of `model` that are left to `llm`, where there is one.")] = Doubt()
    unsettled: Annotated[Literal["flag", "allow"], about("What becomes of texts that nobody settled.")] = "flag"
    timeout_s: Annotated[Positive, about("For each model; then the next one is asked.")] = 10.0


class LlmRouter(Later, frozen=True, tag_field="use", tag="llm"):
    """A small model reads the request and names the model."""

    models: Annotated[tuple[str, ...], about("To choose from.")]
    router: Annotated[str | None, about("The model that chooses.")] = None


class Arm(Settings, frozen=True):
    """One arm of a split."""

    route: Annotated[str, about("A route, or a model; everything it says holds for its requests.")]
    weight: Annotated[Positive, about("Its share.")] = 1.0


class Split(Settings, frozen=True, tag_field="use", tag="split"):
    """A trial: requests are divided among routes, each of which answers in its own way."""

    arms: Annotated[tuple[Arm, ...], Meta(min_length=2), about("The routes.")]
    sticky: Annotated[
        Literal["user", "session", "team", "key"] | None,
        about("Who stays with one arm. Else each request is drawn for on its own."),
    ] = None


Strategy = (
    Fixed | Rules | Complexity | Task | Cheapest | Fastest | Cascade | Logic | Learned | Moderation | LlmRouter | Split
)  # fmt: skip
