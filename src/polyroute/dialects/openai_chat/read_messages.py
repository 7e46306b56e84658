"""A caller's `messages` array as canonical messages.

Parts that only this dialect knows are kept as `Opaque`. Source: OpenAI API reference, "Create chat completion",
`messages`; the additions of OpenRouter, Mistral and DeepSeek are marked where they are read.
"""

from collections.abc import Callable
from typing import cast, get_args

from msgspec.structs import replace

from polyroute.dialects.fields import array, boolean, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

NAME = "openai_chat"
_MAX_MESSAGES = 100_000  # Anthropic's documented limit, the largest of the providers'
_MEDIA_KINDS = ("image", "video", "audio", "document", "file")  # whose parts carry an address
_ROLES = (*get_args(Role), "function")
_PLAIN_ROLES = ("user", "assistant", "system", "developer")
_DETAILS = ("auto", "low", "high", "original")
_AUDIO_STARTS = {"UklGR": "wav", "SUQz": "mp3", "//": "mp3", "T2dnUw": "ogg", "ZkxhQw": "flac"}  # RIFF, ID3, frames, …


def read_messages(value: object, at: str) -> tuple[Message, ...]:
    items = array(value, at)
    if not 0 < len(items) <= _MAX_MESSAGES:
        wrong(at, f"an array of 1 to {_MAX_MESSAGES} messages", f"{len(items)} messages", code="invalid_value")
    messages = []
    legacy_call_id = ""  # functions of 2023 had no ids: each result answers the call before it
    for index, item in enumerate(items):
        if type(item) is dict and len(item) == 2:
            content, role = item.get("content"), item.get("role")
            if type(content) is str and role in _PLAIN_ROLES:  # by far the commonest form
                messages.append(Message(role=role, parts=(Text(text=content),)))
                continue
        place = f"{at}[{index}]"
        message = mapping(item, place)
        if message.get("function_call") is not None:
            legacy_call_id = f"call_{index}"
        messages.append(_read_message(message, place, legacy_call_id))
    return tuple(messages)


def _read_message(message: dict[str, object], at: str, legacy_call_id: str) -> Message:
    if "role" not in message:
        missing(f"{at}.role", "one of " + ", ".join(_ROLES))
    role = one_of(message["role"], f"{at}.role", _ROLES)
    name = None if message.get("name") is None else text(message["name"], f"{at}.name")
    if role == "assistant":
        parts = _assistant_parts(message, at, legacy_call_id)
    elif role == "tool":
        if message.get("tool_call_id") is None:
            missing(f"{at}.tool_call_id", "the id of the tool call that this message answers")
        parts = (_tool_result(message, at, text(message["tool_call_id"], f"{at}.tool_call_id")),)
    elif role == "function":
        role, parts = "tool", (_tool_result(message, at, legacy_call_id or f"call_{name}"),)
    else:
        parts = tuple(_content(message, at))
    if message.get("cache_control") is not None and parts and not isinstance(parts[-1], Thinking):
        parts = (*parts[:-1], _marked(parts[-1], message["cache_control"], f"{at}.cache_control"))
    return Message(role=cast("Role", role), parts=parts, name=name)


def _content(message: dict[str, object], at: str) -> list[Part]:
    content = message.get("content")
    if content is None:
        missing(f"{at}.content", "a string or an array of content parts")
    if type(content) is str:
        return [Text(text=content)]
    if type(content) is not list:
        wrong(f"{at}.content", "a string or an array of content parts", content)
    return [_read_part(part, f"{at}.content[{index}]") for index, part in enumerate(content)]


