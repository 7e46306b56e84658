"""Endpoints that read: the dry run, receipts, the list of models, token counts."""

import asyncio

import orjson
from msgspec.structs import replace

from polyroute.authorisation import Resource, allowed
from polyroute.config.document import kept_for
from polyroute.errors import UnknownModel, UnknownObject
from polyroute.preview import preview
from polyroute.server import gemini
from polyroute.server.exchange import Exchange
from polyroute.server.models import entry_of
from polyroute.server.services import Services
from polyroute.state.reviews import review_id
from polyroute.types.access import Caller
from polyroute.types.encoding import to_json
from polyroute.types.receipt import Receipt


async def route(exchange: Exchange, services: Services) -> None:
    """The body is a chat completion's, or `{model, input}` with the text alone."""
    body = await exchange.json(services.max_body_bytes)
    if "messages" not in body and isinstance(body.get("input"), str):
        body = {**body, "messages": [{"role": "user", "content": body["input"]}]}
        del body["input"]
    body.setdefault("model", "auto")
    request = services.dialects["openai_chat"].parse_request(body, exchange.headers)
    prepared = await services.path.foresee(request, exchange.caller, entry_of(exchange, "route", request.metadata))
    await exchange.reply(200, to_json(preview(prepared)), [])


async def receipt(exchange: Exchange, services: Services) -> None:
    """A foreign receipt and one that is not there look the same."""
    wanted = exchange.variables["id"]
    found = await services.ledger.receipt(wanted)
    if found is None or not may_read(exchange.caller, found):
        raise UnknownObject(f"there is no receipt `{wanted[:80]}`{kept_for(services.document.store.retention)}")
    if found.review is not None:
        state = await asyncio.to_thread(services.reviews.state_of, review_id(found.request_id))
        found = replace(found, review=state or found.review)
    if said := await asyncio.to_thread(services.feedback.of, found.request_id):
        found = replace(found, feedback=said)
    await exchange.reply(200, to_json(found), [])


async def models(exchange: Exchange, services: Services) -> None:
    if gemini.is_googles(exchange):
        await gemini.models(exchange, services)
        return
    listed = [_model(name, services) for name in services.path.routes.names if _may_use(exchange.caller, name)]
    await exchange.reply(200, orjson.dumps({"object": "list", "data": listed}), [])


async def model(exchange: Exchange, services: Services) -> None:
    if gemini.is_googles(exchange):
        await gemini.model(exchange, services)
        return
    name = "/".join(exchange.variables.values())
    if name not in services.path.routes.names or not _may_use(exchange.caller, name):
        raise UnknownModel(f"the model `{name[:120]}` does not exist")
    await exchange.reply(200, orjson.dumps(_model(name, services)), [])


async def count_tokens(exchange: Exchange, services: Services) -> None:
    """Anthropic's count: the provider's own where it counts, else an estimate of ours that says so."""
    dialect = services.dialects["anthropic_messages"]
    body = await exchange.json(services.max_body_bytes)
    request = dialect.parse_request({"max_tokens": 1, **body}, exchange.headers)
    counted = await services.path.counting.count(request, exchange.caller)
    headers = [(b"x-polyroute-request-id", exchange.request_id.encode())]
    if counted is None:
        counted = services.path.counting.estimate(request, exchange.caller)
        headers.append((b"x-polyroute-estimated", b"true"))
    await exchange.reply(200, orjson.dumps({"input_tokens": counted}), headers)


def _model(name: str, services: Services) -> dict[str, object]:
    owner = (
        "polyroute" if services.path.routes.is_route(name) else services.path.routes.find(name).deployments[0].provider
    )
    return {"id": name, "object": "model", "created": services.started_at_s, "owned_by": owner}


def _may_use(caller: Caller, name: str) -> bool:
    return caller.models is None or name in caller.models


def may_read(caller: Caller, found: Receipt) -> bool:
    owner = found.caller
    return allowed(caller, "receipts:read", Resource(tenant=owner.tenant, team=owner.team, user=owner.user))
