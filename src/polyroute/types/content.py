"""What a message is made of, free of any wire format.

A part that only one dialect understands is kept as `Opaque`: it passes untouched to an upstream of that
dialect, and is a reason for refusing any other.
"""

from typing import Literal

from msgspec import Struct

Role = Literal["system", "developer", "user", "assistant", "tool"]


class CacheMark(Struct, frozen=True, kw_only=True):
    """The caller marks the prefix up to here as worth caching (Anthropic's `cache_control`)."""

    ttl: str | None = None  # "5m", "1h"; None: the provider's default


class Inline(Struct, frozen=True, kw_only=True, tag="inline"):
    """Bytes carried in the request."""

    media_type: str  # "image/png"
    data: str  # base64, as it came


class Link(Struct, frozen=True, kw_only=True, tag="link"):
    """An address the provider fetches; the gateway never does."""

    url: str


class FileRef(Struct, frozen=True, kw_only=True, tag="file"):
    """A file stored at one provider. Means nothing to another."""

    file_id: str


Media = Inline | Link | FileRef


class Text(Struct, frozen=True, kw_only=True, tag="text"):
    text: str
    citations: tuple[dict[str, object], ...] = ()  # as the provider gave them
    cache: CacheMark | None = None
    thought_signature: str | None = None  # Gemini's, which stands on any part: passed back to it, to nobody else


class Image(Struct, frozen=True, kw_only=True, tag="image"):
    media: Media
    detail: str | None = None  # "low" | "high" | "auto"
    cache: CacheMark | None = None


class Document(Struct, frozen=True, kw_only=True, tag="document"):
    """A PDF or a plain-text document."""

    media: Media
    title: str | None = None  # a file name counts as one
    context: str | None = None
    wants_citations: bool = False
    cache: CacheMark | None = None


class Audio(Struct, frozen=True, kw_only=True, tag="audio"):
    data: str  # base64
    format: str  # "wav", "mp3"


class Thinking(Struct, frozen=True, kw_only=True, tag="thinking"):
    """Reasoning shown by a model. Its signature is valid only at the provider that made it."""

    text: str
    signature: str | None = None
    redacted: str | None = None  # an encrypted block in place of text
    thought_signature: str | None = None  # Gemini's, as on Text


class ToolCall(Struct, frozen=True, kw_only=True, tag="tool_call"):
    id: str
    name: str
    arguments: str  # JSON text exactly as the model wrote it
    is_free: bool = False  # of a tool whose input is text: `arguments` is that text, and no JSON
    cache: CacheMark | None = None
    thought_signature: str | None = None  # Gemini's, as on Text


class ToolResult(Struct, frozen=True, kw_only=True, tag="tool_result"):
    call_id: str
    parts: tuple["Text | Image | Document | Opaque", ...]
    is_error: bool = False
    cache: CacheMark | None = None


class Refusal(Struct, frozen=True, kw_only=True, tag="refusal"):
    text: str


class Opaque(Struct, frozen=True, kw_only=True, tag="opaque"):
    dialect: str  # the only one that understands it
    kind: str  # its own type name, for messages
    raw: dict[str, object]
    file: str | None = None  # the id or address within it of a file that the provider reads as its own


Part = Text | Image | Document | Audio | Thinking | ToolCall | ToolResult | Refusal | Opaque


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


def text_of(parts: tuple[Part, ...]) -> str:
    """The readable text of `parts`, joined; thinking and tool traffic left out."""
    return "".join(part.text for part in parts if isinstance(part, Text))
