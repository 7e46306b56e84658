import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import StoreError
from polyroute.stores.shared.resp import Connection, Place, Reply, connect, encode, parse_place

HERE = Place(host="127.0.0.1", port=6379, path=None, is_tls=False, user=None, password=None, db=0)
REPLIES = b":7\r\n+OK\r\n$-1\r\n$4\r\na\r\nb\r\n*3\r\n:1\r\n*1\r\n$0\r\n\r\n:-2\r\n-ERR no\r\n:8\r\n"
READ: list[Reply] = [7, b"OK", None, b"a\r\nb", [1, [b""], -2], 8]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", ("127.0.0.1", 6379, None, False, None, None, 0)),
        ("redis://cache:7000/3", ("cache", 7000, None, False, None, None, 3)),
        ("rediss://ann:p%40ss@cache", ("cache", 6379, None, True, "ann", "p@ss", 0)),
        ("redis://:secret@cache", ("cache", 6379, None, False, None, "secret", 0)),
        ("unix:///run/v.sock?db=2", ("127.0.0.1", 6379, "/run/v.sock", False, None, None, 2)),
    ],
)
def test_addresses(url: str, expected: tuple[object, ...]) -> None:
    place = parse_place(url)
    assert (place.host, place.port, place.path, place.is_tls, place.user, place.password, place.db) == expected
    assert "secret" not in str(place)


@pytest.mark.parametrize("url", ["http://cache", "unix://", "redis://cache/name"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_place(url)


def test_a_command_is_an_array_of_strings() -> None:
    assert encode("SET", b"k", 12) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n"


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def write(self, data: object) -> None:
        """To nobody."""

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True


@given(cuts=st.lists(st.integers(0, len(REPLIES)), max_size=8))
def test_replies_come_in_order_however_they_are_cut(cuts: list[int]) -> None:
    async def read() -> None:
        connection = Connection(HERE, answer_s=5)
        connection.connection_made(Wire())
        calls = [connection.call(b"") for _ in range(len(READ) + 1)]
        places = [0, *sorted(cuts), len(REPLIES)]
        for start, end in itertools.pairwise(places):
            if end > start:
                connection.data_received(REPLIES[start:end])
        replies = await asyncio.gather(*calls, return_exceptions=True)
        failed = replies.pop(5)
        assert replies == READ
        assert isinstance(failed, StoreError)
        assert "ERR no" in failed.message
        connection.connection_lost(None)

    asyncio.run(read())


async def test_a_reply_that_does_not_come_in_time_ends_the_connection() -> None:
    connection, wire = Connection(HERE, answer_s=0.01), Wire()
    connection.connection_made(wire)
    call = connection.call(b"")
    async with asyncio.timeout(5):
        while not wire.is_closed:
            await asyncio.sleep(0)
    connection.connection_lost(None)
    with pytest.raises(StoreError, match="closed"):
        await call
    with pytest.raises(StoreError):
        await connection.call(b"")


async def test_where_nobody_listens_it_is_said_without_the_password(tmp_path: Path) -> None:
    for url in (f"unix://{tmp_path}/none", "redis://:hunter2@127.0.0.1:1"):
        with pytest.raises(StoreError, match="cannot be reached") as told:
            await connect(parse_place(url), answer_s=1)
        assert "hunter2" not in told.value.message
