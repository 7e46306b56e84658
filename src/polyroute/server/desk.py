"""What the endpoints of the document act through: whoever holds it while the gateway runs."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from polyroute.state.documents import DocumentHistory
from polyroute.types.access import Caller


class InForce(Struct, frozen=True, kw_only=True):
    policy: str
    since: datetime
    texts: dict[str, str]  # by file; the document itself comes first


class ConfigDesk(Protocol):
    """Raises ConfigError for a document that cannot be used, Conflict for one that cannot be written."""

    history: DocumentHistory  # synchronous

    def shown(self) -> InForce: ...

    async def check(self, text: str) -> str:
        """The policy it would be."""

    async def put(self, actor: Caller, text: str, *, instead_of: str | None = None) -> str: ...

    async def rollback(self, actor: Caller, policy: str) -> str: ...
