"""The trained routers that routes name: read once for a document, and what is wrong with them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.errors import ConfigError, Problem
from polyroute.stages.selection.router import Router, read_router


def routers_of(document: Document, folder: Path) -> Mapping[str, Router]:
    """By route. Raises ConfigError at the first that cannot be used; `router_problems` tells them all."""
    return {name: _router(name, said, folder) for name, said in _learned(document)}


def router_problems(document: Document, folder: Path) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    for name, said in _learned(document):
        try:
            _router(name, said, folder)
        except ConfigError as exc:
            problems += exc.problems
    return tuple(problems)


def _learned(document: Document) -> Iterator[tuple[str, settings.Learned]]:
    for name, route in document.routes.items():
        if isinstance(route.strategy, settings.Learned):
            yield name, route.strategy


def _router(name: str, said: settings.Learned, folder: Path) -> Router:
    path = f"routes.{name}.strategy"
    try:
        router = read_router((folder / said.artifact).read_bytes(), f"{path}.artifact")
    except OSError as exc:
        message = f"{said.artifact} cannot be read: {exc.strerror or exc}"
        fix = "make it with `polyroute train`; a relative path starts at the document's folder"
        raise ConfigError([Problem(path=f"{path}.artifact", message=message, fix=fix)]) from exc
    if unknown := [model for model in said.models if model not in router.names]:
        message = f"{said.artifact} knows nothing of {', '.join(unknown)}; it was trained on {', '.join(router.names)}"
        raise ConfigError([Problem(path=f"{path}.models", message=message, fix="train it on them, or name others")])
    return router
