"""Canonical messages as OpenAI's `messages` array, for requests that came in another dialect.

What has no place here but is a hint only (cache marks, a document's citations) is left out and named in `dropped`;
what would change the meaning is refused before, by `obstacles_in`.
"""

from collections.abc import Iterable
from typing import Any

from polyroute.dialects.openai_chat.names import NAME
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
    text_of,
)


def obstacles_in(parts: Iterable[Part]) -> list[str]:
    """Why some of `parts` cannot be said here."""
    found = []
    for part in parts:
        match part:
            case Opaque() if part.dialect != NAME:
                found.append(f"a `{part.kind}` part means something only to {part.dialect}")
            case Image(media=FileRef()) | Document(media=FileRef()):
                found.append("a file stored at another provider cannot be read")
            case Document(media=Link()):
                found.append(f"{NAME} takes no document by its address")
            case ToolResult():
                found += obstacles_in(part.parts)
            case _:
                pass
    return found


def write_messages(messages: Iterable[Message], dropped: set[str]) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    shown: list[Part] = []  # what tools returned and tool messages cannot hold: follows the last of them
    for message in messages:
        if shown and message.role not in ("user", "tool"):
            written.append({"role": "user", "content": _content(shown, dropped)})
            shown = []
        if message.role == "assistant":
            written.append(_assistant(message, dropped))
            continue
        rest = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                written.append(_tool_message(part, message.name, shown, dropped))
            else:
                rest.append(part)
        if rest or not message.parts:
            # A model with a "developer" role takes "system" for it; the others know no "developer".
            role = "system" if message.role == "developer" else "user" if message.role == "tool" else message.role
            written.append(_named(message, {"role": role, "content": _content([*shown, *rest], dropped)}))
            shown = []
    if shown:
        written.append({"role": "user", "content": _content(shown, dropped)})
    return written


def _named(message: Message, fields: dict[str, Any]) -> dict[str, Any]:
    if message.name is not None:
        fields["name"] = message.name
    return fields


def _assistant(message: Message, dropped: set[str]) -> dict[str, Any]:
    said: list[Part] = []
    calls: list[dict[str, Any]] = []
    refusals = []
    spoken = None
    for part in message.parts:
        match part:
            case Thinking():
                dropped.add("thinking")  # its signature is valid at its maker only
            case ToolCall():
                _drop_mark(part, dropped)
                calls.append(write_call(part))
            case Opaque() if part.kind.endswith("_tool_call"):
                calls.append(part.raw)
            case Opaque() if part.kind == "audio":
                spoken = part.raw
            case Refusal():
                refusals.append(part.text)
            case _:
                said.append(part)
    content = _content(said, dropped) if said else None if calls or refusals or spoken else ""
    if isinstance(content, list) and all(part["type"] == "text" for part in content):
        content = "".join(part["text"] for part in content)  # many servers take an assistant's text as a string only
    fields: dict[str, Any] = {"role": "assistant", "content": content}
    if refusals:
        fields["refusal"] = "".join(refusals)
    if spoken:
        fields["audio"] = spoken
    if calls:
        fields["tool_calls"] = calls
    return _named(message, fields)


def write_call(call: ToolCall) -> dict[str, Any]:
    if call.is_free:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def _tool_message(result: ToolResult, name: str | None, shown: list[Part], dropped: set[str]) -> dict[str, Any]:
    """The text of a result; its images and documents go to `shown`, for the user message that follows."""
    _drop_mark(result, dropped)
    if result.is_error:
        dropped.add("tool_result.is_error")
    pictures = [part for part in result.parts if not isinstance(part, Text)]
    for part in result.parts:
        _drop_mark(part, dropped)
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    if pictures:
        shown.append(Text(text=f"Shown by tool call {result.call_id}:"))
        shown += pictures
        texts = texts or ["See the attachments that follow."]
    fields: dict[str, Any] = {"role": "tool", "tool_call_id": result.call_id, "content": "\n".join(texts)}
    if name is not None:
        fields["name"] = name
    return fields


def _content(parts: list[Part], dropped: set[str]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        _drop_mark(parts[0], dropped)
        return parts[0].text
    if not parts:
        return ""
    return [written for part in parts for written in _written(part, dropped)]


def _written(part: Part, dropped: set[str]) -> list[dict[str, Any]]:
    _drop_mark(part, dropped)
    match part:
        case Text():
            return [{"type": "text", "text": part.text}]
        case Image():
            image = {"url": _address(part.media)}
            if part.detail is not None:
                image["detail"] = part.detail
            return [{"type": "image_url", "image_url": image}]
        case Document():
            return _document(part, dropped)
        case Audio():
            return [{"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}]
        case Refusal():
            return [{"type": "refusal", "refusal": part.text}]
        case Opaque():
            return [part.raw]
        case ToolResult():
            return [{"type": "text", "text": text_of(part.parts)}]
        case Thinking() | ToolCall():
            dropped.add("thinking" if isinstance(part, Thinking) else "tool_call")  # only an assistant has them
            return []


def _document(part: Document, dropped: set[str]) -> list[dict[str, Any]]:
    if part.wants_citations:
        dropped.add("citations")
    written = [{"type": "text", "text": part.context}] if part.context else []
    media = part.media
    if isinstance(media, FileRef):
        file = {"file_id": media.file_id}
    elif isinstance(media, Inline) and (text := read_text(media)) is not None:
        # Files are PDFs to most servers; text is text to all.
        return [*written, {"type": "text", "text": f"{part.title}\n\n{text}" if part.title else text}]
    else:
        file = {"filename": part.title or "document.pdf", "file_data": _address(media)}
    return [*written, {"type": "file", "file": file}]


def _address(media: Inline | Link | FileRef) -> str:
    match media:
        case Inline():
            return f"data:{media.media_type};base64,{media.data}"
        case Link():
            return media.url
        case FileRef():
            return media.file_id


def _drop_mark(part: Part, dropped: set[str]) -> None:
    if getattr(part, "cache", None) is not None:
        dropped.add("cache")
