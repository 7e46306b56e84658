"""How long a recording is: exact for WAV, at most and most likely for anything else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.audio_length import length_of
from polyroute.types.response import Units


def wav(
    sound: bytes, *, rate: int = 8_000, channels: int = 1, bits: int = 8, form: int = 1, said: int | None = None
) -> bytes:
    fmt = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, form, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits
    )
    size = len(sound) if said is None else said
    data = b"WAVE" + b"LIST" + struct.pack("<I", 3) + b"abc\0" + fmt + b"data" + struct.pack("<I", size) + sound
    return b"RIFF" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(wav(b"\0" * 8_000), Units(audio_ms=1_000), id="a second"),
        pytest.param(wav(b"\0" * 176_400, rate=44_100, channels=2, bits=16), Units(audio_ms=1_000), id="CD quality"),
        pytest.param(wav(b"\0" * 8_001), Units(audio_ms=1_001), id="rounded up"),
        pytest.param(wav(b"\0" * 16_000, said=8), Units(audio_ms=2_000), id="a header that says less than is there"),
        pytest.param(wav(b"\0" * 16_000, said=0xFFFF_FFFF), Units(audio_ms=2_000), id="a header before its sound"),
        pytest.param(
            b"\xff\xfb" + b"\0" * 7_998, Units(audio_ms=8_000, likely_audio_ms=1_000, estimated=True), id="packed"
        ),
    ],
)  # fmt: skip
def test_length(data: bytes, expected: Units) -> None:
    assert length_of(data) == expected


def test_a_packed_wav_is_measured_by_its_bytes() -> None:
    assert length_of(wav(b"\0" * 800, form=0x55)).estimated


@given(st.binary(max_size=300).map(lambda rest: b"RIFF\0\0\0\0WAVE" + rest))
def test_no_header_stops_it(data: bytes) -> None:
    assert length_of(data).audio_ms >= 0
