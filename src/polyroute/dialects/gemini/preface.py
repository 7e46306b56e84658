"""A preface laid into a Gemini body; every field it does not concern stays as the caller sent it."""

from typing import Any

from msgspec.structs import replace

from polyroute.dialects.gemini.names import camel, spelling
from polyroute.dialects.gemini.write_request import write_output
from polyroute.ports import Preface
from polyroute.types.request import Wire

_OUTPUT = ("responseMimeType", "responseSchema", "responseJsonSchema")


def lay_preface(wire: Wire, preface: Preface) -> Wire:
    """`wire` holds a body that was read as a request."""
    body: dict[str, Any] = dict(wire.body)
    if preface.system:
        at = spelling(body, "systemInstruction")
        body[at] = _fronted(body.get(at) or {}, preface.system)
    if preface.user:
        contents = body["contents"]
        contents = [contents] if isinstance(contents, dict) else list(contents)
        if contents[0].get("role") in (None, "", "user"):
            contents[0] = _fronted(contents[0], preface.user)
        else:
            contents.insert(0, {"role": "user", "parts": [{"text": preface.user}]})
        body["contents"] = contents
    if preface.sets_output:
        at = spelling(body, "generationConfig")
        config = {name: value for name, value in camel(body.get(at) or {}).items() if name not in _OUTPUT}
        if preface.output is not None:
            write_output(preface.output, config, [])
        body[at] = config
    return replace(wire, body=body)


def _fronted(content: dict[str, Any], text: str) -> dict[str, Any]:
    parts = content.get("parts") or []
    return {**content, "parts": [{"text": text}, *([parts] if isinstance(parts, dict) else parts)]}
