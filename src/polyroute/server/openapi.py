"""The API's description, made from the table of endpoints that serves it."""

import orjson
from msgspec import Struct

import polyroute
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


class OpenApi(Struct, frozen=True, kw_only=True):
    endpoints: tuple[Endpoint, ...]

    async def __call__(self, exchange: Exchange, services: Services) -> None:
        await exchange.reply(200, orjson.dumps(describe(self.endpoints)), [])


def describe(endpoints: tuple[Endpoint, ...]) -> dict[str, object]:
    """OpenAPI 3.1. Bodies of model endpoints are their SDKs' own, and are not repeated here."""
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Polyroute", "version": polyroute.__version__},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": endpoint.summary,
        "responses": {
            "200": {"description": "Done"},
            "default": {
                "description": "An error that names the field and the fix",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    names = [segment[1:-1] for segment in endpoint.path.split("/") if segment[:1] == "{"]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if endpoint.method == "POST":
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    if endpoint.action is not None:
        operation["security"] = [{"bearer": []}, {"apiKey": []}]
    return operation
