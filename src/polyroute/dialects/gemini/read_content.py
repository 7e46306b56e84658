"""Gemini's parts to ours: those of a caller's turn and those of a model's answer are the same.

A part without a canonical form (video, code execution, what tools of Google's own did) is kept whole as `Opaque`.
Raises InvalidRequest naming the field. Source: ai.google.dev, API reference "Content", "Part".
"""

from collections.abc import Callable

from polyroute.dialects.arguments import INVALID_JSON
from polyroute.dialects.fields import array, boolean, mapping, missing, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.gemini.calls import CallIds
from polyroute.dialects.gemini.names import NAME, Block, camel
from polyroute.dialects.json_text import json_text
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
    Thinking,
    ToolCall,
    ToolResult,
)

_ABOUT = frozenset({"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"})
_STORED = ("https://generativelanguage.googleapis.com/", "gs://", "files/")  # where files live that only Google reads
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}


def items(value: object, at: str) -> list[object]:
    """A repeated field: an array, or its only element, as Google takes it too."""
    return [value] if type(value) is dict else array(value, at)


def read_parts(content: Block, at: str, calls: CallIds) -> list[Part]:
    if (parts := content.get("parts")) is None:
        missing(f"{at}.parts", "an array of parts")
    return [read_part(part, f"{at}.parts[{index}]", calls) for index, part in enumerate(items(parts, f"{at}.parts"))]


def read_part(value: object, at: str, calls: CallIds) -> Part:
    raw = mapping(value, at)
    if len(raw) == 1 and type(said := raw.get("text")) is str:  # by far the commonest form
        return Text(text=said)
    part = camel(raw)
    signature = part.get("thoughtSignature")
    signed = None if signature is None else text(signature, f"{at}.thoughtSignature")
    is_thought = part.get("thought") is not None and boolean(part["thought"], f"{at}.thought")
    said = part.get("text")
    if said is not None:
        words = text(said, f"{at}.text")
        return (
            Thinking(text=words, thought_signature=signed) if is_thought else Text(text=words, thought_signature=signed)
        )
    if (call := part.get("functionCall")) is not None:
        return _call(camel(mapping(call, f"{at}.functionCall")), f"{at}.functionCall", calls, signed)
    if (result := part.get("functionResponse")) is not None:
        return _result(camel(mapping(result, f"{at}.functionResponse")), f"{at}.functionResponse", calls)
    for name, read in _MEDIA.items():
        if (media := part.get(name)) is not None:
            held = camel(mapping(media, f"{at}.{name}"))
            found = read(held, f"{at}.{name}")
            return found or Opaque(dialect=NAME, kind=name, raw=raw, file=_stored_file(held))
    kind = next((name for name in part if name not in _ABOUT), None)
    if kind is not None:
        return Opaque(dialect=NAME, kind=kind, raw=raw)
    if is_thought:
        return Thinking(text="", thought_signature=signed)
    return Text(text="", thought_signature=signed)  # an empty part, or a signature alone


def _call(call: Block, at: str, calls: CallIds, signature: str | None) -> ToolCall:
    if not call.get("name"):
        missing(f"{at}.name", "the function's name")
    name, args = text(call["name"], f"{at}.name"), call.get("args")
    given = {} if args is None else mapping(args, f"{at}.args")
    broken = given.get(INVALID_JSON)
    return ToolCall(
        id=calls.of_call(_id(call, at), name),
        name=name,
        arguments=broken if isinstance(broken, str) else json_text(given),
        thought_signature=signature,
    )


def _result(result: Block, at: str, calls: CallIds) -> ToolResult:
    """`output` or `result` alone is what the function gave, `error` alone says that it failed; else all of it is."""
    if not result.get("name"):
        missing(f"{at}.name", "the name of the function that was called")
    name = text(result["name"], f"{at}.name")
    shown = result.get("parts")
    given = {} if result.get("response") is None else mapping(result["response"], f"{at}.response")
    only = next(iter(given)) if len(given) == 1 else ""
    value = given[only] if only in ("output", "result", "error") else given
    parts: list[Text | Image | Document | Opaque] = []
    if given or (result.get("response") is not None and not shown):
        parts.append(Text(text=value if isinstance(value, str) else json_text(value)))
    for index, item in enumerate(() if shown is None else items(shown, f"{at}.parts")):
        place = f"{at}.parts[{index}]"
        part = read_part(item, place, CallIds())
        if not isinstance(part, Text | Image | Document | Opaque):
            wrong(place, "an image or a document", type(part).__name__)
        parts.append(part)
    return ToolResult(call_id=calls.of_result(_id(result, at), name), parts=tuple(parts), is_error=only == "error")


def _id(holder: Block, at: str) -> str | None:
    value = holder.get("id")
    return None if value is None else text(value, f"{at}.id")


def _inline(blob: Block, at: str) -> Part | None:
    if not blob.get("mimeType"):
        missing(f"{at}.mimeType", "the media type of the data, such as image/png")
    if blob.get("data") is None:
        missing(f"{at}.data", "the data in base64")
    media_type, data = text(blob["mimeType"], f"{at}.mimeType"), _standard(text(blob["data"], f"{at}.data"))
    kind, _, rest = media_type.lower().partition("/")
    match kind:
        case "image":
            return Image(media=Inline(media_type=media_type, data=data))
        case "audio":
            form = rest.partition(";")[0]
            return Audio(data=data, format=_AUDIO_FORMATS.get(form, form))
        case "video":
            return None
        case _:
            name = blob.get("displayName")
            title = None if name is None else text(name, f"{at}.displayName")
            return Document(media=Inline(media_type=media_type, data=data), title=title)


def _standard(data: str) -> str:
    """Google takes, and its SDKs send, base64 in the alphabet for addresses too; everyone else takes the usual one."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data if len(data) % 4 == 0 else data + "=" * (-len(data) % 4)


def _file(file: Block, at: str) -> Part | None:
    """A file by its address: one in Google's own stores is read by nobody else."""
    if not file.get("fileUri"):
        missing(f"{at}.fileUri", "the file's address")
    uri, given = text(file["fileUri"], f"{at}.fileUri"), file.get("mimeType")
    kind = "" if given is None else text(given, f"{at}.mimeType").lower()
    media: FileRef | Link
    if uri.startswith(_STORED):
        media = FileRef(file_id=uri)
    else:
        found = media_at(uri, f"{at}.fileUri")
        if isinstance(found, Inline):
            wrong(f"{at}.fileUri", "an address; data goes into `inlineData`", uri, code="invalid_value")
        media = found
    if kind.startswith("image/"):
        return Image(media=media)
    if kind.startswith(("application/", "text/")):
        return Document(media=media)
    return None  # video, audio, or a page whose kind only Google finds out


def _stored_file(held: Block) -> str | None:
    uri = held.get("fileUri")
    return uri if isinstance(uri, str) and uri.startswith(_STORED) else None


_MEDIA: dict[str, Callable[[Block, str], Part | None]] = {"inlineData": _inline, "fileData": _file}
