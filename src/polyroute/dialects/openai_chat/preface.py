"""A preface laid into a chat completion's own body; every field it does not concern stays as the caller sent it."""

from typing import Any

from msgspec.structs import replace

from polyroute.dialects.openai_chat.write_request import response_format
from polyroute.ports import Preface
from polyroute.types.request import Wire

_GAP = "\n\n"
_SYSTEM_ROLES = ("system", "developer")


def lay_preface(wire: Wire, preface: Preface) -> Wire:
    """`wire` holds a body that was read as a request."""
    body: dict[str, Any] = dict(wire.body)
    messages: list[dict[str, Any]] = list(body["messages"])
    at = next((at for at, message in enumerate(messages) if message["role"] not in _SYSTEM_ROLES), len(messages))
    if preface.user:
        _front(messages, at, "user", preface.user)
    if preface.system:
        _front(messages, 0, messages[0]["role"] if at else "system", preface.system)
    body["messages"] = messages
    if preface.sets_output:
        body.pop("response_format", None)
        if preface.output is not None:
            body["response_format"] = response_format(preface.output)
    return replace(wire, body=body)


def _front(messages: list[dict[str, Any]], at: int, role: str, text: str) -> None:
    """`text` in front of the message at `at` where that has the role, else as a message of its own."""
    if at == len(messages) or messages[at]["role"] != role:
        messages.insert(at, {"role": role, "content": text})
        return
    content = messages[at].get("content")
    if isinstance(content, list):
        content = [{"type": "text", "text": text}, *content]
    else:
        content = f"{text}{_GAP}{content}" if content else text
    messages[at] = {**messages[at], "content": content}
