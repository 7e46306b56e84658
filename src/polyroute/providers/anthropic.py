"""Anthropic, and every server that speaks its Messages API."""

from collections.abc import Mapping
from typing import Protocol

from polyroute.ports import Dialect, Transport, WireRequest
from polyroute.providers.http import HttpProvider, Secret
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.request import Request

BASE_URL = "https://api.anthropic.com"


class CountingDialect(Dialect, Protocol):
    """A dialect that can also ask how long a request is."""

    def render_count_request(self, request: Request, target: Deployment) -> WireRequest: ...

    def parse_count(self, body: bytes) -> int: ...


class Anthropic(HttpProvider):
    def __init__(
        self,
        *,
        dialect: CountingDialect,
        transport: Transport,
        base_url: str | None = None,
        api_key: Secret | None = None,
        headers: Mapping[str, Secret] | None = None,
        auth_header: str | None = None,
    ) -> None:
        """`auth_header`: where the key goes; None: `x-api-key`. `authorization` makes it a bearer."""
        name = (auth_header or "x-api-key").lower()
        credentials: dict[str, str] = {}
        if api_key is not None:
            key = api_key.reveal()
            credentials[name] = f"Bearer {key}" if name == "authorization" else key
        super().__init__(
            dialects=(dialect,),
            transport=transport,
            base_url=(base_url or BASE_URL).rstrip("/").removesuffix("/v1"),  # the dialect's paths begin with it
            credentials=credentials,
            headers=headers or {},
        )
        self._counting = dialect

    async def count_tokens(self, request: Request, target: Deployment, deadlines: Deadlines) -> int:
        """How many input tokens `request` is for `target`'s model. Raises ProviderError."""
        wire = self._counting.render_count_request(request, target)
        return self._counting.parse_count(await self._body(self._counting, wire, target, deadlines))
