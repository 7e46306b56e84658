"""A JSON value brought into the form of a schema: other names mapped, types coerced, members in the schema's order.

What the schema does not name is unknown, and that is a fault, also where JSON Schema would let it pass; it passes
where the schema itself speaks of further members (`additionalProperties: true` or a schema, `patternProperties`).
Whether the result fits is the validator's to say. References are followed within the schema only.
"""

from collections.abc import Callable, Iterator, Mapping

from polyroute.stages.validation.coercion import coerced, is_of, same_choice, type_of

Node = Mapping[str, object]
Fits = Callable[[Node, object], bool]

_DEEPEST = 60  # levels of value or schema; a schema may refer to itself
_MOST_NOTES = 50
_MOST_TRIALS = 500  # of branches, per value: each may hold others, and so on


class Shaper:
    """One use. `notes` are what was changed, `faults` what cannot be; each with its place."""

    def __init__(
        self, schema: Node, aliases: Mapping[str, str], fits: Fits, trials: Iterator[int] | None = None
    ) -> None:
        """`fits`: whether a value is valid by a part of the schema; asked for `anyOf` and `oneOf`."""
        self.notes: list[str] = []
        self.faults: list[str] = []
        self._schema = schema
        self._aliases = aliases
        self._fits = fits
        self._trials = iter(range(_MOST_TRIALS)) if trials is None else trials  # shared by those within one another

    def shape(self, value: object) -> object:
        return self._value(value, self._schema, "", 0)

    def _value(self, value: object, node: object, at: str, depth: int) -> object:
        if depth > _DEEPEST:
            self.faults.append(f"{at or '(root)'}: nested too deeply")
            return value
        nodes = list(self._nodes(node, value, at, depth))
        for each in nodes:
            value = self._typed(value, each, at)
        if isinstance(value, dict):
            return self._object(value, nodes, at, depth)
        if isinstance(value, list):
            return self._array(value, nodes, at, depth)
        return value

    def _nodes(self, node: object, value: object, at: str, depth: int) -> Iterator[Node]:
        """`node` itself and every part of the schema that speaks of the same value."""
        node = self._resolved(node)
        if not isinstance(node, dict) or depth > _DEEPEST:
            return
        yield node
        for part in _listed(node.get("allOf")):
            yield from self._nodes(part, value, at, depth + 1)
        for word in ("anyOf", "oneOf"):
            if branches := _listed(node.get(word)):
                yield from self._nodes(self._branch(branches, value, at, depth), value, at, depth + 1)

    def _branch(self, branches: list[object], value: object, at: str, depth: int) -> object:
        """The first that fits as it is, else the first that fits once shaped, else the first of the value's type."""
        for branch in branches:
            if isinstance(branch, dict) and self._fits(branch, value):
                return branch
        for branch in branches:
            if next(self._trials, None) is None:
                break
            trial = Shaper(self._schema, self._aliases, self._fits, self._trials)
            made = trial._value(value, branch, at, depth + 1)
            if not trial.faults and isinstance(branch, dict) and self._fits(branch, made):
                return branch
        typed = (b for b in branches if is_of(value, _types(self._resolved(b)) or (type_of(value),)))
        return next(typed, branches[0])

    def _typed(self, value: object, node: Node, at: str) -> object:
        made = value
        if types := _types(node):
            made = coerced(made, types)
        choices = node.get("enum")
        if isinstance(choices, list) and choices:
            made = same_choice(made, choices)
        if "const" in node:
            made = same_choice(made, [node["const"]])
        if made is not value:
            kinds = (type_of(value), type_of(made))
            self._note(f"{at or '(root)'}: " + ("other spelling" if kinds[0] == kinds[1] else " read as ".join(kinds)))
        return made

    def _object(self, value: dict[str, object], nodes: list[Node], at: str, depth: int) -> object:
        known: dict[str, object] = {}
        for node in nodes:
            properties = node.get("properties")
            if isinstance(properties, dict):
                known.update({name: part for name, part in properties.items() if name not in known})
        value = self._renamed(value, known, at)
        required = {name for node in nodes for name in _listed(node.get("required")) if isinstance(name, str)}
        shaped: dict[str, object] = {}
        for name, part in known.items():
            if name not in value:
                continue
            inner = self._value(value[name], part, _join(at, name), depth + 1)
            if inner is None and name not in required and not self._may_be_null(part):
                self._note(f"{_join(at, name)}: null left out")
                continue
            shaped[name] = inner
        others = sorted(value.keys() - known.keys())
        further = _further(nodes) if others else None
        if others and further is None and any("properties" in node or _types(node) for node in nodes):
            names = ", ".join(f"`{name[:80]}`" for name in others[:5])
            self.faults.append(f"{at or '(root)'}: unknown {names}")
        for name in others:
            shaped[name] = self._value(value[name], further or {}, _join(at, name), depth + 1)
        return shaped

    def _renamed(self, value: dict[str, object], known: Mapping[str, object], at: str) -> dict[str, object]:
        renamed = value
        for other, name in self._aliases.items():
            if other not in renamed or other in known or (name not in known and known):
                continue
            if name in renamed and renamed[name] != renamed[other]:
                self.faults.append(f"{at or '(root)'}: `{name}` and its other name `{other}` say two things")
                continue
            self._note(f"{_join(at, other)}: read as `{name}`")
            renamed = {name if key == other else key: item for key, item in renamed.items()}
        return renamed

    def _array(self, value: list[object], nodes: list[Node], at: str, depth: int) -> object:
        first = [part for node in nodes for part in _listed(node.get("prefixItems"))]
        rest = next((node["items"] for node in nodes if isinstance(node.get("items"), dict)), {})
        return [
            self._value(item, first[number] if number < len(first) else rest, f"{at}[{number}]", depth + 1)
            for number, item in enumerate(value)
        ]

    def _may_be_null(self, part: object) -> bool:
        return isinstance(part, dict) and self._fits(part, None)

    def _resolved(self, node: object) -> object:
        """What a reference stands for: `#/$defs/name` and the like. A chain of them is followed a few steps."""
        for _ in range(8):
            if not isinstance(node, dict) or not isinstance(written := node.get("$ref"), str):
                return node
            found: object = self._schema
            for step in written.removeprefix("#").strip("/").split("/") if written != "#" else ():
                key = step.replace("~1", "/").replace("~0", "~")
                found = found.get(key) if isinstance(found, dict) else None
            beside = {word: value for word, value in node.items() if word != "$ref"}
            node = {**found, **beside} if isinstance(found, dict) else beside
        return node

    def _note(self, note: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(note)


def _types(node: object) -> tuple[str, ...]:
    given = node.get("type") if isinstance(node, dict) else None
    return (given,) if isinstance(given, str) else tuple(str(kind) for kind in _listed(given))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _further(nodes: list[Node]) -> object | None:
    """The schema of members beyond those named; None where there may be none."""
    for node in nodes:
        more = node.get("additionalProperties", node.get("unevaluatedProperties"))
        if isinstance(more, dict):
            return more
        if more is True or "patternProperties" in node:
            return {}
    return None


def _join(at: str, name: str) -> str:
    return f"{at}.{name[:80]}" if at else name[:80]
