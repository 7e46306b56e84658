"""Where requests come into one process: all at once while that is well, else as the crowd allows.

What is decided is decided in `crowd`. A request that cannot be served now is answered here, in its door's shape, before
its body is parsed and before a task is made for it, so that sending somebody away costs a small part of serving them.
Health and metrics are answered whatever comes. Bodies under way are counted as they arrive; where there is no room for
more of them whoever sends them is sent away, however many send how much.
"""

import asyncio
import math
from time import monotonic
from typing import Protocol

from polyroute.errors import PolyrouteError
from polyroute.ports import NamesErrors
from polyroute.server.cycle import Cycle
from polyroute.server.endpoints import Found, Table
from polyroute.server.errors import map_error
from polyroute.server.headers import Headers, encode
from polyroute.server.overload.crowd import Crowd, Refusal
from polyroute.server.overload.refusals import NO_ROOM, error_of
from polyroute.server.services import Services
from polyroute.state.accounts.applied import weight_of
from polyroute.state.accounts.fair import Team

_LOOK_S, _CROWDED_LOOK_S = 0.05, 0.01
_SHORT_BYTES = 64_000  # what is left of a body that is read to its end, so that its connection can be kept
_STRANGERS: Team = ("", "")  # one team: who has no key, or a token that nobody knows yet
_LENGTH, _CLASS, _OWN_ID = b"content-length", b"x-polyroute-class", b"x-request-id"
_KEYS = frozenset((b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"))
_READ = _KEYS | {_LENGTH, _CLASS, _OWN_ID, b"transfer-encoding", b"expect"}
_PATIENT = (b"batch", b"deferred")
_UNSAID = math.inf


class Connection(Protocol):
    def begin(self, cycle: Cycle) -> None: ...

    def dismiss(self, cycle: Cycle, status: int, headers: Headers, body: bytes, *, keep: bool) -> None:
        """Answers it at once. Unless `keep`, what follows on the connection is not worth reading."""


class Application(Protocol):
    @property
    def services(self) -> Services: ...

    @property
    def table(self) -> Table: ...


class Guest:
    """One request at the entrance: a `Visitor`."""

    def __init__(self, entrance: "Entrance", connection: Connection, cycle: Cycle, dialect: str) -> None:
        self._entrance = entrance
        self._connection = connection
        self.cycle = cycle
        self.dialect = dialect
        self.is_inside = self.waits = False
        self.told = {lower: value for name, value in cycle.scope["headers"] if (lower := name.lower()) in _READ}
        self.is_patient = self.told.get(_CLASS) in _PATIENT
        self.team, self.weight = entrance.team_of(self.told)

    def enter(self) -> None:
        self._connection.begin(self.cycle)

    def refuse(self, refusal: Refusal) -> None:
        status, headers, body = self._entrance.answer(self, refusal)
        keep = self.left_bytes <= _SHORT_BYTES and b"expect" not in self.told
        self._connection.dismiss(self.cycle, status, headers, body, keep=keep)

    @property
    def left_bytes(self) -> float:
        """Of its body, as it says."""
        if not self.cycle.more_body:
            return 0
        length = self.told.get(_LENGTH, b"0")
        if b"transfer-encoding" in self.told or not length.isdigit():
            return _UNSAID
        return int(length) - self.cycle.held_bytes


class Entrance:
    """One per process. `is_open`: whoever comes may go in without asking."""

    def __init__(self, app: Application, crowd: Crowd) -> None:
        self.is_open = True
        self.crowd = crowd
        self._app = app
        self._teams: dict[tuple[bytes | None, ...], tuple[Team, int]] = {}  # seen since the last look
        self._found: dict[tuple[str, str], Found] = {}  # likewise
        self._shapes: dict[tuple[str, int, bool, bool], tuple[int, Headers, bytes]] = {}

    def come(self, connection: Connection, cycle: Cycle) -> Guest | None:
        """Begins it or answers it; who has to wait comes back as a guest."""
        asked = cycle.scope["method"], cycle.scope["path"]
        found = self._found.get(asked)
        if found is None:
            found = self._found[asked] = self._app.table.find(*asked)
        if found.endpoint is not None and found.endpoint.always:
            connection.begin(cycle)
            return None
        guest, crowd = Guest(self, connection, cycle, found.dialect), self.crowd
        if (
            crowd.held_bytes > crowd.ample_bytes
            and crowd.bounds.most_bytes - crowd.held_bytes < guest.left_bytes < _UNSAID
        ):
            guest.refuse(NO_ROOM)
        elif crowd.is_calm:
            guest.enter()
        elif (refusal := crowd.come(guest, monotonic())) is not None:
            guest.refuse(refusal)
        return guest if guest.waits else None

    def fill(self) -> bool:
        """More than is ample is held of bodies: whether that is too much."""
        self.is_open = False
        return self.crowd.held_bytes > self.crowd.bounds.most_bytes

    async def watch(self) -> None:
        """Measures turns of the loop until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S if self.crowd.is_calm else _CROWDED_LOOK_S)
            await asyncio.sleep(0)
            began_s = monotonic()
            await asyncio.sleep(0)
            now_s = monotonic()
            self.crowd.look(now_s - began_s, now_s)
            self.is_open = self.crowd.is_calm and self.crowd.held_bytes <= self.crowd.ample_bytes
            self._teams.clear()
            self._found.clear()

    def team_of(self, told: dict[bytes, bytes]) -> tuple[Team, int]:
        """Who comes, and with what weight."""
        presented = tuple(told.get(name) for name in _KEYS)
        known = self._teams.get(presented)
        if known is None:
            known = self._teams[presented] = self._look_up(told)
        return known

    def answer(self, guest: Guest, refusal: Refusal) -> tuple[int, Headers, bytes]:
        services = self._app.services
        key = guest.dialect, math.ceil(refusal.retry_after_s), refusal.is_own, refusal.has_no_room
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _shape(guest.dialect, refusal, services)
        services.metrics.refused("rate_limit_exceeded" if refusal.is_own else "overloaded")
        headers = [*shape[1], (b"x-polyroute-request-id", services.new_request_id().encode())]
        own_id = guest.told.get(_OWN_ID, b"")[:128]
        if own_id and own_id.isascii() and own_id.decode().isprintable():
            headers.append((_OWN_ID, own_id))
        return shape[0], headers, shape[2]

    def _look_up(self, told: dict[bytes, bytes]) -> tuple[Team, int]:
        services = self._app.services
        try:
            caller = services.authenticate({n.decode(): told[n].decode("latin-1") for n in _KEYS if n in told})
        except PolyrouteError:
            caller = None  # it is told what is wrong once it is its turn
        if caller is None:
            return _STRANGERS, 1
        return (caller.tenant, caller.team), weight_of(services.accounts.allowances, caller.tenant, caller.team)


def _shape(name: str, refusal: Refusal, services: Services) -> tuple[int, Headers, bytes]:
    """Status, headers and body; the same for all that are refused alike."""
    told, dialect = map_error(error_of(refusal)), services.dialects[name]
    headers = dict(told.headers)
    if isinstance(dialect, NamesErrors):
        headers.update(dialect.error_headers(told.kind, told.code))
    body = dialect.render_error(told.kind, told.message, field=told.field, code=told.code)
    return told.status, encode(headers), body
