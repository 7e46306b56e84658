"""Messages in OpenAI's form made fit for a server that takes them otherwise: roles, ids, contents, extra fields.

A message that needs no change is passed on as it is; one that does is copied.
"""

import string
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

Item = dict[str, Any]

_PLAIN = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "prefix"})
_ALPHABET = string.digits + string.ascii_letters
_SHORT, _LONGEST = 9, 40
MESSAGE_QUIRKS = frozenset(
    (
        *("no_developer", "no_system", "alternating", "text_content", "plain_messages", "no_names", "prefix_last"),
        *("tool_ids_9", "tool_ids_40", "document_url"),
    )
)


def fit_messages(messages: list[Any], quirks: frozenset[str], dropped: set[str]) -> list[Any]:
    changes = [change for quirk, change in _CHANGES.items() if quirk in quirks]
    fitted: list[Any] = []
    for given in messages:
        message = given
        if isinstance(message, dict):
            for change in changes:
                message = change(message, dropped)
        fitted.append(message)
    if "no_system" in quirks:
        fitted = _joined([_as_user(message) for message in fitted], ("user",))
    if "alternating" in quirks:
        fitted = _joined(fitted, ("user", "assistant"))
    if "prefix_last" in quirks and fitted and _is(fitted[-1], "assistant") and not fitted[-1].get("tool_calls"):
        fitted[-1] = {**fitted[-1], "prefix": True}
    return fitted


def short_id(given: str) -> str:
    """Nine letters and digits, always the same for the same id; one that is so already stays."""
    if len(given) == _SHORT and given.isascii() and given.isalnum():
        return given
    return _hashed(given, _SHORT)


def bounded_id(given: str) -> str:
    return given if len(given) <= _LONGEST else f"call_{_hashed(given, 24)}"


def _hashed(given: str, length: int) -> str:
    """Digits of a hash: two ids of one conversation meet in nine of them less than once in 10^15."""
    number = int.from_bytes(blake2b(given.encode("utf-8", "surrogatepass"), digest_size=24).digest())
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


# ── one message ───────────────────────────────────────────────────────────────────────────────────────────


def _developer(message: Item, dropped: set[str]) -> Item:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def _plain(message: Item, dropped: set[str]) -> Item:
    if message.keys() <= _PLAIN:
        return message
    kept = {name: value for name, value in message.items() if name in _PLAIN}
    if kept.get("content") is None and (refusal := message.get("refusal")):
        kept["content"] = refusal
    dropped.update(f"messages.{name}" for name in message.keys() - _PLAIN - {"refusal"} if message[name])
    return kept


def _nameless(message: Item, dropped: set[str]) -> Item:
    if message.get("role") == "tool" or "name" not in message:
        return message
    dropped.add("messages.name")
    return {name: value for name, value in message.items() if name != "name"}


def _text(message: Item, dropped: set[str]) -> Item:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    if len(texts) != len(content):
        return message  # media have no other form
    return {**message, "content": "\n".join(text for text in texts if isinstance(text, str))}


def _documents(message: Item, dropped: set[str]) -> Item:
    content = message.get("content")
    if not isinstance(content, list) or not any(map(_is_file, content)):
        return message
    return {**message, "content": [_document_url(part) if _is_file(part) else part for part in content]}


def _is_file(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(file := part.get("file"), dict) and "file_data" in file


def _document_url(part: Item) -> Item:
    file = part["file"]
    written: Item = {"type": "document_url", "document_url": file["file_data"]}
    if name := file.get("filename"):
        written["document_name"] = name
    return written


def _with_ids(fit_id: Callable[[str], str]) -> Callable[[Item, set[str]], Item]:
    def change(message: Item, dropped: set[str]) -> Item:
        calls, answered = message.get("tool_calls"), message.get("tool_call_id")
        if isinstance(calls, list) and calls:
            message = {**message, "tool_calls": [_with_id(call, fit_id) for call in calls]}
        if isinstance(answered, str):
            message = {**message, "tool_call_id": fit_id(answered)}
        return message

    return change


def _with_id(call: Any, fit_id: Callable[[str], str]) -> Any:
    if not isinstance(call, dict) or not isinstance(given := call.get("id"), str):
        return call
    return {**call, "id": fit_id(given)}


_CHANGES: dict[str, Callable[[Item, set[str]], Item]] = {
    "no_developer": _developer,
    "plain_messages": _plain,
    "no_names": _nameless,
    "text_content": _text,
    "document_url": _documents,
    "tool_ids_9": _with_ids(short_id),
    "tool_ids_40": _with_ids(bounded_id),
}


# ── their order ───────────────────────────────────────────────────────────────────────────────────────────


def _is(message: Any, role: str) -> bool:
    return isinstance(message, dict) and message.get("role") == role


def _as_user(message: Any) -> Any:
    return {**message, "role": "user"} if _is(message, "system") or _is(message, "developer") else message


def _joined(messages: list[Any], roles: tuple[str, ...]) -> list[Any]:
    """Neighbours of one of `roles` as one message; who calls tools stays alone."""
    joined: list[Any] = []
    for message in messages:
        last: Any = joined[-1] if joined else None
        if any(_is(message, role) and _is(last, role) for role in roles) and not (
            message.get("tool_calls") or last.get("tool_calls")
        ):
            joined[-1] = {**last, "content": _both(last.get("content"), message.get("content"))}
        else:
            joined.append(message)
    return joined


def _both(one: Any, other: Any) -> Any:
    if isinstance(one, list) or isinstance(other, list):
        return [*_parts(one), *_parts(other)]
    return "\n\n".join(text for text in (one, other) if text)


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []
