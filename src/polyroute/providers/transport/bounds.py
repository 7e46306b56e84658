"""What every transport refuses to send and to read, whatever carries it. Pure."""

from collections.abc import Mapping

from polyroute.errors import MalformedReply, Rejected
from polyroute.providers.transport.inflating import ENCODINGS, Inflater

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024  # of an answer that is read whole
HIGH_WATER_BYTES = 256 * 1024  # of a stream nobody reads yet; then the upstream has to wait


def field_lines(headers: Mapping[str, str]) -> bytes:
    """Header lines as they are sent. Raises Rejected where a field's value could break out of its line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    count = len(headers)
    if lines.count("\r") != count or lines.count("\n") != count or "\0" in lines:
        raise Rejected("a header for the provider holds a line break", code="invalid_header")
    try:
        return lines.encode("latin-1")
    except UnicodeEncodeError as exc:
        raise Rejected("a header for the provider holds a character outside Latin-1", code="invalid_header") from exc


def objection(status: int, content_encoding: str) -> MalformedReply | None:
    """Why an answer with this head is not read at all."""
    if status < 200:
        return MalformedReply(f"the provider answered {status}, which ends no call", http_status=status)
    if 300 <= status < 400:
        return MalformedReply(
            f"the provider answered with a redirect ({status}); none is followed: correct `base_url`",
            http_status=status,
        )
    if content_encoding.strip().lower() not in {"", "identity", *ENCODINGS}:
        return MalformedReply(
            f"the provider compressed its answer ({content_encoding[:40]!r}) though it was asked not to",
            http_status=status if status >= 400 else None,  # an answer of 200 is billed, read or not
        )
    return None


def inflater(content_encoding: str) -> Inflater | None:
    """For an answer with no objection to it; None where it is plain."""
    name = content_encoding.strip().lower()
    return Inflater(name) if name in ENCODINGS else None


def head_too_long() -> MalformedReply:
    return MalformedReply(f"the provider sent more than {MAX_HEAD_BYTES} bytes of headers or framing")


def body_too_long() -> MalformedReply:
    return MalformedReply(f"the provider's answer is longer than {MAX_BODY_BYTES} bytes")
