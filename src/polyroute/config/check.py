"""Whether the parts of a typed document fit together. Pure; finds all problems, not the first only.

It knows names, ranges that types cannot say, and what contradicts itself or would have no effect. Whether a provider
answers is nobody's to know before it is asked.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Self

from msgspec import Struct
from msgspec.structs import asdict

from polyroute.config import singles
from polyroute.config.alerts import alert_problems
from polyroute.config.boundaries import boundary_problems
from polyroute.config.contract import acceptance_problems
from polyroute.config.document import (
    Document,
    Key,
    LlmClassifier,
    Model,
    Moderation,
    PerToken,
    Placement,
    Provider,
    Route,
    names,
)
from polyroute.config.money import money_problems as budget_problems
from polyroute.config.outputs import output_problems
from polyroute.config.prompts import prompt_problems
from polyroute.config.splits import split_problems
from polyroute.config.suggest import Vocabulary
from polyroute.config.support import unsupported
from polyroute.config.targets import gate_targets, models_behind, targets_of
from polyroute.errors import Problem
from polyroute.types.quirks import QUIRKS

ADMIN_KEY = "POLYROUTE_ADMIN_KEY"
# Capabilities that are kinds of input.
MODALITIES = {"vision": "image", "image": "image", "audio": "audio", "pdf": "pdf", "video": "video"}
CAPABILITIES = frozenset(MODALITIES) | {
    *("tools", "parallel_tools", "json", "json_schema", "thinking", "adaptive_thinking", "always_thinks", "logprobs"),
    *("caching", "citations", "embeddings", "fixed_sampling", "mid_system", "n_choices"),
    *("thinking_level", "json_with_tools", "prefill"),
}  # the catalogue's words
_RESERVED_MODELS = {"auto": "it is the default route's name"}
_RESERVED_PROVIDERS = {
    "polyroute": "`polyroute/NAME` is a route",
    "pipeline": "`pipeline/NAME` is a pipeline",
    "logic": "`logic/ROUTE` is a route's answers without a model",
    "moderation": "`moderation/ROUTE` is what a moderator rules",
    "auto": "it is the default route's name",
}


class Known(Struct, frozen=True, kw_only=True):
    """The names a document declares, whatever else may be wrong with what they name."""

    providers: frozenset[str]
    models: frozenset[str]
    routes: frozenset[str]

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls.of_sections(document.providers, document.models, document.routes)

    @classmethod
    def of_sections(cls, providers: object, models: object, routes: object) -> Self:
        sections = (frozenset(s) if isinstance(s, dict) else frozenset() for s in (providers, models, routes))
        return cls(**dict(zip(("providers", "models", "routes"), sections, strict=True)))


def check(document: Document, known: Known | None = None) -> tuple[Problem, ...]:
    """Every problem, not yet placed in a file. `known` are names beyond the document's own sound entries."""
    return tuple(_Check(document, known or Known.of(document)).problems())


def check_start(document: Document, env: Mapping[str, str]) -> tuple[Problem, ...]:
    """What stops this document from being served, though it is sound: nobody could use it."""
    if document.server.auth == "open" or document.keys or env.get(ADMIN_KEY):
        return ()
    message = "`auth: keys`, and there is neither a declared key nor an admin key: nobody could call"
    fix = f"declare one under `keys`, or export {ADMIN_KEY}, which may call too; on loopback, `auth: open` asks nobody"
    return (Problem(path="server.auth", message=message, fix=fix),)


