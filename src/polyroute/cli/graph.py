"""The verb `graph`: the document's routes as a Mermaid flowchart, from the query to models with their prices."""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Annotated

import typer

from polyroute.catalog.cards import Catalogue
from polyroute.catalog.pricing import is_free, price_at
from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, document_path, fail, print_json, say, told
from polyroute.conditions import Condition
from polyroute.config import document as settings
from polyroute.config.document import Document, Route, names
from polyroute.config.load import read
from polyroute.config.resolve import deployments, models_of
from polyroute.types.cards import Deployment
from polyroute.types.money import format_usd

_TIERS = ("simple", "moderate", "complex")
_STYLES = {  # a colour for each tier
    "simple": "fill:#dcfce7,stroke:#16a34a,color:#15803d",
    "moderate": "fill:#fef3c7,stroke:#d97706,color:#b45309",
    "complex": "fill:#fee2e2,stroke:#dc2626,color:#dc2626",
}


def graph(
    route: Annotated[str | None, typer.Argument(help="This route alone.", metavar="ROUTE")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Draw the document's routes as a Mermaid flowchart."""
    with told(debug=debug):
        document = read(document_path(config), os.environ).document
        if route is not None and route not in document.routes:
            fail(f"there is no route `{route}`; the document has {', '.join(document.routes) or 'none'}")
        drawing = flowchart(document, deployments(document, Catalogue()), datetime.now(UTC).date(), only=route)
    if as_json:
        print_json({"mermaid": drawing})
    else:
        say(drawing)


def flowchart(document: Document, found: Iterable[Deployment], day: date, *, only: str | None = None) -> str:
    """Mermaid text. Pure: the same document gives the same drawing."""
    chart = _Chart(document, found, day)
    for name, route in document.routes.items():
        if only is None or name == only:
            chart.route(name, route)
    return chart.text()


class _Chart:
    def __init__(self, document: Document, found: Iterable[Deployment], day: date) -> None:
        self._document = document
        self._day = day
        self._deployments: dict[str, Deployment] = {}
        for deployment in found:
            self._deployments.setdefault(deployment.model, deployment)
        self._lines = ["flowchart TD", '    query(["incoming query"])']
        self._nodes: dict[str, str] = {}  # model: node
        self._tiers: dict[str, str] = {}  # node: tier
        self._routes = 0

    def text(self) -> str:
        styles = [f"    style {node} {_STYLES[tier]}" for node, tier in self._tiers.items()]
        return "\n".join((*self._lines, *styles))

    def route(self, name: str, route: Route) -> None:
        self._routes += 1
        node = f"route{self._routes}"
        self._add(f'{node}["route {_quoted(name)}{_limits(route)}"]')
        self._add(f"query --> {node}")
        firsts = self._strategy(node, route)
        previous = firsts
        for target in names(route.fallback):
            models = self._models(target)
            for before in dict.fromkeys(previous):
                if before != models[0]:
                    self._add(f"{before} -.->|fails| {models[0]}")
            previous = [models[-1]]

    def _strategy(self, node: str, route: Route) -> list[str]:
        """Draws it, and returns the nodes after which the fallback comes."""
        match route.strategy:
            case None:
                return self._chain(node, None, names(route.primary))
            case settings.Complexity() as tiers:
                return self._complexity(node, tiers)
            case settings.Task(tasks=tasks, default=default):
                choice = self._choice(node, "which task?")
                branches = [(task, target) for task, target in tasks.items()] + [("any other", default)]
                return [last for label, target in branches for last in self._chain(choice, label, (target,))]
            case settings.Rules(rules=rules, default=default):
                choice = self._choice(node, "first rule that holds")
                branches = [(rule.name or _said(rule.when), rule.model) for rule in rules] + [("none", default)]
                return [last for label, target in branches for last in self._chain(choice, label, (target,))]
            case settings.Cascade(models=models):
                gates = ", ".join(str(gate.__struct_config__.tag) for gate in route.gates)
                return self._chain(node, None, models, then=f"rejected by {gates or 'length'}")
            case settings.Cheapest(models=models):
                choice = self._choice(node, "cheapest")
                return [last for target in models for last in self._chain(choice, None, (target,))]
            case settings.Fastest(models=models):
                choice = self._choice(node, "fastest")
                return [last for target in models for last in self._chain(choice, None, (target,))]
            case settings.Fixed(models=models):
                return self._chain(node, None, models)
            case settings.Logic(answers=answers, otherwise=otherwise):
                choice = self._choice(node, "plain logic?")
                for number, answer in enumerate(answers, start=1):
                    logic = f"{node}logic{number}"
                    self._add(f'{logic}["no model, $0"]')
                    self._add(f"{choice} -->|{_quoted(_said(answer.when))}| {logic}")
                return self._chain(choice, "otherwise", names(otherwise))
            case _:
                return []

    def _complexity(self, node: str, tiers: settings.Complexity) -> list[str]:
        choice = self._choice(node, "classify complexity")
        lasts = []
        for tier, target in zip(_TIERS, (tiers.simple, tiers.moderate, tiers.complex), strict=True):
            chain = self._chain(choice, tier, (target,))
            lasts += chain
            self._tiers.setdefault(self._models(target)[0], tier)
        return lasts

    def _choice(self, node: str, question: str) -> str:
        choice = f"{node}choice"
        self._add(f'{choice}{{"{_quoted(question)}"}}')
        self._add(f"{node} --> {choice}")
        return choice

    def _chain(self, start: str, label: str | None, targets: tuple[str, ...], *, then: str = "fails") -> list[str]:
        """An edge to the first model, and on from each to the next. Returns the last one."""
        models = [node for target in targets for node in self._models(target)]
        if not models:
            return []
        self._add(f"{start} -->|{_quoted(label)}| {models[0]}" if label else f"{start} --> {models[0]}")
        for before, after in pairwise(models):
            self._add(f"{before} -.->|{then}| {after}")
        return models[-1:]

    def _models(self, target: str) -> list[str]:
        return [self._model(model) for model in models_of(self._document, target)]

    def _model(self, model: str) -> str:
        node = self._nodes.get(model)
        if node is None:
            node = self._nodes[model] = f"model{len(self._nodes) + 1}"
            self._add(f'{node}["{_quoted(model)}<br/>{self._price(model)}"]')
        return node

    def _price(self, model: str) -> str:
        deployment = self._deployments.get(model)
        price = price_at(deployment.card, self._day) if deployment else None
        if price is None:
            return "price unknown"
        if is_free(price):
            return "free"
        return f"${format_usd(price.rates.input)} in, ${format_usd(price.rates.output)} out per 1M tokens"

    def _add(self, line: str) -> None:
        text = f"    {line}"
        if text not in self._lines:
            self._lines.append(text)


def _limits(route: Route) -> str:
    told = [
        f"at most ${format_usd(route.cost_ceiling_usd)}" if route.cost_ceiling_usd is not None else None,
        f"at most {route.max_input_tokens} input tokens" if route.max_input_tokens is not None else None,
        f"quality from {route.quality_floor:g}" if route.quality_floor is not None else None,
        f"within {route.latency_budget_ms:g} ms" if route.latency_budget_ms is not None else None,
        "private only" if route.private else None,
        f"region {_quoted(route.region)}" if route.region is not None else None,
        "held for human review" if route.require_human_review else None,
    ]
    return "".join(f"<br/>{line}" for line in told if line)


def _said(when: Condition) -> str:
    parts = [
        " or ".join(when.contains),
        " and ".join(when.contains_all),
        f"matches {when.matches}" if when.matches else "",
        f"{when.min_words} words or more" if when.min_words is not None else "",
        f"{when.max_words} words or fewer" if when.max_words is not None else "",
        " or ".join(when.complexity),
        " or ".join(f"task {task}" for task in when.task),
        " and ".join(f"has {content}" for content in when.has),
        " and ".join(f"{name}={value}" for name, value in when.metadata.items()),
    ]
    return ", ".join(part for part in parts if part) or "always"


def _quoted(text: str) -> str:
    """Safe inside Mermaid's quotes and edge labels: its own marks as entity codes."""
    marks = {'"': "#quot;", "|": "#124;", "<": "#lt;", ">": "#gt;", "#": "#35;", "\n": " "}
    return "".join(marks.get(character, character) for character in text)
