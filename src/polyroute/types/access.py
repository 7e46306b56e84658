"""Who is asking, and for whom."""

from typing import Literal

from msgspec import Struct

Role = Literal["member", "team_admin", "viewer", "admin"]  # viewer: an administrator who only reads


class Caller(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The holder of a key, as authentication found it. Nothing here comes from a request's body."""

    user: str = "anonymous"
    team: str = "default"  # who pays
    tenant: str = "default"  # whose data must stay apart
    key_id: str | None = None  # the key's name, never its secret
    models: frozenset[str] | None = None  # routes and models it may ask for; None: all
    role: Role = "member"

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"
