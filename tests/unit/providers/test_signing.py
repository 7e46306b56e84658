"""Signed calls: which credentials, from where, and never on the event loop."""

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

from polyroute.errors import AuthRejected, ProviderTimeout
from polyroute.providers.signing import SigningTransport, Wallet, given_wallet
from polyroute.types.cards import Deadlines

URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude%3A0/converse"
PAIR = Credentials("AKIDEXAMPLE", "secret")


class Behind:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Any:
        self.headers = headers

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Any:
        self.headers = headers

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Any:
        self.headers = headers

    async def aclose(self) -> None:
        raise AssertionError("it is shared")


async def test_a_call_is_signed_and_shows_nothing() -> None:
    behind = Behind()
    transport = SigningTransport(behind, given_wallet("AKIDEXAMPLE", "secret", "token"), "us-east-1")
    await transport.post(URL, b"{}", {"accept": "x", "content-type": "application/json"}, Deadlines())
    scope = "us-east-1/bedrock/aws4_request"
    assert behind.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in behind.headers["authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in behind.headers["authorization"]
    assert behind.headers["x-amz-security-token"] == "token"
    assert behind.headers["accept"] == "x"
    assert "AKID" not in repr(behind.headers)
    assert "host" not in behind.headers
    await transport.get(URL, {}, Deadlines())
    assert "authorization" in behind.headers
    await transport.aclose()


async def test_credentials_are_looked_up_once_and_beside_the_loop() -> None:
    threads: list[int] = []

    def find() -> Credentials:
        threads.append(threading.get_ident())
        return PAIR

    wallet = Wallet(find)
    found = await asyncio.gather(*(wallet.current(5.0) for _ in range(5)))
    assert {pair.access_key for pair in found} == {"AKIDEXAMPLE"}
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_credentials_that_run_out_are_renewed_beside_the_loop() -> None:
    threads: list[int] = []
    now = datetime.now(UTC)

    def renew() -> dict[str, str]:
        threads.append(threading.get_ident())
        return fresh(f"AKID{len(threads)}", now + timedelta(hours=1))

    old = RefreshableCredentials("AKID0", "s", "t", now + timedelta(seconds=1), renew, "test")
    wallet = Wallet(lambda: old)
    assert (await wallet.current(5.0)).access_key == "AKID1"
    assert (await wallet.current(5.0)).access_key == "AKID1"
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def fresh(access_key: str, expires: datetime) -> dict[str, str]:
    return {"access_key": access_key, "secret_key": "s", "token": "t", "expiry_time": expires.isoformat()}


async def test_no_credentials_are_an_error_that_says_where_to_put_them() -> None:
    with pytest.raises(AuthRejected, match="AWS_ACCESS_KEY_ID"):
        await Wallet(lambda: None).current(5.0)


async def test_a_failed_look_up_is_told_without_its_details_and_tried_again() -> None:
    answers: list[Credentials | Exception] = [CredentialRetrievalError(provider="p", error_msg="secret path"), PAIR]

    def find() -> Credentials:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    wallet = Wallet(find)
    with pytest.raises(AuthRejected, match="CredentialRetrievalError") as caught:
        await wallet.current(5.0)
    assert "secret path" not in caught.value.message
    assert (await wallet.current(5.0)).access_key == "AKIDEXAMPLE"


async def test_a_look_up_that_hangs_is_a_timeout() -> None:
    gate = threading.Event()

    def find() -> Credentials:
        gate.wait(10)
        return PAIR

    wallet = Wallet(find)
    with pytest.raises(ProviderTimeout):
        await wallet.current(0.01)
    gate.set()
    assert (await wallet.current(5.0)).access_key == "AKIDEXAMPLE"


def test_a_wallet_shows_nothing() -> None:
    assert repr(given_wallet("AKIDEXAMPLE", "secret", None)) == "<AWS credentials>"
