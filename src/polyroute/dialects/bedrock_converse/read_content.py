"""Content blocks to parts: those of a caller's message and those of a model's answer are the same.

A block has one field, which names its kind. A kind without a canonical form is kept whole as `Opaque`; a cache point
marks the part before it. Raises InvalidRequest naming the field.
Source: Amazon Bedrock API reference, "ContentBlock", "ToolResultContentBlock", "SystemContentBlock".
"""

from collections.abc import Callable

from msgspec.structs import replace

from polyroute.dialects.arguments import INVALID_JSON
from polyroute.dialects.bedrock_converse.citations import read_citation
from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.json_text import json_text
from polyroute.dialects.plain_text import write_text
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Inline,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

NAME = "bedrock_converse"
SERVER_TOOL = "server_tool_use"  # of a call that the provider answers itself
TYPES = {  # of documents, by Bedrock's word for the format
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}

Block = dict[str, object]
_MARKABLE = (Text, Image, Document, ToolCall, ToolResult)


def read_parts(content: object, at: str, unmarked: list[str]) -> tuple[Part, ...]:
    """The parts of a list of blocks. Cache points that mark nothing we know of are noted in `unmarked`."""
    if content is None:
        missing(at, "an array of content blocks")
    parts: list[Part] = []
    for index, value in enumerate(array(content, at)):
        place = f"{at}[{index}]"
        block = mapping(value, place)
        if len(block) == 1 and type(words := block.get("text")) is str:
            parts.append(Text(text=words))
        elif "cachePoint" in block:
            mark = read_cache_point(block["cachePoint"], f"{place}.cachePoint")
            if parts and isinstance(last := parts[-1], _MARKABLE):
                parts[-1] = replace(last, cache=mark)
            else:
                unmarked.append("cachePoint")
        else:
            parts.append(_read_block(block, place))
    return tuple(parts)


def read_cache_point(value: object, at: str) -> CacheMark:
    point = mapping(value, at)
    one_of(point.get("type"), f"{at}.type", ("default",))
    ttl = point.get("ttl")
    return CacheMark(ttl=None if ttl is None else one_of(ttl, f"{at}.ttl", ("5m", "1h")))


def _read_block(block: Block, at: str) -> Part:
    kind = next((name for name, value in block.items() if value is not None), None)
    if kind is None:
        wrong(at, "a content block with one field that says its kind", block, code="invalid_value")
    read = _READERS.get(kind)
    if read is None:
        return Opaque(dialect=NAME, kind=kind, raw=block)
    return read(block, at)


def _text(block: Block, at: str) -> Text:
    return Text(text=text(block["text"], f"{at}.text"))


def _image(block: Block, at: str) -> Part:
    at += ".image"
    image = mapping(block["image"], at)
    data = _bytes(image, at)
    if data is None:
        return _elsewhere("image", block, image, at)
    return Image(media=Inline(media_type=f"image/{text(image.get('format'), f'{at}.format')}", data=data))


def _document(block: Block, at: str) -> Part:
    at += ".document"
    document = mapping(block["document"], at)
    media_type = _document_type(document.get("format"), f"{at}.format")
    source = mapping(document.get("source"), f"{at}.source")
    if (plain := source.get("text")) is not None:
        data: str | None = write_text(text(plain, f"{at}.source.text")).data
    elif source.get("content") is not None:
        media_type, data = "text/plain", write_text(_texts(source["content"], f"{at}.source.content")).data
    else:
        data = _bytes(document, at)
    if data is None:
        return _elsewhere("document", block, document, at)
    return Document(
        media=Inline(media_type=media_type, data=data),
        title=_optional_text(document, "name", at),
        context=_optional_text(document, "context", at),
        wants_citations=_wants_citations(document, at),
    )


def _search_result(block: Block, at: str) -> Document:
    """What a search of the caller's found: a document that says where it is from."""
    at += ".searchResult"
    found = mapping(block["searchResult"], at)
    return Document(
        media=write_text(_texts(found.get("content"), f"{at}.content")),
        title=_optional_text(found, "title", at),
        context=_optional_text(found, "source", at),
        wants_citations=_wants_citations(found, at),
    )


def _texts(content: object, at: str) -> str:
    """The words of blocks that may be text alone, a line for each."""
    blocks = [mapping(item, f"{at}[{index}]") for index, item in enumerate(array(content, at))]
    return "\n".join([text(block.get("text"), f"{at}[{index}].text") for index, block in enumerate(blocks)])


def _wants_citations(holder: Block, at: str) -> bool:
    citations = holder.get("citations")
    if citations is None:
        return False
    return boolean(mapping(citations, f"{at}.citations").get("enabled", False), f"{at}.citations.enabled")


def _document_type(value: object, at: str) -> str:
    return "text/plain" if value is None else TYPES[one_of(value, at, TYPES)]


