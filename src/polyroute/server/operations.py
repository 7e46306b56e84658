"""The doors beside chat: completions, embeddings, moderations, reranking, images and audio.

Each sends its request along the same path and answers in its own dialect. Uploads and sound differ from JSON in how
they come and go, and in nothing else.
"""

from contextlib import aclosing

from msgspec import Struct

from polyroute.dialects.multipart import FORM, fields_of, read_form
from polyroute.server.endpoints import Endpoint
from polyroute.server.exchange import Exchange
from polyroute.server.headers import media_type, report
from polyroute.server.models import ModelDoor, answer_body, answer_headers, entry_of
from polyroute.server.services import Services
from polyroute.types.response import Ended, Started

_OF_ANYTHING = "application/octet-stream"
_DOORS = (
    ("/completions", "openai_completions", "Legacy completion, OpenAI's shape"),
    ("/embeddings", "openai_embeddings", "Embeddings, OpenAI's shape"),
    ("/moderations", "openai_moderations", "Moderation, OpenAI's shape"),
    ("/images/generations", "openai_images", "Images of a text, OpenAI's shape"),
    ("/rerank", "rerank", "Documents ranked for a query, Cohere's and Jina's shape"),
)


def endpoints() -> list[Endpoint]:
    plain = [
        Endpoint(method="POST", path=f"{root}{path}", handler=ModelDoor(dialect=dialect), summary=summary)
        for path, dialect, summary in _DOORS
        for root in ("/v1", "")
    ]
    heard = [
        Endpoint(
            method="POST", path=f"{root}/audio/{name}", handler=UploadDoor(dialect=f"openai_{name}"), summary=summary
        )
        for name, summary in (
            ("transcriptions", "The words of a recording, OpenAI's shape"),
            ("translations", "The words of a recording in English, OpenAI's shape"),
        )
        for root in ("/v1", "")
    ]
    edited = [
        Endpoint(
            method="POST",
            path=f"{root}/images/{name}",
            handler=UploadDoor(dialect=f"openai_image_{name}"),
            summary=summary,
        )
        for name, summary in (
            ("edits", "Images made of uploaded ones and a text, OpenAI's shape"),
            ("variations", "Variations of an uploaded image, OpenAI's shape"),
        )
        for root in ("/v1", "")
    ]
    spoken = [
        Endpoint(method="POST", path=f"{root}/audio/speech", handler=speak, summary="A text spoken, OpenAI's shape")
        for root in ("/v1", "")
    ]
    again = Endpoint(method="POST", path="/v2/rerank", handler=ModelDoor(dialect="rerank"), summary="As /v1/rerank")
    return [*plain, again, *heard, *edited, *spoken]


class UploadDoor(Struct, frozen=True, kw_only=True):
    """A path where callers upload a recording or images; or send a JSON body that holds them."""

    dialect: str

    async def __call__(self, exchange: Exchange, services: Services) -> None:
        content_type, limit_bytes = exchange.headers.get("content-type", ""), services.max_body_bytes
        if content_type.lower().startswith("application/json"):
            body = await exchange.json(limit_bytes)
        else:
            form = read_form(await exchange.body(limit_bytes), content_type)
            body = {**fields_of(form), FORM: form}
        await answer_body(exchange, services, self.dialect, body)


async def speak(exchange: Exchange, services: Services) -> None:
    """Sound is sent as it arrives. Where it breaks off, so does the connection: nothing can be said inside it."""
    dialect = services.dialects["openai_speech"]
    request = dialect.parse_request(await exchange.json(services.max_body_bytes), exchange.headers)
    live = await services.path.stream(request, exchange.caller, entry_of(exchange, dialect.name, {}))
    writer = dialect.open_writer(request)
    try:
        async with aclosing(live.chunks()) as chunks:
            async for chunk in chunks:
                if not exchange.started:
                    told = chunk.media_type if isinstance(chunk, Started) else None
                    headers = answer_headers(exchange, services, live.receipt, final=False)
                    await exchange.start_events(media_type(told or _OF_ANYTHING), headers)
                if isinstance(chunk, Ended):
                    await exchange.end_events(writer.end(chunk, report(live.receipt)))
                elif data := writer.write(chunk):
                    await exchange.send_events(data)
    finally:
        await live.aclose()
