"""From what a document says of routes to what the path goes by: strategies, gates and deployments in hand."""

import time
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Literal

from msgspec import Struct

from polyroute.catalog.tasks import TaskPack
from polyroute.config import document as settings
from polyroute.config.document import Document, names
from polyroute.config.resolve import models_of
from polyroute.errors import InvalidRequest, UnknownModel
from polyroute.ports import Embedder, Monotonic, Strategy
from polyroute.providers.moderated import MODERATION
from polyroute.stages.assembly.savings import dearest
from polyroute.stages.classification.asked import AskedClassifier
from polyroute.stages.route import ReviewPolicy, Route, Routes
from polyroute.stages.selection import strategies
from polyroute.stages.selection.choosing import Choosing, Sticky
from polyroute.stages.selection.constraints import Constraints
from polyroute.stages.selection.learned import Learned
from polyroute.stages.selection.router import Router
from polyroute.stages.selection.split import Arm, Split
from polyroute.stages.validation.gates import Length
from polyroute.stages.validation.judge import Check
from polyroute.stages.validation.moderation.guarding import Guarding, Moderated
from polyroute.stages.validation.moderation.moderator import Moderator
from polyroute.stages.validation.parsing import Parsers
from polyroute.state.hedges import Hedge
from polyroute.telemetry.tiers import TierTarget
from polyroute.types.caching import CacheRule
from polyroute.types.cards import Deployment
from polyroute.types.routing import ChooseBy, StickyBy, Thresholds
from polyroute.wiring.classifiers import classifiers_of
from polyroute.wiring.gates import GateSmith, gate_of_call, helpers_of
from polyroute.wiring.moderation import moderation_model
from polyroute.wiring.privacy import boundary_of, rules_of
from polyroute.wiring.prompts import contract_of, form_of

LOGIC = "logic"  # the provider name of a route's plain-logic answers
_OURS = (f"{LOGIC}/", f"{MODERATION}/")
_OVER_MODELS: Mapping[str, type[strategies.Fixed | strategies.Cheapest | strategies.Fastest | strategies.Cascade]] = {
    "fixed": strategies.Fixed,
    "cheapest": strategies.Cheapest,
    "fastest": strategies.Fastest,
    "cascade": strategies.Cascade,
}


def logic_model(route: str, at: int) -> str:
    """The name that a route's plain-logic answer has in plans and receipts, where models have theirs."""
    return f"{LOGIC}/{route}/{at + 1}"


