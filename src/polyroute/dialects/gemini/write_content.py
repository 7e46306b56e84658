"""Parts to Gemini's, in requests and in answers alike.

What has no place there but is a hint only is named in `dropped`; what would change the meaning is refused before, by
`obstacles`.
"""

from base64 import b64encode
from urllib.parse import urlsplit

import orjson

from polyroute.dialects.arguments import is_json_object, write_arguments
from polyroute.dialects.gemini.names import NAME, Block
from polyroute.types.content import (
    Audio,
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

# "Thought signatures", FAQ: what stands for the signature of a call that another model made.
UNSIGNED = b64encode(b"skip_thought_signature_validator").decode()

_AUDIO_TYPES = {"mp3": "audio/mp3", "wav": "audio/wav", "pcm16": "audio/pcm", "m4a": "audio/mp4"}
_TYPES = {  # of files by the end of their address: Gemini asks for it where it fetches one
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "html": "text/html", "csv": "text/csv", "json": "application/json",
}  # fmt: skip


def write_part(part: Part, dropped: list[str]) -> Block | None:
    """None where `part` says nothing, or nothing that can be said here. Tool results: `write_result`."""
    if getattr(part, "cache", None) is not None:
        dropped.append("cache")  # Gemini caches by itself, or by a stored cache's name
    block: Block
    match part:
        case Text():
            if not part.text and part.thought_signature is None:
                return None
            block = {"text": part.text}
        case ToolCall():
            block = {"functionCall": {"id": part.id, "name": part.name, "args": write_arguments(part.arguments)}}
        case Thinking():
            if part.redacted is not None or not (part.text or part.thought_signature):
                return None
            block = {"text": part.text, "thought": True}
        case Image():
            if part.detail not in (None, "auto"):
                dropped.append("image.detail")
            return _media(part.media, "image/jpeg")
        case Document():
            if part.wants_citations:
                dropped.append("citations")
            return _media(part.media, "application/pdf")
        case Audio():
            media_type = _AUDIO_TYPES.get(part.format, f"audio/{part.format}")
            return {"inlineData": {"mimeType": media_type, "data": part.data}}
        case Refusal():
            return {"text": part.text} if part.text else None
        case Opaque():
            return part.raw if part.dialect == NAME else None
        case ToolResult():
            return write_result(part, part.call_id)
    if part.thought_signature is not None:
        block["thoughtSignature"] = part.thought_signature
    return block


def write_result(result: ToolResult, name: str) -> Block:
    """The words of a result; pictures among them stand beside it. An object goes as it is, as the API wants it."""
    words = "\n".join([part.text for part in result.parts if isinstance(part, Text)])
    response: object = orjson.Fragment(words) if is_json_object(words) else {"output": words}
    if result.is_error:
        response = {"error": words}
    return {"functionResponse": {"id": result.call_id, "name": name, "response": response}}


def media_type_of(media: Media, otherwise: str) -> str:
    match media:
        case Inline():
            return "image/jpeg" if media.media_type == "image/jpg" else media.media_type
        case Link():
            return _TYPES.get(urlsplit(media.url).path.rpartition(".")[2].lower(), otherwise)
        case FileRef():
            return otherwise


def _media(media: Media, otherwise: str) -> Block:
    media_type = media_type_of(media, otherwise)
    match media:
        case Inline():
            return {"inlineData": {"mimeType": media_type, "data": media.data}}
        case Link():
            return {"fileData": {"mimeType": media_type, "fileUri": media.url}}
        case FileRef():
            return {"fileData": {"mimeType": media_type, "fileUri": media.file_id}}
