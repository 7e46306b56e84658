"""Prompts and answers as the GenAI conventions tell them, for a document that says `telemetry.content: true`. Pure.

Personal data and secrets that are found in them are masked by kind. Images, sound and files are named, never told.
Source: semantic-conventions-genai, `gen_ai.input.messages` and `gen_ai.output.messages`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

import msgspec
from msgspec import Struct

from polyroute.errors import ProviderError
from polyroute.privacy.detector import Detector
from polyroute.telemetry import semantics as names
from polyroute.telemetry.otlp.values import whole
from polyroute.types.content import (
    Audio,
    Document,
    Image,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    text_of,
)
from polyroute.types.request import Request
from polyroute.types.response import Response

_LONGEST = 8_192  # characters of one text
_MOST_MESSAGES = 64  # the newest
_json = msgspec.json.Encoder().encode


class Spoken(Struct, frozen=True):
    """What was asked, and how to read what was answered; None where nobody has kept that."""

    request: Request
    answer: Callable[[], Response] | None


def attributes_of(spoken: Spoken, detector: Detector) -> Mapping[str, str]:
    asked = [
        {"role": message.role, "parts": _parts(message.parts, detector)}
        for message in spoken.request.messages[-_MOST_MESSAGES:]
    ]
    told = {names.INPUT_MESSAGES: _json(asked).decode()}
    if spoken.answer is not None:
        try:
            answer = spoken.answer()
        except ProviderError:
            return told  # it was passed on as it came, and is of no form that could be told
        said = [
            {"role": "assistant", "parts": _parts(choice.parts, detector), "finish_reason": choice.stop.value}
            for choice in answer.choices
        ]
        told[names.OUTPUT_MESSAGES] = _json(said).decode()
    return told


def _parts(parts: Iterable[Part], detector: Detector) -> list[dict[str, str]]:
    return [_part(part, detector) for part in parts]


def _part(part: Part, detector: Detector) -> dict[str, str]:
    match part:
        case Text() | Refusal():
            return {"type": "text", "content": masked(part.text, detector)}
        case Thinking():
            return {"type": "reasoning", "content": masked(part.text, detector)}
        case ToolCall():
            arguments = masked(part.arguments, detector)
            return {"type": "tool_call", "id": whole(part.id), "name": whole(part.name), "arguments": arguments}
        case ToolResult():
            told = masked(text_of(part.parts), detector)
            return {"type": "tool_call_response", "id": whole(part.call_id), "response": told}
        case Image() | Document() | Audio() | Opaque():
            return {"type": type(part).__name__.lower()}
        case _ as never:
            assert_never(never)


def masked(text: str, detector: Detector) -> str:
    """`ann@example.com` becomes `[email]`."""
    is_cut, text = len(text) > _LONGEST, whole(text[:_LONGEST])
    pieces: list[str] = []
    end = 0
    for finding in detector.find(text):
        pieces += (text[end : finding.start], f"[{finding.kind}]")
        end = finding.end
    return "".join((*pieces, text[end:], "…" if is_cut else ""))