class RouteBook(Struct, frozen=True, kw_only=True):
    """Everything routes are built from."""

    document: Document
    deployments: Mapping[str, tuple[Deployment, ...]]  # by the document's name of the model
    tasks: TaskPack
    today: date
    parsers: Parsers
    embedder: Embedder | None = None
    routers: Mapping[str, Router] = {}  # trained, by route
    moderators: Mapping[str, Moderator] = {}  # by route
    monotonic: Monotonic = time.monotonic

    def routes(self) -> Routes:
        built = {name: self._route(name, route) for name, route in self.document.routes.items()}
        real = {name: found for name, found in self.deployments.items() if not name.startswith(_OURS)}
        models = {name: self._model(name, deployments) for name, deployments in real.items()}
        for name, deployments in real.items():
            for deployment in deployments:  # named with its provider, a model is called there and nowhere else
                models.setdefault(
                    f"{deployment.provider}/{deployment.upstream_model}", self._model(name, (deployment,))
                )
        default = "auto" if "auto" in built else next((name for name in built if name not in self.moderators), None)
        return Routes(built, models, default)

    def layered(self, base: Routes) -> Routes:
        """The document's routes anew, over the models of `base`."""
        return base.with_routes({name: self._route(name, route) for name, route in self.document.routes.items()})

    def ad_hoc(
        self, strategy: str, models: tuple[str, ...], gates: tuple[Mapping[str, object], ...], routes: Routes
    ) -> Route:
        """A route for one call, over models alone: what a route declares is not put aside so. Raises InvalidRequest."""
        build = _OVER_MODELS.get(strategy)
        if build is None:
            raise InvalidRequest(
                f"`strategy` must be one of {', '.join(f'`{name}`' for name in _OVER_MODELS)} where the call names "
                f"its models, got {strategy[:60]!r}",
                field="strategy",
                code="invalid_value",
            )
        named = [_model_of_call(model, f"models[{at}]", routes) for at, model in enumerate(models)]
        found = list(chain.from_iterable(route.deployments for route in named))
        pool = tuple(dict.fromkeys(deployment.model for deployment in found))
        smith = GateSmith(
            parsers=self.parsers, embedder=self.embedder, name_model=lambda name: routes.find(name).deployments[0].model
        )
        checks = smith.checks(tuple(gate_of_call(gate, f"gates[{at}]") for at, gate in enumerate(gates)))
        if strategy == "cascade" and not checks:
            checks = (Check(gate=Length()),)  # an empty answer is never good enough
        asked = dict.fromkeys(name for model in pool for name in helpers_of(checks, model))
        helpers = {name: routes.find(name).deployments for name in asked}
        return Route(
            name=f"execute/{strategy}",
            strategy_name=strategy,
            strategy=build(models=pool),
            deployments=tuple({deployment.id: deployment for deployment in found}.values()),
            choosing=self._choosing(pool, None),
            checks=checks,
            doubted=frozenset(pool[:-1]) if strategy == "cascade" else None,
            helpers=helpers,
            baseline=dearest(tuple(found), self.today),
            privacy=rules_of(self.document.privacy),
            members=(
                *((model, route.name) for model, route in zip(models, named, strict=True)),
                *((name, routes.find(name).name) for name in asked),
            ),
        )

    def _model(self, name: str, deployments: tuple[Deployment, ...]) -> Route:
        return Route(
            name=name,
            strategy_name="fixed",
            strategy=strategies.Fixed(models=(name,)),
            deployments=deployments,
            choosing=self._choosing((name,), None) if len(deployments) > 1 else {},
            baseline=deployments[0],
            privacy=rules_of(self.document.privacy),
        )

    def _route(self, name: str, route: settings.Route) -> Route:
        strategy_name, strategy = self._strategy(name, route)
        fallback = tuple(dict.fromkeys(chain.from_iterable(map(self._models, names(route.fallback)))))
        wanted = dict.fromkeys((*strategy.pool, *fallback))
        smith = GateSmith(
            parsers=self.parsers, embedder=self.embedder, name_model=lambda target: self._models(target)[0]
        )
        moderation, looked = self._moderation(name, route), self._looked(route)
        checks = (*smith.checks(route.gates), *looked)
        levels = {model: (*own, *looked) for model, own in self._levels(smith, route.strategy).items()}
        deployments = tuple(chain.from_iterable(self.deployments[model] for model in wanted))
        looked_at = classifiers_of(route)
        asked = tuple(self._asked(name) for name in looked_at if _asks(self.document, name))
        helpers = self._helpers(checks, levels, wanted) | {each.model: self.deployments[each.model] for each in asked}
        if moderation is not None:
            helpers |= {model: self.deployments[model] for model in moderation.moderator.asks}
        return Route(
            name=name,
            strategy_name=strategy_name,
            strategy=strategy,
            deployments=deployments,
            split=_split(name, route.strategy),
            fallback=fallback,
            checks=checks,
            levels=levels,
            doubted=frozenset(strategy.models[:-1]) if isinstance(strategy, strategies.Cascade) else None,
            helpers=helpers,
            races=isinstance(route.strategy, settings.Cascade) and route.strategy.race,
            on_interrupt=route.on_interrupt,
            hedge=_hedge(route.hedge),
            commit=route.commit,
            on_review=_review(route),
            choosing=self._choosing(wanted, route),
            constraints=Constraints(
                latency_budget_ms=route.latency_budget_ms,
                cost_ceiling_usd=route.cost_ceiling_usd,
                quality_floor=route.quality_floor,
                precedence=route.precedence,
                request_class=route.class_,
            ),
            thresholds=_thresholds(route.strategy),
            boundary=boundary_of(route),
            privacy=rules_of(self.document.privacy if route.privacy is None else route.privacy),
            baseline=self._baseline(route, strategy, deployments),
            max_input_tokens=route.max_input_tokens,
            on_too_long=route.on_too_long,
            min_output_tokens=route.min_output_tokens,
            timeout_s=route.timeout_s,
            review=_review(route) if route.require_human_review else None,
            moderation=moderation,
            prompt=route.prompt,
            form=form_of(name, route),
            contract=contract_of(route),
            task=route.task,
            task_by=route.strategy.classifier if isinstance(route.strategy, settings.Task) else None,
            classifiers=tuple(name for name in looked_at if not _asks(self.document, name)),
            asked=asked,
            recall=_recall(route),
            wants_task=isinstance(strategy, strategies.Task | strategies.Rules | strategies.Logic),
        )

    def _strategy(self, name: str, route: settings.Route) -> tuple[str, Strategy]:
        match route.strategy:
            case None:
                return "fixed", strategies.Fixed(models=self._models(route.primary or ""))
            case settings.Fixed(models=models):
                return "fixed", strategies.Fixed(models=self._all(models))
            case settings.Cheapest(models=models):
                return "cheapest", strategies.Cheapest(models=self._all(models))
            case settings.Fastest(models=models):
                return "fastest", strategies.Fastest(models=self._all(models))
            case settings.Cascade() as cascade:
                rates = {model: rate for name, rate in cascade.pass_rate.items() for model in self._models(name)}
                return "cascade", strategies.Cascade(models=self._all(cascade.models), pass_rates=rates)
            case settings.Complexity() as tiers:
                return "complexity", strategies.Complexity(
                    simple=self._models(tiers.simple),
                    moderate=self._models(tiers.moderate),
                    complex=self._models(tiers.complex),
                )
            case settings.Task() as by_task:
                return "task", strategies.Task(
                    tasks={task: self._models(target) for task, target in by_task.tasks.items()},
                    default=self._models(by_task.default),
                    models=self._all(by_task.models),
                    pack=self.tasks,
                )
            case settings.Rules() as ruled:
                return "rules", strategies.Rules(
                    rules=tuple(
                        strategies.Rule(when=rule.when, models=self._models(rule.model), name=rule.name)
                        for rule in ruled.rules
                    ),
                    default=self._models(ruled.default),
                )
            case settings.Logic() as logic:
                return "logic", strategies.Logic(
                    when=tuple(answer.when for answer in logic.answers),
                    answerers=tuple(logic_model(name, at) for at in range(len(logic.answers))),
                    otherwise=self._all(names(logic.otherwise)),
                )
            case settings.Moderation():
                return "moderation", strategies.Fixed(models=(moderation_model(name),))
            case settings.Split(arms=arms):
                return "split", strategies.Fixed(models=self._all(arm.route for arm in arms))
            case settings.Learned(models=models, quality_loss=loss):
                return "learned", Learned(models=models, router=self.routers[name], quality_loss=loss)
            case other:
                raise UnknownModel(f"the strategy of route `{name}` is not one of this version: {type(other).__name__}")

    def _choosing(self, models: Iterable[str], route: settings.Route | None) -> dict[str, Choosing]:
        """Of the models where there is something to choose, or to stick to."""
        found = {}
        for name in models:
            said = self.document.models.get(name)
            levels = [level for level in (route, said) if isinstance(level, settings.Route | settings.Model)]
            by: ChooseBy = next((level.choose for level in levels if level.choose is not None), "weighted")
            sticky = sticky_of(next((level.sticky for level in levels if level.sticky is not None), None))
            if sticky is not None or (by != "weighted" and len(self.deployments[name]) > 1):
                found[name] = Choosing(by=by, sticky=sticky)
        return found

    def asked(self) -> dict[str, AskedClassifier]:
        """The classifiers that ask a model."""
        return {name: self._asked(name) for name in self.document.classifiers if _asks(self.document, name)}

    def _asked(self, name: str) -> AskedClassifier:
        said = self.document.classifiers[name]
        assert isinstance(said, settings.LlmClassifier)  # `_asks` says so
        classes = said.classes if isinstance(said.classes, dict) else dict.fromkeys(said.classes, "")
        return AskedClassifier(
            name=name,
            model=self._models(said.model)[0],
            classes=classes,
            instruction=said.instruction,
            timeout_s=said.timeout_s,
            max_output_tokens=said.max_output_tokens,
        )

    def _moderation(self, name: str, route: settings.Route) -> Guarding | None:
        """What is looked at before a model answers."""
        if name in self.moderators:
            return Guarding(moderator=self.moderators[name], prompts="answer")
        said = route.moderation
        if said is None or said.prompts == "off":
            return None
        return Guarding(moderator=self.moderators[said.by], prompts=said.prompts)

    def _looked(self, route: settings.Route) -> tuple[Check, ...]:
        """The gate that looks at answers, after all others: what they reject need not be looked at."""
        said = route.moderation
        if said is None or said.answers == "off":
            return ()
        gate = Moderated(moderator=self.moderators[said.by], monotonic=self.monotonic)
        return (Check(gate=gate, on_reject=said.answers),)

    def _levels(self, smith: GateSmith, strategy: settings.Strategy | None) -> dict[str, tuple[Check, ...]]:
        if not isinstance(strategy, settings.Cascade):
            return {}
        return {model: smith.checks(gates) for name, gates in strategy.gates.items() for model in self._models(name)}

    def _helpers(
        self, checks: tuple[Check, ...], levels: Mapping[str, tuple[Check, ...]], models: Iterable[str]
    ) -> dict[str, tuple[Deployment, ...]]:
        asked = (name for model in models for name in helpers_of(levels.get(model, checks), model))
        return {name: self.deployments[name] for name in dict.fromkeys(asked)}

    def _models(self, target: str) -> tuple[str, ...]:
        return models_of(self.document, target)

    def _all(self, targets: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(self._models(target) for target in targets)))

    def _baseline(
        self, route: settings.Route, strategy: Strategy, deployments: tuple[Deployment, ...]
    ) -> Deployment | None:
        """The document's own; of a fixed route its primary; else the dearest model the route may use."""
        if route.baseline is not None:
            return self.deployments[self._models(route.baseline)[0]][0]
        if isinstance(strategy, strategies.Fixed):
            return self.deployments[strategy.models[0]][0]
        return dearest(deployments, self.today)


