"""`POST /v1/execute`: a task, an input and a strategy, without a wire format (`polyroute.calls`)."""

from msgspec.structs import asdict, replace

from polyroute.calls import outcome, parse_call, resolve
from polyroute.server.exchange import Exchange
from polyroute.server.models import answer_headers, entry_of
from polyroute.server.services import Services
from polyroute.types.encoding import to_json


async def execute(exchange: Exchange, services: Services) -> None:
    call = parse_call(await exchange.json(services.max_body_bytes))
    request, route = resolve(call, services.path.routes_for(exchange.caller), services.ad_hoc)
    entry = replace(entry_of(exchange, "execute", {}), route=route, task=call.task)
    answer = await services.path.answer(request, exchange.caller, entry)
    told = asdict(outcome(services.path.read(request, answer.reply), answer.receipt))
    del told["receipt"]  # by its id, at /v1/receipts/{id}
    await exchange.reply(200, to_json(told), answer_headers(exchange, services, answer.receipt, final=True))
