"""What a token says, and how long it is known."""

from collections.abc import Mapping

import pytest

from polyroute.errors import Unauthenticated
from polyroute.state.sign_on import LEEWAY_S, ClaimRules, SignOn, is_token, read_claims
from polyroute.types.access import Caller, Role

NOW_S = 1_800_000_000.0
ROLES: Mapping[str, Role] = {"ops": "admin", "leads": "team_admin", "audit": "viewer", "staff": "member"}
RULES = ClaimRules(issuer="https://id.example", audiences=frozenset({"polyroute"}), roles=ROLES)
GOOD: dict[str, object] = {"iss": "https://id.example", "aud": "polyroute", "sub": "ada", "exp": NOW_S + 60}


def test_a_token_names_user_team_tenant_and_role() -> None:
    claims = {**GOOD, "team": "red", "tenant": "acme", "role": "leads", "aud": ["other", "polyroute"]}
    identity = read_claims(claims, RULES, NOW_S)
    assert identity.caller == Caller(user="ada", team="red", tenant="acme", role="team_admin")
    assert identity.until_s == NOW_S + 60 + LEEWAY_S


@pytest.mark.parametrize(
    ("given", "role"),
    [
        (None, "member"),
        ("admin", "member"),
        ("nobody", "member"),
        (["staff", "ops", "audit"], "admin"),
        (["audit", "leads"], "viewer"),
        ([{"ops": 1}, 7], "member"),
        ({"ops": True}, "member"),
    ],
)
def test_a_role_is_never_more_than_it_is_mapped_to(given: object, role: Role) -> None:
    assert read_claims({**GOOD, "role": given}, RULES, NOW_S).caller.role == role


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["ops"]}}),
        ("https://id.example/roles", {"https://id.example/roles": ["ops"]}),
        ("a.b", {"a.b": "ops", "a": {"b": "staff"}}),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_its_path(claim: str, claims: dict[str, object]) -> None:
    rules = ClaimRules(issuer=RULES.issuer, audiences=RULES.audiences, role=claim, roles=ROLES)
    assert read_claims({**GOOD, **claims}, rules, NOW_S).caller.role == "admin"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iss": "https://id.example/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "polyroute-dev"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": {"polyroute": 1}}, "another audience"),
        ({"exp": None}, "says not when"),
        ({"exp": NOW_S - LEEWAY_S}, "has expired"),
        ({"exp": "2100-01-01"}, "no time"),
        ({"exp": True}, "no time"),
        ({"exp": 1e300}, "no time"),
        ({"nbf": NOW_S + LEEWAY_S + 1}, "not valid yet"),
        ({"iat": NOW_S + LEEWAY_S + 1}, "not valid yet"),
        ({"sub": None}, "`sub`"),
        ({"sub": ""}, "`sub`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": "a/b"}, "`sub`"),
        ({"sub": "a\nb"}, "`sub`"),
        ({"sub": "a" * 101}, "`sub`"),
        ({"team": "a/b"}, "`team`"),
        ({"tenant": ["acme"]}, "`tenant`"),
    ],
)
def test_a_token_that_is_not_for_us_is_refused_with_the_reason(change: dict[str, object], said: str) -> None:
    with pytest.raises(Unauthenticated, match=said):
        read_claims({**GOOD, **change}, RULES, NOW_S)


@pytest.mark.parametrize("change", [{"exp": NOW_S - LEEWAY_S + 1}, {"nbf": NOW_S + LEEWAY_S}, {"iat": NOW_S}])
def test_clocks_may_differ_a_little(change: dict[str, object]) -> None:
    assert read_claims({**GOOD, **change}, RULES, NOW_S).caller.user == "ada"


class Issuer:
    def __init__(self) -> None:
        self.asked = 0

    async def claims(self, token: str) -> Mapping[str, object]:
        self.asked += 1
        return {**GOOD, "sub": token[-3:]}


async def test_a_token_is_verified_once_and_known_until_it_expires() -> None:
    issuer, now = Issuer(), [NOW_S]
    sign_on = SignOn(RULES, issuer, lambda: now[0])
    token = "eyJ" + "a" * 100 + "one"
    assert sign_on.known(token) is None
    assert (await sign_on.introduce(token)).user == "one"
    assert sign_on.known(token) == Caller(user="one")
    now[0] += 60 + LEEWAY_S
    assert sign_on.known(token) is None
    assert issuer.asked == 1


async def test_tokens_that_begin_alike_are_not_taken_for_each_other() -> None:
    sign_on = SignOn(RULES, Issuer(), lambda: NOW_S)
    await sign_on.introduce("eyJ" + "a" * 100 + "one")
    assert sign_on.known("eyJ" + "a" * 100 + "two") is None


async def test_memory_is_bounded_and_so_are_tokens() -> None:
    issuer = Issuer()
    sign_on = SignOn(RULES, issuer, lambda: NOW_S)
    for at in range(10_001):
        await sign_on.introduce(f"eyJ{at:05}one")
    assert (sign_on.known("eyJ00000one"), sign_on.known("eyJ00001one")) == (None, Caller(user="one"))
    with pytest.raises(Unauthenticated, match="longer"):
        await sign_on.introduce("x" * 16_385)
    assert issuer.asked == 10_001


@pytest.mark.parametrize(("presented", "is_one"), [("eyJh.b.c", True), ("sk-poly-a.b.c", False), ("eyJh.b", False)])
def test_a_token_is_told_from_a_key_by_its_form(presented: str, is_one: bool) -> None:
    assert is_token(presented) is is_one
