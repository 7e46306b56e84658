"""Labelled rows: one prompt each, with what several models scored on it. Mistakes are named by their lines."""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from polyroute.errors import ConfigError, InvalidRequest, Problem

_TOLD = 20  # problems of one file


class Row(Struct, frozen=True, kw_only=True):
    """As the interface's table of files says; other keys are left alone."""

    id: str | int
    scores: dict[str, Annotated[float, Meta(ge=0.0, le=1.0)]]
    prompt: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    input_tokens: Annotated[int, Meta(ge=0)] | None = None
    output_tokens: dict[str, Annotated[int, Meta(ge=0)]] = {}
    responses: dict[str, str] = {}

    @property
    def text(self) -> str:
        """What a router reads: the prompt, or the newest user message."""
        return self.prompt if self.prompt is not None else _newest(self.messages)

    @property
    def stem(self) -> str:
        """Rows alike but for case and spaces share it: they must never be on both sides of a split."""
        return sha256(" ".join(self.text.lower().split()).encode()).hexdigest()


_ROW = msgspec.json.Decoder(Row)


def _newest(messages: Sequence[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return ""


def read_rows(file: Path, models: Sequence[str]) -> tuple[Row, ...]:
    """The rows that have a score of each of `models`. Raises ConfigError with every problem, up to twenty."""
    rows: list[Row] = []
    problems: list[Problem] = []
    lacking: Counter[str] = Counter()
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = _ROW.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            problems.append(_at(file, number, str(exc), "a row is {id, prompt or messages, scores: {model: 0..1}}"))
            continue
        if not row.text.strip():
            problems.append(_at(file, number, "has neither `prompt` nor a user message", "give one"))
        lacking.update(model for model in models if model not in row.scores)
        rows.append(row)
    problems += _doubled(file, rows)
    if problems:
        raise ConfigError(problems[:_TOLD])
    if not rows:
        raise InvalidRequest(f"{file} holds no rows: one a line, {{id, prompt or messages, scores: {{model: 0..1}}}}")
    kept = tuple(row for row in rows if all(model in row.scores for model in models))
    if not kept:
        least = ", ".join(f"`{model}` in {count} of {len(rows)}" for model, count in lacking.items())
        raise InvalidRequest(f"{file}: no row has a score of every model; missing: {least}")
    return kept


def _doubled(file: Path, rows: Iterable[Row]) -> list[Problem]:
    times = Counter(row.id for row in rows)
    return [
        Problem(path=str(file), message=f"id {row_id!r} occurs {count} times", fix="give each row its own")
        for row_id, count in times.items()
        if count > 1
    ]


def _at(file: Path, line: int, message: str, fix: str) -> Problem:
    return Problem(path=f"{file}:{line}", message=message, fix=fix)


class Rate(Struct, frozen=True, kw_only=True):
    """US dollars per million tokens."""

    input_usd: Decimal
    output_usd: Decimal


def cost_of(row: Row, model: str, rate: Rate, usual_output: float) -> float:
    """US dollars, as far as the row tells its tokens: else four characters a token, and the model's usual answer."""
    asked = row.input_tokens if row.input_tokens is not None else len(row.text) / 4
    told = row.output_tokens.get(model, usual_output)
    return (asked * float(rate.input_usd) + told * float(rate.output_usd)) / 1e6
