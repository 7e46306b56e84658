"""Bedrock's own paths, `/model/{modelId}/converse` and `/model/{modelId}/converse-stream`: what an AWS SDK calls.

The model and the verb stand in the path; they are put into the body, where the dialect reads them. A model's id may
hold slashes, escaped or not: a route's, a provider's, an ARN's.
"""

from msgspec import Struct

from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.models import answer_body
from polyroute.server.services import Services

DIALECT = "bedrock_converse"
_NAMES = ("{modelId}", "{provider}/{modelId}", "{provider}/{owner}/{modelId}")
_VERBS = (("converse", False, "Converse, Bedrock's shape"), ("converse-stream", True, "Converse, as an event stream"))


class BedrockDoor(Struct, frozen=True, kw_only=True):
    streams: bool

    async def __call__(self, exchange: Exchange, services: Services) -> None:
        body = await exchange.json(services.max_body_bytes)
        body["model"] = "/".join(exchange.variables.values())
        body["stream"] = self.streams
        await answer_body(exchange, services, DIALECT, body)


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            method="POST",
            path=f"/model/{name}/{verb}",
            handler=BedrockDoor(streams=streams),
            summary=summary,
            dialect=DIALECT,
        )
        for name in _NAMES
        for verb, streams, summary in _VERBS
    ]
