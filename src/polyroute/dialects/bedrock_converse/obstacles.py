"""What in a request of another dialect has no form in Converse and changes its meaning. Pure.

Hints that only tune an answer are no obstacles: `write_request` leaves them out and names them.
"""

from collections.abc import Iterator

from polyroute.dialects.bedrock_converse.read_content import NAME
from polyroute.dialects.bedrock_converse.write_content import (
    AUDIO_FORMATS,
    IMAGE_FORMATS,
    document_format,
    image_format,
    is_tool_name,
)
from polyroute.types.content import (
    Audio,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Opaque,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
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
    if "" in request.stop:
        yield f"stop: {NAME} takes no empty stop sequence"
    for tool in request.tools:
        if isinstance(tool, ProviderTool):
            if tool.dialect != NAME:
                yield f"tool {tool.kind}: only {tool.dialect} has it"
        elif not is_tool_name(tool.name):
            yield f"tool {tool.name[:80]}: {NAME} takes names of 1 to 64 letters, digits, _ and -"
    has_calls = says_something = False
    for message in request.messages:
        is_system = message.role in ("system", "developer")
        for part in message.parts:
            yield from _part_obstacles(part)
            if is_system and not isinstance(part, Text | Opaque):
                yield f"{message.role} message: {NAME} takes text only"
            has_calls = has_calls or isinstance(part, ToolCall | ToolResult)
            says_something = says_something or _says_something(part)
    if not says_something:
        yield f"messages: {NAME} needs some text or media in them"
    if has_calls and request.tool_choice is not None and request.tool_choice.mode == "none":
        yield f"tool_choice none: {NAME} cannot forbid tools once some were called"


def _says_something(part: Part) -> bool:
    """Whether anything is left of `part` once blank texts are taken out."""
    return not isinstance(part, Text) or bool(part.text and not part.text.isspace())


def _part_obstacles(part: Part) -> Iterator[str]:
    match part:
        case Opaque() if part.dialect != NAME:
            yield f"{part.kind} content: only {part.dialect} understands it"
        case ToolResult():
            for inner in part.parts:
                yield from _part_obstacles(inner)
        case ToolCall() if not is_tool_name(part.name):
            yield f"tool {part.name[:80]}: {NAME} takes names of 1 to 64 letters, digits, _ and -"
        case Image(media=FileRef()) | Document(media=FileRef()):
            yield "file id: the file is stored at another provider"
        case Image(media=Link()):
            yield f"image: {NAME} takes no image by its address, only its bytes"
        case Document(media=Link()):
            yield f"document: {NAME} takes no document by its address, only its bytes"
        case Image(media=Inline(media_type=media_type)) if image_format(media_type) not in IMAGE_FORMATS:
            yield f"{media_type} image: {NAME} takes " + ", ".join(sorted(IMAGE_FORMATS))
        case Document(media=Inline() as media) if document_format(media) is None:
            yield f"{media.media_type} document: {NAME} takes PDF, text, Word and Excel"
        case Audio() if part.format not in AUDIO_FORMATS:
            yield f"{part.format} audio: {NAME} takes " + ", ".join(sorted(AUDIO_FORMATS))
        case _:
            pass