def _bytes(holder: Block, at: str) -> str | None:
    """The base64 text of a source; None where only Bedrock knows such a source."""
    if holder.get("source") is None:
        missing(f"{at}.source", "where the bytes come from: {bytes}")
    source = mapping(holder["source"], f"{at}.source")
    data = source.get("bytes")
    return None if data is None or "s3Location" in source else text(data, f"{at}.source.bytes")


def _elsewhere(kind: str, block: Block, holder: Block, at: str) -> Opaque:
    """What comes otherwise than as bytes: a file in S3, which Bedrock reads with the credentials of the call."""
    source = {} if holder.get("source") is None else mapping(holder["source"], f"{at}.source")
    if "s3Location" not in source:
        return Opaque(dialect=NAME, kind=kind, raw=block)
    at += ".source.s3Location"
    uri = text(mapping(source["s3Location"], at).get("uri"), f"{at}.uri")
    if not uri.startswith("s3://"):
        wrong(f"{at}.uri", "an address that begins with s3://", uri, code="forbidden_url")
    return Opaque(dialect=NAME, kind=kind, raw=block, file=uri)


def _audio(block: Block, at: str) -> Part:
    at += ".audio"
    audio = mapping(block["audio"], at)
    data = _bytes(audio, at)
    if data is None:
        return _elsewhere("audio", block, audio, at)
    return Audio(data=data, format=text(audio.get("format"), f"{at}.format"))


def _video(block: Block, at: str) -> Part:
    at += ".video"
    return _elsewhere("video", block, mapping(block["video"], at), at)


def _reasoning(block: Block, at: str) -> Thinking:
    at += ".reasoningContent"
    reasoning = mapping(block["reasoningContent"], at)
    if (redacted := reasoning.get("redactedContent")) is not None:
        return Thinking(text="", redacted=text(redacted, f"{at}.redactedContent"))
    at += ".reasoningText"
    shown = mapping(reasoning.get("reasoningText"), at)
    return Thinking(text=text(shown.get("text", ""), f"{at}.text"), signature=_optional_text(shown, "signature", at))


def _tool_use(block: Block, at: str) -> Part:
    at += ".toolUse"
    call = mapping(block["toolUse"], at)
    if call.get("type") == SERVER_TOOL:
        return Opaque(dialect=NAME, kind=SERVER_TOOL, raw=block)
    given = call.get("input")
    broken = given.get(INVALID_JSON) if isinstance(given, dict) else None
    return ToolCall(
        id=text(call.get("toolUseId"), f"{at}.toolUseId"),
        name=text(call.get("name"), f"{at}.name"),
        arguments=broken if isinstance(broken, str) else "{}" if given is None else json_text(given),
    )


def _tool_result(block: Block, at: str) -> Part:
    at += ".toolResult"
    result = mapping(block["toolResult"], at)
    if result.get("type") is not None:
        return Opaque(dialect=NAME, kind="server_tool_result", raw=block)
    status = result.get("status")
    parts: list[Text | Image | Document | Opaque] = []
    content = result.get("content")
    for index, value in enumerate(() if content is None else array(content, f"{at}.content")):
        place = f"{at}.content[{index}]"
        inner = mapping(value, place)
        if "json" in inner:
            parts.append(Text(text=json_text(inner["json"])))
            continue
        part = _read_block(inner, place)
        if not isinstance(part, Text | Image | Document | Opaque):
            wrong(place, "a json, text, image, document, video or searchResult block", type(part).__name__)
        parts.append(part)
    return ToolResult(
        call_id=text(result.get("toolUseId"), f"{at}.toolUseId"),
        parts=tuple(parts),
        is_error=status is not None and one_of(status, f"{at}.status", ("success", "error")) == "error",
    )


def _citations(block: Block, at: str) -> Text:
    at += ".citationsContent"
    cited = mapping(block["citationsContent"], at)
    content, citations = cited.get("content"), cited.get("citations")
    words = [
        text(mapping(item, f"{at}.content[{index}]").get("text", ""), f"{at}.content[{index}].text")
        for index, item in enumerate(() if content is None else array(content, f"{at}.content"))
    ]
    found = () if citations is None else array(citations, f"{at}.citations")
    return Text(
        text="".join(words),
        citations=tuple([read_citation(mapping(item, f"{at}.citations[{index}]")) for index, item in enumerate(found)]),
    )


def _optional_text(block: Block, name: str, at: str) -> str | None:
    value = block.get(name)
    return None if value is None else text(value, f"{at}.{name}")


_READERS: dict[str, Callable[[Block, str], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "searchResult": _search_result,
    "audio": _audio,
    "video": _video,
    "reasoningContent": _reasoning,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "citationsContent": _citations,
}
