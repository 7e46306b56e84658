"""What the soak's callers make of the answers they get."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol, cast

import pytest
from bench.callers import Line, Outcome, Tally, objection
from bench.mix import Kind

WELL = Kind(name="chat", door="chat")
FAILING = Kind(name="failing", door="chat", may_fail=True)
REFUSED = Kind(name="wrong key", door="chat", is_refused=True)

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("kind", "outcome", "is_wrong"),
    [
        (WELL, Outcome(status=200, is_whole=True), False),
        (WELL, Outcome(status=502, is_whole=True), True),
        (WELL, Outcome(status=200, is_whole=False), True),
        (WELL, Outcome(status=None, is_whole=False), True),
        (FAILING, Outcome(status=502, is_whole=True), False),
        (FAILING, Outcome(status=400, is_whole=True), True),
        (FAILING, Outcome(status=200, is_whole=False), True),
        (REFUSED, Outcome(status=401, is_whole=True), False),
        (REFUSED, Outcome(status=200, is_whole=True), True),
        (WELL, Outcome(status=200, is_whole=False, has_left=True), False),
    ],
)
def test_what_is_objected_to(kind: Kind, outcome: Outcome, is_wrong: bool) -> None:
    assert (objection(kind, outcome) is not None) is is_wrong


def test_a_tally_counts_each_outcome_once() -> None:
    tally = Tally()
    tally.note(WELL, Outcome(status=200, is_whole=True))
    tally.note(WELL, Outcome(status=500, is_whole=True))
    tally.note(WELL, Outcome(status=None, is_whole=False, has_left=True))
    assert tally.asked == 3
    assert tally.whole["chat"] == tally.left["chat"] == 1
    assert tally.wrong == {"chat: status 500": 1}


class OpensLine(Protocol):
    def __call__(self, *pieces: bytes, hangs_up: bool = False) -> Awaitable[Line]: ...


@pytest.fixture
async def answering() -> AsyncIterator[OpensLine]:
    """Opens a line to a server that gives these pieces, one after another, to anything it reads."""
    lines: list[Line] = []
    served: list[asyncio.Task[None]] = []
    servers: list[asyncio.Server] = []

    async def open_line(*pieces: bytes, hangs_up: bool = False) -> Line:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(cast("asyncio.Task[None]", asyncio.current_task()))
            while await reader.read(65536):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if hangs_up:
                    break
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
        lines.append(line)
        return line

    yield open_line
    for line in lines:
        line.hang_up()
    await asyncio.gather(*served, return_exceptions=True)  # some were left in the middle of an answer
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("pieces", "outcome"),
    [
        pytest.param([WHOLE], Outcome(status=200, is_whole=True), id="with a length"),
        pytest.param([CHUNKS], Outcome(status=200, is_whole=True), id="in chunks"),
        pytest.param([bytes([byte]) for byte in CHUNKS], Outcome(status=200, is_whole=True), id="byte by byte"),
    ],
)
async def test_a_line_knows_the_end_of_an_answer(
    answering: OpensLine, pieces: Sequence[bytes], outcome: Outcome
) -> None:
    line = await answering(*pieces)
    assert await line.ask(b"one") == outcome
    assert await line.ask(b"two") == outcome
    assert not line.is_closed
    line.hang_up()


async def test_an_answer_that_closes_is_the_lines_last(answering: OpensLine) -> None:
    line = await answering(CLOSING)
    assert await line.ask(b"one") == Outcome(status=503, is_whole=True)
    assert line.is_closed


async def test_a_connection_lost_in_the_middle_is_no_whole_answer(answering: OpensLine) -> None:
    line = await answering(WHOLE[:-1], hangs_up=True)
    assert await line.ask(b"one") == Outcome(status=200, is_whole=False)


async def test_a_caller_that_has_enough_has_left(answering: OpensLine) -> None:
    line = await answering(CHUNKS[:-5])
    assert await line.ask(b"one", at_most_bytes=3) == Outcome(status=200, is_whole=False, has_left=True)
    assert await line.ask(b"two", stay_s=0.0) == Outcome(status=None, is_whole=False, has_left=True)
    assert line.is_closed
