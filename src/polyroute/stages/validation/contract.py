"""A route's output contract: every answer becomes the same JSON text, whichever model wrote it, or is rejected.

In this order: out of its Markdown fence, read strictly, other names mapped, types coerced, unknown members refused,
held against the schema, written again compactly with members in the schema's order. The verdict says what was done.
An answer that calls tools is no final answer, and passes as it is. A refusal is rejected, and so is a cut answer.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
from msgspec import Struct
from msgspec.structs import replace

from polyroute.stages.validation.coercion import Wrong, read_json
from polyroute.stages.validation.shaping import Node, Shaper
from polyroute.types.content import Part, Refusal, Text, ToolCall
from polyroute.types.response import Choice, Response, StopReason
from polyroute.types.routing import Verdict

GATE = "output"
_FENCE = "```"
_MAX_REASONS = 5
_NO_ANSWER = {
    StopReason.REFUSAL: "the model refused",
    StopReason.CONTENT_FILTER: "the provider's filter stopped the answer",
    StopReason.MAX_TOKENS: "the answer was cut at its output limit",
}


class Shaped(Struct, frozen=True, kw_only=True):
    verdict: Verdict
    response: Response | None  # in its new form; None where it was rejected, or nothing changed


class Contract(Struct, frozen=True, kw_only=True):
    """Without a schema, only names are mapped, and members are sorted."""

    schema: dict[str, Any] | None = None
    aliases: dict[str, str] = {}

    def shape(self, response: Response) -> Shaped:
        if not response.choices:
            return _rejected("the answer is empty")
        choices: list[Choice] = []
        changes: list[str] = []
        for choice in response.choices:
            if any(isinstance(part, ToolCall) for part in choice.parts):
                choices.append(choice)
                changes.append("calls tools: passed as it is")
                continue
            try:
                choices.append(self._choice(choice, changes))
            except Wrong as exc:
                return _rejected(str(exc))
            except _Faults as exc:
                return _rejected(*exc.reasons)
        verdict = Verdict(gate=GATE, accepted=True, changes=tuple(dict.fromkeys(changes)))
        if all(new is old for new, old in zip(choices, response.choices, strict=True)):
            return Shaped(verdict=verdict, response=None)
        return Shaped(verdict=verdict, response=replace(response, choices=tuple(choices)))

    def problem(self) -> str | None:
        """Why the schema itself cannot be used; None where it can."""
        if self.schema is None:
            return None
        try:
            _validator(_key(self.schema))
        except (ValueError, jsonschema_rs.ValidationError) as exc:
            return str(exc).splitlines()[0]
        return None

    def _choice(self, choice: Choice, changes: list[str]) -> Choice:
        """Raises Wrong or _Faults."""
        if any(isinstance(part, Refusal) for part in choice.parts) or choice.stop in _NO_ANSWER:
            raise Wrong(_NO_ANSWER.get(choice.stop, "the model refused"))
        value = _read(choice.text, changes)
        if self.schema is not None:
            shaper = Shaper(self.schema, self.aliases, self._fits)
            value = shaper.shape(value)
            faults = shaper.faults or _reasons(self.schema, value)
            if faults:
                raise _Faults(faults[:_MAX_REASONS])
        else:
            shaper = Shaper({}, self.aliases, self._fits)
            value = _sorted(shaper.shape(value))
            if shaper.faults:
                raise _Faults(shaper.faults[:_MAX_REASONS])
        changes += shaper.notes
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if text == choice.text:
            return choice
        # Text once, where the answer's first text stood; log probabilities and citations were of the text before.
        first = next(at for at, part in enumerate(choice.parts) if isinstance(part, Text))
        parts: list[Part] = [part for part in choice.parts if not isinstance(part, Text)]
        parts.insert(first, Text(text=text))
        return replace(choice, parts=tuple(parts), logprobs=None)

    def _fits(self, node: Node, value: object) -> bool:
        root: Mapping[str, object] = self.schema or {}
        definitions = {word: root[word] for word in ("$defs", "definitions", "$schema") if word in root}
        try:
            return bool(_validator(_key({**definitions, **node})).is_valid(value))
        except (ValueError, jsonschema_rs.ValidationError):
            return False  # a part that refers to what only the whole schema holds


class _Faults(Exception):
    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def _rejected(*reasons: str) -> Shaped:
    return Shaped(verdict=Verdict(gate=GATE, accepted=False, reasons=reasons), response=None)


def _read(text: str, changes: list[str]) -> object:
    """Raises Wrong where the text holds no JSON value, or a fence among others."""
    try:
        return read_json(text)
    except Wrong as exc:
        before, fence, rest = text.partition(_FENCE)
        inside, closed, after = rest.partition(f"\n{_FENCE}")
        if not fence or not closed or _FENCE in after:
            raise exc if text.strip() else Wrong("the answer is empty") from None
        value = read_json(inside.partition("\n")[2])
        changes.append(
            "taken out of its fence" + (", words around it left out" if before.strip() or after.strip() else "")
        )
        return value


def _reasons(schema: dict[str, Any], value: object) -> list[str]:
    errors = _validator(_key(schema)).iter_errors(value)
    return [
        f"{'/'.join(map(str, error.instance_path)) or '(root)'}: {error.message[:200]}"
        for error, _ in zip(errors, range(_MAX_REASONS), strict=False)
    ]


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _key(schema: Mapping[str, object]) -> str:
    return json.dumps(schema, default=str)


@lru_cache(maxsize=512)
def _validator(schema: str) -> "jsonschema_rs.Validator":
    """Patterns run on a linear engine: an answer cannot stall the gateway."""
    return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())
