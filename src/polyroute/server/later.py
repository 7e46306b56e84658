"""Paths of the public interface that this version does not offer yet: a shaped 501, never a silent 404."""

from polyroute.errors import Unsupported
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services

ADMIN = (
    "pipelines", "economics",
)  # fmt: skip
PATHS: tuple[tuple[str, str], ...] = (
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("GET", "/v1/files/{id}"),
    ("DELETE", "/v1/files/{id}"),
    ("GET", "/v1/files/{id}/content"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches"),
    ("GET", "/v1/batches/{id}"),
    ("POST", "/v1/batches/{id}/cancel"),
    ("GET", "/v1/collections"),
    ("POST", "/v1/collections"),
    ("GET", "/v1/collections/{name}"),
    ("POST", "/v1/collections/{name}"),
    ("DELETE", "/v1/collections/{name}"),
    ("POST", "/v1/collections/{name}/documents"),
    ("POST", "/v1/collections/{name}/search"),
    ("POST", "/v1/pipelines/{name}/runs"),
    ("GET", "/v1/runs/{id}"),
    ("GET", "/requests/{id}"),
    *((method, f"/admin/{name}") for name in ADMIN for method in ("GET", "POST")),
    *((method, f"/admin/{name}/{{id}}") for name in ADMIN for method in ("GET", "PUT", "PATCH", "POST", "DELETE")),
)


async def later(exchange: Exchange, services: Services) -> None:
    raise Unsupported(f"{exchange.method} {exchange.path[:200]} is not offered by this version")
