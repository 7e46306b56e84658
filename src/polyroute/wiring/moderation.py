"""The document's moderators made ready to work: routes whose strategy is `moderation`; and what is wrong with them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from polyroute.config import document as settings
from polyroute.config.document import Document
from polyroute.config.resolve import models_of
from polyroute.errors import ConfigError, Problem
from polyroute.providers.moderated import MODERATION
from polyroute.stages.validation.moderation import lexicon
from polyroute.stages.validation.moderation.asking import DEFAULT_POLICY
from polyroute.stages.validation.moderation.lexicon import Lexicon
from polyroute.stages.validation.moderation.moderator import Doubt, Moderator
from polyroute.types.cards import Deployment
from polyroute.types.moderation import Ruling
from polyroute.wiring.ours import own_deployment


def moderators_of(document: Document, folder: Path, count: Callable[[str, Ruling], None]) -> dict[str, Moderator]:
    """By route. Raises ConfigError at the first that cannot be used; `moderation_problems` tells them all."""
    return {
        name: Moderator(
            name=name,
            local=None if said.artifact is None else _lexicon(name, said.artifact, folder),
            model=_model(document, said.model),
            llm=_model(document, said.llm),
            policy=said.policy or DEFAULT_POLICY,
            doubt=Doubt(low=said.doubt.low, high=said.doubt.high),
            flags_unsettled=said.unsettled == "flag",
            timeout_s=said.timeout_s,
            count=count,
        )
        for name, said in said_in(document)
    }


def moderation_model(route: str) -> str:
    """The name that a moderator's rulings have in plans and receipts, where models have theirs."""
    return f"{MODERATION}/{route}"


def moderation_deployments(document: Document) -> dict[str, tuple[Deployment, ...]]:
    """Each stands in the plan of its route like any model."""
    return {
        (model := moderation_model(name)): (
            own_deployment(model, provider=model, upstream_model=name, region=document.routes[name].region),
        )
        for name, _ in said_in(document)
    }


def said_in(document: Document) -> Iterator[tuple[str, settings.Moderation]]:
    for name, route in document.routes.items():
        if isinstance(route.strategy, settings.Moderation):
            yield name, route.strategy


def _model(document: Document, target: str | None) -> str | None:
    return None if target is None else models_of(document, target)[0]


def _lexicon(name: str, artifact: str, folder: Path) -> Lexicon:
    path, make = f"routes.{name}.strategy.artifact", "polyroute moderate --train ROWS --out FILE"
    try:
        return lexicon.read((folder / artifact).read_bytes())[0]
    except OSError as exc:
        message = f"{artifact} cannot be read: {exc.strerror or exc}"
        fix = f"make it: {make}; a relative path starts at the document's folder"
        raise ConfigError([Problem(path=path, message=message, fix=fix)]) from exc
    except ValueError as exc:
        raise ConfigError([Problem(path=path, message=f"{artifact} {exc}", fix=f"make it anew: {make}")]) from exc


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────


def moderation_problems(document: Document, folder: Path) -> tuple[Problem, ...]:
    return (*_of_moderators(document, folder), *_of_guarded(document))


def _of_moderators(document: Document, folder: Path) -> Iterator[Problem]:
    for name, said in said_in(document):
        path, route = f"routes.{name}", document.routes[name]
        if said.artifact is None and said.model is None and said.llm is None:
            message = "nobody would settle anything"
            yield Problem(path=f"{path}.strategy", message=message, fix="give `artifact`, `model` or `llm`")
        if said.doubt.low > said.doubt.high:
            message = f"{said.doubt.low:g} is more than high {said.doubt.high:g}"
            yield Problem(path=f"{path}.strategy.doubt.low", message=message)
        for field in ("fallback", "gates", "moderation", "output", "prompt"):
            if getattr(route, field):
                yield Problem(path=f"{path}.{field}", message="has no effect on a moderator", fix="remove it")
        if said.artifact is not None:
            try:
                _lexicon(name, said.artifact, folder)
            except ConfigError as exc:
                yield from exc.problems


def _of_guarded(document: Document) -> Iterator[Problem]:
    known = [name for name, _ in said_in(document)]
    for name, route in document.routes.items():
        said, path = route.moderation, f"routes.{name}.moderation"
        if said is None:
            continue
        if said.by not in known:
            fix = f"one of {', '.join(known)}" if known else "declare one: `strategy: {use: moderation, …}`"
            yield Problem(path=f"{path}.by", message=f"`{said.by}` is no route of strategy moderation", fix=fix)
        if said.prompts == said.answers == "off":
            yield Problem(path=path, message="looks at nothing", fix="remove it, or say `prompts` or `answers`")
        if said.answers != "off" and route.commit == "first_token":
            message = "a stream that is told from its first token on is not looked at"
            yield Problem(path=f"{path}.answers", message=message, fix="remove `commit: first_token`")
