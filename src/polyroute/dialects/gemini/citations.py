"""What an answer rests on: Gemini's grounding as citations in OpenAI's form, which every door can show, and back.

Gemini marks places by bytes of UTF-8, OpenAI by characters. Source: ai.google.dev, API reference "GroundingMetadata",
"CitationMetadata"; OpenAI's `url_citation`.
"""

from collections.abc import Iterable

from polyroute.dialects.gemini.names import Block
from polyroute.types.content import Part, Text


def is_grounded(candidate: Block) -> bool:
    return "groundingMetadata" in candidate or "citationMetadata" in candidate


def read_citations(candidate: Block, text: str) -> tuple[Block, ...]:
    """The sources of `text`, all that the candidate says; places count characters of it."""
    grounding = candidate.get("groundingMetadata")
    metadata = candidate.get("citationMetadata")
    if not isinstance(grounding, dict) and not isinstance(metadata, dict):
        return ()
    data = text.encode()
    found: list[Block] = []
    if isinstance(grounding, dict):
        sources = [_source(chunk) for chunk in _objects(grounding.get("groundingChunks"))]
        cited: set[int] = set()
        for support in _objects(grounding.get("groundingSupports")):
            segment, indices = support.get("segment"), support.get("groundingChunkIndices")
            for index in indices if isinstance(indices, list) else ():
                source = sources[index] if type(index) is int and 0 <= index < len(sources) else None
                if source is not None:
                    cited.add(index)
                    found.append(_citation(source, segment if isinstance(segment, dict) else {}, data))
        found += [_citation(s, {}, data) for index, s in enumerate(sources) if s is not None and index not in cited]
    if isinstance(metadata, dict):
        for name in ("citationSources", "citations"):  # AI Studio's, Vertex's
            for source in _objects(metadata.get(name)):
                if isinstance(source.get("uri"), str):
                    found.append(_citation(source, source, data))
    return tuple(found)


def write_grounding(parts: Iterable[Part]) -> Block | None:
    """The citations of an answer's texts as grounding; None where there are none that name an address."""
    chunks: list[Block] = []
    supports: list[Block] = []
    before = ""
    for part in parts:
        if not isinstance(part, Text):
            continue
        whole = before + part.text
        for citation in part.citations:
            inner = citation.get("url_citation")
            cited = inner if isinstance(inner, dict) else citation
            if not isinstance(cited.get("url"), str):
                continue
            start, end = cited.get("start_index"), cited.get("end_index")
            if type(start) is not int or type(end) is not int or not 0 <= start <= end:
                start, end = len(before), len(whole)
            source = {"uri": cited["url"], "title": cited.get("title") or cited["url"]}
            segment = {"startIndex": len(whole[:start].encode()), "endIndex": len(whole[:end].encode())}
            supports.append({"segment": segment, "groundingChunkIndices": [len(chunks)]})
            chunks.append({"web": source})
        before = whole
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None


def _source(chunk: Block) -> Block | None:
    """The source in a grounding chunk, where it has an address."""
    for value in chunk.values():
        if isinstance(value, dict) and isinstance(value.get("uri"), str):
            return value
    return None


def _citation(source: Block, segment: Block, data: bytes) -> Block:
    start, end = segment.get("startIndex"), segment.get("endIndex")
    cited: Block = {
        "url": source["uri"],
        "title": source.get("title"),
        "start_index": _characters(data, start if type(start) is int else 0),
        "end_index": _characters(data, end if type(end) is int else len(data)),
    }
    return {"type": "url_citation", "url_citation": cited}


def _characters(data: bytes, place: int) -> int:
    return len(data[: max(0, place)].decode("utf-8", "ignore"))


def _objects(value: object) -> list[Block]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
