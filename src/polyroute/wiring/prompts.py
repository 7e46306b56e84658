"""From what a document says of prompts and outputs to what the path goes by; and what is wrong with them in the end."""

from collections.abc import Callable, Iterable, Iterator

from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.config.prompts import managed_problems
from polyroute.config.targets import models_behind, targets_of
from polyroute.errors import Problem
from polyroute.ports import Records
from polyroute.prompts.families import names_for
from polyroute.prompts.reference import parse_reference
from polyroute.prompts.registry import Registry
from polyroute.prompts.shelf import Shelf
from polyroute.stages.execution.wording import Form
from polyroute.stages.validation.contract import Contract
from polyroute.types.cards import Deployment
from polyroute.types.prompts import DEFAULT_VARIANT

_FORM_MARKS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")  # OpenAI's for a name


def registry(document: Document, records: Records | None, monotonic: Callable[[], float]) -> Registry:
    return Registry(document.prompts, records, monotonic)


def missing_prompts(document: Document, records: Records) -> tuple[Problem, ...]:
    """Prompts that routes name and that are nowhere. Raises StoreError."""
    if all(route.prompt is None for route in document.routes.values()):
        return ()
    return tuple(managed_problems(document, Shelf(records).every()))


def unused_variants(document: Document, deployments: Iterable[Deployment]) -> Iterator[Problem]:
    """Variants that no model of the routes that use their prompt would get. No mistake, and often a misspelt name."""
    known = tuple(deployments)
    routes = document.routes
    fitting: dict[str, set[str]] = {}
    for route in routes.values():
        if route.prompt is not None:
            models = {model for _, target in targets_of(route) for model in models_behind(routes, target)}
            names = fitting.setdefault(parse_reference(route.prompt).name, {DEFAULT_VARIANT})
            names.update(name for d in known if d.model in models for name in names_for(d))
    for name, fits in fitting.items():
        prompt = document.prompts.get(name)
        for number, wordings in prompt.versions.items() if prompt is not None else ():
            for variant in wordings.variants:
                if variant not in fits:
                    path = f"prompts.{name}.versions.{number}.variants.{variant}"
                    yield Problem(path=path, message="no model of the routes that use this prompt would get it")


def form_of(name: str, route: settings.Route) -> Form | None:
    if route.output is None or route.output.schema is None:
        return None
    safe = "".join(character if character in _FORM_MARKS else "_" for character in name)[:64]
    return Form(schema=dict(route.output.schema), name=safe)


def contract_of(route: settings.Route) -> Contract | None:
    if route.output is None:
        return None
    schema = route.output.schema
    return Contract(schema=None if schema is None else dict(schema), aliases=route.output.aliases)
