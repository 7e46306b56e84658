"""Receipts as a database keeps them: a version byte, then the receipt compressed against that version's dictionary.

A receipt says little that no other one says: a dictionary of what receipts usually hold makes it about a sixth as
long. Dictionaries are in `dictionaries`; one that was ever released never changes, since what was packed with it needs
it. What is not packed begins with `{`, and is read as well. Costs about 20 us, so the thread that books does it.
"""

import zlib
from pathlib import Path

from msgspec import MsgspecError

from polyroute.errors import StoreError
from polyroute.stores.journal.lines import Settled, decode_receipt
from polyroute.types.receipt import Receipt

_PLAIN = ord("{")
_WINDOW = -14  # 16 KiB, without zlib's own heading: RFC 1951
_LEVEL, _MEMORY = 6, 6


def _dictionary(version: int) -> bytes:
    return Path(__file__).with_name("dictionaries").joinpath(f"receipt-{version}.txt").read_bytes()


_NEWEST = 1
_DICTIONARIES = {version: _dictionary(version) for version in range(1, _NEWEST + 1)}
# Copied for each receipt: a fresh one reads the dictionary again.
_EMPTY = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARIES[_NEWEST])


def pack(body: bytes) -> bytes:
    packer = _EMPTY.copy()
    return b"%c%b%b" % (_NEWEST, packer.compress(body), packer.flush())


def kept_body(entry: Settled) -> bytes:
    """What a crash left open says little, and whoever waits for a gateway to come back waits for all of it."""
    return entry.body if entry.settlement.state == "recovered" else pack(entry.body)


def unpack(kept: bytes) -> bytes:
    """Raises StoreError where it is damaged, or was packed by a newer version."""
    version = kept[0] if kept else _PLAIN
    if version == _PLAIN:
        return kept
    dictionary = _DICTIONARIES.get(version)
    if dictionary is None:
        raise StoreError(f"a receipt is packed in a form ({version}) that a newer Polyroute wrote; update this one")
    opener = zlib.decompressobj(_WINDOW, dictionary)
    try:
        body = opener.decompress(kept[1:])
    except zlib.error as fault:
        raise StoreError(f"a receipt in the books is damaged: {fault}") from fault
    if not opener.eof:
        raise StoreError("a receipt in the books is damaged: it breaks off")
    return body


def kept_receipt(kept: bytes) -> Receipt:
    """Raises StoreError where it cannot be read."""
    try:
        return decode_receipt(unpack(kept))
    except MsgspecError as fault:
        raise StoreError(f"a receipt in the books is damaged: {fault}") from fault


def readable(kept: bytes) -> Receipt | None:
    """None where it cannot be read."""
    try:
        return kept_receipt(kept)
    except StoreError:
        return None
