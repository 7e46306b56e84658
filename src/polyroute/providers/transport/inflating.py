"""A compressed answer of a provider, made plain within bounds. We ask for none; some proxies compress all the same.

gzip (RFC 1952) and deflate (RFC 9110, 8.4.1.2: zlib, and the bare form that some send) are read; anything else is
refused by its head. What a piece grows to is bounded, so that a few bytes cannot fill the memory.
"""

import zlib

from polyroute.errors import MalformedReply

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
MAX_GROWN_BYTES = 16 * 1024 * 1024  # of one piece as it arrives: no honest answer is so repetitive

_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Inflater:
    """One per answer."""

    __slots__ = ("_inflate", "_is_gzip")

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding != "deflate"
        self._inflate: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        """What `data` stands for. Raises MalformedReply."""
        grown = b""
        while data:
            if self._inflate is None:
                self._inflate = zlib.decompressobj(self._form(data[0]))
            try:
                grown += self._inflate.decompress(data, MAX_GROWN_BYTES + 1 - len(grown))
            except zlib.error as exc:
                raise MalformedReply(f"the provider's compressed answer is broken: {exc}") from exc
            if len(grown) > MAX_GROWN_BYTES:
                raise MalformedReply("the provider's compressed answer grows beyond all measure")
            if not self._inflate.eof:
                return grown
            # A gzip file may have several members; what follows any other form is nobody's.
            data = self._inflate.unused_data.lstrip(b"\0") if self._is_gzip else b""
            if data:
                self._inflate = None
        return grown

    @property
    def is_whole(self) -> bool:
        """Whether the answer may end here."""
        return self._inflate is None or self._inflate.eof

    def _form(self, first: int) -> int:
        if self._is_gzip:
            return _GZIP
        return _ZLIB if first & 0x0F == 8 else _BARE  # RFC 1950, 2.2: the method is deflate
