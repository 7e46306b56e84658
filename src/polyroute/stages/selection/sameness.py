"""Which requests are the very same: one key over everything that changes an answer, and whose it is. Pure.

The key is made of the whole canonical request, the door's own body with it, so that a field added tomorrow is in it.
Left out are the name that the caller gave the route, how the answer is told (streamed or not, its usage or not) and the
trace. Nothing else is: `user`, `metadata` and `seed` make keys of their own, and so does a temperature; the same one
finds the answer of before even where it is above zero, as users of other gateways' caches expect. The door is in it,
because its bytes are told again as they came.
"""

from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct, msgpack
from msgspec.structs import replace

from polyroute.types.caching import Place
from polyroute.types.request import ProviderTool, Request

# Whose answers are the same for the same input. Others are large, or come as sound.
_OPERATIONS = frozenset({"chat", "embeddings", "moderation", "rerank"})
_HOW_TOLD = frozenset({"model", "stream", "stream_options"})


class Asked(Struct, frozen=True, kw_only=True):
    """What beside the request itself decides on its answer."""

    tenant: str
    route: str
    policy: str  # content hash of the document and of what is laid over it for the tenant
    door: str
    namespace: str = ""  # the caller's own, to keep answers apart
    task: str | None = None
    request_class: str | None = None
    prompt: str | None = None  # name@version
    texts: Mapping[str, str] = {}  # of the prompt's variables


def place_of(request: Request, asked: Asked) -> Place:
    wire = request.wire
    if wire is not None:
        wire = replace(wire, body={n: v for n, v in sorted(wire.body.items()) if n not in _HOW_TOLD})
    bare = replace(
        request,
        model="",
        stream=False,
        stream_usage=False,
        trace=None,
        extensions=dict(sorted(request.extensions.items())),
        wire=wire,
    )
    return Place(tenant=asked.tenant, route=asked.route, key=sha256(msgpack.encode((asked, bare))).hexdigest())


def may_be_kept(request: Request, *, is_stored: bool) -> bool:
    """Whether its answer is only an answer: nothing that a tool of the provider does or finds now, and nothing that the
    provider keeps, under an id that is one caller's alone. `is_stored`: whether it keeps what says nothing of it.
    """
    if request.operation not in _OPERATIONS or request.refers or request.background:
        return False
    if any(isinstance(tool, ProviderTool) for tool in request.tools):
        return False
    stored = None if request.wire is None else request.wire.body.get("store")
    return not (is_stored if stored is None else stored)