def _asks(document: Document, classifier: str) -> bool:
    return isinstance(document.classifiers.get(classifier), settings.LlmClassifier)


def sticky_of(written: StickyBy | settings.Sticky | None) -> Sticky | None:
    if written is None:
        return None
    if isinstance(written, str):
        return Sticky(by=written)
    return Sticky(by=written.by) if written.ttl is None else Sticky(by=written.by, ttl_s=float(written.ttl))


def tier_targets(document: Document) -> dict[tuple[str, str], TierTarget]:
    """By route and tier."""
    return {
        (name, tier): TierTarget(latency_ms=target.latency_ms, usd_per_million=target.usd_per_million)
        for name, route in document.routes.items()
        if isinstance(route.strategy, settings.Complexity)
        for tier, target in (
            ("simple", route.strategy.targets.simple),
            ("moderate", route.strategy.targets.moderate),
            ("complex", route.strategy.targets.complex),
        )
        if target is not None
    }


def _split(name: str, written: settings.Strategy | None) -> Split | None:
    if not isinstance(written, settings.Split):
        return None
    arms = tuple(Arm(route=arm.route, weight=arm.weight) for arm in written.arms)
    return Split(name=name, arms=arms, by=written.sticky)


def _hedge(written: settings.Hedge | None) -> Hedge | None:
    if written is None:
        return None
    return Hedge(
        max_share=written.max_share,
        max_cost_share=Decimal(str(written.max_cost_share)),
        after_s=None if written.after_ms is None else written.after_ms / 1000,
    )


