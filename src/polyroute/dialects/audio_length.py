"""How long a recording is, from its bytes: exactly where a WAV header says so, else at most and most likely.

A WAV file holds the bytes of a second in its header (RIFF; Microsoft, "Multimedia Data Standards Update", 1994). Of
packed sound only the size is known: at most it is speech at 8 kbit/s, and most likely at 64.
"""

import struct

from polyroute.types.response import Units

_LEAST_PACKED_BYTES_PER_S, _USUAL_PACKED_BYTES_PER_S = 1_000, 8_000
_PLAIN_FORMATS = (1, 3, 6, 7, 0xFFFE)  # PCM, floats, A-law, mu-law, and the extensible form of these
_MAX_CHUNKS = 64


def length_of(data: bytes) -> Units:
    rate, size = _wav(data)
    if rate:
        return Units(audio_ms=-(-size * 1000 // rate))
    most, likely = (-(-len(data) * 1000 // rate) for rate in (_LEAST_PACKED_BYTES_PER_S, _USUAL_PACKED_BYTES_PER_S))
    return Units(audio_ms=most, likely_audio_ms=likely, estimated=True)


def _wav(data: bytes) -> tuple[int, int]:
    """Bytes for a second of sound, and bytes of sound; the first is 0 where this is no plain WAV file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return 0, 0
    at, rate = 12, 0
    for _ in range(_MAX_CHUNKS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if kind == b"fmt " and len(data) >= at + 16:
            form, channels, samples, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            rate = samples * channels * bits // 8 if form in _PLAIN_FORMATS else 0
        elif kind == b"data":
            return rate, len(data) - at  # all that is left: a header may say less than is there
        elif at >= len(data):
            break
        at += size + (size & 1)
    return 0, 0
