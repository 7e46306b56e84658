"""Requests signed with AWS credentials (Signature Version 4): a transport before the transport.

The signer and the usual chain of credentials (environment, profiles, container and instance roles, SSO) are
botocore's; this is the one module that touches it, and it is loaded only where a document needs it. Looking
credentials up and renewing them may block, so that it is done in a thread, once for all who wait.
Source: AWS, "Signature Version 4 signing process"; boto3, "Credentials".
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from polyroute.errors import AuthRejected, ProviderTimeout
from polyroute.ports import Transport, UpstreamReply
from polyroute.providers.http import SealedHeaders
from polyroute.providers.transport.address import parse_url
from polyroute.types.cards import Deadlines

SERVICE = "bedrock"
_MISSING = "no AWS credentials were found: set `credentials` or `api_key`, or AWS_ACCESS_KEY_ID and its secret"


class Pair(Protocol):
    """Credentials as botocore holds them; reading them may renew them first."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials: ...


class Wallet:
    """Credentials that are at hand when they are needed."""

    def __init__(self, find: Callable[[], Pair | None]) -> None:
        """`find` may block, and is asked once."""
        self._find = find
        self._pair: Pair | None = None
        self._lookup: asyncio.Task[ReadOnlyCredentials] | None = None

    def __repr__(self) -> str:
        return "<AWS credentials>"

    async def current(self, patience_s: float) -> ReadOnlyCredentials:
        """Raises AuthRejected where there are none, and ProviderTimeout where they do not come in time."""
        pair = self._pair
        if pair is not None and not (isinstance(pair, RefreshableCredentials) and pair.refresh_needed()):
            return pair.get_frozen_credentials()
        if self._lookup is None or self._lookup.done():
            self._lookup = asyncio.create_task(asyncio.to_thread(self._fetch))
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(self._lookup)
        except TimeoutError as exc:
            raise ProviderTimeout("AWS credentials did not come in time", phase="connect") from exc
        except (BotoCoreError, ClientError) as exc:
            raise AuthRejected(f"AWS credentials could not be had: {type(exc).__name__}") from exc

    def _fetch(self) -> ReadOnlyCredentials:
        if self._pair is None:
            self._pair = self._find()
        if self._pair is None:
            raise AuthRejected(_MISSING)
        return self._pair.get_frozen_credentials()


def given_wallet(access_key: str, secret_key: str, session_token: str | None) -> Wallet:
    """Credentials that the document names."""
    pair = Credentials(access_key, secret_key, session_token)
    return Wallet(lambda: pair)


def usual_wallet() -> Wallet:
    """Credentials as any AWS tool on this machine would find them."""
    return Wallet(lambda: Session().get_credentials())


def usual_region() -> str | None:
    """The region of the environment or of the profile in use."""
    region = Session().get_config_variable("region")
    return region if isinstance(region, str) else None


class SigningTransport:
    """Fulfils the port `Transport`: signs each call, and leaves the rest to the transport behind it."""

    def __init__(self, behind: Transport, wallet: Wallet, region: str) -> None:
        self._behind = behind
        self._wallet = wallet
        self._region = region

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        return await self._behind.post(url, body, await self._signed("POST", url, body, headers, deadlines), deadlines)

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        return await self._behind.get(url, await self._signed("GET", url, b"", headers, deadlines), deadlines)

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply:
        return await self._behind.delete(url, await self._signed("DELETE", url, b"", headers, deadlines), deadlines)

    async def aclose(self) -> None:
        """The transport behind is shared, and closed by whoever opened it."""

    async def _signed(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines
    ) -> SealedHeaders:
        """`headers` with the signature's. Only what no hop may change is signed: host, media type, AWS's own."""
        pair = await self._wallet.current(deadlines.connect_s)
        covered = {"host": parse_url(url).authority, "content-type": headers.get("content-type", "application/json")}
        request = AWSRequest(method=method, url=url, data=body, headers=covered)
        SigV4Auth(pair, SERVICE, self._region).add_auth(request)
        added = {name.lower(): value for name, value in request.headers.items() if name.lower() not in covered}
        return SealedHeaders({**headers, **added})
