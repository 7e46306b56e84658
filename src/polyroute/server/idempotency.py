"""`Idempotency-Key`: the same request sent twice is answered once, and paid once (draft-ietf-httpapi-idempotency-key).

Per tenant and key, for a day: another body under the same key is refused; a second request while the first is under way
waits for it, in whichever process that is, and gets the very same answer. Where the caller leaves, the work goes on,
since the caller will come back for it. A failure that cost nothing frees the key. Where one did cost something, or this
process died and nobody can say, a second request is told so instead of being paid for silently.
"""

import asyncio
import hashlib
from datetime import datetime, timedelta

from msgspec import Struct, json
from msgspec.structs import replace

from polyroute.errors import Conflict, InvalidRequest
from polyroute.server.endpoints import Handler
from polyroute.server.exchange import Exchange, Message, Send
from polyroute.server.services import Services
from polyroute.types.access import Caller
from polyroute.types.money import format_usd

HEADER = "idempotency-key"
KEPT_FOR = timedelta(hours=24)
_ENDS_WITHOUT_ANSWER = ("failed", "cancelled", "recovered")
_NEVER_BEGAN = timedelta(seconds=30)  # after which a request without a trace in the books is not coming any more
_MAX_KEY = 255
_MAX_ANSWER_BYTES = 8_000_000  # what is longer is not kept: a second request is told so
_LONGEST_WAIT_S = 120.0
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.02, 0.5
_OWN_HEADERS = (b"content-length", b"transfer-encoding", b"connection")

_under_way: set[asyncio.Task[None]] = set()  # a loop keeps no task alive by itself


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request under its key, and its answer once there is one."""

    fingerprint: str  # SHA-256 of method, path and body
    request_id: str
    begun_at: datetime
    status: int = 0  # 0: not answered yet
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None  # None beside a status: too long to keep
    failed: bool = False  # and cost something


async def once(exchange: Exchange, services: Services, handler: Handler) -> None:
    """Raises InvalidRequest for a key used for something else, Conflict where there is no telling yet."""
    key, body = exchange.headers[HEADER], await exchange.body(services.max_body_bytes)
    if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"`Idempotency-Key` must be 1 to {_MAX_KEY} printable ASCII characters", field=HEADER)
    place = _Place(services, f"idempotency/{exchange.caller.tenant}", key)
    fresh = Kept(
        fingerprint=fingerprint(exchange.method, exchange.path, exchange.caller, body),
        request_id=exchange.request_id,
        begun_at=services.utc_now(),
    )
    look_s, left_s = _FIRST_LOOK_S, _LONGEST_WAIT_S
    while (found := await asyncio.to_thread(place.begin, fresh)) is not None:
        if not await _is_under_way(services, place, fresh, found):
            await _tell(exchange, found)
            return
        if left_s <= 0:
            raise Conflict(f"request {found.request_id} with this idempotency key is under way: try again later")
        await asyncio.sleep(look_s)
        left_s -= look_s
        look_s = min(look_s * 1.5, _LONGEST_LOOK_S)
    await _first(exchange, services, place, fresh, handler, body)


async def finish(patience_s: float) -> None:
    """Work whose caller has left ends, or is ended after `patience_s`; its books are settled either way."""
    loop = asyncio.get_running_loop()
    mine = [work for work in _under_way if work.get_loop() is loop]
    if mine:
        await asyncio.wait(mine, timeout=patience_s)
    for work in mine:
        work.cancel()
    await asyncio.gather(*mine, return_exceptions=True)


class _Place:
    """Where one key's request is kept. Synchronous."""

    def __init__(self, services: Services, space: str, key: str) -> None:
        self._services = services
        self._space = space
        self._key = key

    def begin(self, fresh: Kept) -> Kept | None:
        now = self._services.utc_now()
        found = self._services.notes.keep(self._space, self._key, json.encode(fresh), now=now, until=now + KEPT_FOR)
        return None if found is None else json.decode(found, type=Kept) if found else fresh

    def replace(self, old: Kept, new: Kept) -> bool:
        until = self._services.utc_now() + KEPT_FOR
        return self._services.notes.swap(self._space, self._key, json.encode(old), json.encode(new), until=until)

    def free(self) -> None:
        self._services.notes.drop(self._space, self._key)

    def free_if(self, old: Kept) -> None:
        """Where it is still what is kept."""
        now = self._services.utc_now()
        self._services.notes.swap(self._space, self._key, json.encode(old), b"", until=now)


