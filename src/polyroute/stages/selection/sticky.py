"""What a request sticks by: the same key, the same place. Pure; a key is a hash, so nothing of a request is kept.

A session is what the caller says it is: `x-polyroute-session`, `metadata.session_id`, `prompt_cache_key`, `user`, the
first of these. A prompt's prefix is what providers cache: instructions, tools and the first message of a conversation.
"""

from hashlib import blake2b

from polyroute.types.access import Caller
from polyroute.types.content import text_of
from polyroute.types.request import Request, Tool
from polyroute.types.routing import StickyBy

_READ = 16_384  # characters of each text: prompts that differ only after these may share a place
_SIZE = 16


def sticky_key(by: StickyBy, request: Request, caller: Caller, session: str | None) -> bytes | None:
    """None where the request says nothing to stick by. `session`: what the door was told beside the body."""
    match by:
        case "session":
            said = _session(request, session)
            return None if said is None else _hash(by, caller.tenant, said)
        case "user":
            return _hash(by, caller.tenant, caller.user, request.end_user or "")
        case "prompt_prefix":
            return _hash(by, caller.tenant, *_prefix(request))


def _session(request: Request, session: str | None) -> str | None:
    said = (session, request.metadata.get("session_id"), request.extensions.get("prompt_cache_key"), request.end_user)
    return next((one for one in said if isinstance(one, str) and one), None)


def _prefix(request: Request) -> list[str]:
    texts = [tool.name if isinstance(tool, Tool) else tool.kind for tool in request.tools]
    for message in request.messages:
        texts.append(text_of(message.parts)[:_READ])
        if message.role not in ("system", "developer"):
            break
    return texts


def _hash(*texts: str) -> bytes:
    hashed = blake2b(digest_size=_SIZE)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(4))  # so that texts cannot run into one another
        hashed.update(data)
    return hashed.digest()
