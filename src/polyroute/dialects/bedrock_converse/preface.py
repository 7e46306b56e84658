"""A preface laid into a Converse body; every field it does not concern stays as the caller sent it."""

from typing import Any

from msgspec.structs import replace

from polyroute.dialects.bedrock_converse.write_request import text_format
from polyroute.ports import Preface
from polyroute.types.request import Wire


def lay_preface(wire: Wire, preface: Preface) -> Wire:
    """`wire` holds a body that was read as a request."""
    body: dict[str, Any] = dict(wire.body)
    if preface.system:
        body["system"] = [{"text": preface.system}, *(body.get("system") or ())]
    if preface.user:
        messages: list[dict[str, Any]] = list(body["messages"])
        if messages[0]["role"] == "user":
            messages[0] = {**messages[0], "content": [{"text": preface.user}, *messages[0]["content"]]}
        else:
            messages.insert(0, {"role": "user", "content": [{"text": preface.user}]})
        body["messages"] = messages
    if preface.sets_output:
        _set_output(body, preface)
    return replace(wire, body=body)


def _set_output(body: dict[str, Any], preface: Preface) -> None:
    """Converse has a form for schemas alone: any JSON is asked for in words."""
    config = {name: value for name, value in (body.pop("outputConfig", None) or {}).items() if name != "textFormat"}
    output = preface.output
    if output is not None and output.schema is not None:
        config["textFormat"] = text_format(output, output.schema, [])
    if config:
        body["outputConfig"] = config
