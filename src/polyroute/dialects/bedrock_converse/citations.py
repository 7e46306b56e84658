"""What an answer's text rests on: Bedrock's citations, and the canonical ones, which are in Anthropic's words.

Those words are what the other doors already write (an address becomes `url_citation` at OpenAI's).
Source: Amazon Bedrock API reference, "Citation" and "CitationLocation"; platform.claude.com, "Citations".
"""

from collections.abc import Mapping

Citation = dict[str, object]

# Bedrock's location, Anthropic's type, and the names of its three numbers: which document, from where, to where.
_LOCATIONS = (
    ("documentChar", "char_location", "document_index", "start_char_index", "end_char_index"),
    ("documentPage", "page_location", "document_index", "start_page_number", "end_page_number"),
    ("documentChunk", "content_block_location", "document_index", "start_block_index", "end_block_index"),
    ("searchResultLocation", "search_result_location", "search_result_index", "start_block_index", "end_block_index"),
)
_INDEX = {"searchResultLocation": "searchResultIndex"}  # else documentIndex


def read_citation(given: Citation) -> Citation:
    """As it came where its location is none we know."""
    location = given.get("location")
    if not isinstance(location, dict):
        return given
    title, cited_text = given.get("title"), _cited_text(given.get("sourceContent"))
    if isinstance(web := location.get("web"), dict):
        return {"type": "web_search_result_location", "url": web.get("url"), "title": title, "cited_text": cited_text}
    for name, kind, index, start, end in _LOCATIONS:
        place = location.get(name)
        if isinstance(place, dict):
            numbers = {
                index: place.get(_INDEX.get(name, "documentIndex")),
                start: place.get("start"),
                end: place.get("end"),
            }
            if name == "searchResultLocation":
                return {
                    "type": kind,
                    "cited_text": cited_text,
                    "source": given.get("source"),
                    "title": title,
                    **numbers,
                }
            return {"type": kind, "cited_text": cited_text, "document_title": title, **numbers}
    return given


def write_citation(citation: Mapping[str, object]) -> Citation:
    cited = citation.get("url_citation")
    if isinstance(cited, dict):
        return _web(cited)
    if isinstance(citation.get("url"), str):
        return _web(citation)
    for name, kind, index, start, end in _LOCATIONS:
        if citation.get("type") == kind:
            numbers = {
                _INDEX.get(name, "documentIndex"): citation.get(index),
                "start": citation.get(start),
                "end": citation.get(end),
            }
            location = {name: {word: number for word, number in numbers.items() if number is not None}}
            return {**_words(citation), "location": location}
    return dict(citation) if "location" in citation else _words(citation)


def _web(cited: Mapping[str, object]) -> Citation:
    return {**_words(cited), "location": {"web": {"url": cited["url"]}}} if "url" in cited else _words(cited)


def _words(citation: Mapping[str, object]) -> Citation:
    written: Citation = {}
    if isinstance(title := citation.get("document_title") or citation.get("title"), str):
        written["title"] = title
    if isinstance(source := citation.get("source"), str):
        written["source"] = source
    if isinstance(words := citation.get("cited_text"), str) and words:
        written["sourceContent"] = [{"text": words}]
    return written


def _cited_text(content: object) -> str:
    items = content if isinstance(content, list) else []
    return "".join(words for item in items if isinstance(item, dict) and isinstance(words := item.get("text"), str))
