"""Canonical messages as items of `input`, for requests that came in another dialect.

What has no place here but is a hint only (cache marks, a document's citations) is left out and named in `dropped`;
what would change the meaning is refused before, by `obstacles_in`.
"""

from collections.abc import Iterable
from typing import Any

from polyroute.dialects.openai_responses.names import NAME
from polyroute.dialects.plain_text import read_text
from polyroute.types.content import (
    Audio,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

Item = dict[str, Any]
_TEXT_IN, _TEXT_OUT = "input_text", "output_text"


def obstacles_in(parts: Iterable[Part]) -> list[str]:
    """Why some of `parts` cannot be said here."""
    found = []
    for part in parts:
        match part:
            case Opaque() if part.dialect != NAME:
                found.append(f"a `{part.kind}` part means something only to {part.dialect}")
            case Image(media=FileRef()) | Document(media=FileRef()):
                found.append("a file stored at another provider cannot be read")
            case Audio():
                found.append(f"audio: {NAME} takes none")
            case ToolResult():
                found += obstacles_in(part.parts)
            case _:
                pass
    return found


def write_input(messages: Iterable[Message], dropped: set[str]) -> list[Item]:
    items: list[Item] = []
    free = set[str]()  # calls of tools whose input is text: their results are items of another kind
    for message in messages:
        if message.name is not None:
            dropped.add("name")
        # An item of the model's or of a tool's stands alone; in other messages what we do not know is a part.
        said: list[Part] = []
        for part in message.parts:
            _drop_mark(part, dropped)
            match part:
                case Thinking():
                    dropped.add("thinking")  # its signature is valid at its maker only
                case ToolCall() | ToolResult():
                    _say(message, said, items, dropped)
                    if isinstance(part, ToolCall):
                        free |= {part.id} if part.is_free else set()
                        items.append(_call(part))
                    else:
                        kind = "custom_tool_call_output" if part.call_id in free else "function_call_output"
                        items.append({"type": kind, **_result(part, dropped)})
                case Opaque() if message.role in ("assistant", "tool"):
                    _say(message, said, items, dropped)
                    items.append(part.raw)
                case _:
                    said.append(part)
        if said or not message.parts:
            _say(message, said, items, dropped, even_empty=True)
    return items


def _say(message: Message, said: list[Part], items: list[Item], dropped: set[str], *, even_empty: bool = False) -> None:
    """What was said up to here as one message."""
    if not said and not even_empty:
        return
    role = "user" if message.role == "tool" else message.role
    if len(said) == 1 and isinstance(said[0], Text):
        items.append({"role": role, "content": said[0].text})
    else:
        kind = _TEXT_OUT if role == "assistant" else _TEXT_IN
        content = [written for part in said for written in _written(part, kind, dropped)]
        items.append({"role": role, "content": content or ""})
    said.clear()


def _call(call: ToolCall) -> Item:
    if call.is_free:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


def _result(result: ToolResult, dropped: set[str]) -> Item:
    if result.is_error:
        dropped.add("tool_result.is_error")
    for part in result.parts:
        _drop_mark(part, dropped)
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    output: Any = "\n".join(texts)
    if len(texts) != len(result.parts):
        output = [written for part in result.parts for written in _written(part, _TEXT_IN, dropped)]
    return {"call_id": result.call_id, "output": output}


def _written(part: Part, text_kind: str, dropped: set[str]) -> list[Item]:
    match part:
        case Text():
            return [_text(part.text, text_kind)]
        case Image():
            # "auto" is the default, and some servers want it said.
            return [{"type": "input_image", **_media(part.media, "image_url"), "detail": part.detail or "auto"}]
        case Document():
            return _document(part, text_kind, dropped)
        case Refusal() if text_kind == _TEXT_OUT:
            return [{"type": "refusal", "refusal": part.text}]
        case Refusal():
            return [_text(part.text, text_kind)]
        case Opaque():
            return [part.raw]
        case _:
            return []


def _text(said: str, kind: str) -> Item:
    return {"type": kind, "text": said} if kind == _TEXT_IN else {"type": kind, "text": said, "annotations": []}


def _document(part: Document, text_kind: str, dropped: set[str]) -> list[Item]:
    if part.wants_citations:
        dropped.add("citations")
    written = [_text(part.context, text_kind)] if part.context else []
    media = part.media
    if isinstance(media, Inline):
        shown = read_text(media)
        if shown is not None:  # files are PDFs to most servers; text is text to all
            return [*written, _text(f"{part.title}\n\n{shown}" if part.title else shown, text_kind)]
        return [
            *written,
            {"type": "input_file", "filename": part.title or "document.pdf", **_media(media, "file_data")},
        ]
    return [*written, {"type": "input_file", **_media(media, "file_url")}]


def _media(media: Inline | Link | FileRef, field: str) -> Item:
    """Bytes or an address in `field`, a stored file by its id."""
    match media:
        case Inline():
            return {field: f"data:{media.media_type};base64,{media.data}"}
        case Link():
            return {field: media.url}
        case FileRef():
            return {"file_id": media.file_id}


def _drop_mark(part: Part, dropped: set[str]) -> None:
    if getattr(part, "cache", None) is not None:
        dropped.add("cache")