async def _first(
    exchange: Exchange, services: Services, place: _Place, fresh: Kept, handler: Handler, body: bytes
) -> None:
    work = asyncio.create_task(_work(exchange, services, place, fresh, handler, body))
    _under_way.add(work)
    work.add_done_callback(_ended)
    await asyncio.shield(work)


async def _work(
    exchange: Exchange, services: Services, place: _Place, fresh: Kept, handler: Handler, body: bytes
) -> None:
    tape = _Tape(exchange.sender)
    taped = exchange.resent(body, tape.send)
    try:
        await handler(taped, services)
    except BaseException:
        exchange.started = taped.started
        await _give_up(services, place, fresh)
        raise
    if taped.is_broken:
        await _give_up(services, place, fresh)
        return
    answered = replace(
        fresh,
        status=tape.status,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in tape.headers),
        body=tape.body if tape.is_kept else None,
    )
    await asyncio.to_thread(place.replace, fresh, answered)


def _ended(work: asyncio.Task[None]) -> None:
    _under_way.discard(work)
    if not work.cancelled():
        work.exception()  # told to the caller where one is there still; nobody else asks for it


async def _give_up(services: Services, place: _Place, fresh: Kept) -> None:
    receipt = await services.ledger.receipt(fresh.request_id)
    # One that is open still could not be settled: what it cost, nobody can say.
    if receipt is None or (receipt.state != "open" and not receipt.cost_usd):
        await asyncio.to_thread(place.free)
    else:
        await asyncio.to_thread(place.replace, fresh, replace(fresh, failed=True))


async def _is_under_way(services: Services, place: _Place, fresh: Kept, found: Kept) -> bool:
    """Raises InvalidRequest where it is another request, Conflict where there will be no answer."""
    if found.fingerprint != fresh.fingerprint:
        raise InvalidRequest(
            f"the idempotency key was used for another request ({found.request_id}): take a new one",
            field=HEADER,
            code="idempotency_key_reused",
        )
    if found.status:
        return False
    receipt = await services.ledger.receipt(found.request_id)
    if found.failed or (receipt is not None and receipt.state in _ENDS_WITHOUT_ANSWER):
        cost = "an unknown amount" if receipt is None else f"up to {format_usd(receipt.cost_usd)} USD"
        raise Conflict(
            f"request {found.request_id} with this idempotency key brought no answer and may have cost {cost}:"
            " its receipt says what is known; take a new key to pay for another answer"
        )
    if receipt is None and fresh.begun_at - found.begun_at > _NEVER_BEGAN:
        await asyncio.to_thread(place.free_if, found)  # its process died before it called anybody
    return True


async def _tell(exchange: Exchange, found: Kept) -> None:
    if found.body is None:
        raise Conflict(f"request {found.request_id} was answered, and its answer was too long to be kept")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found.headers]
    await exchange.repeat(found.status, [*headers, (b"x-polyroute-replayed", b"true")], found.body)


def fingerprint(method: str, path: str, caller: Caller, body: bytes) -> str:
    return hashlib.sha256(f"{method} {path} {caller.team} {caller.user}\0".encode() + body).hexdigest()


class _Tape:
    """Passes an answer on and keeps a copy. Once the caller has left only the copy is made."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_kept = True
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [pair for pair in message["headers"] if pair[0] not in _OWN_HEADERS]
        elif part := message.get("body", b""):
            self._size += len(part)
            self.is_kept = self._size <= _MAX_ANSWER_BYTES
            if self.is_kept:
                self._parts.append(part)
            else:
                self._parts.clear()
        await self._send(message)  # to a caller who has left this does nothing
