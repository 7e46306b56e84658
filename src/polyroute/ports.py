"""The roles that others fulfil. Each is the smallest Protocol its caller needs.

A class that fulfils a port *is* its configuration: its fields are the options. `wiring` knows which classes there are.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import Struct

from polyroute.errors import ProviderError, Remedy
from polyroute.types.caching import CachedAnswer, CacheStanding, Found, Place, Purge
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.counters import Booked, BudgetAsk, BudgetLeave, Counted, Heard, RateAsk, RateLeave, Standing, Sum
from polyroute.types.receipt import Amended, AttemptOpening, Opening, Receipt, Settlement
from polyroute.types.records import Act, AuditEntry, Change, Kind, Record
from polyroute.types.request import Operation, OutputFormat, Request, Wire
from polyroute.types.response import Chunk, Ended, Reply, Response, Usage
from polyroute.types.routing import DEFAULT_THRESHOLDS, Candidate, Classed, Classification, Thresholds, Verdict

Monotonic = Callable[[], float]  # seconds; compared, never stored


# ── dialects ──────────────────────────────────────────────────────────────────────────────────────────


class WireRequest(Struct, frozen=True, kw_only=True):
    """A request ready for an upstream of one dialect."""

    path: str  # below the provider's base address: "/chat/completions"
    body: bytes
    headers: Mapping[str, str]  # the dialect's own (anthropic-version); never credentials
    media_type: str | None = None  # of the body; None: JSON
    dropped: tuple[str, ...] = ()  # hints that this dialect cannot express, by canonical name


class StreamReader(Protocol):
    """Upstream bytes to chunks. One per attempt; holds the parse state."""

    def feed(self, data: bytes) -> list[Chunk]:
        """Chunks completed by `data`. Raises a ProviderError where the stream carries an error or garbage."""

    def close(self) -> list[Chunk]:
        """Called once, when the upstream closed. Raises StreamInterrupted where `Ended` was never due."""


class StreamWriter(Protocol):
    """Chunks to bytes for the caller. One per answer; holds the render state."""

    def write(self, chunk: Chunk) -> bytes:
        """Events for `chunk`; empty where it has none (`Ended` goes to `end`)."""

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        """The closing events, `report` placed under `polyroute` where the dialect has room for it."""

    def error(self, kind: str, message: str, code: str | None) -> bytes:
        """An honest error event in place of the end."""


class Dialect(Protocol):
    """A wire format, both as a door and as an upstream. Pure: no I/O, safe to share."""

    name: str
    operation: Operation
    stream_type: str  # media type of a streamed answer

    def parse_request(self, body: dict[str, object], headers: Mapping[str, str]) -> Request:
        """Door: a checked canonical request, the body kept in `wire`. Raises InvalidRequest naming the field."""

    def render_response(self, response: Response, request: Request) -> bytes:
        """Door: the answer's body."""

    def open_writer(self, request: Request) -> StreamWriter:
        """Door: for a streamed answer to `request`."""

    def render_error(self, kind: str, message: str, *, field: str | None, code: str | None) -> bytes:
        """Door: an error body. `kind` is the OpenAI error type ("invalid_request_error", ...)."""

    def obstacles(self, request: Request) -> tuple[str, ...]:
        """Upstream: what in `request` has no form here and changes its meaning. Empty for its own wire."""

    def render_request(self, request: Request, target: Deployment, *, max_output_tokens: int | None) -> WireRequest:
        """Upstream: own-dialect requests keep every field and change only model, stream usage and the clamp."""

    def parse_response(self, body: bytes) -> Response:
        """Upstream: raises MalformedReply."""

    def skim_response(self, body: bytes) -> Reply:
        """Upstream, same dialect: usage, model and stop only; the body goes on untouched. Raises MalformedReply."""

    def open_reader(self, *, same_dialect: bool) -> StreamReader:
        """Upstream: WireBytes and Ended where the door speaks the same dialect, else canonical chunks."""

    def classify_error(self, status: int, body: bytes, retry_after_s: float | None) -> ProviderError:
        """Upstream: an error answer as a ProviderError with its Remedy, message scrubbed."""


class Recall(Struct, frozen=True, kw_only=True):
    """Something asked about an answer that its provider keeps."""

    method: Literal["GET", "POST", "DELETE"]
    path: str  # below the provider's base address
    query: str = ""  # of checked names and escaped values
    streams: bool = False  # events are asked for


