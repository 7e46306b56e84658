"""A caller's `input` as canonical messages.

Items of one turn of the model (reasoning, words, calls) are one message. Items that only this dialect knows are kept
as `Opaque`, alone in a message. Source: OpenAI API reference, "Create a model response", `input`.
"""

from collections.abc import Iterator
from typing import cast

from polyroute.dialects.fields import array, mapping, missing, one_of, text, wrong
from polyroute.dialects.forbidden import media_at
from polyroute.dialects.named_ids import named_ids
from polyroute.dialects.openai_responses.names import NAME, is_made
from polyroute.errors import InvalidRequest
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
from polyroute.types.request import Reference

_MAX_ITEMS = 100_000
_ROLES = ("user", "assistant", "system", "developer")
_DETAILS = ("auto", "low", "high", "original")
_TEXT_KINDS = ("input_text", "output_text", "text")

_Json = dict[str, object]


def read_input(value: object, at: str, refers: list[Reference]) -> tuple[Message, ...]:
    """`refers` takes what of it is only named: it is kept at a provider."""
    if type(value) is str:
        return (Message(role="user", parts=(Text(text=value),)),)
    if type(value) is not list:
        wrong(at, "a string or an array of items", value)
    if len(value) > _MAX_ITEMS:
        wrong(at, f"an array of at most {_MAX_ITEMS} items", f"{len(value)} items", code="invalid_value")
    messages: list[Message] = []
    turn: list[Part] = []  # of the model, as far as it came
    for index, raw in enumerate(value):
        if type(raw) is dict and len(raw) == 2:
            content, role = raw.get("content"), raw.get("role")
            if type(content) is str and role in _ROLES and role != "assistant":  # by far the commonest form
                _close(turn, messages)
                messages.append(Message(role=role, parts=(Text(text=content),)))
                continue
        place = f"{at}[{index}]"
        item = mapping(raw, place)
        kind = "message" if item.get("type") is None and "role" in item else _string(item, "type", place)
        match kind:
            case "message":
                role = one_of(item.get("role"), f"{place}.role", _ROLES)
                parts = _content(item, place)
                if role == "assistant":
                    if turn and all(isinstance(part, Text | Refusal) for part in turn):
                        _close(turn, messages)
                    turn += parts
                else:
                    _close(turn, messages)
                    messages.append(Message(role=cast("Role", role), parts=parts))
            case "reasoning":
                turn.append(_reasoning(item, place))
            case "function_call" if not item.get("namespace"):
                turn.append(_call(item, place))
            case "custom_tool_call" if not item.get("namespace"):
                turn.append(_custom_call(item, place))
            case "function_call_output" | "custom_tool_call_output":
                _close(turn, messages)
                messages.append(Message(role="tool", parts=(_result(item, place),)))
            case _:
                if kind == "item_reference" or (kind == "image_generation_call" and item.get("result") is None):
                    refers.append(refer(_string(item, "id", place), f"{place}.id"))
                refers += _named(item, kind, place)
                _close(turn, messages)
                role = "tool" if kind.endswith("_output") else "assistant"
                messages.append(Message(role=cast("Role", role), parts=(Opaque(dialect=NAME, kind=kind, raw=item),)))
    _close(turn, messages)
    return tuple(messages)


def refer(kept: str, at: str, code: str = "not_found") -> Reference:
    """Raises InvalidRequest for what this gateway wrote itself: no provider has it."""
    if is_made(kept):
        raise InvalidRequest(
            f"`{at}` names an answer that no provider stored: send the conversation so far as `input`",
            field=at,
            code=code,
        )
    return Reference(id=kept, field=at)


def _named(item: _Json, kind: str, at: str) -> Iterator[Reference]:
    """Containers that a call ran in may be gone on with; of outputs, the files that callers hand in."""
    container = item.get("container_id")
    if isinstance(container, str):
        yield Reference(id=container, field=f"{at}.container_id")
    for name in ("environment", "output") if kind.endswith("_output") else ("environment",):
        yield from named_ids(item.get(name), f"{at}.{name}")


def _close(turn: list[Part], messages: list[Message]) -> None:
    if turn:
        messages.append(Message(role="assistant", parts=tuple(turn)))
        turn.clear()


# ── items ─────────────────────────────────────────────────────────────────────────────────────────────


def _reasoning(item: _Json, at: str) -> Thinking:
    shown = []
    for name in ("summary", "content"):
        if item.get(name) is not None:
            for index, raw in enumerate(array(item[name], f"{at}.{name}")):
                place = f"{at}.{name}[{index}]"
                shown.append(_string(mapping(raw, place), "text", place))
    sealed = item.get("encrypted_content")
    return Thinking(
        text="\n\n".join(shown), redacted=None if sealed is None else text(sealed, f"{at}.encrypted_content")
    )


def _call(item: _Json, at: str) -> ToolCall:
    arguments = item.get("arguments")
    return ToolCall(
        id=_string(item, "call_id", at),
        name=_string(item, "name", at),
        arguments="" if arguments is None else text(arguments, f"{at}.arguments"),
    )


