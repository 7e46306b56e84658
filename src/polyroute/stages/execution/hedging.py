"""Which requests may be asked twice at once, and whom beside a late one. Pure.

What has effects at its provider is never doubled: an answer that is stored, worked on in the background or built on a
stored one, a tool that the provider runs itself, and whatever is made to order (images, sound).
"""

from collections.abc import Callable

from polyroute.state.hedges import Hedge
from polyroute.types.request import ProviderTool, Request
from polyroute.types.routing import Candidate, Step

_WITHOUT_EFFECT = ("chat", "embeddings", "moderation", "rerank")
_STORED_UNASKED = ("openai_responses",)  # OpenAI's reference, "Create a model response": `store` defaults to true


def may_be_doubled(request: Request) -> bool:
    wire = request.wire
    is_stored = wire is not None and wire.body.get("store", wire.dialect in _STORED_UNASKED) is True
    return (
        request.operation in _WITHOUT_EFFECT
        and not (is_stored or request.background or request.refers)
        and not any(isinstance(tool, ProviderTool) for tool in request.tools)
    )


def beside(steps: tuple[Step, ...], late: int, hedge: Hedge, is_well: Callable[[Step], bool]) -> int | None:
    """The next of the plan at another deployment that is well and not too dear; None where there is none.

    An unknown price is too dear: nobody could say that it is within the cap.
    """
    first = steps[late].candidate
    for number in range(late + 1, len(steps)):
        step = steps[number]
        if (
            step.candidate.deployment.id != first.deployment.id
            and _is_within(step.candidate, first, hedge)
            and is_well(step)
        ):
            return number
    return None


def _is_within(second: Candidate, first: Candidate, hedge: Hedge) -> bool:
    if second.worst_usd is None or first.worst_usd is None:
        return False
    return second.worst_usd <= first.worst_usd * hedge.max_cost_share
