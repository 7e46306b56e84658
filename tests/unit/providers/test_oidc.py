"""Signatures and keys of an issuer, asked of one on loopback with keys of its own."""

import json
import time
from collections.abc import AsyncIterator, Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from tests.rig.issuer import FakeIssuer, SigningKey, base64url, fake_issuer

from polyroute.errors import StoreError, Unauthenticated
from polyroute.providers.oidc import Issuer
from polyroute.providers.transport import open_transport

DISCOVERY = "/.well-known/openid-configuration"


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def remote() -> AsyncIterator[FakeIssuer]:
    async with fake_issuer() as running:
        yield running


@pytest.fixture
async def local(remote: FakeIssuer) -> AsyncIterator[tuple[Issuer, Clock]]:
    transport, clock = open_transport(), Clock()
    yield Issuer(remote.url, transport, clock), clock
    await transport.aclose()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_good_signature_gives_the_claims_and_the_keys_are_fetched_once(
    remote: FakeIssuer, local: tuple[Issuer, Clock], algorithm: str
) -> None:
    remote.keys = [SigningKey("one", algorithm)]
    for _ in range(3):
        assert (await local[0].claims(remote.token(team="red")))["team"] == "red"
    assert remote.asked == [DISCOVERY, "/keys"]


async def test_a_key_without_a_name_is_taken_where_it_is_the_only_one_of_its_kind(
    remote: FakeIssuer, local: tuple[Issuer, Clock]
) -> None:
    remote.keys = [SigningKey(None), SigningKey("r", "RS256")]
    assert (await local[0].claims(remote.token()))["sub"] == "ada"


async def test_of_several_keys_a_token_must_name_one(remote: FakeIssuer, local: tuple[Issuer, Clock]) -> None:
    remote.keys = [SigningKey(None), SigningKey(None)]
    with pytest.raises(Unauthenticated, match="does not list"):
        await local[0].claims(remote.token())


async def test_a_new_key_is_looked_up_once_and_not_more_than_twice_a_minute(
    remote: FakeIssuer, local: tuple[Issuer, Clock]
) -> None:
    issuer, clock = local
    await issuer.claims(remote.token())
    old, new = remote.keys[0], SigningKey("two")
    remote.keys = [new]
    with pytest.raises(Unauthenticated, match="does not list"):
        await issuer.claims(remote.token())  # the keys were fetched just now
    clock.now_s += 30
    assert (await issuer.claims(remote.token()))["sub"] == "ada"
    with pytest.raises(Unauthenticated):
        await issuer.claims(remote.token(old))
    for at in range(20):
        with pytest.raises(Unauthenticated):
            await issuer.claims(remote.token(new, header={"kid": f"made up {at}"}))
    assert remote.asked.count("/keys") == 2


def _unsigned(remote: FakeIssuer) -> str:
    header = base64url(b'{"alg":"none","kid":"one"}')
    return f"{header}.{remote.token().split('.')[1]}."


