import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import MalformedReply
from polyroute.providers.transport.inflating import MAX_GROWN_BYTES, Inflater


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
}


@pytest.mark.parametrize(("encoding", "pack"), FORMS.values(), ids=FORMS.keys())
@given(data=st.binary(max_size=500), size=st.integers(1, 50))
def test_what_was_packed_comes_out_however_it_arrives(
    encoding: str, pack: Callable[[bytes], bytes], data: bytes, size: int
) -> None:
    packed = pack(data)
    inflater = Inflater(encoding)
    grown = b"".join(inflater.feed(packed[at : at + size]) for at in range(0, len(packed), size))
    assert (grown, inflater.is_whole) == (data, True)


def test_a_gzip_file_of_several_members_is_read_whole() -> None:
    assert Inflater("gzip").feed(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0") == b"one two"


def test_a_cut_one_is_not_whole() -> None:
    inflater = Inflater("gzip")
    inflater.feed(gzip.compress(b"something longer")[:-6])
    assert not inflater.is_whole


@pytest.mark.parametrize("data", [b"hello", b"\x1f\x8b\x08\x00" + b"\xff" * 50])
def test_what_was_never_packed_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedReply, match="broken"):
        Inflater("gzip").feed(data)


@pytest.mark.parametrize("members", [1, 40])
def test_a_bomb_is_refused_before_it_fills_the_memory(members: int) -> None:
    bomb = gzip.compress(b"\0" * (2 * MAX_GROWN_BYTES // members)) * members
    with pytest.raises(MalformedReply, match="beyond all measure"):
        Inflater("gzip").feed(bomb)
