"""Content blocks to parts: those of a caller's message and those of a model's answer are the same.

A block whose type has no canonical form is kept whole as `Opaque`. Raises InvalidRequest naming the field.
Source: platform.claude.com, API reference "Create a Message", content blocks.
"""

from collections.abc import Callable

from polyroute.dialects.arguments import INVALID_JSON
from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.json_text import json_text
from polyroute.dialects.plain_text import write_text
from polyroute.types.content import (
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Media,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

NAME = "anthropic_messages"

Block = dict[str, object]


def read_parts(content: object, at: str) -> tuple[Part, ...]:
    """The parts of a message's `content`: a string, or an array of blocks."""
    if type(content) is str:
        return (Text(text=content),)
    if content is None:
        missing(at, "a string or an array of content blocks")
    if type(content) is not list:
        wrong(at, "a string or an array of content blocks", content)
    return tuple([read_block(block, f"{at}[{index}]") for index, block in enumerate(content)])


def read_block(value: object, at: str) -> Part:
    block = mapping(value, at)
    kind = block.get("type")
    if type(kind) is not str:
        if kind is None:
            missing(f"{at}.type", "a content block's type")
        wrong(f"{at}.type", "a content block's type", kind)
    read = _READERS.get(kind)
    if read is not None:
        return read(block, at)
    file = text(block.get("file_id"), f"{at}.file_id") if kind == "container_upload" else None
    return Opaque(dialect=NAME, kind=kind, raw=block, file=file)


def read_cache_mark(holder: Block, at: str) -> CacheMark | None:
    value = holder.get("cache_control")
    if value is None:
        return None
    mark = mapping(value, f"{at}.cache_control")
    one_of(mark.get("type"), f"{at}.cache_control.type", ("ephemeral",))
    ttl = mark.get("ttl")
    return CacheMark(ttl=None if ttl is None else one_of(ttl, f"{at}.cache_control.ttl", ("5m", "1h")))


def _text(block: Block, at: str) -> Text:
    citations = block.get("citations")
    return Text(
        text=text(block.get("text"), f"{at}.text"),
        citations=()
        if citations is None
        else tuple([mapping(item, f"{at}.citations") for item in array(citations, f"{at}.citations")]),
        cache=read_cache_mark(block, at),
    )


def _image(block: Block, at: str) -> Part:
    media = _media(block, at)
    if media is None:
        return Opaque(dialect=NAME, kind="image", raw=block)
    return Image(media=media, cache=read_cache_mark(block, at))


def _document(block: Block, at: str) -> Part:
    media = _media(block, at)
    if media is None:
        return Opaque(dialect=NAME, kind="document", raw=block)
    return Document(
        media=media,
        title=_optional_text(block, "title", at),
        context=_optional_text(block, "context", at),
        wants_citations=_wants_citations(block, at),
        cache=read_cache_mark(block, at),
    )


def _media(block: Block, at: str) -> Media | None:
    """What a block's `source` points to; None where only Anthropic knows such a source."""
    source = mapping(block.get("source"), f"{at}.source")
    match source.get("type"):
        case "base64":
            return Inline(
                media_type=text(source.get("media_type"), f"{at}.source.media_type"),
                data=text(source.get("data"), f"{at}.source.data"),
            )
        case "url":
            return media_at(text(source.get("url"), f"{at}.source.url"), f"{at}.source.url")
        case "file":
            return FileRef(file_id=text(source.get("file_id"), f"{at}.source.file_id"))
        case "text":
            plain = text(source.get("data"), f"{at}.source.data")
            return write_text(plain)
        case "content":
            said = _texts_only(source.get("content"), f"{at}.source.content")
            return None if said is None else write_text(said)
        case other:
            text(other, f"{at}.source.type")
            return None


def _search_result(block: Block, at: str) -> Part:
    """What a search of the caller's found: a document that says where it is from."""
    said = _texts_only(block.get("content"), f"{at}.content")
    if said is None:
        return Opaque(dialect=NAME, kind="search_result", raw=block)
    return Document(
        media=write_text(said),
        title=_optional_text(block, "title", at),
        context=_optional_text(block, "source", at),
        wants_citations=_wants_citations(block, at),
        cache=read_cache_mark(block, at),
    )


def _texts_only(content: object, at: str) -> str | None:
    """The words of blocks that are all text, a line for each; None where another kind is among them."""
    parts = read_parts(content, at)
    texts = [part.text for part in parts if isinstance(part, Text)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def _wants_citations(block: Block, at: str) -> bool:
    citations = block.get("citations")
    if citations is None:
        return False
    return boolean(mapping(citations, f"{at}.citations").get("enabled", False), f"{at}.citations.enabled")


def _thinking(block: Block, at: str) -> Thinking:
    return Thinking(
        text=text(block.get("thinking"), f"{at}.thinking"), signature=_optional_text(block, "signature", at)
    )


def _redacted_thinking(block: Block, at: str) -> Thinking:
    return Thinking(text="", redacted=text(block.get("data"), f"{at}.data"))


def _tool_use(block: Block, at: str) -> ToolCall:
    return ToolCall(
        id=text(block.get("id"), f"{at}.id"),
        name=text(block.get("name"), f"{at}.name"),
        arguments=_arguments(mapping(block.get("input"), f"{at}.input")),
        cache=read_cache_mark(block, at),
    )


def _arguments(given: Block) -> str:
    broken = given.get(INVALID_JSON)
    return broken if isinstance(broken, str) else json_text(given)


def _tool_result(block: Block, at: str) -> ToolResult:
    content, is_error = block.get("content"), block.get("is_error")
    return ToolResult(
        call_id=text(block.get("tool_use_id"), f"{at}.tool_use_id"),
        parts=() if content is None else _result_parts(content, f"{at}.content"),
        is_error=is_error is not None and boolean(is_error, f"{at}.is_error"),
        cache=read_cache_mark(block, at),
    )


def _result_parts(content: object, at: str) -> tuple[Text | Image | Document | Opaque, ...]:
    parts: list[Text | Image | Document | Opaque] = []
    for index, part in enumerate(read_parts(content, at)):
        if not isinstance(part, Text | Image | Document | Opaque):
            wrong(f"{at}[{index}]", "a text, image, document or search result block", type(part).__name__)
        parts.append(part)
    return tuple(parts)


def _optional_text(block: Block, name: str, at: str) -> str | None:
    value = block.get(name)
    return None if value is None else text(value, f"{at}.{name}")


_READERS: dict[str, Callable[[Block, str], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
