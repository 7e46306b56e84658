"""Laws of one connection, with bytes cut and broken in every way; a socket is not needed for that."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import ProviderError, Unreachable
from polyroute.providers.transport.connection import Connection, Http1Reply
from polyroute.types.cards import Deadlines


class _Socket:
    def fileno(self) -> int:
        return 0


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"socket": _Socket()})
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True


class _Pool:
    def __init__(self) -> None:
        self.kept: list[Connection] = []
        self.lost: list[Connection] = []

    def idle(self, connection: Connection) -> None:
        self.kept.append(connection)

    def gone(self, connection: Connection) -> None:
        self.lost.append(connection)


class _Call:
    """One call on one connection, and what became of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = _Pool()
        self.transport = _Transport()
        self.connection = Connection(loop, self.pool)
        self.connection.connection_made(self.transport)
        self.reply: Http1Reply = self.connection.send(b"head", b"body", Deadlines(), loop.time())

    def receive(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if not self.transport.is_aborted:
                self.connection.data_received(piece)

    def end(self, error: Exception | None = None) -> None:
        if not self.transport.is_aborted and error is None:
            self.connection.eof_received()
        self.connection.connection_lost(error)

    @property
    def outcome(self) -> tuple[int, bytes, type[ProviderError] | None]:
        failure = self.reply.failure
        return self.reply.status, b"".join(self.reply.parts), type(failure) if failure else None


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


def render(status: int, fields: Mapping[str, str], blocks: list[bytes], *, chunked: bool) -> bytes:
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    if chunked:
        body = b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks if block)
        return head.encode() + b"transfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    body = b"".join(blocks)
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


answers = st.builds(
    render,
    st.sampled_from([200, 201, 400, 429, 500, 529]),
    st.dictionaries(st.sampled_from(["x-id", "date", "retry-after"]), st.sampled_from(["1", "a b", ""])),
    st.lists(st.binary(max_size=40), max_size=5),
    chunked=st.booleans(),
)
places = st.lists(st.integers(0, 10_000), max_size=12)


@given(
    status=st.sampled_from([200, 400, 429, 503]),
    blocks=st.lists(st.binary(max_size=60), max_size=6),
    chunked=st.booleans(),
    places=places,
)
def test_a_proper_answer_is_the_same_however_it_is_cut(
    loop: asyncio.AbstractEventLoop, status: int, blocks: list[bytes], chunked: bool, places: list[int]
) -> None:
    call = _Call(loop)
    call.receive(cut(render(status, {"x-id": "7"}, blocks, chunked=chunked), places))
    assert call.outcome == (status, b"".join(blocks), None)
    assert call.reply.is_complete
    assert call.reply.headers["x-id"] == "7"
    assert call.pool.kept == [call.connection]
    assert not call.transport.is_aborted


@given(data=st.binary(max_size=300), places=places, is_reset=st.booleans())
def test_any_bytes_end_in_an_answer_or_a_provider_error(
    loop: asyncio.AbstractEventLoop, data: bytes, places: list[int], is_reset: bool
) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"):
        call = _Call(loop)
        call.receive(cut(prefix + data, places))
        call.end(ConnectionResetError() if is_reset else None)
        assert call.reply.is_complete != (call.reply.failure is not None)


@given(answer=answers, change=st.tuples(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6)), places=places)
def test_a_damaged_answer_is_judged_alike_however_it_is_cut(
    loop: asyncio.AbstractEventLoop, answer: bytes, change: tuple[int, bytes, int], places: list[int]
) -> None:
    at, inserted, removed = change
    at %= len(answer)
    damaged = answer[:at] + inserted + answer[at + removed :]
    whole, pieces = _Call(loop), _Call(loop)
    whole.receive([damaged])
    whole.end()
    pieces.receive(cut(damaged, places))
    pieces.end()
    assert pieces.reply.is_complete == whole.reply.is_complete
    if whole.reply.is_complete:
        assert pieces.outcome == whole.outcome
    else:
        assert pieces.outcome[2] is whole.outcome[2]


@given(answer=answers, extra=st.binary(min_size=1, max_size=20).filter(lambda data: data.strip(b"\r\n") != b""))
def test_a_connection_with_bytes_behind_the_answer_is_shut(
    loop: asyncio.AbstractEventLoop, answer: bytes, extra: bytes
) -> None:
    together, later = _Call(loop), _Call(loop)
    together.receive([answer + extra])
    later.receive([answer, extra])
    for call in (together, later):
        assert call.reply.is_complete
        assert call.transport.is_aborted
    assert not together.pool.kept


@given(answer=answers, places=places)
def test_a_connection_serves_one_answer_after_another(
    loop: asyncio.AbstractEventLoop, answer: bytes, places: list[int]
) -> None:
    call = _Call(loop)
    for _ in range(3):
        call.receive(cut(answer, places))
        assert call.reply.is_complete
        call.reply = call.connection.send(b"head", b"body", Deadlines(), loop.time())
    assert len(call.pool.kept) == 3


def test_only_a_connection_closed_without_a_byte_counts_as_unanswered(loop: asyncio.AbstractEventLoop) -> None:
    silent, begun = _Call(loop), _Call(loop)
    silent.end()
    begun.receive([b"HTTP"])
    begun.end()
    assert (type(silent.reply.failure), silent.reply.is_unanswered) == (Unreachable, True)
    assert (type(begun.reply.failure), begun.reply.is_unanswered) == (Unreachable, False)


def test_an_answer_does_not_wait_for_the_rest_of_its_request(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = _Call(loop)
    monkeypatch.setattr(call.transport, "get_write_buffer_size", lambda: 10)
    call.receive([render(413, {}, [b"too long"], chunked=False)])
    assert call.outcome == (413, b"too long", None)
    assert call.transport.is_aborted  # the unsent half must not become the next request's beginning


def test_endless_framing_without_a_body_is_cut_off(loop: asyncio.AbstractEventLoop) -> None:
    call = _Call(loop)
    call.receive([b"HTTP/1.1 100 Continue\r\n\r\n"] * 3000)
    assert call.reply.failure is not None
    assert "headers or framing" in call.reply.failure.message
    trailing = _Call(loop)
    trailing.receive([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", *([b"y" * 1000] * 70)])
    assert trailing.reply.failure is not None