def _custom_call(item: _Json, at: str) -> ToolCall:
    given = item.get("input")
    return ToolCall(
        id=_string(item, "call_id", at),
        name=_string(item, "name", at),
        arguments="" if given is None else text(given, f"{at}.input"),
        is_free=True,
    )


def _result(item: _Json, at: str) -> ToolResult:
    call_id, output, place = _string(item, "call_id", at), item.get("output"), f"{at}.output"
    if output is None:
        missing(place, "a string or an array of content parts")
    if type(output) is str:
        return ToolResult(call_id=call_id, parts=(Text(text=output),))
    if type(output) is not list:
        wrong(place, "a string or an array of content parts", output)
    parts: list[Text | Image | Document | Opaque] = []
    for index, raw in enumerate(output):
        part = _read_part(raw, f"{place}[{index}]")
        if not isinstance(part, Text | Image | Document | Opaque):
            wrong(f"{place}[{index}]", "a text, image or file part in a tool's output", type(part).__name__)
        parts.append(part)
    return ToolResult(call_id=call_id, parts=tuple(parts))


# ── content parts ─────────────────────────────────────────────────────────────────────────────────────


def _content(item: _Json, at: str) -> tuple[Part, ...]:
    content = item.get("content")
    if content is None:
        missing(f"{at}.content", "a string or an array of content parts")
    if type(content) is str:
        return (Text(text=content),)
    if type(content) is not list:
        wrong(f"{at}.content", "a string or an array of content parts", content)
    return tuple(_read_part(raw, f"{at}.content[{index}]") for index, raw in enumerate(content))


def _read_part(value: object, at: str) -> Part:
    raw = mapping(value, at)
    kind = _string(raw, "type", at)
    mark = None if raw.get("prompt_cache_breakpoint") is None else CacheMark()
    if kind in _TEXT_KINDS:
        notes = raw.get("annotations")
        citations = () if not notes else tuple(mapping(note, f"{at}.annotations") for note in array(notes, at))
        return Text(text=_string(raw, "text", at), citations=citations, cache=mark)
    if kind == "input_image":
        return _image(raw, at, mark)
    if kind == "input_file":
        return _file(raw, at, mark)
    if kind == "refusal":
        return Refusal(text=_string(raw, "refusal", at))
    if kind == "input_audio":
        audio = mapping(raw.get("input_audio"), f"{at}.input_audio")
        place = f"{at}.input_audio"
        return Audio(data=_string(audio, "data", place), format=_string(audio, "format", place))
    return _opaque(raw, kind, at)


def _image(raw: _Json, at: str, mark: CacheMark | None) -> Image:
    detail = None if raw.get("detail") is None else one_of(raw["detail"], f"{at}.detail", _DETAILS)
    if raw.get("image_url") is not None:
        place = f"{at}.image_url"
        url = text(raw["image_url"], place)
        media = media_at(url, place)
        if isinstance(media, Inline) and not (media.media_type.startswith("image/") and media.data):
            wrong(place, "a data URL of an image, data:image/TYPE;base64,DATA", url, code="invalid_value")
        return Image(media=media, detail=detail, cache=mark)
    if raw.get("file_id") is None:
        missing(f"{at}.image_url", "an http(s) address or a data URL, or `file_id` be given")
    return Image(media=FileRef(file_id=text(raw["file_id"], f"{at}.file_id")), detail=detail, cache=mark)


def _file(raw: _Json, at: str, mark: CacheMark | None) -> Document:
    title = None if raw.get("filename") is None else text(raw["filename"], f"{at}.filename")
    if raw.get("file_id") is not None:
        return Document(media=FileRef(file_id=text(raw["file_id"], f"{at}.file_id")), title=title, cache=mark)
    if raw.get("file_url") is not None:
        place = f"{at}.file_url"
        return Document(media=media_at(text(raw["file_url"], place), place), title=title, cache=mark)
    place = f"{at}.file_data"
    if not raw.get("file_data"):
        missing(place, "a data URL of the file, or `file_id` or `file_url` be given")
    data = text(raw["file_data"], place)
    bare = ":" not in data[:32]  # base64 without its data URL, as OpenAI takes it too
    media = Inline(media_type="application/pdf", data=data) if bare else media_at(data, place)
    return Document(media=media, title=title, cache=mark)


def _opaque(raw: _Json, kind: str, at: str) -> Opaque:
    """A part of a kind we do not know; any address in it is still checked."""
    for name, value in raw.items():
        if name.endswith("url") and value is not None:
            media_at(text(value, f"{at}.{name}"), f"{at}.{name}")
    return Opaque(dialect=NAME, kind=kind, raw=raw)


def _string(holder: _Json, name: str, at: str) -> str:
    if holder.get(name) is None:
        missing(f"{at}.{name}", "a string")
    return text(holder[name], f"{at}.{name}")
