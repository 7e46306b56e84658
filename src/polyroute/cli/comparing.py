"""Prompts on several models: the answers of one, and a file of them whose output is its own checkpoint.

Each finished prompt is one line, appended whole; a run that is killed and started again goes on after the last whole
line, and counts what those before it have cost.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from polyroute.cli.prompt import as_chat
from polyroute.cli.putting import Asker, Body, Said, check_body
from polyroute.cli.shell import progress
from polyroute.errors import InvalidRequest, PolyrouteError
from polyroute.stages.validation.inquiry import Inquiry
from polyroute.stages.validation.rubric import Judge
from polyroute.types.content import Text
from polyroute.types.encoding import to_json
from polyroute.types.money import ZERO_USD, format_usd
from polyroute.types.request import Request, ask
from polyroute.types.response import Choice, Response, StopReason

RowId = str | int


class Asked(Struct, frozen=True, kw_only=True):
    """One row of a batch, as `route --batch` takes it."""

    id: RowId | None = None
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None


class Kept(Struct, frozen=True, kw_only=True):
    """What of a finished line matters to the next run."""

    id: RowId
    cost_usd: dict[str, Decimal | None] = {}
    judge_usd: Decimal | None = None
    reserved_usd: Decimal | None = None


class Compared(Struct, frozen=True, kw_only=True):
    """One prompt's answers, in the order of the models."""

    answers: tuple[Said, ...]
    judge_usd: Decimal | None = None  # None: no judge, or its price is not known


class Tally(Struct, frozen=True, kw_only=True):
    done: int  # with those of earlier runs
    left: int
    cost_usd: Decimal  # likewise
    stopped: str | None = None  # why before the end


class Comparison:
    def __init__(
        self, asker: Asker, models: Sequence[str], *, judge: str | None = None, max_tokens: int | None = None
    ) -> None:
        self._asker = asker
        self.models = tuple(models)
        self._judge = None if judge is None else Judge(model=judge)
        self._max_tokens = max_tokens

    async def of(self, messages: list[dict[str, Any]]) -> Compared:
        """Every model at once, then the judge. Raises what would fail for every prompt."""
        answers = await asyncio.gather(*(self._asker.put(self._body(model, messages)) for model in self.models))
        if self._judge is None:
            return Compared(answers=tuple(answers))
        spent = list[Decimal | None]()
        judged = [await self._judged(self._judge, messages, said, spent) for said in answers]
        known = [amount for amount in spent if amount is not None]
        return Compared(answers=tuple(judged), judge_usd=sum(known, ZERO_USD) if len(known) == len(spent) else None)

    async def worst_usd(self, messages: list[dict[str, Any]]) -> Decimal:
        """The most that `of` can cost. Raises InvalidRequest where a price is not known."""
        total = ZERO_USD
        for model in self.models:
            total += await self._worst_of(self._body(model, messages))
            if self._judge is not None:  # it reads no more than this, nor more than eight characters a token
                text = "x" * min(self._judge.max_chars, 8 * (self._max_tokens or self._judge.max_chars))
                asked = [*messages, {"role": "user", "content": text}]
                total += await self._worst_of(
                    {"model": self._judge.model, "messages": asked, "max_tokens": self._judge.max_output_tokens}
                )
        return total

    async def _worst_of(self, body: Body) -> Decimal:
        worst = await self._asker.worst_usd(body)
        if worst is None:
            raise InvalidRequest(
                f"`--max-usd` needs the price of every model, and that of `{body['model']}` is not known"
            )
        return worst

    def _body(self, model: str, messages: list[dict[str, Any]]) -> Body:
        cap = {} if self._max_tokens is None else {"max_tokens": self._max_tokens}
        return {"model": model, "messages": messages, **cap}

    async def _judged(
        self, judge: Judge, messages: list[dict[str, Any]], said: Said, spent: list[Decimal | None]
    ) -> Said:
        if said.error is not None:
            return said

        async def call(model: str, request: Request, *, purpose: str) -> Response:
            heard = await self._asker.put({**as_chat(request), "temperature": request.temperature})
            spent.append(heard.cost_usd)
            if heard.error is not None:
                raise PolyrouteError(f"the judge `{model}` did not answer: {heard.error}")
            return _response(heard)

        inquiry = Inquiry(
            request=ask(said.model, _question(messages)), response=_response(said), model=said.model, call_model=call
        )
        return replace(said, score=(await judge.inquire(inquiry)).score)


def _response(said: Said) -> Response:
    choice = Choice(parts=(Text(text=said.text),), stop=StopReason.END)
    return Response(id=said.request_id or "", model=said.model, choices=(choice,), usage=None)


