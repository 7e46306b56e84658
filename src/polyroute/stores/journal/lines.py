"""The journal's lines: what each says, and what a file of them adds up to. Pure.

    R{opening}       a request was opened
    A{attempt}       a further attempt of it
    S{settlement}    it was settled
    B123             every settlement in the file's first 123 bytes is in the books
    M                what was open here goes on in another file

A line feed ends each. A last line without its end was never acknowledged, and does not count.
"""

from datetime import datetime
from decimal import Decimal

from msgspec import MsgspecError, Raw, Struct, json

from polyroute.errors import StoreError
from polyroute.types.receipt import AttemptOpening, Opening, Receipt, RequestState, Settlement

_REQUEST, _ATTEMPT, _SETTLED, _BOOKED, _MOVED = b"R", b"A", b"S", b"B", b"M"
MOVED_LINE = _MOVED + b"\n"

encode_receipt = json.Encoder().encode
decode_receipt = json.Decoder(Receipt).decode


class OpenRequest(Struct, gc=False):
    """A request in flight. A dead process may have left very many, and there is no cycle for the collector to find."""

    opening: Opening
    later: tuple[AttemptOpening, ...] = ()  # attempts after the first


class Settled(Struct, gc=False):
    """A settlement that may not be in the books yet."""

    settlement: Settlement
    reserved_usd: Decimal | None  # None: settled without an opening
    body: bytes  # the receipt, encoded
    end: int = 0  # of its line, in bytes from the file's start
    replica: str = ""  # the process that settled it, by its journal's name


class _SettledLine(Struct):
    request_id: str
    settled_at: datetime
    state: RequestState
    reserved_usd: Decimal | None
    receipt: Raw


class Contents(Struct):
    """What a journal holds that matters still."""

    requests: list[OpenRequest]
    settled: list[Settled]  # not known to be in the books; each may be there all the same


_encode = json.Encoder().encode
_decode_opening = json.Decoder(Opening).decode
_decode_attempt = json.Decoder(AttemptOpening).decode
_decode_settled = json.Decoder(_SettledLine).decode


def settled(settlement: Settlement, reserved_usd: Decimal | None, replica: str) -> Settled:
    """Raises StoreError where a name in it is no text."""
    try:
        return Settled(settlement, reserved_usd, encode_receipt(settlement.receipt), replica=replica)
    except UnicodeEncodeError as fault:
        raise _not_text(fault) from fault


def opening_line(opening: Opening) -> bytes:
    return _line(_REQUEST, opening)


def attempt_line(opening: AttemptOpening) -> bytes:
    return _line(_ATTEMPT, opening)


def settled_line(entry: Settled) -> bytes:
    settlement = entry.settlement
    return _line(
        _SETTLED,
        _SettledLine(
            settlement.request_id, settlement.settled_at, settlement.state, entry.reserved_usd, Raw(entry.body)
        ),
    )


def booked_line(reach: int) -> bytes:
    return b"%b%d\n" % (_BOOKED, reach)


def mentions(content: bytes, request_id: str) -> bool:
    """False: no line of `content` is about the request. Far quicker than reading the lines."""
    return _encode(request_id) in content


def read_lines(content: bytes) -> Contents:
    """Everything open, and everything settled after the last mark, in order. Damaged lines are passed over."""
    mark = content.rfind(b"\n" + _BOOKED)
    digits = content[mark + 2 : content.find(b"\n", mark + 1)] if mark >= 0 else b""
    reach = int(digits) if digits.isdigit() else 0
    requests: dict[str, OpenRequest] = {}
    entries: list[Settled] = []
    end = 0
    for line in content.split(b"\n")[:-1]:
        end += len(line) + 1
        kind = line[:1]
        try:
            if kind == _REQUEST:
                opening = _decode_opening(line[1:])
                requests[opening.request_id] = OpenRequest(opening)
            elif kind == _ATTEMPT:
                attempt = _decode_attempt(line[1:])
                request = requests.get(attempt.request_id)
                if request is not None:
                    request.later += (attempt,)
            elif kind == _SETTLED:
                found = _decode_settled(line[1:])
                requests.pop(found.request_id, None)
                if end > reach:
                    entries.append(_settled(found, end))
            elif kind == _MOVED:
                requests.clear()
        except MsgspecError:  # a power cut that nobody waited for the disk against may leave holes
            continue
    return Contents(list(requests.values()), entries)


def _settled(line: _SettledLine, end: int) -> Settled:
    body = bytes(line.receipt)
    settlement = Settlement(
        request_id=line.request_id, settled_at=line.settled_at, state=line.state, receipt=decode_receipt(body)
    )
    return Settled(settlement, line.reserved_usd, body, end)


def _line(kind: bytes, value: Struct) -> bytes:
    try:
        return b"%b%b\n" % (kind, _encode(value))
    except UnicodeEncodeError as fault:
        raise _not_text(fault) from fault


def _not_text(fault: UnicodeEncodeError) -> StoreError:
    """A lone surrogate: not text that any encoding can carry."""
    return StoreError(f"a name in the request is not Unicode text ({fault.reason}); it cannot be booked")
