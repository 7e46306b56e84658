"""Paths of the public interface that this version does not offer yet: a shaped 501, never a silent 404."""

from polyroute.errors import Unsupported
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services

PATHS: tuple[tuple[str, str], ...] = (
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/moderations"),
    ("POST", "/v1/rerank"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("POST", "/v1/batches"),
    ("GET", "/v1/batches"),
    ("POST", "/v1beta/models/{call}"),
    ("GET", "/v1/reviews/{id}"),
    ("POST", "/v1/feedback"),
    ("POST", "/v1/pipelines/{name}/runs"),
    ("GET", "/v1/runs/{id}"),
    ("POST", "/admin/keys"),
    ("GET", "/admin/keys"),
)


async def later(exchange: Exchange, services: Services) -> None:
    raise Unsupported(f"{exchange.method} {exchange.path[:200]} is not offered by this version")
