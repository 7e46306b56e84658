"""What a request carries along the path, from the door to the books."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct, field

from polyroute.flights import Flight
from polyroute.ports import AnswerCache, ClassesTexts, Classifier, Dialect, Ledger
from polyroute.privacy.detector import Detector
from polyroute.privacy.guard import Guard
from polyroute.prompts.registry import Registry
from polyroute.stages.assembly.draft import Draft
from polyroute.stages.execution.meter import Meter
from polyroute.stages.execution.runner import Run, Surroundings
from polyroute.stages.execution.wording import Wording
from polyroute.stages.matching.match import Boundary
from polyroute.stages.route import Route, Routes, View
from polyroute.stages.selection.choosing import Stay
from polyroute.state.accounts.accounts import Accounts, Admission
from polyroute.state.owners import Owners
from polyroute.state.places import Places
from polyroute.types.access import Caller
from polyroute.types.cards import Deployment
from polyroute.types.receipt import Receipt
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Reply, Response
from polyroute.types.review import Review
from polyroute.types.routing import Classed, Needs, Plan, RequestClass
from polyroute.types.trace import Trace


class Entry(Struct, frozen=True, kw_only=True):
    """How a request came in, beside its body."""

    request_id: str
    arrived_s: float  # monotonic
    door: str  # the door's dialect, or "python"
    client_request_id: str | None = None
    trace: Trace | None = None  # as the caller told it
    task: str | None = None
    classes: dict[str, Classed] = {}  # what classifiers said of it, by name
    request_class: RequestClass | None = None  # in place of the route's
    session: str | None = None  # what the caller's requests of one conversation have in common
    holder: str | None = None  # the provider that keeps what the request refers to: no other can answer it
    cache: object = None  # what the caller says about caches, as it stands in the body
    cache_control: str | None = None  # and in the headers
    route: Route | None = None  # an ad hoc one, in place of the one that `model` names


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer with its final receipt. Settled and durable."""

    reply: Reply
    receipt: Receipt


class LiveAnswer(Protocol):
    """A streamed answer. `receipt` is what is known so far, and final once `chunks` has yielded `Ended`."""

    @property
    def receipt(self) -> Receipt: ...

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        """Up to `Ended`, which comes when the books are durable. Raises ProviderError where the stream breaks."""

    async def aclose(self) -> None:
        """Call it in the end, whatever happened: closes the upstream and settles the books where that is still due."""


class Latencies(Protocol):
    """What deployments took lately."""

    def of(self, deployment: Deployment, now_s: float) -> float | None: ...

    def note(self, deployment_id: str, latency_ms: float, now_s: float) -> None: ...


def _not_known(_route: str) -> Mapping[str, float]:
    return {}


class Parts(Struct, frozen=True, kw_only=True):
    """Everything the path is made of; `wiring.py` builds it from one snapshot of the document."""

    routes: Routes
    prompts: Registry
    classifier: Classifier
    classifiers: Mapping[str, ClassesTexts] = {}  # the document's own, on this machine
    dialects: Mapping[str, Dialect]
    around: Surroundings
    accounts: Accounts
    ledger: Ledger
    latencies: Latencies
    places: Places = field(default_factory=Places)  # where sessions were served last
    new_request_id: Callable[[], str]
    utc_now: Callable[[], datetime]
    draw: Callable[[], float]  # in [0, 1)
    policy: str  # content hash of the document
    pass_rates: Callable[[str], Mapping[str, float]] = (
        _not_known  # of a route, by model: what its gates accepted lately
    )
    observe: Callable[[Receipt], None]  # told of every settled receipt
    overhear: Callable[[Receipt, Request, Callable[[], Response] | None], None] = (  # right after, of what was said
        lambda receipt, request, answer: None
    )
    begin_trace: Callable[[str], Trace | None] = lambda request_id: None  # for a request that came without one
    make_way: Callable[[Caller], Awaitable[None]] | None = None  # lets those that are in a hurry go first
    detector: Detector = Detector()  # of personal data
    view_of: Callable[[str], View | None] = lambda tenant: None  # what holds for a tenant alone; cheap
    owners: Owners | None = None  # of what providers keep; None: nothing is noted
    takes_strangers: Callable[[], bool] = lambda: True  # ids that nobody here made may be named
    answers: AnswerCache | None = None  # given again
    hold: Callable[[Review], Awaitable[None]]  # keeps an answer for a person; durable when it returns


class Prepared(Struct, frozen=True, kw_only=True):
    """A request whose plan stands, before anything was spent."""

    request: Request
    route: Route
    plan: Plan
    needs: Needs
    draft: Draft
    boundaries: tuple[Boundary, ...] = ()  # where it may go, and what gates ask about it too
    wording: Wording | None = None  # what the route adds to the request
    guard: Guard | None = None  # of personal data in the request
    again: Callable[[dict[str, Classed]], "Prepared"] | None = None  # with what models said it is; None: none is asked
    stays: Mapping[str, Stay] = {}  # by model: what the request sticks by
    is_patient: bool = False  # others may go first
    flight: Flight | None = None  # that others may join; None: the call is its own


class Journey(Struct, frozen=True, kw_only=True):
    """A request on its way through execution: what it may spend, and what it has tried."""

    prepared: Prepared
    run: Run
    meter: Meter
    admission: Admission
