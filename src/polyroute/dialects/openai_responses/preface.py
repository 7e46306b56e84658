"""A preface laid into a response request's own body; every field it does not concern stays as the caller sent it."""

from typing import Any

from msgspec.structs import replace

from polyroute.dialects.openai_responses.write_request import text_format
from polyroute.ports import Preface
from polyroute.types.request import Wire

_GAP = "\n\n"


def lay_preface(wire: Wire, preface: Preface) -> Wire:
    """`wire` holds a body that was read as a request."""
    body: dict[str, Any] = dict(wire.body)
    if preface.system:
        said = body.get("instructions")
        body["instructions"] = f"{preface.system}{_GAP}{said}" if said else preface.system
    if preface.user:
        body["input"] = _fronted(body.get("input"), preface.user)
    if preface.sets_output:
        text = {name: value for name, value in (body.get("text") or {}).items() if name != "format"}
        body["text"] = text if preface.output is None else {**text, "format": text_format(preface.output)}
    return replace(wire, body=body)


def _fronted(said: str | list[dict[str, Any]] | None, text: str) -> str | list[dict[str, Any]]:
    """`said` with `text` at the head of the user's first message, or as a message of its own before any other turn."""
    if not said:
        return text
    if isinstance(said, str):
        return f"{text}{_GAP}{said}"
    at = next((at for at, item in enumerate(said) if item.get("role") not in ("system", "developer")), len(said))
    if at < len(said) and said[at].get("role") == "user":
        content = said[at]["content"]
        content = (
            f"{text}{_GAP}{content}" if isinstance(content, str) else [{"type": "input_text", "text": text}, *content]
        )
        return [*said[:at], {**said[at], "content": content}, *said[at + 1 :]]
    return [*said[:at], {"role": "user", "content": text}, *said[at:]]
