"""Reranking: documents in the order in which they answer a query. Cohere's form, which Jina, vLLM and others share.

Sources: Cohere API v2 "Rerank", Jina "Reranker API", vLLM "OpenAI-compatible server: Re-rank API". One search is a
query with up to 100 documents, where a document longer than 500 tokens counts once for each 500 (Cohere, "How does
pricing work", 2025); where that depends on the tokens, the bound takes each byte for one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from polyroute.dialects.fields import array, boolean, integer, missing, wrong
from polyroute.dialects.openai_operation import (
    OpenAIOperation,
    decode,
    fail,
    further,
    given_text,
    model_of,
    said_by_user,
    tokens_of,
)
from polyroute.types.content import Opaque, text_of
from polyroute.types.request import Operation, Request, Wire
from polyroute.types.response import Choice, Response, StopReason, Units, Usage

NAME = "rerank"
MAX_DOCUMENTS = 10_000  # Cohere's limit: 10,000
_MAX_QUERY = 1_000_000  # characters
_PER_SEARCH, _CHUNK_TOKENS = 100, 500
_KNOWN = frozenset({"model", "query", "documents"})


class _Result(Struct):
    relevance_score: float
    index: int
    document: dict[str, Any] | str | None = None


class _WireUsage(Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Billed(Struct):
    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Billed | None = None


class _Answer(Struct):
    results: list[_Result] | None = None
    data: list[_Result] | None = None  # Voyage
    id: str = ""
    model: str | None = None
    usage: _WireUsage | None = None
    meta: _Meta | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class Rerank(OpenAIOperation):
    name = NAME
    operation: Operation = "rerank"
    path = "/rerank"

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        model = model_of(body)
        query = body.get("query")
        if query is None:
            missing("query", "the text that the documents are ranked for")
        documents = _read_documents(body.get("documents"))
        extensions = further(body, _KNOWN)
        if "top_n" in extensions:
            integer(extensions["top_n"], "top_n", 1)
        if "return_documents" in extensions:
            boolean(extensions["return_documents"], "return_documents")
        return Request(
            model=model,
            operation="rerank",
            messages=said_by_user(given_text(query, "query", _MAX_QUERY), *documents),
            units=_searches(documents),
            extensions=extensions,
            wire=Wire(dialect=NAME, body=body),
        )

    def write_body(self, request: Request) -> dict[str, Any]:
        query, *documents = (text_of(message.parts) for message in request.messages)
        return {"query": query, "documents": documents}

    def parse_response(self, body: bytes) -> Response:
        answer = decode(_ANSWER, body)
        results = answer.results if answer.results is not None else answer.data
        if results is None:
            fail(body, "it holds no results")
        choices = tuple(Choice(index=result.index, parts=(_part(result),), stop=StopReason.END) for result in results)
        return Response(id=answer.id, model=answer.model or "", choices=choices, usage=_usage(answer))

    def render_response(self, response: Response, request: Request) -> bytes:
        results = [part.raw for choice in response.choices for part in choice.parts if isinstance(part, Opaque)]
        counted = 0 if response.usage is None else response.usage.total_input_tokens
        searches = 0 if request.units is None else request.units.searches
        return orjson.dumps({
            "id": response.id,
            "model": response.model,
            "results": results,
            "usage": {"prompt_tokens": counted, "total_tokens": counted},
            "meta": {"billed_units": {"search_units": searches}},
        })  # fmt: skip


def _read_documents(value: object) -> list[str]:
    if value is None:
        missing("documents", "an array of texts")
    items = array(value, "documents")
    if not 0 < len(items) <= MAX_DOCUMENTS:
        wrong("documents", f"1 to {MAX_DOCUMENTS} documents", f"{len(items)} documents", code="out_of_range")
    return [_document(item, f"documents[{at}]") for at, item in enumerate(items)]


def _document(item: object, at: str) -> str:
    """A text, or an object whose texts are read one after another: Cohere v1's `text`, or fields to be ranked by."""
    if type(item) is str:
        return item
    texts = [value for value in item.values() if type(value) is str] if type(item) is dict else []
    return "\n".join(texts) if texts else wrong(at, "a text, or an object of texts", item)


def _searches(documents: list[str]) -> Units:
    sizes = [len(document.encode("utf-8", "surrogatepass")) for document in documents]
    chunks = sum(max(1, -(-size // _CHUNK_TOKENS)) for size in sizes)
    return Units(searches=-(-chunks // _PER_SEARCH), estimated=max(sizes) > _CHUNK_TOKENS)


def _part(result: _Result) -> Opaque:
    raw: dict[str, object] = {"index": result.index, "relevance_score": result.relevance_score}
    if result.document is not None:
        raw["document"] = result.document
    return Opaque(dialect=NAME, kind="result", raw=raw)


def _usage(answer: _Answer) -> Usage | None:
    billed = answer.meta.billed_units if answer.meta is not None else None
    searches = int(billed.search_units or 0) if billed is not None else 0
    told = answer.usage
    usage = None if told is None else tokens_of(inputs=told.prompt_tokens or None, total=told.total_tokens)
    if usage is None and billed is not None and billed.input_tokens:
        usage = tokens_of(inputs=int(billed.input_tokens))
    if searches > 0:
        return msgspec.structs.replace(usage or Usage(), units=Units(searches=searches))
    return usage
