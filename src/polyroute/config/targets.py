"""What a route points at: the names in it that stand for models."""

from collections.abc import Iterator, Mapping

from polyroute.config.document import (
    AgreementGate,
    AllGate,
    AnyGate,
    Cascade,
    Cheapest,
    Complexity,
    EntropyGate,
    Fastest,
    Fixed,
    Gate,
    JudgeGate,
    Learned,
    LlmRouter,
    Logic,
    Moderation,
    Route,
    Rules,
    Split,
    Strategy,
    Task,
    WeightedGate,
)


def targets_of(route: Route) -> Iterator[tuple[str, str]]:
    """Every target with the path inside the route where it stands, in the order of trying."""
    if route.primary is not None:
        yield "primary", route.primary
    if route.strategy is not None:
        yield from ((f"strategy.{path}", target) for path, target in _of_strategy(route.strategy))
    yield from _listed("fallback", route.fallback)


def names_in(route: Route) -> Iterator[str]:
    """Every name of a model in it: what it points at, and what it is measured against."""
    yield from (target for _, target in targets_of(route))
    yield from (target for _, target in gate_targets(route))
    if route.baseline is not None:
        yield route.baseline


def gate_targets(route: Route) -> Iterator[tuple[str, str]]:
    """The models that its gates ask, with the path inside the route."""
    for at, gate in enumerate(route.gates):
        yield from _of_gate(f"gates[{at}]", gate)
    if isinstance(route.strategy, Moderation):
        asked = (("model", route.strategy.model), ("llm", route.strategy.llm))
        yield from ((f"strategy.{field}", target) for field, target in asked if target is not None)
    if isinstance(route.strategy, Cascade):
        for model, gates in route.strategy.gates.items():
            for at, gate in enumerate(gates):
                yield from _of_gate(f"strategy.gates.{model}[{at}]", gate)


def _of_gate(path: str, gate: Gate) -> Iterator[tuple[str, str]]:
    match gate:
        case AgreementGate():
            yield from _listed(f"{path}.models", gate.models)
        case JudgeGate():
            yield f"{path}.model", gate.model
        case EntropyGate() if not isinstance(gate.fallback, str):
            yield from _of_gate(f"{path}.fallback", gate.fallback)
        case AllGate() | AnyGate() | WeightedGate():
            for at, inner in enumerate(gate.gates):
                yield from _of_gate(f"{path}.gates[{at}]", inner)
        case _:
            return


def models_behind(routes: Mapping[str, Route], target: str) -> Iterator[str]:
    """The names that `target` stands for: itself, or a route's models in their order, each route opened once."""
    pending, opened = [target], set()
    while pending:
        name = pending.pop()
        route = routes.get(name)
        if route is None:
            yield name
        elif name not in opened:
            opened.add(name)
            pending.extend(inner for _, inner in reversed(tuple(targets_of(route))))


def _of_strategy(strategy: Strategy) -> Iterator[tuple[str, str]]:
    match strategy:
        case Fixed() | Cheapest() | Fastest() | Cascade() | Learned():
            yield from _listed("models", strategy.models)
        case LlmRouter():
            yield from _listed("models", strategy.models)
            if strategy.router is not None:
                yield "router", strategy.router
        case Complexity():
            yield from (("simple", strategy.simple), ("moderate", strategy.moderate), ("complex", strategy.complex))
        case Task():
            yield from ((f"tasks.{task}", target) for task, target in strategy.tasks.items())
            yield from _listed("models", strategy.models)
            yield "default", strategy.default
        case Rules():
            yield from ((f"rules[{at}].model", rule.model) for at, rule in enumerate(strategy.rules))
            yield "default", strategy.default
        case Logic():
            yield from _listed("otherwise", strategy.otherwise)
        case Moderation():
            return  # whom it asks answers nothing by itself
        case Split():
            yield from ((f"arms[{at}].route", arm.route) for at, arm in enumerate(strategy.arms))


def _listed(path: str, written: str | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(written, str):
        yield path, written
    else:
        yield from ((f"{path}[{at}]", target) for at, target in enumerate(written))