def _question(messages: Sequence[Mapping[str, Any]]) -> str:
    told = (message.get("content") for message in reversed(messages) if message.get("role") == "user")
    content = next(told, "")
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return str(content)


# ── many ──────────────────────────────────────────────────────────────────────────────────────────────


async def compare_all(comparison: Comparison, file: Path, out: Path, max_usd: Decimal | None) -> Tally:
    """Appends a labelled row for each prompt that `out` has not yet. Raises InvalidRequest naming the line."""
    rows = _rows(file, comparison)
    kept = _kept(out)
    todo = [(row_id, row) for row_id, row in rows if row_id not in kept]
    spent = sum((_spent(line) for line in kept.values()), ZERO_USD)
    done, stopped = len(rows) - len(todo), None
    with progress(len(todo), "compared") as steps, out.open("ab") as writing:
        for row_id, row in todo:
            messages = _messages(row)
            worst = None if max_usd is None else await comparison.worst_usd(messages)
            if max_usd is not None and worst is not None and worst + spent > max_usd:
                stopped = (
                    f"the next prompt may cost ${format_usd(worst)}, and ${format_usd(spent)} of the "
                    f"${format_usd(max_usd)} is spent: raise `--max-usd`, or bound answers with `--max-tokens`"
                )
                break
            found = await comparison.of(messages)
            reserved = None if all(said.cost_usd is not None for said in found.answers) else worst
            writing.write(_line(row_id, row, found, reserved))
            writing.flush()
            spent += _sum(found) if reserved is None else reserved
            done += 1
            steps.advance()
    return Tally(done=done, left=len(rows) - done, cost_usd=spent, stopped=stopped)


def _rows(file: Path, comparison: Comparison) -> list[tuple[RowId, Asked]]:
    rows: dict[RowId, Asked] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=Asked)
            check_body({"model": comparison.models[0], "messages": _messages(row)})
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidRequest) as exc:
            raise InvalidRequest(f"{file}:{number}: {exc}; a row is {{id, prompt or messages}}") from exc
        row_id = row.id if row.id is not None else number
        if row_id in rows:
            raise InvalidRequest(f"{file}:{number}: id {row_id!r} occurs twice; give each row its own")
        rows[row_id] = row
    if not rows:
        raise InvalidRequest(f"{file} has no prompts")
    return list(rows.items())


def _messages(row: Asked) -> list[dict[str, Any]]:
    return row.messages or [{"role": "user", "content": row.prompt or ""}]


def _kept(out: Path) -> dict[RowId, Kept]:
    """What earlier runs finished; half a line at the end, left by a run that was killed, is cut off."""
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        return {}
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    kept = dict[RowId, Kept]()
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = msgspec.json.decode(line, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InvalidRequest(f"{out}:{number} is no line of `compare`: {exc}; name another file") from exc
        kept[row.id] = row
    if len(whole) < len(data):
        with out.open("r+b") as file:
            file.truncate(len(whole))
    return kept


def _line(row_id: RowId, row: Asked, found: Compared, reserved: Decimal | None) -> bytes:
    """`reserved`: what counts against the cap, where the cost of an answer is not known."""
    answers = found.answers
    inputs = [said.input_tokens for said in answers if said.input_tokens is not None]
    told: dict[str, object] = {
        "id": row_id,
        **({"messages": row.messages} if row.messages else {"prompt": row.prompt}),
        "scores": {said.model: said.score for said in answers if said.score is not None},
        "input_tokens": max(inputs, default=None),
        "output_tokens": {said.model: said.output_tokens for said in answers if said.output_tokens is not None},
        "responses": {said.model: said.text for said in answers if said.error is None},
        "cost_usd": {said.model: said.cost_usd for said in answers},
        "latency_ms": {said.model: said.latency_ms for said in answers},
    }
    if errors := {said.model: said.error for said in answers if said.error is not None}:
        told["errors"] = errors
    if found.judge_usd is not None:
        told["judge_usd"] = found.judge_usd
    if reserved is not None:
        told["reserved_usd"] = reserved
    return to_json(told) + b"\n"


def _spent(line: Kept) -> Decimal:
    if line.reserved_usd is not None:
        return line.reserved_usd
    known = (amount for amount in (*line.cost_usd.values(), line.judge_usd) if amount is not None)
    return sum(known, ZERO_USD)


def _sum(found: Compared) -> Decimal:
    amounts = (*(said.cost_usd for said in found.answers), found.judge_usd)
    return sum((amount for amount in amounts if amount is not None), ZERO_USD)
