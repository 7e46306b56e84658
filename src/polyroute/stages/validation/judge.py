"""Puts one answer before a route's gates, in order, and stops at the first that rejects it.

`on_reject` of that gate says what follows: escalate to the next step, retry the same one, hold the answer for a
person, or block it. A gate that could not do its work has not accepted: its reason says why.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import CallerError, ProviderError, Remedy, RoutingError, WorkerFailed
from polyroute.ports import CallModel, Judgement, Monotonic
from polyroute.stages.validation.asked_form import AskedForm
from polyroute.stages.validation.contract import Contract
from polyroute.stages.validation.entropy import without_logprobs
from polyroute.stages.validation.inquiry import AnyGate, AsksAhead, AsksModels, Inquiry, judged
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

OnReject = Literal["escalate", "retry", "review", "block"]
_REMEDY: dict[OnReject, Remedy] = {"escalate": Remedy.SWITCH, "retry": Remedy.RETRY, "block": Remedy.STOP}


class Check(Struct, frozen=True, kw_only=True):
    gate: AnyGate
    on_reject: OnReject = "escalate"
    parallel: bool = False  # its own calls begin beside the one that it judges


class Case(Struct, frozen=True, kw_only=True):
    """One call whose answer will be judged."""

    request: Request
    model: str  # that is called
    checks: tuple[Check, ...]
    contract: Contract | None = None
    call_model: CallModel
    spent_on: Callable[[str], Decimal]  # by the calls of the gate of this name, so far
    monotonic: Monotonic
    hides_logprobs: bool = False  # the caller did not ask for the probabilities that gates read


class Hearing:
    """Opened with the call, so that gates may begin beside it."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._ahead: dict[str, list[tuple[str, asyncio.Task[Response]]]] = {}
        for check in case.checks:
            if check.parallel and isinstance(check.gate, AsksAhead):
                self._ahead[check.gate.name] = [
                    (helper, asyncio.ensure_future(self._begin(check.gate, helper)))
                    for helper in check.gate.helpers(case.model)
                ]

    async def judge(self, response: Response) -> Judgement:
        """The contract comes first: gates judge the answer in the form that callers get."""
        case, verdicts = self._case, list[Verdict]()
        changed: Response | None = None
        if case.contract is not None:
            shaped = case.contract.shape(response)
            verdicts.append(replace(shaped.verdict, score=float(shaped.verdict.accepted)))
            if not shaped.verdict.accepted:
                return Judgement(verdicts=tuple(verdicts), remedy=Remedy.SWITCH)
            changed = shaped.response
            response = changed or response
        remedy, is_held = None, False
        for check in case.checks:
            verdict = await self._verdict(check.gate, response)
            verdicts.append(verdict)
            if verdict.accepted:
                continue
            if check.on_reject == "review":
                is_held = True
            else:
                remedy = _REMEDY[check.on_reject]
            break
        if remedy is None:
            for check in case.checks:
                if isinstance(check.gate, AskedForm) and (plain := check.gate.bare(response)) is not None:
                    changed = response = plain
        if case.hides_logprobs and any(choice.logprobs is not None for choice in response.choices):
            changed = without_logprobs(response)
        return Judgement(verdicts=tuple(verdicts), remedy=remedy, response=changed, is_held=is_held)

    async def aclose(self) -> None:
        """Calls that nobody waits for any more are given up."""
        tasks = [task for begun in self._ahead.values() for _, task in begun]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _verdict(self, gate: AnyGate, response: Response) -> Verdict:
        case, started_s = self._case, self._case.monotonic()
        if not isinstance(gate, AsksModels):
            verdict = await gate.judge(case.request, response)
            return replace(verdict, elapsed_ms=round((case.monotonic() - started_s) * 1000, 3))
        inquiry = Inquiry(request=case.request, response=response, model=case.model, call_model=self._call)
        name = getattr(gate, "name", type(gate).__name__.lower())
        try:
            verdict = await judged(gate, inquiry)
        except (CallerError, ProviderError, RoutingError, WorkerFailed) as exc:
            verdict = Verdict(gate=name, accepted=False, reasons=(f"could not be checked: {exc.message}",))
        elapsed_ms = round((case.monotonic() - started_s) * 1000, 3)
        return replace(verdict, cost_usd=case.spent_on(name) or None, elapsed_ms=elapsed_ms)

    async def _call(self, model: str, request: Request, *, purpose: str) -> Response:
        """What was begun ahead, or else a call now."""
        begun = self._ahead.get(purpose, [])
        at = next((at for at, (helper, _) in enumerate(begun) if helper == model), None)
        if at is None:
            return await self._case.call_model(model, request, purpose=purpose)
        return await begun.pop(at)[1]

    async def _begin(self, gate: AsksAhead, helper: str) -> Response:
        return await self._case.call_model(helper, gate.sample(self._case.request), purpose=gate.name)
