"""Parts to content blocks, in requests and in answers alike. A part marked for caching is followed by a cache point."""

from hashlib import sha256

from polyroute.dialects.arguments import write_arguments
from polyroute.dialects.bedrock_converse.citations import write_citation
from polyroute.dialects.bedrock_converse.read_content import NAME, TYPES, Block
from polyroute.dialects.plain_text import read_text
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Inline,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

IMAGE_FORMATS = frozenset({"png", "jpeg", "gif", "webp"})
AUDIO_FORMATS = frozenset({
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm",
})  # fmt: skip
_FORMATS = {media_type: word for word, media_type in TYPES.items()}
_ID_EXTRAS = str.maketrans("", "", "_.:-")
_NAME_EXTRAS = str.maketrans("", "", "_-")
_LONGEST_ID = 64
_LONGEST_TITLE = 200
_TITLE_MARKS = frozenset("-()[]")


def write_parts(parts: tuple[Part, ...]) -> list[Block]:
    return [block for part in parts if (block := write_part(part)) is not None]


def write_part(part: Part) -> Block | None:
    """None where `part` says nothing, or nothing that can be said here."""
    match part:
        case Text() if part.citations:
            return {"citationsContent": _cited(part)}
        case Text() | Refusal():
            return {"text": part.text} if part.text else None
        case ToolCall():
            name = {"toolUseId": call_id(part.id), "name": part.name, "input": write_arguments(part.arguments)}
            return {"toolUse": name}
        case ToolResult():
            shown = tuple([inner for inner in part.parts if not is_blank(inner)])
            result: Block = {"toolUseId": call_id(part.call_id), "content": write_parts(shown)}
            if part.is_error:
                result["status"] = "error"
            return {"toolResult": result}
        case Image(media=Inline() as media):
            return {"image": {"format": image_format(media.media_type), "source": {"bytes": media.data}}}
        case Document(media=Inline() as media):
            return {"document": _document(part, media)}
        case Thinking():
            return write_thinking(part)
        case Audio():
            return {"audio": {"format": part.format, "source": {"bytes": part.data}}}
        case Opaque():
            return part.raw if part.dialect == NAME else None
        case _:  # media by an address or at another provider: obstacles in requests, and no model answers so
            return None


def is_blank(part: Part) -> bool:
    """Text of white space alone: Bedrock refuses it in a request."""
    return isinstance(part, Text | Refusal) and part.text.isspace()


def write_thinking(part: Thinking) -> Block:
    if part.redacted is not None:
        return {"reasoningContent": {"redactedContent": part.redacted}}
    shown: Block = {"text": part.text}
    if part.signature is not None:
        shown["signature"] = part.signature
    return {"reasoningContent": {"reasoningText": shown}}


def write_cache_point(mark: CacheMark) -> Block:
    return {"cachePoint": {"type": "default"} if mark.ttl is None else {"type": "default", "ttl": mark.ttl}}


def call_id(given: str) -> str:
    """`given`, or a stand-in where Bedrock refuses it: 1 to 64 of `[a-zA-Z0-9_.:-]`."""
    bare = given.translate(_ID_EXTRAS)
    if 0 < len(given) <= _LONGEST_ID and given.isascii() and (bare.isalnum() or not bare):
        return given
    return "tooluse_" + sha256(given.encode()).hexdigest()[:24]


def is_tool_name(name: str) -> bool:
    """1 to 64 of `[a-zA-Z0-9_-]`."""
    bare = name.translate(_NAME_EXTRAS)
    return 0 < len(name) <= _LONGEST_ID and name.isascii() and (bare.isalnum() or not bare)


def image_format(media_type: str) -> str:
    """Bedrock's word for an image's type; the type's own where it has none."""
    word = media_type.partition(";")[0].removeprefix("image/").lower()
    return "jpeg" if word == "jpg" else word


def document_format(media: Inline) -> str | None:
    """Bedrock's word for a document's type; any other text is plain text. None where it has none."""
    media_type = media.media_type.partition(";")[0].lower()
    found = _FORMATS.get(media_type)
    if found is not None or not media_type.startswith("text/"):
        return found
    return "txt" if read_text(media) is not None else None


def _document(part: Document, media: Inline) -> Block:
    written: Block = {
        "format": document_format(media) or "txt",
        "name": document_name(part.title),
        "source": {"bytes": media.data},
    }
    if part.context:
        written["context"] = part.context
    if part.wants_citations:
        written["citations"] = {"enabled": True}
    return written


def document_name(title: str | None) -> str:
    """In the letters Bedrock takes: letters, digits, single spaces, hyphens, parentheses and square brackets."""
    kept = "".join(mark if (mark.isalnum() and mark.isascii()) or mark in _TITLE_MARKS else " " for mark in title or "")
    return " ".join(kept.split())[:_LONGEST_TITLE].rstrip() or "document"


def _cited(part: Text) -> Block:
    written: Block = {"citations": [write_citation(citation) for citation in part.citations]}
    if part.text:
        written["content"] = [{"text": part.text}]
    return written
