"""`POST /v1/classify`: texts to the classes of one of the document's classifiers."""

from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.server.exchange import Exchange
from polyroute.server.models import entry_of
from polyroute.server.services import Services
from polyroute.types.encoding import to_json
from polyroute.types.request import Request
from polyroute.types.response import Response

MOST_TEXTS = 1_000


async def classify(exchange: Exchange, services: Services) -> None:
    """The body is `{classifier, text}` or `{classifier, texts}`; a document's only classifier needs no name."""
    body = await exchange.json(services.max_body_bytes)
    name, texts = body.get("classifier"), body.get("texts", [body["text"]] if "text" in body else None)
    if name is not None and not isinstance(name, str):
        raise InvalidRequest("`classifier` must be a name", field="classifier")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("give `text`, or `texts`: a list of texts", field="texts")
    if len(texts) > MOST_TEXTS:
        raise InvalidRequest(f"`texts` has {len(texts)} entries; at most {MOST_TEXTS} at once", field="texts")

    async def ask(model: str, request: Request, *, purpose: str) -> Response:
        """Each a request of its own, with its receipt; the caller must be allowed the model."""
        entry = replace(entry_of(exchange, "classify", {}), request_id=services.new_request_id(), task=purpose)
        answer = await services.path.answer(request, exchange.caller, entry)
        return services.path.read(request, answer.reply)

    name = services.sorter.find(name)
    found = await services.sorter.classed(name, texts, ask)
    results = [
        {"label": each.label, "score": each.score, **({"fault": each.fault} if each.fault else {})} for each in found
    ]
    told = {"classifier": name, "version": found[0].classifier if found else None, "results": results}
    await exchange.reply(200, to_json(told), [])
