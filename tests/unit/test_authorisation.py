from typing import get_args

import pytest

from polyroute.authorisation import GRANTS, NOBODYS, ROLES, Action, Resource, allowed, authorise, may_grant
from polyroute.errors import Forbidden
from polyroute.types.access import Caller, Role

OWN = Resource(tenant="acme", team="red", user="ann")
TEAMS = Resource(tenant="acme", team="red", user="bob")
TENANTS = Resource(tenant="acme", team="blue", user="cid")
FOREIGN = Resource(tenant="other", team="red", user="ann")
PLACES = (OWN, TEAMS, TENANTS, FOREIGN, NOBODYS)


def me(role: Role = "member") -> Caller:
    return Caller(tenant="acme", team="red", user="ann", role=role)


@pytest.mark.parametrize(
    ("role", "action", "reached"),
    [
        ("member", "models:call", (OWN,)),
        ("member", "receipts:read", (OWN,)),
        ("member", "keys:read", ()),
        ("member", "keys:write", ()),
        ("member", "reviews:decide", ()),
        ("member", "config:read", ()),
        ("team_admin", "receipts:read", (OWN, TEAMS)),
        ("team_admin", "keys:write", (OWN, TEAMS)),
        ("team_admin", "prompts:read", (OWN, TEAMS, TENANTS)),
        ("team_admin", "teams:write", ()),
        ("team_admin", "audit_log:read", ()),
        ("viewer", "receipts:read", PLACES),
        ("viewer", "audit_log:read", PLACES),
        ("viewer", "models:call", ()),
        ("viewer", "keys:write", ()),
        ("admin", "keys:write", PLACES),
        ("admin", "config:write", PLACES),
        ("admin", "models:call", (OWN,)),
    ],
)
def test_each_role_reaches_so_far_and_no_further(role: Role, action: Action, reached: tuple[Resource, ...]) -> None:
    actor = me(role)
    assert tuple(place for place in PLACES if allowed(actor, action, place)) == reached


def test_nothing_is_granted_that_is_no_action_and_every_action_is_somebodys() -> None:
    actions = set(get_args(Action))
    assert {action for grants in GRANTS.values() for action in grants} == actions


def test_whatever_only_writes_is_no_viewers() -> None:
    assert not [action for action in GRANTS["viewer"] if action.endswith((":write", ":decide", ":call"))]


def test_a_role_is_given_only_by_who_holds_as_much() -> None:
    given = {role: [other for other in ROLES if may_grant(Caller(role=role), other)] for role in ROLES}
    assert given == {
        "member": ["member"],
        "team_admin": ["member", "team_admin"],
        "viewer": ["viewer"],
        "admin": ["member", "team_admin", "viewer", "admin"],
    }


def test_a_refusal_names_role_and_action() -> None:
    with pytest.raises(Forbidden, match=r"`member`.*keys:write"):
        authorise(me(), "keys:write", OWN)
