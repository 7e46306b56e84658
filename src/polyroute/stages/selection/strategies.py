"""The built-in strategies that need no model's answer. Each class is its own configuration.

Only model names are chosen here: which deployment of a model goes first, the route's fallback and its latency budget
are the plan's business (`plan.py`). A place for a model holds a list of them, in order: in the document it may name
another route, which stands for that route's models.
"""

from collections.abc import Iterable
from itertools import chain
from typing import TypeAlias

from msgspec import Struct

from polyroute.catalog.tasks import TaskPack, fitness
from polyroute.conditions import Condition, holds, see
from polyroute.ports import Choice, Selection
from polyroute.stages.selection.constraints import by_latency, by_price
from polyroute.stages.selection.levels import Level, worth_it
from polyroute.types.money import ZERO_USD
from polyroute.types.routing import Candidate

Models: TypeAlias = tuple[str, ...]


class Options(Struct, frozen=True, kw_only=True):
    """Fields are the options."""


class Fixed(Options, frozen=True):
    """Always the same models, in this order: `primary`, then the route's fallback."""

    models: Models

    @property
    def pool(self) -> Models:
        return self.models

    def choose(self, selection: Selection) -> Choice:
        return Choice(models=self.models, reason=f"fixed: {self.models[0]}", order="listed")


class Complexity(Options, frozen=True):
    """The model named for the request's tier; harder tiers stand by, then easier ones."""

    simple: Models
    moderate: Models
    complex: Models

    @property
    def pool(self) -> Models:
        return _unique((*self.simple, *self.moderate, *self.complex))

    def choose(self, selection: Selection) -> Choice:
        seen = selection.classification
        tiers = {"simple": self.simple, "moderate": self.moderate, "complex": self.complex}
        names = list(tiers)
        at = names.index(seen.label)
        order = [model for name in (*names[at:], *reversed(names[:at])) for model in tiers[name]]
        return Choice(models=_unique(order), reason=f"{seen.label} request (score {seen.score:.2f}): {order[0]}")


class Task(Options, frozen=True):
    """The model named for the request's task, declared or detected; `default` for every other.

    A task that has no model of its own goes to the one of `models` whose tags fit the task pack's advice best, the
    cheaper of equals.
    """

    tasks: dict[str, Models]
    default: Models
    models: Models = ()
    pack: TaskPack | None = None

    @property
    def pool(self) -> Models:
        return _unique((*chain.from_iterable(self.tasks.values()), *self.models, *self.default))

    def choose(self, selection: Selection) -> Choice:
        task = selection.classification.task
        if task in self.tasks:
            models, named = self.tasks[task], f"task {task}"
        elif (advised := self._advised(task, selection)) is not None:
            models, named = advised, f"task {task}, by the task pack's advice"
        else:
            models, named = self.default, f"task {task or 'not known'}, default"
        return Choice(models=_unique((*models, *self.default)), reason=f"{named}: {models[0]}")

    def _advised(self, task: str | None, selection: Selection) -> Models | None:
        """`models` by fitness; None where the pack has no advice or no model follows it."""
        advice = self.pack.find(task) if self.pack is not None and task is not None else None
        if advice is None:
            return None
        able = [c for c in selection.candidates if c.deployment.model in self.models]
        fit = {c.deployment.model: fitness(advice, c.deployment.card) for c in by_price(able)}
        ranked = sorted(fit, key=lambda model: -fit[model])  # stable: cheaper first among equals
        return tuple(ranked) if ranked and fit[ranked[0]] > 0 else None


class Rule(Options, frozen=True):
    """Where `when` holds, the request goes to `models`."""

    when: Condition
    models: Models
    name: str | None = None


class Rules(Options, frozen=True):
    """The first rule that holds decides; `default` where none does."""

    rules: tuple[Rule, ...]
    default: Models

    @property
    def pool(self) -> Models:
        return _unique((*chain.from_iterable(rule.models for rule in self.rules), *self.default))

    def choose(self, selection: Selection) -> Choice:
        sight = see(selection.request, selection.classification)
        for number, rule in enumerate(self.rules, start=1):
            if holds(rule.when, sight):
                reason = f"rule {rule.name or number}: {rule.models[0]}"
                return Choice(models=_unique((*rule.models, *self.default)), reason=reason)
        return Choice(models=self.default, reason=f"no rule holds, default: {self.default[0]}")


class Cheapest(Options, frozen=True):
    """By rising expected cost."""

    models: Models

    @property
    def pool(self) -> Models:
        return self.models

    def choose(self, selection: Selection) -> Choice:
        return _ranked(by_price(selection.candidates), "cheapest")


class Fastest(Options, frozen=True):
    """By rising time to the first token."""

    models: Models

    @property
    def pool(self) -> Models:
        return self.models

    def choose(self, selection: Selection) -> Choice:
        return _ranked(by_latency(selection.candidates), "fastest")


class Cascade(Options, frozen=True):
    """In the order given; a gate that rejects an answer escalates to the next.

    A level that does not pay is left out: it must cost less, with its gates, than what its accepted answers save
    (`levels.py`). It is asked only where every other has failed.
    """

    models: Models
    pass_rates: dict[str, float] = {}  # declared, by model

    @property
    def pool(self) -> Models:
        return self.models

    def choose(self, selection: Selection) -> Choice:
        rates = {**selection.pass_rates, **self.pass_rates}
        levels = tuple(
            Level(
                model=model,
                usd=next((c.expected_usd for c in selection.candidates if c.deployment.model == model), None),
                check_usd=selection.check_usd.get(model, ZERO_USD),
                pass_rate=rates.get(model),
                is_declared=model in self.pass_rates,
            )
            for model in self.models
        )
        kept, reasons = worth_it(levels)
        left_out = tuple(model for model in self.models if model not in kept)
        chain = " → ".join(kept)
        reason = f"cascade: {chain}" if len(kept) > 1 or not left_out else f"straight to {chain}, no cascade"
        return Choice(models=(*kept, *left_out), reason="; ".join((reason, *reasons)))


class Logic(Options, frozen=True):
    """Plain logic answers what it can, at no model's cost; `otherwise` names the models for the rest."""

    when: tuple[Condition, ...]
    answerers: Models  # the model name of each condition's answer
    otherwise: Models = ()

    @property
    def pool(self) -> Models:
        return (*self.answerers, *self.otherwise)

    def choose(self, selection: Selection) -> Choice:
        sight = see(selection.request, selection.classification)
        for condition, answerer in zip(self.when, self.answerers, strict=True):
            if holds(condition, sight):
                return Choice(models=(answerer, *self.otherwise), reason=f"answered without a model: {answerer}")
        return Choice(models=self.otherwise, reason="no logic answer applies")


def _ranked(candidates: list[Candidate], by: str) -> Choice:
    models = _unique(candidate.deployment.model for candidate in candidates)
    return Choice(models=models, reason=f"{by}: {models[0]}" if models else f"{by} of none", order="ranked")


def _unique(names: Iterable[str]) -> Models:
    return tuple(dict.fromkeys(names))
