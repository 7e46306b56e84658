"""What a route is at run time: a name that callers send as `model`, and everything decided about it beforehand."""

from collections.abc import Mapping
from difflib import get_close_matches
from itertools import chain
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.catalog.tokens import NOTHING, Size
from polyroute.errors import Forbidden, InvalidRequest, UnknownModel
from polyroute.ports import Strategy
from polyroute.stages.classification.asked import AskedClassifier
from polyroute.stages.execution.wording import Form
from polyroute.stages.matching.length import refuse, truncate
from polyroute.stages.matching.match import Boundary
from polyroute.stages.selection.choosing import Choosing
from polyroute.stages.selection.constraints import Constraints
from polyroute.stages.selection.split import Split
from polyroute.stages.selection.strategies import Fixed
from polyroute.stages.validation.asked_form import AskedForm
from polyroute.stages.validation.contract import Contract
from polyroute.stages.validation.entropy import Entropy, wants_logprobs
from polyroute.stages.validation.gates import MatchesSchema
from polyroute.stages.validation.inquiry import weighs_doubt
from polyroute.stages.validation.judge import Check
from polyroute.stages.validation.moderation.guarding import Guarding
from polyroute.state.hedges import Hedge
from polyroute.types.access import Caller
from polyroute.types.caching import CacheRule
from polyroute.types.cards import Deployment
from polyroute.types.privacy import PiiRule
from polyroute.types.quirks import EMULATES_JSON, EMULATES_SCHEMA
from polyroute.types.request import Request
from polyroute.types.routing import Plan, Thresholds

_ANY_OBJECT: dict[str, object] = {"type": "object"}


class ReviewPolicy(Struct, frozen=True, kw_only=True):
    """How long an answer waits for a person, and what becomes of it then."""

    deadline_s: float = 86_400.0
    lapses_to: Literal["expired", "approved"] = "expired"


class Route(Struct, frozen=True, kw_only=True):
    name: str
    strategy_name: str
    strategy: Strategy
    deployments: tuple[Deployment, ...]  # of the strategy's pool and the fallback
    split: Split | None = None  # a trial: one of its arms takes its place
    fallback: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    levels: Mapping[str, tuple[Check, ...]] = {}  # by model, in place of `checks`
    doubted: frozenset[str] | None = None  # the models with another behind them, to escalate to; None: all
    helpers: Mapping[str, tuple[Deployment, ...]] = {}  # by model: whom gates may ask
    races: bool = False  # the models of its strategy are called at once
    hedge: Hedge | None = None  # when a second deployment is asked beside a late one
    commit: Literal["validated", "first_token"] = "validated"  # when a stream is begun to be told
    on_interrupt: Literal["error", "continue"] = "error"  # of a stream that breaks off once something was told
    constraints: Constraints = Constraints()
    choosing: Mapping[str, Choosing] = {}  # by model: between its deployments; those without go by weight alone
    thresholds: Thresholds = Thresholds()
    boundary: Boundary = Boundary()
    privacy: tuple[PiiRule, ...] = ()  # what happens to requests that hold personal data
    baseline: Deployment | None = None  # what savings are measured against
    max_input_tokens: int | None = None
    on_too_long: Literal["refuse", "truncate", "reroute"] = "refuse"
    min_output_tokens: int = 16
    members: tuple[tuple[str, ...], ...] = ()  # of a route for one call: the names of each model; a key must allow each
    timeout_s: float = 600.0
    review: ReviewPolicy | None = None  # its answers are held for a person
    on_review: ReviewPolicy = ReviewPolicy()  # of answers that a gate has held
    moderation: Guarding | None = None  # what is kept out of its requests
    prompt: str | None = None  # which one goes in front of its requests, as the document names it
    form: Form | None = None  # of its answers, as models are told it
    contract: Contract | None = None  # what every answer is brought into
    task: str | None = None  # declared for every request of this route
    classifiers: tuple[str, ...] = ()  # of the document, on this machine, that its strategy looks at
    asked: tuple[AskedClassifier, ...] = ()  # models that are asked first what its requests are
    task_by: str | None = None  # the classifier whose class is the task, where none is declared
    recall: CacheRule | None = None  # of answers kept and calls shared; None: neither
    wants_task: bool = False  # its strategy asks for the task, so one is detected where none is declared

    @property
    def judges(self) -> bool:
        """Whether an answer is looked at before it is given."""
        return bool(self.checks or self.levels) or self.contract is not None

    @property
    def may_hold(self) -> bool:
        """Whether its answer may have to wait for a person, whatever it says."""
        return self.review is not None or (self.moderation is not None and self.moderation.prompts == "review")

    def checks_for(self, model: str) -> tuple[Check, ...]:
        """What an answer of `model` must pass. Doubt is weighed only where it can lead somewhere."""
        checks = self.levels.get(model, self.checks)
        if self.doubted is None or model in self.doubted:
            return checks
        return tuple(check for check in checks if check.on_reject != "escalate" or not weighs_doubt(check.gate))

    @property
    def top_logprobs(self) -> int:
        """How many alternatives of each token its gates read."""
        every = chain(self.checks, *self.levels.values())
        return Entropy.top_logprobs if any(wants_logprobs(check.gate) for check in every) else 0


