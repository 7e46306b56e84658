"""Every text of a request or an answer, in canonical form or as JSON, each with a chance to be changed.

What no person wrote stays as it is: ids, media, signatures. A text that holds a text of its own (the arguments of a
tool call, a file in base64) is opened, and closed again where something in it was changed.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import TypeVar

import re2
from msgspec import Struct
from msgspec.structs import replace

from polyroute.types.content import Inline

Change = Callable[[str, str], str]  # of a text, and where it stands

_T = TypeVar("_T")
_OURS = frozenset({  # fields that hold no one's words
    "call_id", "detail", "dialect", "effort", "encrypted_content", "file_id", "format", "id", "kind", "media_type",
    "mimeType", "mode", "model", "operation", "raw_stop", "redacted", "role", "signature", "stop_sequence",
    "system_fingerprint", "thoughtSignature", "thought_signature", "tool_call_id", "tool_use_id", "ttl", "type", "wire",
})  # fmt: skip
_ARGUMENTS = "arguments"
_MEDIA_TYPES = ("media_type", "mimeType", "mime_type")
_DATA_URL = "data:text/"
_BLOB = re2.compile(r"(?:data:[a-z0-9.+/;=-]*,)?[A-Za-z0-9+/=_-]+")
_LEAST_BLOB = 256  # characters without a single space


def mapped(value: _T, change: Change, path: str = "") -> _T:
    """`value` with every text changed; itself where none was. Structs, tuples, lists and dictionaries are walked."""
    found: object = value
    if isinstance(value, str):
        found = _text(value, change, path)
    elif isinstance(value, dict):
        found = _object(value, change, path)
    elif isinstance(value, list | tuple):
        items = [mapped(item, change, f"{path}[{at}]") for at, item in enumerate(value)]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            found = items if isinstance(value, list) else tuple(items)
    elif isinstance(value, Inline):
        found = replace(value, data=_media(value.data, value.media_type, change, path))
    elif isinstance(value, Struct):
        changes = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            if name not in _OURS and (new := _field(name, old, change, f"{path}.{name}" if path else name)) is not old:
                changes[name] = new
        found = replace(value, **changes) if changes else value
    return found  # type: ignore[return-value]  # of the same type as what came


def _object(value: dict[str, object], change: Change, path: str) -> dict[str, object]:
    media_type = next((given for name in _MEDIA_TYPES if isinstance(given := value.get(name), str)), None)
    is_changed, items = False, {}
    for name, old in value.items():
        at = f"{path}.{name}" if path else str(name)
        if name in _OURS:
            key, new = name, old
        elif name == "data" and media_type is not None and isinstance(old, str) and value.get("type") != "text":
            key, new = name, _media(old, media_type, change, at)
        else:
            key, new = change(name, path), _field(name, old, change, at)
        items[key] = new
        is_changed = is_changed or new is not old or key is not name
    return items if is_changed else value


def _field(name: str, value: object, change: Change, path: str) -> object:
    if name != _ARGUMENTS or not isinstance(value, str):
        return mapped(value, change, path)
    try:
        opened = json.loads(value)
    except ValueError:
        return change(value, path)
    changed = mapped(opened, change, path)
    return value if changed is opened else json.dumps(changed, ensure_ascii=False)


def _text(text: str, change: Change, path: str) -> str:
    if text.startswith(_DATA_URL) and ";base64," in text[:128]:
        head, _, data = text.partition(",")
        changed = _media(data, "text/", change, path)
        return text if changed is data else f"{head},{changed}"
    if len(text) >= _LEAST_BLOB and _BLOB.fullmatch(text) is not None:
        return text
    return change(text, path)


def _media(data: str, media_type: str, change: Change, path: str) -> str:
    """Files of plain text are opened; what else there is cannot be read here."""
    if not media_type.startswith("text/"):
        return data
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return change(data, path)
    changed = change(text, path)
    return data if changed is text else base64.b64encode(changed.encode()).decode()