class _Check:
    def __init__(self, document: Document, known: Known) -> None:
        self._document = document
        self._known = known
        self._providers = Vocabulary(sorted(known.providers))
        self._targets = Vocabulary((*document.models, *document.routes))
        self._capabilities = Vocabulary(sorted(CAPABILITIES))
        self._departures = Vocabulary(sorted(QUIRKS))

    def problems(self) -> Iterator[Problem]:
        document = self._document
        if not (self._known.providers or self._known.models or self._known.routes):
            fix = "`polyroute init` writes a starter document"
            yield Problem(path="document", message="declares no providers, models or routes: nothing to serve", fix=fix)
        yield from singles.server_problems(document.server)
        yield from singles.store_problems(document.store)
        for name, provider in document.providers.items():
            yield from singles.name_problems(f"providers.{name}", name, _RESERVED_PROVIDERS)
            yield from singles.provider_problems(f"providers.{name}", provider)
            yield from self._quirks(f"providers.{name}", provider)
        for name, model in document.models.items():
            yield from singles.name_problems(f"models.{name}", name, _RESERVED_MODELS)
            yield from self._model(f"models.{name}", model)
        for name, route in document.routes.items():
            yield from singles.name_problems(f"routes.{name}", name, {})
            if name in self._known.models:
                fix = "callers could not tell them apart: rename one"
                yield Problem(path=f"routes.{name}", message="a model has the same name", fix=fix)
            yield from self._route(f"routes.{name}", route)
        yield from self._cycles()
        for name in document.pipelines:
            yield from singles.name_problems(f"pipelines.{name}", name, {})
        yield from prompt_problems(document)
        yield from output_problems(document)
        yield from boundary_problems(document, {*self._known.providers, *document.providers})
        yield from self._keys(document.keys)
        for name, value in asdict(document.limits).items():
            if isinstance(value, Decimal):
                yield from singles.money_problems(f"limits.{name}", value)
        yield from budget_problems(document)
        for name, classifier in document.classifiers.items():
            if isinstance(classifier, LlmClassifier):
                yield from self._target(f"classifiers.{name}.model", classifier.model)
        for at, alert in enumerate(document.alerts):
            yield from alert_problems(f"alerts[{at}]", alert, self._known.routes | self._known.models)
        if document.telemetry.otlp is not None:
            yield from singles.address_problems("telemetry.otlp", document.telemetry.otlp)
        yield from unsupported(document)

    # ── models ────────────────────────────────────────────────────────────────────────────────────────

    def _model(self, path: str, model: str | Model) -> Iterator[Problem]:
        if isinstance(model, str):
            yield from self._short_form(path, model)
            return
        if model.deployments and model.provider is not None:
            fix = "put the place into the list"
            yield Problem(path=f"{path}.provider", message="`deployments` already says where to call it", fix=fix)
        elif not model.deployments and model.provider is None:
            fix = "give `provider: NAME`, `deployments: […]`, or the short form provider/model"
            yield Problem(path=path, message="says nowhere to call it", fix=fix)
        elif model.provider is not None:
            yield from self._provider_name(f"{path}.provider", model.provider)
        for at, placement in enumerate(model.deployments):
            yield from self._provider_name(f"{path}.deployments[{at}].provider", placement.provider)
        yield from self._quirks(path, model)
        for at, placement in enumerate(model.deployments):
            yield from self._quirks(f"{path}.deployments[{at}]", placement)
            if isinstance(placement.price, PerToken):
                yield from singles.price_problems(f"{path}.deployments[{at}].price", placement.price)
        yield from self._simulated_only(path, model)
        if isinstance(model.price, PerToken):
            yield from singles.price_problems(f"{path}.price", model.price)
        for number, capability in enumerate(model.capabilities or ()):
            if capability not in CAPABILITIES:
                hint = self._capabilities.fix(capability)
                message = f"`{capability}` is no capability"
                yield Problem(path=f"{path}.capabilities[{number}]", message=message, fix=hint)

    def _short_form(self, path: str, model: str) -> Iterator[Problem]:
        provider, slash, upstream = model.partition("/")
        if not (provider and slash and upstream):
            yield Problem(
                path=path, message=f"`{model}` is not of the form provider/model", fix="as openai/gpt-4o-mini"
            )
        else:
            yield from self._provider_name(path, provider)

    def _provider_name(self, path: str, name: str) -> Iterator[Problem]:
        if name not in self._known.providers and name not in self._document.providers:
            fix = self._providers.fix(name)
            if name in ("openai", "anthropic", "gemini"):
                fix = f"declare it under `providers`, or export {name.upper()}_API_KEY"
            yield Problem(path=path, message=f"there is no provider `{name}`", fix=fix)

    def _quirks(self, path: str, place: Provider | Model | Placement) -> Iterator[Problem]:
        for at, word in enumerate(place.quirks):
            if word.removeprefix("-") not in QUIRKS:
                fix = self._departures.fix(word.removeprefix("-"))
                yield Problem(path=f"{path}.quirks[{at}]", message=f"there is no quirk `{word}`", fix=fix)

    def _simulated_only(self, path: str, model: Model) -> Iterator[Problem]:
        places: list[tuple[str, Model | Placement]] = [(path, model)]
        places += [(f"{path}.deployments[{number}]", placement) for number, placement in enumerate(model.deployments)]
        for at, place in places:
            used = [place.provider or ""] if place.provider else [placement.provider for placement in model.deployments]
            families = {p.dialect for name in used if (p := self._document.providers.get(name))}
            for setting in ("error_rate", "answer", "fail", "fail_times", "by_difficulty"):
                if getattr(place, setting, None) is not None and families and "simulated" not in families:
                    yield Problem(path=f"{at}.{setting}", message="only simulated models have it", fix="remove it")

    # ── routes ────────────────────────────────────────────────────────────────────────────────────────

    def _route(self, path: str, route: Route) -> Iterator[Problem]:
        if route.primary is not None and route.strategy is not None:
            message = "`primary` and `strategy` both choose the model"
            yield Problem(path=f"{path}.strategy", message=message, fix="keep one of the two")
        elif route.primary is None and route.strategy is None:
            yield Problem(path=path, message="says no model", fix="give `primary: MODEL` or `strategy: {use: …}`")
        for inside, target in targets_of(route):
            yield from self._target(f"{path}.{inside}", target)
        if route.baseline is not None:
            yield from self._target(f"{path}.baseline", route.baseline)
        yield from singles.strategy_problems(f"{path}.strategy", route)
        if route.cost_ceiling_usd is not None:
            yield from singles.money_problems(f"{path}.cost_ceiling_usd", route.cost_ceiling_usd)
        if route.on_too_long != "refuse" and route.max_input_tokens is None:
            fix = "give `max_input_tokens` too"
            yield Problem(path=f"{path}.on_too_long", message="has no effect without `max_input_tokens`", fix=fix)
        elif route.on_too_long == "reroute" and not names(route.fallback):
            message = "`reroute` goes to the fallback, and there is none"
            yield Problem(path=f"{path}.on_too_long", message=message, fix="give `fallback`")
        for inside, target in gate_targets(route):
            yield from self._target(f"{path}.{inside}", target)
        for at, gate in enumerate(route.gates):
            low, high = getattr(gate, "min_chars", 0), getattr(gate, "max_chars", None)
            if high is not None and low > high:
                yield Problem(path=f"{path}.gates[{at}].max_chars", message=f"{high} is less than min_chars {low}")
        yield from split_problems(path, route, self._document.routes, self._known.models)
        yield from self._boundary(path, route)
        yield from acceptance_problems(path, route)

    def _target(self, path: str, target: str) -> Iterator[Problem]:
        route = self._document.routes.get(target)
        if route is not None and isinstance(route.strategy, Moderation):
            message = f"`{target}` moderates, and answers nothing else"
            yield Problem(path=path, message=message, fix=f"name it in the route: `moderation: {{by: {target}}}`")
            return
        if target in self._known.models or target in self._known.routes:
            return
        provider, slash, upstream = target.partition("/")
        if not slash:
            fix = self._targets.fix(target)
            yield Problem(path=path, message=f"there is no model or route `{target}`", fix=fix)
        elif not upstream:
            yield Problem(path=path, message=f"`{target}` names no model", fix="as provider/model")
        else:
            yield from self._provider_name(path, provider)

    def _providers_of(self, target: str) -> list[str]:
        model = self._document.models.get(target)
        if isinstance(model, Model):
            return [placement.provider for placement in model.deployments] or [model.provider or ""]
        written = model if model is not None else target
        return [written.partition("/")[0]] if "/" in written else []

    def _boundary(self, path: str, route: Route) -> Iterator[Problem]:
        """A route bound to a region, or to private models, needs one model that is within."""
        if route.region is None and not route.private:
            return
        routes = self._document.routes
        named = {model for _, target in targets_of(route) for model in models_behind(routes, target)}
        places = [place for model in named for place in self._places(model)]
        if places and route.region is not None and not any(region == route.region for region, _ in places):
            regions = Vocabulary(sorted({region for region, _ in places if region}))
            message = f"none of its models is in the region `{route.region}`"
            yield Problem(path=f"{path}.region", message=message, fix=regions.fix(route.region))
        if places and route.private and not any(private for _, private in places):
            fix = "say `private: true` at a provider or model that is"
            yield Problem(path=f"{path}.private", message="none of its models is private", fix=fix)

    def _places(self, target: str) -> Iterator[tuple[str | None, bool]]:
        """Region and privacy of everywhere a model can be called."""
        model = self._document.models.get(target)
        own = model if isinstance(model, Model) else None
        placements: Iterable[Placement | None] = own.deployments if own is not None and own.deployments else (None,)
        for name, placement in zip(self._providers_of(target), placements, strict=False):
            provider = self._document.providers.get(name)
            if provider is not None:
                levels = [level for level in (placement, own) if level is not None]
                region = next((level.region for level in levels if level.region is not None), provider.region)
                private = next((level.private for level in levels if level.private is not None), provider.private)
                yield region, private

    def _cycles(self) -> Iterator[Problem]:
        """Routes that lead back to themselves, each cycle told once."""
        routes = self._document.routes
        done: set[str] = set()
        for start in routes:
            trail: list[str] = []
            pending: list[Iterator[tuple[str, str]]] = []
            if start not in done:
                trail, pending = [start], [targets_of(routes[start])]
            while pending:
                step = next(pending[-1], None)
                if step is None:
                    pending.pop()
                    done.add(trail.pop())
                elif step[1] in trail:
                    chain = " → ".join([*trail[trail.index(step[1]) :], step[1]])
                    yield Problem(path=f"routes.{trail[-1]}.{step[0]}", message=f"leads back to itself: {chain}")
                elif step[1] in routes and step[1] not in done:
                    trail.append(step[1])
                    pending.append(targets_of(routes[step[1]]))

    # ── keys ──────────────────────────────────────────────────────────────────────────────────────────

    def _keys(self, keys: tuple[Key, ...]) -> Iterator[Problem]:
        by_name: dict[str, int] = {}
        by_value: dict[str, int] = {}
        for at, key in enumerate(keys):
            first = by_name.setdefault(key.name, at)
            if first != at:
                yield Problem(path=f"keys[{at}].name", message=f"`{key.name}` is also the name of keys[{first}]")
            first = by_value.setdefault(key.key.reveal(), at)
            if first != at:
                message = f"is the same secret as keys[{first}]: nobody could tell who calls"
                yield Problem(path=f"keys[{at}].key", message=message)
            for number, model in enumerate(key.models or ()):
                yield from self._target(f"keys[{at}].models[{number}]", model.removeprefix("polyroute/"))
