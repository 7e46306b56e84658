"""What people manage while the gateway runs: keys, teams, prompts, reviews, each a record; and who did what to them."""

from datetime import datetime
from typing import Literal

from msgspec import Struct, json

Kind = Literal["key", "user", "team", "tenant", "prompt", "review", "override", "provider", "session", "setting"]


class Record(Struct, frozen=True, kw_only=True):
    """One managed thing. `body` is its JSON; what it says is its kind's business."""

    kind: Kind
    id: str
    tenant: str
    body: bytes
    version: int  # from 1; grows with each change
    updated_at: datetime  # aware UTC


class Put(Struct, frozen=True, kw_only=True):
    """Write a record. `version` is what the writer last saw: 0, there must be none yet."""

    kind: Kind
    id: str
    tenant: str
    body: bytes
    version: int


class Remove(Struct, frozen=True, kw_only=True):
    kind: Kind
    id: str
    version: int


Change = Put | Remove


class Act(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One management act, as the audit log keeps it. Nothing secret is ever put into it."""

    at: datetime
    actor: str  # the key's name, or "command line"
    role: str
    action: str  # "keys:create"
    kind: str
    id: str
    tenant: str = "default"
    detail: dict[str, object] = {}  # what changed


class AuditEntry(Struct, frozen=True, kw_only=True):
    """`hash` covers the act and the hash before it, so that no earlier entry can change unseen."""

    seq: int  # from 1, without gaps
    body: bytes  # the act's JSON, exactly as hashed
    hash: bytes  # SHA-256 of the previous entry's hash and `body`

    @property
    def act(self) -> Act:
        return json.decode(self.body, type=Act)
