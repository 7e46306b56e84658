"""What bytes mean does not depend on how they arrive, in any dialect. Recordings: see recordings.py.

Cut anywhere, with line ends of any kind, comments and further fields between: the same canonical chunks, and for a door
of the same dialect the same bytes. A stream that stops early is never a clean end.
"""

from itertools import cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.recordings import API, CORPUS, streams

from polyroute.dialects import sse
from polyroute.errors import ProviderError
from polyroute.ports import Dialect
from polyroute.types.request import ask
from polyroute.types.response import (
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    WireBytes,
)
from polyroute.wiring.dialects import DIALECTS

pytestmark = pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")
STREAMS = [(dialect, raw) for name, dialect in DIALECTS.items() for raw in streams(name)]
# Completions are an upstream for their own callers only, and have no canonical chunks.
TALKS = [(dialect, raw) for dialect, raw in STREAMS if not dialect.obstacles(ask("m", "Hello"))]
SSE = [(dialect, raw) for dialect, raw in TALKS if dialect.stream_type == sse.MEDIA_TYPE]
recorded = st.integers(0, len(STREAMS) - 1) if STREAMS else st.nothing()  # a number is short to show
recorded_sse = st.integers(0, len(SSE) - 1) if SSE else st.nothing()
cuts = st.lists(st.integers(0, 1 << 16), max_size=60)
line_ends = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1, max_size=7)
# Fields that say nothing about an answer, each as whole lines.
fillers = st.lists(st.sampled_from([b": keep-alive", b":", b"id: 7", b"retry: 3000", b"id"]), max_size=4)


def test_every_dialect_of_answers_has_recordings() -> None:
    assert [
        name
        for name, dialect in DIALECTS.items()
        if (dialect.operation, dialect.name) == ("chat", name) and name not in API
    ] == []


@given(recorded, cuts, st.booleans())
def test_cut_anywhere_it_is_the_same(number: int, places: list[int], same_dialect: bool) -> None:
    dialect, raw = STREAMS[number]
    whole = read(dialect, [raw], same_dialect=same_dialect)
    assert read(dialect, pieces(raw, places), same_dialect=same_dialect) == whole


@given(recorded_sse, st.integers(1, 5), st.booleans())
def test_cut_evenly_it_is_the_same(number: int, size: int, same_dialect: bool) -> None:
    dialect, raw = SSE[number]
    raw = raw[:3000]  # byte by byte is slow, and the end is of no interest here
    whole = read(dialect, [raw], same_dialect=same_dialect)
    assert read(dialect, [raw[at : at + size] for at in range(0, len(raw), size)], same_dialect=same_dialect) == whole


@given(recorded_sse, line_ends, fillers, cuts)
def test_line_ends_comments_and_other_fields_change_no_chunk(
    number: int, ends: list[bytes], filler: list[bytes], places: list[int]
) -> None:
    dialect, raw = SSE[number]
    said = read(dialect, [raw], same_dialect=False)
    written = rewritten(raw, ends, filler)
    assert read(dialect, [written], same_dialect=False) == said
    assert read(dialect, pieces(written, places), same_dialect=False) == said


@given(recorded_sse, line_ends, fillers)
def test_line_ends_comments_and_other_fields_change_no_end_for_the_same_dialect(
    number: int, ends: list[bytes], filler: list[bytes]
) -> None:
    dialect, raw = SSE[number]
    before = read(dialect, [raw], same_dialect=True)
    after = read(dialect, [rewritten(raw, ends, filler)], same_dialect=True)
    if isinstance(before, type):
        assert after == before
        return
    assert not isinstance(after, type)
    assert data_in(after[0]) == data_in(before[0])
    assert after[1] == before[1]


@given(recorded, st.floats(0, 1), st.booleans())
def test_what_stops_early_never_ends_cleanly(number: int, share: float, same_dialect: bool) -> None:
    """Unless nothing but the end mark was missing: then it says all that the whole one does."""
    dialect, raw = TALKS[number % len(TALKS)]
    whole = read(dialect, [raw], same_dialect=False)
    cut = raw[: int(len(raw) * share)]
    ended = read(dialect, [cut], same_dialect=same_dialect)
    if not isinstance(ended, type):
        assert not isinstance(whole, type)
        canonical = read(dialect, [cut], same_dialect=False)
        assert not isinstance(canonical, type)
        assert said_in(canonical[2]) == said_in(whole[2])


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────

Seen = tuple[bytes, Ended | None, list[Chunk]]


def read(dialect: Dialect, data: list[bytes], *, same_dialect: bool) -> Seen | type[ProviderError]:
    """Wire bytes up to the tail, the end, and the canonical chunks; the error where it is no proper stream."""
    reader = dialect.open_reader(same_dialect=same_dialect)
    chunks: list[Chunk] = []
    try:
        for piece in data:
            chunks += reader.feed(piece)
        if not any(isinstance(chunk, Ended) for chunk in chunks):
            chunks += reader.close()
    except ProviderError as exc:
        return type(exc)
    assert [isinstance(chunk, Ended) for chunk in chunks].count(True) == 1
    assert isinstance(chunks[-1], Ended)
    passed = b"".join(chunk.data for chunk in chunks if isinstance(chunk, WireBytes))
    ended = chunks[-1]
    if same_dialect:
        return passed + (ended.wire or b""), Ended(usage=ended.usage, model=ended.model), []
    return passed, ended, chunks


def pieces(raw: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({place % (len(raw) + 1) for place in places} | {0, len(raw)})
    return [raw[start:stop] for start, stop in pairwise(bounds)]


def rewritten(raw: bytes, ends: list[bytes], filler: list[bytes]) -> bytes:
    """The same events with other line ends, and with `filler` as an event of its own and within others."""
    turns = cycle(ends)
    written = b""
    for number, line in enumerate(raw.splitlines()):
        end = next(turns)
        # CR and a blank line's LF would make one CRLF: such a stream cannot be written.
        written += line + (b"\r\n" if end == b"\n" and written.endswith(b"\r") and not line else end)
        if not line and filler and number % 3 == 0:
            for extra in filler:
                written += extra + next(turns)
            written += b"\r\n"
    return written


def data_in(stream: bytes) -> list[bytes]:
    splitter = sse.EventSplitter()
    events = [*splitter.feed(stream), splitter.rest()]
    return [data for event in events if (data := sse.parse_event(event)[1])]


def said_in(chunks: list[Chunk]) -> object:
    """All that a caller would hear."""
    texts = [
        (type(chunk).__name__, chunk.choice, chunk.part, chunk.text)
        for chunk in chunks
        if isinstance(chunk, TextDelta | ThinkingDelta | RefusalDelta)
    ]
    calls = [(chunk.choice, chunk.part, chunk.arguments) for chunk in chunks if isinstance(chunk, ToolCallDelta)]
    parts = [chunk.content for chunk in chunks if isinstance(chunk, PartAdded)]
    return texts, calls, parts, [chunk.stop for chunk in chunks if isinstance(chunk, ChoiceEnded)]
