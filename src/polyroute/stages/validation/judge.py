"""Puts one answer before a route's gates, in order, and stops at the first that rejects it.

`on_reject` of that gate becomes the remedy: escalate to the next step, retry the same one, or block the answer.
"""

from typing import Literal

from msgspec import Struct

from polyroute.errors import Remedy
from polyroute.ports import Gate, Judgement
from polyroute.stages.validation.contract import Contract
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict

OnReject = Literal["escalate", "retry", "block"]
_REMEDY: dict[OnReject, Remedy] = {"escalate": Remedy.SWITCH, "retry": Remedy.RETRY, "block": Remedy.STOP}


class Check(Struct, frozen=True, kw_only=True):
    gate: Gate
    on_reject: OnReject = "escalate"


async def judge(
    checks: tuple[Check, ...], request: Request, response: Response, contract: Contract | None = None
) -> Judgement:
    """The contract comes first: gates judge the answer in the form that callers get."""
    verdicts: list[Verdict] = []
    changed: Response | None = None
    if contract is not None:
        shaped = contract.shape(response)
        verdicts.append(shaped.verdict)
        if not shaped.verdict.accepted:
            return Judgement(verdicts=tuple(verdicts), remedy=Remedy.SWITCH)
        changed = shaped.response
        response = changed or response
    for check in checks:
        verdict = await check.gate.judge(request, response)
        verdicts.append(verdict)
        if not verdict.accepted:
            return Judgement(verdicts=tuple(verdicts), remedy=_REMEDY[check.on_reject])
    return Judgement(verdicts=tuple(verdicts), response=changed)
