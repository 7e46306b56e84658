"""What a gate needs that asks models itself: the port for a call, who gave the answer, and which gates they are."""

from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from polyroute.ports import CallModel, Gate
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict


class Inquiry(Struct, frozen=True, kw_only=True):
    """One answer to judge, with a telephone."""

    request: Request
    response: Response
    model: str  # that answered, by the document's name
    call_model: CallModel


@runtime_checkable
class AsksModels(Protocol):
    """A gate whose judgement takes further answers. Each is booked as an attempt of the same request."""

    async def inquire(self, inquiry: Inquiry) -> Verdict: ...

    def helpers(self, model: str) -> tuple[str, ...]:
        """The models it will ask about an answer of `model`, at most, in order."""


@runtime_checkable
class AsksAhead(AsksModels, Protocol):
    """One whose calls need no answer first, so that they can be made beside the call it judges."""

    name: str

    def sample(self, request: Request) -> Request:
        """What it will ask of each helper."""


AnyGate: TypeAlias = Gate | AsksModels


async def judged(gate: AnyGate, inquiry: Inquiry) -> Verdict:
    """`gate`'s word, whichever kind it is."""
    if isinstance(gate, AsksModels):
        return await gate.inquire(inquiry)
    return await gate.judge(inquiry.request, inquiry.response)


def weighs_doubt(gate: object) -> bool:
    """Whether the gate says how sure an answer is, rather than whether it is well formed.

    Where no model stands behind to escalate to, doubt changes nothing, and such a gate is not asked.
    """
    return bool(getattr(gate, "weighs_doubt", False))
