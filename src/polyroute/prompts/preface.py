"""A preface laid into a canonical request. What the caller wrote stays as it was, word for word.

Instructions join the caller's own first ones, since many models take one system message and only at the beginning;
a model without a system role gets them in front of the user's text.
"""

from msgspec.structs import replace

from polyroute.ports import Preface
from polyroute.types.content import Message, Part, Role, Text
from polyroute.types.request import Request

GAP = "\n\n"
SYSTEM_ROLES = ("system", "developer")


def with_preface(request: Request, preface: Preface) -> Request:
    """Its `wire` is left as it is."""
    messages = request.messages
    at = next((at for at, message in enumerate(messages) if message.role not in SYSTEM_ROLES), len(messages))
    if preface.user:
        messages = _fronted(messages, at, "user", preface.user)
    if preface.system:
        role: Role = messages[0].role if at else "system"
        messages = _fronted(messages, 0, role, preface.system)
    output = preface.output if preface.sets_output else request.output
    return replace(request, messages=messages, output=output)


def joined(*texts: str | None) -> str | None:
    """Texts one after another; None where there is none."""
    return GAP.join(text for text in texts if text) or None


def _fronted(messages: tuple[Message, ...], at: int, role: Role, text: str) -> tuple[Message, ...]:
    """`text` in front of the message at `at` where that has the role, else as a message of its own."""
    if at < len(messages) and messages[at].role == role:
        changed = replace(messages[at], parts=_with_text(messages[at].parts, text))
        return (*messages[:at], changed, *messages[at + 1 :])
    return (*messages[:at], Message(role=role, parts=(Text(text=text),)), *messages[at:])


def _with_text(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    """One text where the caller's is one too; beside a cache mark or an image, a part of its own."""
    if len(parts) == 1 and isinstance(first := parts[0], Text) and first.cache is None and not first.citations:
        return (Text(text=f"{text}{GAP}{first.text}"),)
    return (Text(text=text), *parts)