@runtime_checkable
class TellsLater(Protocol):
    """A dialect whose answers may be asked for again, later."""

    def recall(self, answer_id: str, act: str, query: Sequence[tuple[str, str]]) -> Recall:
        """Upstream: `act` is "read", "delete", "cancel" or "input". Raises InvalidRequest for an unknown query."""

    def final_usage(self, body: bytes) -> Usage | None:
        """Upstream: what an answer read again has taken; None while it goes on, and where it does not say."""


class Preface(Struct, frozen=True, kw_only=True):
    """What a route puts in front of a request: words of its prompt, and the form its answers must have."""

    system: str | None = None  # before the caller's own instructions
    user: str | None = None  # before the caller's first message
    sets_output: bool = False  # `output` takes the place of what the caller asked for, None included
    output: OutputFormat | None = None


@runtime_checkable
class TakesPreface(Protocol):
    """A dialect that lays a preface into a body of its own, whose other fields stay as they came."""

    def with_preface(self, wire: Wire, preface: Preface) -> Wire:
        """A new value; `wire` is left alone."""


@runtime_checkable
class NamesErrors(Protocol):
    """A dialect whose errors are also told in headers."""

    def error_headers(self, kind: str, code: str | None) -> Mapping[str, str]:
        """Door: beside the body that `render_error` gives for the same error."""


# ── providers ─────────────────────────────────────────────────────────────────────────────────────────


class Provider(Protocol):
    """How we talk to one company's API. Raises ProviderError and nothing else."""

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        """Reasons why `request` cannot be put to `target`."""

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply: ...

    def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        """Chunks up to `Ended`. Closing the generator closes the upstream connection."""

    async def aclose(self) -> None: ...


@runtime_checkable
class CountsTokens(Protocol):
    """A provider whose API counts a request's tokens without answering it, free of charge."""

    async def count_tokens(self, request: Request, target: Deployment, deadlines: Deadlines) -> int:
        """Input tokens as `target`'s model counts them. Raises ProviderError."""


@runtime_checkable
class KeepsAnswers(Protocol):
    """A provider that keeps its answers, to be asked for by their ids."""

    async def recall(self, act: Recall, door: str, deadlines: Deadlines) -> bytes:
        """What it says to callers of the dialect `door`, untouched. Raises ProviderError."""

    def follow(self, act: Recall, door: str, deadlines: Deadlines) -> AsyncGenerator[Chunk, None]:
        """The answer's stream from where it is asked for, up to `Ended`. Raises ProviderError."""


class UpstreamReply(Protocol):
    """An upstream's answer whose head has arrived. Reading raises as `Transport` does."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names."""

    async def read(self) -> bytes:
        """The whole body."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. Closing the generator before the end shuts the connection."""

    def close(self) -> None:
        """Let go of the connection: back to the pool where the body came whole, else shut at once."""

    def detach(self) -> None:
        """As `close`, where all that matters was read: a body that ends within moments may keep the connection."""


class Transport(Protocol):
    """One HTTP call to an upstream. Never follows a redirect; asks for plain answers, and gives plain ones.

    Raises Unreachable and ProviderTimeout, MalformedReply for what is no proper HTTP answer, StreamInterrupted for
    one cut in its middle, and Rejected where `headers` cannot be sent.
    """

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply: ...

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply: ...

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> UpstreamReply: ...

    async def aclose(self) -> None: ...


# ── stages ────────────────────────────────────────────────────────────────────────────────────────────


