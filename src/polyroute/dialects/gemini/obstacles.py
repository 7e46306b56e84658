"""What in a request of another dialect has no form in Gemini's and changes its meaning. Pure.

Hints that only tune an answer are no obstacles: `write_request` leaves them out and names them.
Source: ai.google.dev, "Image understanding", "Document understanding" (media types); API reference (limits).
"""

from collections.abc import Iterator

from polyroute.dialects.gemini.names import NAME
from polyroute.dialects.gemini.write_content import media_type_of
from polyroute.types.content import Document, FileRef, Image, Opaque, Part, Text, ToolResult
from polyroute.types.request import ProviderTool, Request

_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_DOCUMENTS = frozenset({"application/pdf", "application/json", "application/x-javascript", "application/rtf"})
_MOST_CHOICES = 8
_MOST_STOPS = 5
_SPOKEN = ("text", "image")


def obstacles(request: Request) -> tuple[str, ...]:
    if request.wire is not None and request.wire.dialect == NAME:
        return ()
    return tuple(dict.fromkeys(_obstacles(request)))


def _obstacles(request: Request) -> Iterator[str]:
    if request.n > _MOST_CHOICES:
        yield f"n={request.n}: {NAME} gives at most {_MOST_CHOICES} choices"
    if len(request.stop) > _MOST_STOPS:
        yield f"stop: {NAME} takes at most {_MOST_STOPS} sequences, not {len(request.stop)}"
    for modality in request.output_modalities:
        if modality not in _SPOKEN:
            yield f"modalities: {NAME} is not asked for {modality}"
    for tool in request.tools:
        if isinstance(tool, ProviderTool) and tool.dialect != NAME:
            yield f"tool {tool.kind}: only {tool.dialect} has it"
    is_stored_elsewhere = request.wire is not None
    says_something = False
    for message in request.messages:
        is_system = message.role in ("system", "developer")
        for part in message.parts:
            yield from _part_obstacles(part, is_stored_elsewhere=is_stored_elsewhere)
            if is_system and not isinstance(part, Text):
                yield f"{message.role} message: {NAME} takes text only"
            says_something = says_something or not isinstance(part, Text) or bool(part.text)
    if not says_something:
        yield f"messages: {NAME} needs some text or media in them"


def _part_obstacles(part: Part, *, is_stored_elsewhere: bool) -> Iterator[str]:
    match part:
        case Opaque() if part.dialect != NAME:
            yield f"{part.kind} content: only {part.dialect} understands it"
        case ToolResult():
            for inner in part.parts:
                yield from _part_obstacles(inner, is_stored_elsewhere=is_stored_elsewhere)
        case Image(media=FileRef()) | Document(media=FileRef()):
            if is_stored_elsewhere:
                yield "file id: the file is stored at another provider"
        case Image(media=media) if (kind := media_type_of(media, "image/jpeg")) not in _IMAGES:
            yield f"{kind} image: {NAME} takes " + ", ".join(sorted(_IMAGES))
        case Document(media=media) if not _is_readable(media_type_of(media, "application/pdf")):
            yield f"{media_type_of(media, '')} document: {NAME} takes application/pdf and text"
        case _:
            pass


def _is_readable(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type in _DOCUMENTS
