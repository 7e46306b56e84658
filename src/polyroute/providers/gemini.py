"""Google's Gemini API: AI Studio's, with a key, and Vertex's, with a bearer; and every server that speaks it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from polyroute.ports import Dialect, Transport, WireRequest
from polyroute.providers.http import HttpProvider, Secret
from polyroute.providers.transport.address import parse_url
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.request import Request
from polyroute.types.response import Reply

BASE_URL = "https://generativelanguage.googleapis.com"
VERSION = "/v1beta"


class CountingDialect(Dialect, Protocol):
    """A dialect that can also ask how long a request is."""

    def render_count_request(self, request: Request, target: Deployment, *, is_vertex: bool) -> WireRequest: ...

    def parse_count(self, body: bytes) -> int: ...


class Gemini(HttpProvider):
    def __init__(
        self,
        *,
        dialect: CountingDialect,
        others: Sequence[Dialect] = (),
        transport: Transport,
        base_url: str | None = None,
        api_key: Secret | None = None,
        headers: Mapping[str, Secret] | None = None,
        auth_header: str | None = None,
    ) -> None:
        """`base_url`: as the SDK is given it, with or without the version; Vertex's up to `publishers/google`.

        `auth_header`: where the key goes; None: `x-goog-api-key`. `authorization` makes it a bearer, Vertex's token.
        `others`: for operations that `dialect` does not serve.
        """
        name = (auth_header or "x-goog-api-key").lower()
        credentials: dict[str, str] = {}
        if api_key is not None:
            key = api_key.reveal()
            credentials[name] = f"Bearer {key}" if name == "authorization" else key
        base_url = (base_url or BASE_URL).rstrip("/").removesuffix("/models")
        if parse_url(base_url).target == "/":
            base_url += VERSION
        super().__init__(
            dialects=(dialect, *others),
            transport=transport,
            base_url=base_url,
            credentials=credentials,
            headers=headers or {},
        )
        self._counting = dialect
        self._is_vertex = "/publishers/" in base_url

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        """Vectors come without the name of what made them: it is the model that was asked."""
        reply = await super().complete(request, target, deadlines, max_output_tokens)
        if reply.model:
            return reply
        model, response = target.upstream_model, reply.response
        return replace(reply, model=model, response=None if response is None else replace(response, model=model))

    async def count_tokens(self, request: Request, target: Deployment, deadlines: Deadlines) -> int:
        """How many input tokens `request` is for `target`'s model. Raises ProviderError."""
        wire = self._counting.render_count_request(request, target, is_vertex=self._is_vertex)
        return self._counting.parse_count(await self._body(self._counting, wire, target, deadlines))
