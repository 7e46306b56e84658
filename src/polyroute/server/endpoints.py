"""The table of endpoints: which path and method, who may call it, whose error shape it has.

The OpenAPI description, the access test and the router all read this one table.
"""

from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from polyroute.authorisation import Action
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services

Handler = Callable[[Exchange, Services], Awaitable[None]]

# The dialect of errors at paths that lead nowhere, by how they begin; else OpenAI's.
_SHAPES = (
    ("/v1/messages", "anthropic_messages"),
    ("/anthropic/", "anthropic_messages"),
    ("/model/", "bedrock_converse"),
    ("/v1beta/", "gemini"),
)


class Endpoint(Struct, frozen=True, kw_only=True):
    method: str
    path: str  # "/v1/receipts/{id}"; a variable is one whole segment
    handler: Handler
    summary: str
    action: Action | None = "models:call"  # what its caller must be granted; None: anybody may
    dialect: str = "openai_chat"  # of its errors
    always: bool = False  # answered however many come


class Found(Struct, frozen=True, kw_only=True):
    """What the router made of a path. Without an endpoint it is a 404, or a 405 that names the right methods."""

    dialect: str
    endpoint: Endpoint | None = None
    variables: Mapping[str, str] = {}
    allowed: tuple[str, ...] = ()


class Table:
    """Exact paths are one dictionary look-up; those with a variable are compared segment by segment."""

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self.endpoints = endpoints
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._patterns: list[tuple[tuple[str, ...], dict[str, Endpoint]]] = []
        for endpoint in endpoints:
            if "{" in endpoint.path:
                self._pattern(tuple(endpoint.path.split("/")))[endpoint.method] = endpoint
            else:
                self._exact.setdefault(endpoint.path, {})[endpoint.method] = endpoint

    def find(self, method: str, path: str) -> Found:
        methods = self._exact.get(path)
        variables: dict[str, str] = {}
        if methods is None:
            methods, variables = self._match(tuple(path.split("/")))
        dialect = next((name for start, name in _SHAPES if path.startswith(start)), "openai_chat")
        if methods is None:
            return Found(dialect=dialect)
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            return Found(dialect=dialect, allowed=tuple(sorted(methods)))
        return Found(dialect=endpoint.dialect, endpoint=endpoint, variables=variables)

    def _pattern(self, segments: tuple[str, ...]) -> dict[str, Endpoint]:
        for known, methods in self._patterns:
            if known == segments:
                return methods
        self._patterns.append((segments, {}))
        return self._patterns[-1][1]

    def _match(self, segments: tuple[str, ...]) -> tuple[dict[str, Endpoint] | None, dict[str, str]]:
        for known, methods in self._patterns:
            if len(known) == len(segments) and all(
                k == s or k[:1] == "{" for k, s in zip(known, segments, strict=True)
            ):
                names = {k[1:-1]: s for k, s in zip(known, segments, strict=True) if k[:1] == "{"}
                if all(names.values()):
                    return methods, names
        return None, {}