def _recall(route: settings.Route) -> CacheRule | None:
    exact = None if route.cache is None else route.cache.exact
    coalesces = route.cache is not None if route.coalesce is None else route.coalesce
    if exact is None and not coalesces:
        return None
    return CacheRule(exact_s=None if exact is None else float(exact), coalesce=coalesces)


def _thresholds(strategy: settings.Strategy | None) -> Thresholds:
    if isinstance(strategy, settings.Complexity):
        return Thresholds(moderate=strategy.thresholds.moderate, complex=strategy.thresholds.complex)
    return Thresholds()


def _review(route: settings.Route) -> ReviewPolicy:
    review = route.review or settings.Review()
    lapses_to: Literal["approved", "expired"] = "approved" if review.on_deadline == "approve" else "expired"
    if review.deadline is None:
        return ReviewPolicy(lapses_to=lapses_to)
    return ReviewPolicy(deadline_s=review.deadline, lapses_to=lapses_to)


def _model_of_call(model: str, at: str, routes: Routes) -> Route:
    """Raises InvalidRequest or UnknownModel."""
    found = routes.find(model)
    if routes.is_route(found.name):
        raise InvalidRequest(
            f"`{at}` is the route `{found.name}`; name models, or send the route's name as `task` without `models`",
            field=at,
            code="invalid_value",
        )
    return found
