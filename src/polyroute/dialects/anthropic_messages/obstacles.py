"""What in a request of another dialect has no form in Anthropic's and changes its meaning. Pure.

Hints that only tune an answer are no obstacles: `write_request` leaves them out and names them.
"""

from collections.abc import Iterator

from polyroute.dialects.anthropic_messages.read_content import NAME
from polyroute.dialects.anthropic_messages.write_content import IMAGE_TYPES
from polyroute.dialects.plain_text import read_text
from polyroute.types.content import Audio, Document, FileRef, Image, Inline, Opaque, Part, Text, ToolResult
from polyroute.types.request import ProviderTool, Request


def obstacles(request: Request) -> tuple[str, ...]:
    if request.wire is not None and request.wire.dialect == NAME:
        return ()
    return tuple(dict.fromkeys(_obstacles(request)))


def _obstacles(request: Request) -> Iterator[str]:
    if request.n > 1:
        yield f"n={request.n}: {NAME} gives one choice"
    if request.logprobs or request.top_logprobs:
        yield f"logprobs: {NAME} gives none"
    if any(modality != "text" for modality in request.output_modalities):
        yield f"modalities: {NAME} answers in text only"
    if any(not stop or stop.isspace() for stop in request.stop):
        yield f"stop: {NAME} takes no stop sequence of white space alone"
    for tool in request.tools:
        if isinstance(tool, ProviderTool) and tool.dialect != NAME:
            yield f"tool {tool.kind}: only {tool.dialect} has it"
    says_something = False
    for message in request.messages:
        is_system = message.role in ("system", "developer")
        for part in message.parts:
            yield from _part_obstacles(part, is_stored_elsewhere=request.wire is not None)
            if is_system and not isinstance(part, Text):
                yield f"{message.role} message: {NAME} takes text only"
            says_something = says_something or _says_something(part)
    if not says_something:
        yield f"messages: {NAME} needs some text or media in them"


def _says_something(part: Part) -> bool:
    """Whether anything is left of `part` once empty texts are taken out."""
    return not isinstance(part, Text) or bool(part.text and not part.text.isspace())


def _part_obstacles(part: Part, *, is_stored_elsewhere: bool) -> Iterator[str]:
    match part:
        case Opaque() if part.dialect != NAME:
            yield f"{part.kind} content: only {part.dialect} understands it"
        case Audio():
            yield f"audio: {NAME} takes none"
        case ToolResult():
            for inner in part.parts:
                yield from _part_obstacles(inner, is_stored_elsewhere=is_stored_elsewhere)
        case Image(media=FileRef()) | Document(media=FileRef()) if is_stored_elsewhere:
            yield "file id: the file is stored at another provider"
        case Image(media=Inline(media_type=media_type)) if media_type not in IMAGE_TYPES and media_type != "image/jpg":
            yield f"{media_type} image: {NAME} takes " + ", ".join(sorted(IMAGE_TYPES))
        case Document(media=Inline() as media) if media.media_type != "application/pdf":
            if read_text(media) is None:
                yield f"{media.media_type} document: {NAME} takes application/pdf and text"
        case _:
            pass
