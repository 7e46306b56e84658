"""Budgets of the document: amounts that make sense, and none within another that allows less. Pure."""

from collections.abc import Iterator

from msgspec.structs import asdict

from polyroute.config import singles
from polyroute.config.document import Budget, Document, Limits, Model
from polyroute.errors import Problem
from polyroute.types.nesting import beyond


def money_problems(document: Document) -> Iterator[Problem]:
    for path, budget in _budgets(document):
        for name, amount in asdict(budget).items():
            if amount is not None:
                yield from singles.money_problems(f"{path}.{name}", amount)
    for path, budget, whole, parent in _nested(document):
        found = beyond(budget, parent)
        if found is not None:
            short, long = found
            message = f"{getattr(budget, short)} is more than {whole}{long} allows, {getattr(parent, long)}"
            yield Problem(
                path=f"{path}.{short}", message=message, fix="what is part of it may be allowed as much, or less"
            )


def _budgets(document: Document) -> Iterator[tuple[str, Budget]]:
    for name, provider in document.providers.items():
        yield f"providers.{name}.budget", provider.budget
    for name, model in document.models.items():
        if isinstance(model, Model):
            yield f"models.{name}.budget", model.budget or Budget()
            for at, placement in enumerate(model.deployments):
                yield f"models.{name}.deployments[{at}].budget", placement.budget
    for at, key in enumerate(document.keys):
        yield f"keys[{at}].budget", key.budget
    for name, team in document.teams.items():
        yield f"teams.{name}.budget", team.budget


def _nested(document: Document) -> Iterator[tuple[str, Budget, str, Budget]]:
    """Each budget with the ones it is within, and how a reader finds these."""
    of_user, of_team = _of_each(document.limits, "user"), _of_each(document.limits, "team")
    for name, model in document.models.items():
        for at, placement in enumerate(model.deployments if isinstance(model, Model) else ()):
            path = f"models.{name}.deployments[{at}].budget"
            if isinstance(model, Model) and model.budget is not None:
                yield path, placement.budget, f"models.{name}.budget.", model.budget
            provider = document.providers.get(placement.provider)
            if provider is not None:
                yield path, placement.budget, f"providers.{placement.provider}.budget.", provider.budget
    yield "limits.per_user", of_user, "limits.per_team_", of_team
    for name, team in document.teams.items():
        yield f"teams.{name}.budget", team.budget, "limits.per_team_", of_team
    for at, key in enumerate(document.keys):
        yield f"keys[{at}].budget", key.budget, "limits.per_user_", of_user
        yield f"keys[{at}].budget", key.budget, "limits.per_team_", of_team
        owner = document.teams.get(key.team)
        if owner is not None and owner.tenant == key.tenant:
            yield f"keys[{at}].budget", key.budget, f"teams.{key.team}.budget.", owner.budget


def _of_each(limits: Limits, kind: str) -> Budget:
    return Budget(**{name: getattr(limits, f"per_{kind}_{name}") for name in Budget.__struct_fields__})