def _assistant_parts(message: dict[str, object], at: str, legacy_call_id: str) -> tuple[Part, ...]:
    parts: list[Part] = list(_thinking(message, at))
    if message.get("content"):
        parts += _content(message, at)
    elif message.get("content") is not None and message["content"] != "":
        array(message["content"], f"{at}.content")
    if message.get("refusal") is not None:
        parts.append(Refusal(text=text(message["refusal"], f"{at}.refusal")))
    if message.get("audio") is not None:  # an earlier spoken answer, by its id
        parts.append(Opaque(dialect=NAME, kind="audio", raw=mapping(message["audio"], f"{at}.audio")))
    if message.get("tool_calls") is not None:
        for index, call in enumerate(array(message["tool_calls"], f"{at}.tool_calls")):
            parts.append(_tool_call(mapping(call, f"{at}.tool_calls[{index}]"), f"{at}.tool_calls[{index}]"))
    if message.get("function_call") is not None:
        place = f"{at}.function_call"
        parts.append(_function(mapping(message["function_call"], place), place, legacy_call_id))
    if not parts and message.get("content") is None:
        missing(f"{at}.content", "a string or an array of content parts, unless `tool_calls` is given")
    return tuple(parts)


def _thinking(message: dict[str, object], at: str) -> list[Thinking]:
    """Reasoning that the caller sends back: OpenRouter's details, else DeepSeek's or OpenRouter's plain text."""
    if message.get("reasoning_details"):
        details = array(message["reasoning_details"], f"{at}.reasoning_details")
        return read_reasoning_details(
            [mapping(item, f"{at}.reasoning_details[{index}]") for index, item in enumerate(details)]
        )
    for name in ("reasoning_content", "reasoning"):
        if message.get(name):
            return [Thinking(text=text(message[name], f"{at}.{name}"))]
    return []


def read_reasoning_details(details: list[dict[str, object]]) -> list[Thinking]:
    """OpenRouter's `reasoning_details`; kinds that say nothing readable are passed over."""
    found = []
    for item in details:
        shown, signature, sealed = item.get("text") or item.get("summary"), item.get("signature"), item.get("data")
        if isinstance(sealed, str):
            found.append(Thinking(text="", redacted=sealed))
        elif isinstance(shown, str) or isinstance(signature, str):
            found.append(
                Thinking(
                    text=shown if isinstance(shown, str) else "",
                    signature=signature if isinstance(signature, str) else None,
                )
            )
    return found


def _tool_call(call: dict[str, object], at: str) -> ToolCall | Opaque:
    if call.get("id") is None:
        missing(f"{at}.id", "the tool call's id")
    call_id = text(call["id"], f"{at}.id")
    kind = "function" if call.get("type") is None else text(call["type"], f"{at}.type")
    if kind != "function":
        return Opaque(dialect=NAME, kind=f"{kind}_tool_call", raw=call)
    if call.get("function") is None:
        missing(f"{at}.function", "an object with `name` and `arguments`")
    return _function(mapping(call["function"], f"{at}.function"), f"{at}.function", call_id)


def _function(function: dict[str, object], at: str, call_id: str) -> ToolCall:
    if not function.get("name"):
        missing(f"{at}.name", "the function's name")
    arguments = function.get("arguments")
    return ToolCall(
        id=call_id,
        name=text(function["name"], f"{at}.name"),
        arguments="" if arguments is None else text(arguments, f"{at}.arguments"),
    )


def _tool_result(message: dict[str, object], at: str, call_id: str) -> ToolResult:
    parts: list[Text | Image | Document | Opaque] = []
    content = _content(message, at) if message.get("role") != "function" or message.get("content") is not None else []
    for index, part in enumerate(content):
        if isinstance(part, Text | Image | Document | Opaque):
            parts.append(part)
        else:
            wrong(f"{at}.content[{index}]", "a text, image or file part in a tool's result", type(part).__name__)
    return ToolResult(call_id=call_id, parts=tuple(parts))


# ── content parts ─────────────────────────────────────────────────────────────────────────────────────


def _read_part(value: object, at: str) -> Part:
    raw = mapping(value, at)
    if raw.get("type") is None:
        missing(f"{at}.type", "the part's type, such as `text` or `image_url`")
    kind = text(raw["type"], f"{at}.type")
    read = _PARTS.get(kind)
    part = read(raw, at) if read else _opaque(raw, kind, at)
    mark = raw.get("cache_control") or raw.get("prompt_cache_breakpoint")  # OpenRouter's; OpenAI's
    return part if mark is None else _marked(part, mark, f"{at}.cache_control")


def _marked(part: Part, mark: object, at: str) -> Part:
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
