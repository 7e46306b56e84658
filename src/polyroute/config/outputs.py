"""Output contracts: names that would hide one another, and contracts that say nothing. Whether the schema is one is
for the validator."""

from collections.abc import Iterator

from polyroute.config.document import Document
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem


def output_problems(document: Document) -> Iterator[Problem]:
    for name, route in document.routes.items():
        output, path = route.output, f"routes.{name}.output"
        if output is None:
            continue
        if output.schema is None and not output.aliases:
            yield Problem(path=path, message="says nothing", fix="give `schema`, `aliases` or both")
        properties = set(_properties(output.schema)) if output.schema is not None else None
        for other, meant in output.aliases.items():
            at = f"{path}.aliases.{other}"
            if other == meant or meant in output.aliases:
                yield Problem(path=at, message=f"`{meant}` is another name itself", fix="name what callers get")
            elif properties is not None and other in properties:
                message = f"the schema has a property `{other}`: it would never be read as `{meant}`"
                yield Problem(path=at, message=message, fix="remove one of the two")
            elif properties is not None and meant not in properties:
                fix = Vocabulary(sorted(properties)).fix(meant)
                yield Problem(path=at, message=f"the schema has no property `{meant}`", fix=fix)


def _properties(node: object) -> Iterator[str]:
    """The name of every property anywhere in a schema."""
    if isinstance(node, list):
        for item in node:
            yield from _properties(item)
    elif isinstance(node, dict):
        for word, value in node.items():
            if word == "properties" and isinstance(value, dict):
                yield from value
                for part in value.values():
                    yield from _properties(part)
            elif word not in ("enum", "const", "default", "examples"):
                yield from _properties(value)