class Classifier(Protocol):
    def classify(
        self,
        request: Request,
        *,
        task: str | None = None,
        wants_task: bool = False,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> Classification:
        """`task` is what the caller declared; without it one is detected where the route `wants_task`."""


class ClassesTexts(Protocol):
    """A classifier of the document that works on this machine."""

    async def classed(self, text: str) -> Classed:
        """Within its time; a fault is told in the value, never raised."""

    async def classed_all(
        self, texts: Sequence[str], on_done: Callable[[int], None] = lambda count: None
    ) -> list[Classed]:
        """However long it takes; `on_done` is told how many are done since. Raises WorkerFailed."""


class Selection(Struct, frozen=True, kw_only=True):
    """What a strategy may look at."""

    request: Request
    classification: Classification
    candidates: tuple[Candidate, ...]
    pass_rates: Mapping[str, float] = {}  # by model: the share of its answers that its gates accept, where it is known
    check_usd: Mapping[str, Decimal] = {}  # by model: what its gates will spend on one answer, expected


class Choice(Struct, frozen=True, kw_only=True):
    """The models to try, best first; the plan expands each into its deployments and adds the route's fallback.

    `order` says how much the order means: "strict" (a cascade, a tier), "listed" (a preference that a latency budget
    may overrule) or "ranked" (computed among equals).
    """

    models: tuple[str, ...]
    reason: str  # one sentence for people
    order: Literal["strict", "listed", "ranked"] = "strict"
    scores: Mapping[str, float] = {}  # quality it expects, by model, where it predicts any
    abstained: bool = False  # it knew too little of such requests to say


class Strategy(Protocol):
    """A route's rule. Pure: the same selection gives the same choice."""

    @property
    def pool(self) -> tuple[str, ...]:
        """Every model it may name."""

    def choose(self, selection: Selection) -> Choice: ...


class Judgement(Struct, frozen=True, kw_only=True):
    """All gates' word on one answer. `remedy` is None where it is accepted."""

    verdicts: tuple[Verdict, ...] = ()
    remedy: Remedy | None = None
    response: Response | None = None  # the answer in its contract's form, in place of what came
    is_held: bool = False  # accepted so far; a person decides


class Gate(Protocol):
    """One quality check on one response. A poor answer is a Verdict; raise only if the check could not run."""

    async def judge(self, request: Request, response: Response) -> Verdict: ...


class Hearing(Protocol):
    """The gates at work on one call's answer. Close it in the end, whatever happened."""

    async def judge(self, response: Response) -> Judgement: ...

    async def aclose(self) -> None: ...


class CallModel(Protocol):
    """A model's answer for a stage that needs one (judge, router), metered by the ledger like any attempt."""

    async def __call__(self, model: str, request: Request, *, purpose: str) -> Response: ...


class Vectors(Struct, frozen=True, kw_only=True):
    """Texts as vectors of length 1, in their order: rows of little-endian float32, as `numpy.frombuffer` reads them."""

    count: int
    dimensions: int
    data: bytes


class Embedder(Protocol):
    """Texts to vectors whose dot product says how alike they are: -1 to 1, the same text 1."""

    @property
    def name(self) -> str:
        """Model and version. Vectors of two names are not to be compared."""

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """The same text gives the same vector. Raises WorkerFailed; ProviderError where it is asked over a network."""


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────


class Ledger(Protocol):
    """The books. Every method returns when what it wrote is durable; raises StoreError."""

    async def open(self, opening: Opening) -> None: ...

    async def open_attempt(self, opening: AttemptOpening) -> None: ...

    async def settle(self, settlement: Settlement) -> None: ...

    async def receipt(self, request_id: str) -> Receipt | None: ...

    async def amend(self, request_id: str, change: Callable[[Receipt], Receipt | None]) -> Amended | None:
        """What `change` makes of a settled receipt, in its place; None where it changes nothing. Of two at once, the
        second sees what the first made. `change` may run in another thread. Raises StoreError, also where the request
        is not in the books yet."""

    async def check(self) -> None:
        """Raises where nothing new could be opened now. Changes nothing."""


class Records(Protocol):
    """What is managed while the gateway runs, with its audit log. Synchronous; every method raises StoreError."""

    def find(self, kind: Kind, name: str) -> Record | None: ...

    def every(self, kind: Kind, tenant: str | None = None) -> list[Record]:
        """By id; of every tenant where none is named."""

    def change(self, changes: Sequence[Change], act: Act) -> None:
        """All of `changes` and the act's audit entry, or nothing. Raises Conflict where a version is not the last."""

    def generation(self) -> int:
        """Grows with every change."""

    def entries(self, *, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Of the audit log, in order."""


class Notes(Protocol):
    """What is kept for a while under a name. Synchronous; every method raises StoreError."""

    def keep(self, space: str, name: str, body: bytes, *, now: datetime, until: datetime) -> bytes | None:
        """Keeps `body` where nothing is kept under this name, and says None; else says what is, and changes nothing."""

    def swap(self, space: str, name: str, old: bytes, new: bytes, *, until: datetime) -> bool:
        """`new` in place of `old`; False, and nothing changed, where `old` is not what is kept."""

    def drop(self, space: str, name: str) -> None: ...

    def keep_all(self, space: str, bodies: Mapping[str, bytes], *, now: datetime, until: datetime) -> None:
        """Keeps each under its name where nothing is kept there."""

    def look(self, space: str, names: Sequence[str], *, now: datetime) -> dict[str, bytes]:
        """What is kept under those of `names` that there are."""

    def held(self, space: str, *, now: datetime) -> dict[str, bytes]:
        """Everything that is kept in `space`, by name."""


class AnswerCache(Protocol):
    """Answers kept for the very same request of the same tenant. It may forget; where it is away it knows nothing, and
    never fails.
    """

    async def get(self, place: Place) -> Found | None: ...

    async def put(self, place: Place, answer: CachedAnswer, ttl_s: float) -> None: ...

    async def purge(self, what: Purge) -> int | None:
        """How many went; None where the cache is away, and nothing is known to have gone."""

    async def inspect(self, key: str) -> tuple[Place, Found] | None: ...

    async def standing(self) -> CacheStanding: ...


class Secrets(Protocol):
    """A secret manager. Blocking; asked while a document is read, never on a request's way."""

    def fields(self, path: str) -> Mapping[str, str]:
        """The values of the secret at `path`, by field.

        Raises ValueError where there is none to read there, StoreError where the manager itself cannot be asked.
        """


class TokenIssuer(Protocol):
    """Who signs tokens that callers bring in place of a key."""

    async def claims(self, token: str) -> Mapping[str, object]:
        """What a token with a good signature says; whether that holds now is not looked at.

        Raises Unauthenticated, or StoreError where its keys cannot be had.
        """


class Seal(Protocol):
    """Keeps secrets in a store that whoever holds the store cannot read."""

    key_id: str  # of the key that seals now

    def seal(self, secret: bytes, name: str) -> bytes:
        """Opens only under the same `name`."""

    def unseal(self, sealed: bytes, name: str, key_id: str) -> bytes:
        """Raises StoreError where the key is not at hand, or what is sealed was changed."""


class Sent(Awaitable[Any], Protocol):
    """A call under way: an `asyncio.Future`."""

    def cancelled(self) -> bool: ...

    def exception(self) -> BaseException | None: ...

    def result(self) -> Any: ...

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None: ...


class SharedCounters(Protocol):
    """Rates and budgets that replicas share. Every call raises StoreError where the store is away or slow, and
    Forgotten where it has lost this replica, or everything: then `join`."""

    replica: str
    replicas: int  # alive, when last heard

    async def connect(self) -> None: ...

    def close(self) -> None: ...

    async def enter(self, asks: Sequence[RateAsk]) -> RateLeave:
        """Count one request in every window, or in none."""

    def correct(self, differences: Sequence[Counted]) -> None:
        """Sent, and not waited for."""

    def hold(self, amount: int, asks: Sequence[BudgetAsk]) -> Sent:
        """Set money aside in every budget, or in none; `held` reads the reply. Sent when this returns."""

    def held(self, reply: Any) -> BudgetLeave | float | None:
        """The leave; or how many seconds to wait first; or None: `seed` a window first."""

    def settle(self, tallies: Sequence[str], held: int, cost: int) -> Sent:
        """What was held is spent, or free. A reply of -1, or none, wants a `join`."""

    async def beat(self, tallies: Sequence[str], subjects: Sequence[str]) -> Heard:
        """Live on, and hear how these stand."""

    async def every(self) -> Mapping[str, Sum]:
        """Every tally that anybody touched; none where asking for it is dear."""

    async def generation(self) -> tuple[str, int]:
        """Of the store's memory, "" where it is empty; and its clock, in milliseconds."""

    @property
    def known_generation(self) -> str:
        """The one that was last joined."""

    def grain(self, at_ms: float) -> int:
        """Where a moment of the store's clock counts."""

    async def join(self, generation: str, standings: Sequence[Standing], counted: Sequence[Counted]) -> None:
        """Say all that this replica holds and has spent, and what it admitted that is not counted there."""

    async def seed(self, windows: Sequence[str], booked: Sequence[Booked], dead: Sequence[str] = ()) -> None:
        """What the books say of these windows: sets to the maximum, never adds. `dead` hold nothing any more."""
