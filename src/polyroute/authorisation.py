"""Who may do what: one function, asked at the door for every endpoint and once more where a record is read or written.

Deny by default: an action that no role is granted is nobody's. A grant says how far it reaches: everything, the
actor's own tenant, team or self. What a role may be given is never more than its giver has (`may_grant`).
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from polyroute.errors import Forbidden
from polyroute.types.access import Caller, Role

Action = Literal[
    "models:call",
    "models:read",
    "receipts:read",
    "feedback:write",
    "answers:read",
    "answers:write",
    "reviews:read",
    "reviews:decide",
    "keys:read",
    "keys:write",
    "users:read",
    "users:write",
    "teams:read",
    "teams:write",
    "tenants:read",
    "tenants:write",
    "budgets:read",
    "limits:read",
    "usage:read",
    "prompts:read",
    "prompts:write",
    "config:read",
    "config:write",
    "providers:read",
    "providers:write",
    "audit_log:read",
    "cache:read",
    "cache:write",
]
Reach = Literal["all", "tenant", "team", "self"]

_REACHES: tuple[Reach, ...] = ("self", "team", "tenant", "all")  # each holds those before it
ROLES: tuple[Role, ...] = ("member", "team_admin", "viewer", "admin")

_MEMBER: dict[Action, Reach] = {
    "models:call": "self",
    "models:read": "self",
    "receipts:read": "self",
    "feedback:write": "self",
    "answers:read": "self",
    "answers:write": "self",
    "reviews:read": "self",
    "budgets:read": "self",
    "limits:read": "self",
    "usage:read": "self",
}
_TEAM_ADMIN: dict[Action, Reach] = {
    **_MEMBER,
    "receipts:read": "team",
    "feedback:write": "team",
    "answers:read": "team",
    "answers:write": "team",
    "reviews:read": "team",
    "reviews:decide": "team",
    "keys:read": "team",
    "keys:write": "team",
    "users:read": "team",
    "teams:read": "team",
    "budgets:read": "team",
    "limits:read": "team",
    "usage:read": "team",
    "prompts:read": "tenant",
}
_VIEWER: dict[Action, Reach] = {
    "models:read": "all",
    "receipts:read": "all",
    "reviews:read": "all",
    "keys:read": "all",
    "users:read": "all",
    "teams:read": "all",
    "tenants:read": "all",
    "budgets:read": "all",
    "limits:read": "all",
    "usage:read": "all",
    "prompts:read": "all",
    "config:read": "all",
    "providers:read": "all",
    "audit_log:read": "all",
    "cache:read": "all",
}
_ADMIN: dict[Action, Reach] = {
    **_VIEWER,
    "models:call": "self",
    "feedback:write": "all",
    "answers:read": "all",
    "answers:write": "all",
    "reviews:decide": "all",
    "keys:write": "all",
    "users:write": "all",
    "teams:write": "all",
    "tenants:write": "all",
    "prompts:write": "all",
    "config:write": "all",
    "providers:write": "all",
    "cache:write": "all",
}
GRANTS: Mapping[Role, Mapping[Action, Reach]] = {
    "member": _MEMBER,
    "team_admin": _TEAM_ADMIN,
    "viewer": _VIEWER,
    "admin": _ADMIN,
}


class Resource(Struct, frozen=True, kw_only=True):
    """Whose it is. None: of nobody in particular, so that only what reaches everything reaches it."""

    tenant: str | None = None
    team: str | None = None
    user: str | None = None


NOBODYS = Resource()


def allowed(actor: Caller, action: Action, resource: Resource) -> bool:
    reach = GRANTS[actor.role].get(action)
    match reach:
        case None:
            return False
        case "all":
            return True
        case "tenant":
            return resource.tenant == actor.tenant
        case "team":
            return (resource.tenant, resource.team) == (actor.tenant, actor.team)
        case "self":
            return (resource.tenant, resource.team, resource.user) == (actor.tenant, actor.team, actor.user)


def authorise(actor: Caller, action: Action, resource: Resource) -> None:
    """Raises Forbidden."""
    if not allowed(actor, action, resource):
        raise Forbidden(f"the role `{actor.role}` of this key does not reach here ({action}): ask an administrator")


def may_ever(actor: Caller, action: Action) -> bool:
    """Whether the role is granted the action at all: what a door can ask before it knows the resource."""
    return action in GRANTS[actor.role]


def may_grant(actor: Caller, role: Role) -> bool:
    """Every grant of `role` must lie within one of the actor's own."""
    own = GRANTS[actor.role]
    return all(
        action in own and _REACHES.index(own[action]) >= _REACHES.index(reach) for action, reach in GRANTS[role].items()
    )