def _confused(remote: FakeIssuer) -> str:
    """HMAC under the public key, which everybody has."""
    public = (
        remote.keys[0]
        .private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    header = base64url(b'{"alg":"HS256","kid":"one"}')
    payload = remote.token().split(".")[1]
    spoken = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{header}.{payload}.{base64url(spoken.sign(f'{header}.{payload}'.encode(), public))}"


def _of_another(remote: FakeIssuer) -> str:
    return remote.token(SigningKey("one"))


def _changed(remote: FakeIssuer) -> str:
    header, _, signature = remote.token().split(".")
    claims = {"iss": remote.url, "aud": "polyroute", "sub": "root", "exp": time.time() + 300}
    return f"{header}.{base64url(json.dumps(claims).encode())}.{signature}"


def _brings_its_own_key(remote: FakeIssuer) -> str:
    mine = SigningKey("mine")
    return remote.token(mine, header={"jwk": mine.jwk(), "jku": f"{remote.url}/mine"})


def _of_another_kind(remote: FakeIssuer) -> str:
    """The name of a listed key, signed with another algorithm that is allowed."""
    return remote.token(SigningKey("one", "EdDSA"))


@pytest.mark.parametrize("forge", [_unsigned, _confused, _of_another, _changed, _brings_its_own_key, _of_another_kind])
async def test_forged_tokens_are_refused(
    remote: FakeIssuer, local: tuple[Issuer, Clock], forge: Callable[[FakeIssuer], str]
) -> None:
    with pytest.raises(Unauthenticated):
        await local[0].claims(forge(remote))
    assert "/mine" not in remote.asked


@pytest.mark.parametrize(
    "token",
    [
        "",
        "eyJ",
        "a.b.c",
        "eyJhbGciOiJFUzI1NiJ9..",
        "eyJhbGciOlsxXX0.e30.AA",
        "ü.ü.ü",
        "bnVsbA.e30.AA",
        "." * 50,
        "\udcff.a.b",
    ],
)
async def test_what_is_no_token_is_refused(remote: FakeIssuer, local: tuple[Issuer, Clock], token: str) -> None:
    with pytest.raises(Unauthenticated):
        await local[0].claims(token)


async def test_extensions_that_are_not_known_are_refused(remote: FakeIssuer, local: tuple[Issuer, Clock]) -> None:
    with pytest.raises(Unauthenticated, match="crit"):
        await local[0].claims(remote.token(header={"crit": ["b64"], "b64": False}))


@pytest.mark.filterwarnings("ignore")
async def test_short_keys_and_keys_of_other_uses_are_not_taken(remote: FakeIssuer, local: tuple[Issuer, Clock]) -> None:
    short = SigningKey("short", "RS256", bits=1024)
    secret = {"kty": "oct", "kid": "secret", "k": base64url(b"x" * 32), "alg": "HS256"}
    sealing = {**SigningKey("sealing").jwk(), "use": "enc"}
    broken = {**SigningKey("broken").jwk(), "x": "AA"}
    listed = [short.jwk(), secret, sealing, broken, 7, {"kty": ["EC"]}]
    remote.pages["/keys"] = (200, json.dumps({"keys": listed}).encode())
    with pytest.raises(StoreError):
        await local[0].claims(remote.token(short))


@pytest.mark.parametrize(
    ("path", "page"),
    [
        (DISCOVERY, (500, b"{}")),
        (DISCOVERY, (302, b"{}")),
        (DISCOVERY, (200, b"<html>")),
        (DISCOVERY, (200, b"[]")),
        (DISCOVERY, (200, b'{"issuer":"https://evil.example","jwks_uri":"http://127.0.0.1/"}')),
        (DISCOVERY, (200, b'{"issuer":"ISSUER"}')),
        (DISCOVERY, (200, b'{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}')),
        ("/keys", (200, b'{"keys":{}}')),
        ("/keys", (200, b" " * 300_000)),
        ("/keys", (404, b"{}")),
    ],
)
async def test_an_issuer_that_cannot_be_asked_is_no_fault_of_the_token(
    remote: FakeIssuer, local: tuple[Issuer, Clock], path: str, page: tuple[int, bytes]
) -> None:
    issuer, clock = local
    remote.pages[path] = (page[0], page[1].replace(b"ISSUER", remote.url.encode()))
    for _ in range(5):
        with pytest.raises(StoreError, match="try again"):
            await issuer.claims(remote.token())
    assert remote.asked.count(DISCOVERY) == 1  # it is left in peace for a while
    del remote.pages[path]
    clock.now_s += 30
    assert (await issuer.claims(remote.token()))["sub"] == "ada"


async def test_old_keys_serve_for_a_day_while_the_issuer_is_away(
    remote: FakeIssuer, local: tuple[Issuer, Clock]
) -> None:
    issuer, clock = local
    token = remote.token()
    await issuer.claims(token)
    remote.pages[DISCOVERY] = (500, b"{}")
    clock.now_s += 80_000
    assert (await issuer.claims(token))["sub"] == "ada"
    clock.now_s += 10_000
    with pytest.raises(StoreError):
        await issuer.claims(token)


async def test_the_documents_own_address_of_the_keys_needs_no_discovery(remote: FakeIssuer) -> None:
    transport = open_transport()
    issuer = Issuer(remote.url, transport, Clock(), jwks_url=f"{remote.url}/keys")
    assert (await issuer.claims(remote.token()))["sub"] == "ada"
    assert remote.asked == ["/keys"]
    await transport.aclose()
