"""What simulated models answer beside chat: the same for the same request, and plain to see that no model was called.

Vectors come from the input's own words, so that texts with common words lie near each other, and documents are ranked
by the words that they share with the query.
"""

import base64
import hashlib
import math
import struct
import zlib
from array import array
from collections.abc import Callable, Mapping

from msgspec import json

from polyroute.catalog import tokens
from polyroute.types.content import Audio, Image, Inline, Message, Opaque, Part, Text, text_of
from polyroute.types.request import Operation, Request
from polyroute.types.response import Choice, StopReason, Usage

DIMENSIONS = 256  # of a vector, where the request does not say
TRANSCRIPT = "This is a simulated transcript. No model was called."
_CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")
_TEXTS = ("text", "srt", "vtt")
_SAMPLES_PER_S, _SPEECH_MS_PER_CHARACTER = 8_000, 60
_LONGEST_S = 60


def choices_for(request: Request) -> tuple[Choice, ...]:
    """The answer to a request that is no chat."""
    return _ANSWERS[request.operation](request)


def media_type_for(request: Request) -> str:
    if request.operation == "speech":
        return "audio/wav"
    is_text = request.operation == "transcription" and request.extensions.get("response_format") in _TEXTS
    return "text/plain; charset=utf-8" if is_text else "application/json"


def usage_for(request: Request) -> Usage:
    words = len(TRANSCRIPT.split()) if request.operation == "transcription" else 0
    return Usage(input_tokens=tokens.estimate(request), output_tokens=words)


def _embeddings(request: Request) -> tuple[Choice, ...]:
    size = request.dimensions or DIMENSIONS
    return tuple(
        Choice(index=at, parts=(), vector=_vector(_said(message), size), stop=StopReason.END)
        for at, message in enumerate(request.messages)
    )


def _vector(said: str, size: int) -> tuple[float, ...]:
    """Of length 1: each word adds one to a place of its own, and the whole text a little everywhere."""
    values = array("d", bytes(8 * size))
    for word in said.lower().split() or [said]:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place, sign = int.from_bytes(digest, "big") % size, 1 if digest[0] & 1 else -1
        values[place] += sign
    values[zlib.crc32(said.encode("utf-8", "surrogatepass")) % size] += 0.25
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return tuple(value / length for value in values)


def _moderation(request: Request) -> tuple[Choice, ...]:
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
        "simulated": True,
    }
    return tuple(
        Choice(index=at, parts=(Opaque(dialect="openai_moderations", kind="result", raw=result),), stop=StopReason.END)
        for at in range(len(request.messages))
    )


def _rerank(request: Request) -> tuple[Choice, ...]:
    query, *documents = (_said(message) for message in request.messages)
    wanted = set(query.lower().split())
    scored = [(len(wanted & set(said.lower().split())) / max(1, len(wanted)), at) for at, said in enumerate(documents)]
    scored.sort(key=lambda item: (-item[0], item[1]))
    most, shows = request.extensions.get("top_n"), bool(request.extensions.get("return_documents"))
    kept = scored[: most if isinstance(most, int) else None]
    results = [
        {"index": at, "relevance_score": score, **({"document": {"text": documents[at]}} if shows else {})}
        for score, at in kept
    ]
    return tuple(
        Choice(index=at, parts=(Opaque(dialect="rerank", kind="result", raw=result),), stop=StopReason.END)
        for (_, at), result in zip(kept, results, strict=True)
    )


def _images(request: Request) -> tuple[Choice, ...]:
    said = Text(text=f"simulated: {_said(request.messages[-1])[:200]}")
    media = Inline(media_type="image/png", data=base64.b64encode(_dot(said.text)).decode())
    return tuple(Choice(index=at, parts=(Image(media=media), said), stop=StopReason.END) for at in range(request.n))


def _dot(said: str) -> bytes:
    """A PNG of one pixel, whose colour comes from the text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=3).digest()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    note = chunk(b"tEXt", b"Comment\0simulated")
    return b"\x89PNG\r\n\x1a\n" + head + note + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


def _transcription(request: Request) -> tuple[Choice, ...]:
    return (Choice(parts=(Text(text=TRANSCRIPT),), stop=StopReason.END),)


def _speech(request: Request) -> tuple[Choice, ...]:
    """Silence, for about as long as the text takes to be spoken."""
    seconds = min(_LONGEST_S, len(_said(request.messages[-1])) * _SPEECH_MS_PER_CHARACTER / 1000)
    sound = b"\x80" * int(_SAMPLES_PER_S * seconds)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _SAMPLES_PER_S, _SAMPLES_PER_S, 1, 8)
    note = b"LIST" + struct.pack("<I", 22) + b"INFOICMT" + struct.pack("<I", 10) + b"simulated\0"
    data = b"WAVE" + form + note + b"data" + struct.pack("<I", len(sound)) + sound
    file = base64.b64encode(b"RIFF" + struct.pack("<I", len(data)) + data).decode()
    return (Choice(parts=(Audio(data=file, format="wav"),), stop=StopReason.END),)


def _said(message: Message) -> str:
    return text_of(message.parts) or "".join(_raw(part) for part in message.parts)


def _raw(part: Part) -> str:
    return json.encode(part.raw).decode() if isinstance(part, Opaque) else ""


_ANSWERS: Mapping[Operation, Callable[[Request], tuple[Choice, ...]]] = {
    "embeddings": _embeddings,
    "moderation": _moderation,
    "rerank": _rerank,
    "image": _images,
    "transcription": _transcription,
    "speech": _speech,
}
