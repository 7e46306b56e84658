"""The built-in gates that need no model's answer. Each class is its own configuration."""

from functools import lru_cache

import jsonschema_rs
import orjson
from msgspec import Struct

from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

_MAX_REASONS = 5


class Json(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is JSON."""

    allow_fences: bool = True  # strip a Markdown fence first; many models add one

    async def judge(self, request: Request, response: Response) -> Verdict:
        try:
            orjson.loads(_unfenced(response.text) if self.allow_fences else response.text)
        except orjson.JSONDecodeError as exc:
            return Verdict(gate="json", accepted=False, reasons=(f"not JSON: {exc.msg} at line {exc.lineno}",))
        return Verdict(gate="json", accepted=True)


class MatchesSchema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is JSON that fits the schema."""

    schema: dict[str, object]
    allow_fences: bool = True

    async def judge(self, request: Request, response: Response) -> Verdict:
        try:
            value = orjson.loads(_unfenced(response.text) if self.allow_fences else response.text)
        except orjson.JSONDecodeError as exc:
            return Verdict(gate="json_schema", accepted=False, reasons=(f"not JSON: {exc.msg} at line {exc.lineno}",))
        reasons = tuple(
            f"{'/'.join(map(str, error.instance_path)) or '(root)'}: {error.message}"
            for error, _ in zip(self._validator().iter_errors(value), range(_MAX_REASONS), strict=False)
        )
        return Verdict(gate="json_schema", accepted=not reasons, reasons=reasons)

    def _validator(self) -> "jsonschema_rs.Validator":
        return _compiled(orjson.dumps(self.schema, option=orjson.OPT_SORT_KEYS).decode())

    def problem(self) -> str | None:
        """Why the schema itself cannot be used; None where it can."""
        try:
            self._validator()
        except (ValueError, jsonschema_rs.ValidationError) as exc:
            return str(exc).splitlines()[0]
        return None


class Length(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accepts a response whose text is neither too short nor too long, in characters."""

    min_chars: int = 1
    max_chars: int | None = None

    async def judge(self, request: Request, response: Response) -> Verdict:
        length = len(response.text.strip())
        if length < self.min_chars:
            return Verdict(gate="length", accepted=False, reasons=(f"{length} characters < {self.min_chars}",))
        if self.max_chars is not None and length > self.max_chars:
            return Verdict(gate="length", accepted=False, reasons=(f"{length} characters > {self.max_chars}",))
        return Verdict(gate="length", accepted=True)


@lru_cache(maxsize=256)
def _compiled(schema: str) -> "jsonschema_rs.Validator":
    """Patterns run on a linear engine: an answer cannot stall the gateway."""
    return jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())


def _unfenced(text: str) -> str:
    """The inside of a Markdown code fence, where the text is one."""
    text = text.strip()
    if not (text.startswith("```") and text.endswith("```") and len(text) > 6):
        return text
    return text[3:-3].partition("\n")[2]
