"""A request that also asks for token probabilities, where the deployment is known to give them.

Bodies of dialects that write them otherwise than by the canonical form are left alone: then none come back, and the
gate that wanted them has its fallback.
"""

from msgspec.structs import replace

from polyroute.types.cards import Deployment
from polyroute.types.request import Request

_OWN = ("openai_chat",)  # dialects whose bodies are added to


def with_logprobs(request: Request, deployment: Deployment, top: int) -> Request:
    capabilities = deployment.card.capabilities
    if request.logprobs or (capabilities is not None and "logprobs" not in capabilities):
        return request
    wire = request.wire
    if wire is not None and wire.dialect in _OWN:
        wire = replace(wire, body={**wire.body, "logprobs": True, "top_logprobs": top})
    return replace(request, logprobs=True, top_logprobs=top, wire=wire)
