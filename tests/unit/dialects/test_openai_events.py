"""Typed events: passed whole whatever the chunking, the last one held back, an error never passed on as an answer."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_transcriptions import OpenAITranscriptions
from polyroute.errors import ProviderError, StreamInterrupted
from polyroute.types.response import Chunk, Ended, Units, WireBytes

DELTA = b'data: {"type":"transcript.text.delta","delta":"caf\xc3\xa9 \\"x.done\\" error"}\n\n'
USAGE = b'"usage":{"type":"duration","seconds":2.5}'
DONE = b'event: transcript.text.done\ndata: {"type":"transcript.text.done","text":"",' + USAGE + b"}\n\n"
STREAM = b": hello\n\n" + DELTA + DELTA + DONE + b"data: [DONE]\n\n"


def read(*pieces: bytes) -> tuple[bytes, Ended]:
    reader = OpenAITranscriptions().open_reader(same_dialect=True)
    chunks: list[Chunk] = [chunk for piece in pieces for chunk in reader.feed(piece)]
    chunks += reader.close()
    ended = chunks[-1]
    assert isinstance(ended, Ended)
    return b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes)), ended


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=6).map(sorted))
def test_however_the_bytes_are_cut_they_pass_whole(cuts: list[int]) -> None:
    places = [0, *cuts, len(STREAM)]
    passed, ended = read(*(STREAM[start:end] for start, end in pairwise(places)))
    assert passed + (ended.wire or b"") == STREAM
    assert (ended.wire or b"").startswith(DONE)
    assert ended.usage is not None
    assert ended.usage.units == Units(audio_ms=2_500)


def test_crlf_ends_pass_as_they_came() -> None:
    told = STREAM.replace(b"\n", b"\r\n")
    passed, ended = read(told)
    assert passed + (ended.wire or b"") == told
    assert ended.usage is not None


@pytest.mark.parametrize("told", [b"", b": ping\n\n", DELTA, DELTA + DONE[:40], b"data: [DONE]\n\n"])
def test_a_stream_without_its_end_is_interrupted(told: bytes) -> None:
    with pytest.raises(StreamInterrupted):
        read(told)


@pytest.mark.parametrize(
    "told",
    [
        b'data: {"type":"error","error":{"message":"full","type":"server_error"}}\n\n',
        b"event: error\ndata: overloaded\n\n",
        DELTA + b'data: {"error":{"message":"full"}}\n\n' + DONE,
        b'{"error":{"message":"full","type":"server_error"}}',
        b'{"text":',
    ],
)
def test_an_error_is_no_answer(told: bytes) -> None:
    with pytest.raises(ProviderError):
        read(told)


def test_the_report_stands_in_the_last_event() -> None:
    dialect = OpenAITranscriptions()
    body = {"model": "m", "input_audio": {"data": "AAAA", "format": "wav"}, "stream": True}
    _, ended = read(STREAM)
    told = dialect.open_writer(dialect.parse_request(body, {})).end(ended, {"cost_usd": "0.1"})
    last = orjson.loads(told.split(b"data: ")[1])
    assert last["polyroute"] == {"cost_usd": "0.1"}
    assert told.endswith(b"data: [DONE]\n\n")
