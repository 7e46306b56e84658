"""A preface laid into a message's own body; every field it does not concern stays as the caller sent it."""

from typing import Any

from msgspec.structs import replace

from polyroute.dialects.anthropic_messages.write_request import output_format
from polyroute.ports import Preface
from polyroute.types.request import Wire

_GAP = "\n\n"


def lay_preface(wire: Wire, preface: Preface) -> Wire:
    """`wire` holds a body that was read as a request."""
    body: dict[str, Any] = dict(wire.body)
    if preface.system:
        body["system"] = _fronted(body.get("system"), preface.system)
    if preface.user:
        messages: list[dict[str, Any]] = list(body["messages"])
        if messages and messages[0]["role"] == "user":
            messages[0] = {**messages[0], "content": _fronted(messages[0].get("content"), preface.user)}
        else:
            messages.insert(0, {"role": "user", "content": preface.user})
        body["messages"] = messages
    if preface.sets_output:
        _set_output(body, preface)
    return replace(wire, body=body)


def _fronted(content: object, text: str) -> object:
    if isinstance(content, list):
        return [{"type": "text", "text": text}, *content]
    return f"{text}{_GAP}{content}" if content else text


def _set_output(body: dict[str, Any], preface: Preface) -> None:
    """Anthropic has a form for schemas alone: any JSON is asked for in words."""
    body.pop("output_format", None)  # the same, of the beta
    config = {name: value for name, value in (body.pop("output_config", None) or {}).items() if name != "format"}
    output = preface.output
    if output is not None and output.schema is not None:
        config["format"] = output_format(output, output.schema, [])
    if config:
        body["output_config"] = config
