"""One part of a message's content, of whichever kind.

A part that only this dialect knows is kept as `Opaque`. Source: OpenAI API reference, "Create chat completion",
`messages`; the additions of OpenRouter and Mistral are marked where they are read.
"""

from collections.abc import Callable

from msgspec.structs import replace

from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.openai_chat.names import NAME
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    FileRef,
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

_MEDIA_KINDS = ("image", "video", "audio", "document", "file")  # whose parts carry an address
_DETAILS = ("auto", "low", "high", "original")
_AUDIO_STARTS = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "T2dnUw": "ogg", "ZkxhQw": "flac"}  # RIFF, ID3, frames, …


def read_part(value: object, at: str) -> Part:
    raw = mapping(value, at)
    if raw.get("type") is None:
        missing(f"{at}.type", "the part's type, such as `text` or `image_url`")
    kind = text(raw["type"], f"{at}.type")
    read = _PARTS.get(kind)
    part = read(raw, at) if read else _opaque(raw, kind, at)
    mark = raw.get("cache_control") or raw.get("prompt_cache_breakpoint")  # OpenRouter's; OpenAI's
    return part if mark is None else marked(part, mark, f"{at}.cache_control")


def marked(part: Part, mark: object, at: str) -> Part:
    fields = mapping(mark, at)
    ttl = None if fields.get("ttl") is None else text(fields["ttl"], f"{at}.ttl")
    if isinstance(part, Text | Image | Document | ToolCall | ToolResult):
        return replace(part, cache=CacheMark(ttl=ttl))
    return part


def _text_part(raw: dict[str, object], at: str) -> Text:
    if raw.get("text") is None:
        missing(f"{at}.text", "a string")
    return Text(text=text(raw["text"], f"{at}.text"))


def _image_part(raw: dict[str, object], at: str) -> Image:
    value, place, detail = raw.get("image_url"), f"{at}.image_url", None
    if value is None:
        missing(place, "an object with `url`")
    if type(value) is not str:  # Mistral takes the bare address too
        image = mapping(value, place)
        if image.get("detail") is not None:
            detail = one_of(image["detail"], f"{place}.detail", _DETAILS)
        place = f"{place}.url"
        if image.get("url") is None:
            missing(place, "an http(s) address or a data URL")
        value = text(image["url"], place)
    media = media_at(value, place)
    if isinstance(media, Inline) and not (media.media_type.startswith("image/") and media.data):
        wrong(place, "a data URL of an image, data:image/TYPE;base64,DATA", value, code="invalid_value")
    return Image(media=media, detail=detail)


def _audio_part(raw: dict[str, object], at: str) -> Audio | Opaque:
    place = f"{at}.input_audio"
    if raw.get("input_audio") is None:
        missing(place, "an object with `data` and `format`")
    if type(bare := raw["input_audio"]) is str:
        return _bare_audio(bare, raw, place)
    audio = mapping(raw["input_audio"], place)
    for name in ("data", "format"):
        if not audio.get(name):
            missing(f"{place}.{name}", "a string")
    return Audio(data=text(audio["data"], f"{place}.data"), format=text(audio["format"], f"{place}.format"))


def _bare_audio(value: str, raw: dict[str, object], at: str) -> Audio | Opaque:
    """Mistral's: an address, or base64 alone; the format is told by how the bytes begin, where it can be."""
    if ":" in value[:8]:
        media_at(value, at)
    form = next((form for start, form in _AUDIO_STARTS.items() if value.startswith(start)), None)
    return Opaque(dialect=NAME, kind="input_audio", raw=raw) if form is None else Audio(data=value, format=form)


def _file_part(raw: dict[str, object], at: str) -> Document:
    place = f"{at}.file"
    if raw.get("file") is None:
        missing(place, "an object with `file_data` or `file_id`")
    file = mapping(raw["file"], place)
    title = None if file.get("filename") is None else text(file["filename"], f"{place}.filename")
    if file.get("file_id") is not None:
        return Document(media=FileRef(file_id=text(file["file_id"], f"{place}.file_id")), title=title)
    if not file.get("file_data"):
        missing(f"{place}.file_data", "a data URL of the file, or `file_id` be given")
    data = text(file["file_data"], f"{place}.file_data")
    bare = ":" not in data[:32]  # base64 without its data URL, as OpenAI takes it too
    media = Inline(media_type="application/pdf", data=data) if bare else media_at(data, f"{place}.file_data")
    return Document(media=media, title=title)


def _document_url_part(raw: dict[str, object], at: str) -> Document:
    """Mistral's: a document by its address."""
    place = f"{at}.document_url"
    media = media_at(text(raw.get("document_url"), place), place)
    name = raw.get("document_name")
    return Document(media=media, title=None if name is None else text(name, f"{at}.document_name"))


def _refusal_part(raw: dict[str, object], at: str) -> Refusal:
    return Refusal(text=text(raw.get("refusal"), f"{at}.refusal"))


def _thinking_part(raw: dict[str, object], at: str) -> Thinking:
    """Mistral's: text, or an array of text parts."""
    value = raw.get("thinking")
    if type(value) is str:
        return Thinking(text=value)
    shown = []
    for index, item in enumerate(array(value, f"{at}.thinking")):
        part = mapping(item, f"{at}.thinking[{index}]")
        shown.append(text(part.get("text", ""), f"{at}.thinking[{index}].text"))
    if raw.get("closed") is not None:
        boolean(raw["closed"], f"{at}.closed")
    return Thinking(text="".join(shown))


def _opaque(raw: dict[str, object], kind: str, at: str) -> Opaque:
    """A part of a kind we do not know; any address in it is still checked."""
    for name, value in raw.items():
        if name.endswith("url") or kind.startswith(_MEDIA_KINDS):
            _check_addresses(value, f"{at}.{name}")
    return Opaque(dialect=NAME, kind=kind, raw=raw)


def _check_addresses(value: object, at: str) -> None:
    if type(value) is dict:
        for name, inner in value.items():
            if name.endswith("url"):
                _check_addresses(inner, f"{at}.{name}")
    elif type(value) is str and at.endswith("url"):
        media_at(value, at)


_PARTS: dict[str, Callable[[dict[str, object], str], Part]] = {
    "text": _text_part,
    "image_url": _image_part,
    "input_audio": _audio_part,
    "file": _file_part,
    "document_url": _document_url_part,
    "refusal": _refusal_part,
    "thinking": _thinking_part,
}
