"""Parts to content blocks, in requests and in answers alike."""

from hashlib import sha256

from polyroute.dialects.anthropic_messages.read_content import NAME, Block
from polyroute.dialects.arguments import write_arguments
from polyroute.dialects.plain_text import read_text
from polyroute.types.content import (
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_CALL_ID_EXTRAS = str.maketrans("", "", "_-")


def write_parts(parts: tuple[Part, ...]) -> list[Block]:
    blocks: list[Block] = []
    for part in parts:
        if isinstance(part, Text) and part.citations and not part.text:
            _cite(blocks, part)
        elif (block := write_part(part)) is not None:
            blocks.append(block)
    return blocks


def _cite(blocks: list[Block], part: Text) -> None:
    """Citations that came after their text, which is the last of `blocks`; an empty block of their own is refused."""
    for block in reversed(blocks):
        if block["type"] == "text":
            cited = block.setdefault("citations", [])
            assert isinstance(cited, list)
            cited += map(write_citation, part.citations)
            return


def write_part(part: Part) -> Block | None:
    """None where `part` says nothing, or nothing that can be said here: empty text is refused by Anthropic."""
    match part:
        case Text():
            if not part.text:
                return None
            block: Block = {"type": "text", "text": part.text}
            if part.citations:
                block["citations"] = [write_citation(citation) for citation in part.citations]
        case ToolCall():
            block = {
                "type": "tool_use",
                "id": call_id(part.id),
                "name": part.name,
                "input": write_arguments(part.arguments),
            }
        case ToolResult():
            block = {"type": "tool_result", "tool_use_id": call_id(part.call_id)}
            if content := write_parts(part.parts):
                block["content"] = content
            if part.is_error:
                block["is_error"] = True
        case Image():
            block = {"type": "image", "source": _source(part.media)}
        case Document():
            block = {"type": "document", "source": _source(part.media)}
            if part.title:
                block["title"] = part.title
            if part.context:
                block["context"] = part.context
            if part.wants_citations:
                block["citations"] = {"enabled": True}
        case Thinking():
            if part.redacted is not None:
                return {"type": "redacted_thinking", "data": part.redacted}
            return {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}
        case Refusal():
            return {"type": "text", "text": part.text} if part.text else None
        case Opaque():
            return part.raw if part.dialect == NAME else None
        case _:  # audio: an obstacle in requests, and no model of this dialect answers so
            return None
    if part.cache is not None:
        block["cache_control"] = write_cache_mark(part.cache)
    return block


def write_cache_mark(mark: CacheMark) -> Block:
    return {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}


def call_id(given: str) -> str:
    """`given`, or a stand-in where it has characters that Anthropic refuses in an id: `^[a-zA-Z0-9_-]+$`."""
    bare = given.translate(_CALL_ID_EXTRAS)
    if given.isascii() and (bare.isalnum() or (given and not bare)):
        return given
    return "toolu_" + sha256(given.encode()).hexdigest()[:24]


def write_citation(citation: dict[str, object]) -> dict[str, object]:
    """Anthropic's own as they are; an address cited by another as a search result, without the mark of Anthropic's."""
    cited = citation.get("url_citation")
    if not isinstance(cited, dict):
        if citation.get("type") == "url_citation":
            cited = citation
        elif citation.get("type") == "web_search_result_location":
            return {"encrypted_index": "", **citation}
        else:
            return citation
    return {
        "type": "web_search_result_location",
        "url": cited.get("url", ""),
        "title": cited.get("title"),
        "cited_text": "",
        "encrypted_index": "",
    }


def _source(media: Media) -> Block:
    match media:
        case Link():
            return {"type": "url", "url": media.url}
        case FileRef():
            return {"type": "file", "file_id": media.file_id}
        case Inline():
            if (plain := read_text(media)) is not None:
                return {"type": "text", "media_type": "text/plain", "data": plain}
            return {"type": "base64", "media_type": _known_type(media.media_type), "data": media.data}


def _known_type(media_type: str) -> str:
    return "image/jpeg" if media_type == "image/jpg" else media_type
