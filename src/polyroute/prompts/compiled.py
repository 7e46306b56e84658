"""A version of a prompt made ready: its templates parsed once, and everything wrong with it found before it counts."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from polyroute.errors import Problem
from polyroute.prompts.template import Template, is_name, parse_template
from polyroute.prompts.variables import problem_of
from polyroute.types.prompts import DEFAULT_VARIANT, Variable, Variant, Wordings

MAX_CHARS = 200_000  # of one text; what is longer belongs into a document that is looked up


class Words(Struct, frozen=True, kw_only=True):
    system: Template | None
    user: Template | None

    def render(self, values: Mapping[str, str]) -> "Rendered":
        return Rendered(
            system=self.system.render(values) if self.system else None,
            user=self.user.render(values) if self.user else None,
        )


class Rendered(Struct, frozen=True, kw_only=True):
    system: str | None
    user: str | None


class Ready(Struct, frozen=True, kw_only=True):
    """One version, ready to be rendered."""

    name: str
    version: int
    variables: dict[str, Variable]
    variants: dict[str, Words]

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


def compile_version(name: str, version: int, wordings: Wordings) -> Ready:
    """`wordings` without problems."""
    return Ready(
        name=name,
        version=version,
        variables=wordings.variables,
        variants={
            variant: Words(
                system=None if words.system is None else parse_template(words.system),
                user=None if words.user is None else parse_template(words.user),
            )
            for variant, words in wordings.variants.items()
        },
    )


def problems_in(wordings: Wordings, path: str) -> Iterator[Problem]:
    """All that is wrong with one version; `path` is where it stands."""
    if DEFAULT_VARIANT not in wordings.variants:
        fix = "add `default`: what every model without a variant of its own gets"
        yield Problem(path=f"{path}.variants", message="there is no variant `default`", fix=fix)
    for name, variable in wordings.variables.items():
        yield from _variable_problems(f"{path}.variables.{name}", name, variable)
    for name, variant in wordings.variants.items():
        yield from _variant_problems(f"{path}.variants.{name}", variant, wordings.variables)


def _variable_problems(path: str, name: str, variable: Variable) -> Iterator[Problem]:
    if not is_name(name):
        yield Problem(path=path, message=f"`{name[:60]}` cannot be a variable", fix="letters, digits and _ only")
    for at, choice in enumerate(variable.choices):
        if (problem := problem_of(Variable(type=variable.type), choice)) is not None:
            yield Problem(path=f"{path}.choices[{at}]", message=problem)
    if variable.default is not None and (problem := problem_of(variable, variable.default)) is not None:
        yield Problem(path=f"{path}.default", message=problem)
    if variable.max_chars is not None and variable.type not in ("string", "json"):
        yield Problem(path=f"{path}.max_chars", message=f"has no effect on a {variable.type}", fix="remove it")


def _variant_problems(path: str, variant: Variant, variables: Mapping[str, Variable]) -> Iterator[Problem]:
    if not (variant.system or variant.user or variant.file):
        yield Problem(path=path, message="says nothing", fix="give `system`, `user` or `file`")
    if variant.system is not None and variant.file is not None:
        yield Problem(path=f"{path}.file", message="`system` and `file` are the same text", fix="keep one of the two")
    for field in ("system", "user"):
        text: str | None = getattr(variant, field)
        if text is None:
            continue
        if len(text) > MAX_CHARS:
            yield Problem(path=f"{path}.{field}", message=f"is {len(text)} characters long; at most {MAX_CHARS}")
        try:
            names = parse_template(text).names
        except ValueError as exc:
            yield Problem(path=f"{path}.{field}", message=str(exc))
            continue
        for name in names:
            if name not in variables:
                known = ", ".join(f"`{known}`" for known in variables) or "none"
                fix = f"declare it under `variables`; declared: {known}"
                yield Problem(path=f"{path}.{field}", message=f"`{name}` is no variable of this prompt", fix=fix)
