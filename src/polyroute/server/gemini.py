"""Gemini's own paths, `/v1beta/models/{model}:generateContent` and its like: what Google's SDKs call.

The model and the verb stand in the path; they are put into the body, where the dialect reads them. A model's name may
hold slashes: a route's, a provider's. Without `alt=sse` a stream is one JSON array, as at Google.
"""

from collections.abc import Awaitable, Callable

import orjson

from polyroute.dialects.gemini.count import parse_count_request, render_count
from polyroute.errors import UnknownModel, UnknownObject
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.models import answer_body
from polyroute.server.services import Services

DIALECT = "gemini"
ARRAY = "gemini_array"  # the same, streamed as an array
_VERSIONS = ("/v1beta", "/v1")
_NAMES = ("{id}", "{provider}/{id}", "{provider}/{owner}/{id}")

Verb = Callable[[Exchange, Services, str], Awaitable[None]]


async def call(exchange: Exchange, services: Services) -> None:
    name, _, verb = "/".join(exchange.variables.values()).rpartition(":")
    answer = _VERBS.get(verb)
    if answer is None or not name:
        methods = ", ".join(f"`:{known}`" for known in _VERBS)
        raise UnknownObject(f"there is nothing at POST {exchange.path[:200]}: after a model's name comes {methods}")
    await answer(exchange, services, name)


async def models(exchange: Exchange, services: Services) -> None:
    names = [name for name in services.path.routes.names if _may_use(exchange, name)]
    await exchange.reply(200, orjson.dumps({"models": [_model(name) for name in names]}), [])


async def model(exchange: Exchange, services: Services) -> None:
    name = "/".join(exchange.variables.values())
    if name not in services.path.routes.names or not _may_use(exchange, name):
        raise UnknownModel(f"the model `{name[:120]}` does not exist")
    await exchange.reply(200, orjson.dumps(_model(name)), [])


def is_googles(exchange: Exchange) -> bool:
    """Whether one of Google's SDKs asks: its newer ones list models at the path that is OpenAI's too."""
    return "x-goog-api-client" in exchange.headers


def endpoints() -> list[Endpoint]:
    calls = [
        Endpoint(
            method="POST",
            path=f"{version}/models/{name}",
            handler=call,
            summary="Content, whole or streamed, embeddings, a count of tokens: Gemini's shape",
            dialect=DIALECT,
        )
        for version in _VERSIONS
        for name in _NAMES
    ]
    listed = Endpoint(
        method="GET",
        path="/v1beta/models",
        handler=models,
        action="models:read",
        summary="Routes and models, Gemini's shape",
        dialect=DIALECT,
    )
    single = [
        Endpoint(
            method="GET",
            path=f"/v1beta/models/{name}",
            handler=model,
            action="models:read",
            summary="One route or model, Gemini's shape",
            dialect=DIALECT,
        )
        for name in _NAMES
    ]
    return [*calls, listed, *single]


async def _generate(exchange: Exchange, services: Services, name: str) -> None:
    await _answer(exchange, services, name, door=DIALECT, stream=False)


async def _stream(exchange: Exchange, services: Services, name: str) -> None:
    door = DIALECT if exchange.query.get("alt") == "sse" else ARRAY
    await _answer(exchange, services, name, door=door, stream=True)


async def _embed(exchange: Exchange, services: Services, name: str) -> None:
    await _answer(exchange, services, name, door="gemini_embeddings", stream=False)


async def _answer(exchange: Exchange, services: Services, name: str, *, door: str, stream: bool) -> None:
    body = await exchange.json(services.max_body_bytes)
    body["model"], body["stream"] = name, stream
    await answer_body(exchange, services, door, body)


async def _count(exchange: Exchange, services: Services, name: str) -> None:
    """The provider's own count where it counts, else an estimate of ours that says so."""
    body = await exchange.json(services.max_body_bytes)
    request = parse_count_request({**body, "model": name})
    counted = await services.path.counting.count(request, exchange.caller)
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode())]
    if counted is None:
        counted = services.path.counting.estimate(request, exchange.caller)
        headers.append((b"x-polyroute-estimated", b"true"))
    await exchange.reply(200, render_count(counted), headers)


_VERBS: dict[str, Verb] = {
    "generateContent": _generate,
    "streamGenerateContent": _stream,
    "countTokens": _count,
    "embedContent": _embed,
    "batchEmbedContents": _embed,
}


def _model(name: str) -> dict[str, object]:
    return {
        "name": f"models/{name}",
        "baseModelId": name,
        "version": "",
        "displayName": name,
        "supportedGenerationMethods": list(_VERBS),
    }


def _may_use(exchange: Exchange, name: str) -> bool:
    return exchange.caller.models is None or name in exchange.caller.models