class Routes:
    """Finds what a caller's `model` means: a route, a model, provider/model, or `auto`."""

    def __init__(self, routes: Mapping[str, Route], models: Mapping[str, Route], default: str | None) -> None:
        """`models` holds a fixed route per callable model; `default` is what `auto` means."""
        self._routes = routes
        self._models = models
        self._default = default

    def find(self, model: str) -> Route:
        """Raises UnknownModel with the nearest names."""
        name = model.removeprefix("polyroute/").removeprefix("auto:")
        found = self._routes.get(name) or self._models.get(model)
        if found is None and model in ("auto", "polyroute/auto") and self._default is not None:
            found = self._routes[self._default]
        if found is None:
            raise UnknownModel(f"the model `{model[:120]}` does not exist{self._hint(model)}")
        return found

    def with_routes(self, routes: Mapping[str, Route]) -> "Routes":
        """Other routes, the same models."""
        return Routes(routes, self._models, self._default)

    @property
    def names(self) -> tuple[str, ...]:
        """Routes first, then models, each in the document's order."""
        return (*self._routes, *(name for name in self._models if name not in self._routes))

    def is_route(self, name: str) -> bool:
        return name in self._routes

    def _hint(self, model: str) -> str:
        near = get_close_matches(model[:120], self.names, n=3) if len(self.names) < 2000 else []
        return f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""


class View(Struct, frozen=True, kw_only=True):
    """What holds for one tenant, whatever it asks for."""

    routes: Routes
    policy: str  # content hash of the document, and of what is laid over it
    boundary: Boundary = Boundary()
    privacy: tuple[PiiRule, ...] = ()  # beside the route's
    fault: str | None = None  # why nothing can be answered under it


def admit(route: Route, request: Request, caller: Caller) -> None:
    """Raises Forbidden or Unsupported where this caller may not use this route at all."""
    allowed = caller.models
    for names in route.members or ((request.model, route.name),):
        if allowed is not None and allowed.isdisjoint(names):
            raise Forbidden(f"this key may not use `{names[0][:120]}`; it may use: {', '.join(sorted(allowed))}")


def check_unseen(route: Route) -> None:
    """Raises InvalidRequest where answers are looked at first: one that its provider goes on with passes that by."""
    if route.judges or route.review is not None:
        raise InvalidRequest(
            f"the answers of `{route.name}` are checked before they are given, and one that is worked on in the"
            " background could not be: ask without `background`",
            field="background",
            code="unsupported_value",
        )


def checked(route: Route, request: Request, plan: Plan) -> Route:
    """With a gate for the form that the caller asked for, where a model of the plan is not held to it by its provider.

    Raises InvalidRequest for a schema that no answer could be checked against.
    """
    if request.output is None:
        return route
    schema, emulates = request.output.schema, EMULATES_SCHEMA
    if schema is None:
        schema, emulates = _ANY_OBJECT, EMULATES_JSON
    if all(emulates.isdisjoint(step.candidate.deployment.quirks) for step in plan.steps):
        return route
    matches = MatchesSchema(schema=schema)
    if problem := matches.problem():
        raise InvalidRequest(f"the schema of the wanted output is no JSON Schema: {problem}", field="response_format")
    check = Check(gate=AskedForm(matches=matches))
    levels = {model: (*checks, check) for model, checks in route.levels.items()}
    return replace(route, checks=(*route.checks, check), levels=levels)


def fit(request: Request, route: Route, added: Size = NOTHING) -> tuple[Request, Size, Route]:
    """The request within the route's input limit, or on the way to the fallback that takes it.

    `added` is what the route itself will put to it; it counts towards the limit and the size.
    """
    size, limit = tokens.measure(request).plus(added), route.max_input_tokens
    if limit is None or size.estimate <= limit:
        return request, size, route
    match route.on_too_long:
        case "truncate" if request.operation == "chat":  # the input of anything else is no conversation to shorten
            request = truncate(request, limit - added.estimate, route.name)
            return request, tokens.measure(request).plus(added), route
        case "refuse" | "truncate":
            raise refuse(size.estimate, limit, route.name)
        case "reroute":
            return request, size, replace(route, strategy=Fixed(models=route.fallback), fallback=())
