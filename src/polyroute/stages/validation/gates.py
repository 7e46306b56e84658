"""The built-in gates that only read the answer. Each class is its own configuration.

A long answer is read in a thread: nobody else waits while it is.
"""

import asyncio
import json
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeVar

import jsonschema_rs
import orjson
from msgspec import Struct

from polyroute.conditions import groups, pattern_problem
from polyroute.stages.validation.coercion import Wrong, read_json
from polyroute.stages.validation.texts import unfenced
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

_T = TypeVar("_T")
_MAX_REASONS = 5
_LONG = 32_000  # characters: about a millisecond's reading
_MAX_REASON = 300  # characters of one


class Json(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is JSON."""

    allow_fences: bool = True  # strip a Markdown fence first; many models add one

    async def judge(self, request: Request, response: Response) -> Verdict:
        try:
            await _read(response.text, lambda text: _load(text, self.allow_fences))
        except Wrong as exc:
            return _rejected("json", str(exc))
        return Verdict(gate="json", accepted=True, score=1.0)


class MatchesSchema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is JSON that fits the schema. The score falls with every fault."""

    schema: dict[str, object] | bool
    allow_fences: bool = True
    formats: bool = False  # whether `format` is asserted: since 2019-09 it is a remark unless somebody says otherwise
    resources: dict[str, object] = {}  # by address: other schemas that this one refers to. None is ever fetched

    async def judge(self, request: Request, response: Response) -> Verdict:
        try:
            reasons = await _read(response.text, self._faults)
        except Wrong as exc:
            return _rejected("json_schema", str(exc))
        return Verdict(gate="json_schema", accepted=not reasons, score=1 / (1 + len(reasons)), reasons=reasons)

    def _faults(self, text: str) -> tuple[str, ...]:
        """Each with the path of what is at fault. Raises Wrong where the text is no JSON."""
        errors = self._validator().iter_errors(_load(text, self.allow_fences))
        return tuple(
            f"{'/'.join(map(str, error.instance_path)) or '(root)'}: {error.message[:_MAX_REASON]}"
            for error, _ in zip(errors, range(_MAX_REASONS), strict=False)
        )

    def _validator(self) -> "jsonschema_rs.Validator":
        return _compiled(_text(self.schema), self.formats, _text(self.resources))

    def problem(self) -> str | None:
        """Why the schema itself cannot be used; None where it can."""
        try:
            self._validator()
        except (ValueError, RecursionError, jsonschema_rs.ValidationError) as exc:
            return str(exc).splitlines()[0]
        return None


class Length(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is neither too short nor too long, in characters."""

    min_chars: int = 1
    max_chars: int | None = None

    async def judge(self, request: Request, response: Response) -> Verdict:
        length = len(response.text.strip())
        if length < self.min_chars:
            return Verdict(
                gate="length",
                accepted=False,
                score=length / self.min_chars,
                reasons=(f"{length} characters < {self.min_chars}",),
            )
        if self.max_chars is not None and length > self.max_chars:
            return Verdict(
                gate="length",
                accepted=False,
                score=self.max_chars / length,
                reasons=(f"{length} characters > {self.max_chars}",),
            )
        return Verdict(gate="length", accepted=True, score=1.0)


class Regex(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response in which `matches` is found and `excludes` is not. RE2 takes linear time."""

    matches: str | None = None
    excludes: str | None = None

    async def judge(self, request: Request, response: Response) -> Verdict:
        reason = await _read(response.text, self._fault)
        return _rejected("regex", reason) if reason else Verdict(gate="regex", accepted=True, score=1.0)

    def _fault(self, text: str) -> str | None:
        if self.matches is not None and groups(self.matches, text) is None:
            return f"does not match {self.matches[:80]}"
        if self.excludes is not None and (found := groups(self.excludes, text)) is not None:
            return f"holds {found['match'][:80]!r}"
        return None

    def problem(self) -> str | None:
        if self.matches is None and self.excludes is None:
            return "says nothing: give `matches`, `excludes` or both"
        given = (pattern for pattern in (self.matches, self.excludes) if pattern is not None)
        return next((f"is no pattern: {reason}" for pattern in given if (reason := pattern_problem(pattern))), None)


def _rejected(gate: str, reason: str) -> Verdict:
    return Verdict(gate=gate, accepted=False, score=0.0, reasons=(reason,))


async def _read(text: str, work: Callable[[str], _T]) -> _T:
    return work(text) if len(text) <= _LONG else await asyncio.to_thread(work, text)


def _load(text: str, allow_fences: bool) -> object:
    """Raises Wrong."""
    text = unfenced(text) if allow_fences else text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return read_json(text)  # says where it is wrong, and reads what orjson is too strict about: deep nesting


def _text(schema: object) -> str:
    try:
        return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:  # integers of more than 64 bits
        return json.dumps(schema, sort_keys=True)


@cache
def _formats() -> dict[str, Callable[[str], bool]]:
    """Formats that came after draft 4, for schemas of any draft: who writes `format: uuid` means it."""
    return {
        name: jsonschema_rs.validator_for({"format": name}, validate_formats=True, offline=True).is_valid
        for name in ("date", "time", "duration", "uuid", "iri", "idn-email", "json-pointer", "uri-reference")
    }


@lru_cache(maxsize=256)
def _compiled(schema: str, formats: bool, resources: str) -> "jsonschema_rs.Validator":
    """Patterns run on a linear engine: an answer cannot stall the gateway. Nothing is fetched."""
    others = json.loads(resources)
    return jsonschema_rs.validator_for(
        schema,
        pattern_options=jsonschema_rs.RegexOptions(),
        validate_formats=formats or None,
        formats=_formats() if formats else None,
        registry=jsonschema_rs.Registry(list(others.items())) if others else None,
        offline=True,
    )
