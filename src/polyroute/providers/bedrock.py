"""Amazon Bedrock: where a region's endpoint is, and what a failed call's headers add to its body."""

from collections.abc import Mapping
from typing import Protocol

from polyroute.errors import ProviderError
from polyroute.ports import Dialect, Transport, UpstreamReply
from polyroute.providers.http import HttpProvider, Secret, read_some
from polyroute.providers.retry_after import retry_after_s
from polyroute.providers.transport.address import parse_url

_ERROR_TYPE = "x-amzn-errortype"
_HOST = "bedrock-runtime"


class FailureDialect(Dialect, Protocol):
    """A dialect whose errors are named in a header."""

    def classify_failure(
        self, status: int, body: bytes, retry_after_s: float | None, error: str | None
    ) -> ProviderError: ...


class Bedrock(HttpProvider):
    def __init__(
        self,
        *,
        dialect: FailureDialect,
        transport: Transport,
        base_url: str,
        api_key: Secret | None = None,
        headers: Mapping[str, Secret] | None = None,
        auth_header: str | None = None,
    ) -> None:
        """`api_key`: a Bedrock API key; without one, `transport` signs each call."""
        name = (auth_header or "authorization").lower()
        credentials: dict[str, str] = {}
        if api_key is not None:
            key = api_key.reveal()
            credentials[name] = f"Bearer {key}" if name == "authorization" else key
        super().__init__(
            dialects=(dialect,), transport=transport, base_url=base_url, credentials=credentials, headers=headers or {}
        )
        self._failures = dialect

    async def _failure(self, dialect: Dialect, reply: UpstreamReply) -> ProviderError:
        wait_s = retry_after_s(reply.headers, self._utc_s())
        body = self._scrubbed(await read_some(reply.chunks()))
        return self._failures.classify_failure(reply.status, body, wait_s, reply.headers.get(_ERROR_TYPE))


def endpoint(region: str) -> str:
    """Source: AWS General Reference, "Amazon Bedrock endpoints and quotas"."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{_HOST}.{region}.{suffix}"


def region_of(base_url: str) -> str | None:
    """The region that an endpoint of AWS's names; None for any other address."""
    labels = parse_url(base_url).origin.host.split(".")
    return next((labels[at + 1] for at in range(len(labels) - 1) if labels[at].startswith(_HOST)), None)
