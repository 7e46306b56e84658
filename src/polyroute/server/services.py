"""What the endpoints act through. `wiring.py` fills it; a reload replaces it whole."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from msgspec import Struct

from polyroute.calls import AdHoc
from polyroute.config.document import Document
from polyroute.config.layer import Laid
from polyroute.gateway import RequestPath
from polyroute.ports import Dialect, Ledger, Notes, Records
from polyroute.prompts.registry import Registry
from polyroute.server.desk import ConfigDesk
from polyroute.server.overload.crowd import Crowd
from polyroute.sorting import Sorter
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.directory import Directory
from polyroute.state.feedback import FeedbackBook
from polyroute.state.overrides import Overrides
from polyroute.state.provider_keys import ProviderKeys
from polyroute.state.purges import Purges
from polyroute.state.reviews import Reviews
from polyroute.stores.figures import Figures
from polyroute.stores.hits import CacheLine
from polyroute.stores.usage import Usage
from polyroute.telemetry.metrics import Metrics
from polyroute.types.access import Caller
from polyroute.types.receipt import Receipt
from polyroute.types.review import Review


class AllFigures(Struct, frozen=True, kw_only=True):
    models: list[Figures]
    routes: list[Figures]
    recent: list[Receipt]  # the newest first


class Services(Struct, frozen=True, kw_only=True):
    path: RequestPath
    dialects: Mapping[str, Dialect]
    directory: Directory  # synchronous: call it from a thread
    records: Records  # likewise
    notes: Notes  # likewise
    provider_keys: ProviderKeys  # likewise
    keyed_providers: Mapping[str, str]  # that take a key, and where the document has it from
    reviews: Reviews  # likewise
    feedback: FeedbackBook  # likewise
    tell_reviewed: Callable[[Review], None]  # whoever the document names
    prompts: Registry
    overrides: Overrides  # synchronous: call it from a thread
    lay: Callable[[str, Mapping[str, object]], Laid]  # a tenant's layer over the document, checked; likewise
    document: Document  # in force
    refresh: Callable[[], Awaitable[None]]  # puts in force what was managed just now, in other workers soon
    catch_up: Callable[[], Awaitable[None]]  # puts in force what was managed anywhere
    # From lower-case headers; raises Unauthenticated. None: a token that is to be introduced first.
    authenticate: Callable[[Mapping[str, str]], Caller | None]
    introduce: Callable[[Mapping[str, str]], Awaitable[Caller]]
    ad_hoc: AdHoc
    sorter: Sorter
    accounts: Accounts
    ledger: Ledger
    figures: Callable[[], AllFigures]  # reads the store: call it from a thread
    cache_lines: Callable[[datetime], list[CacheLine]]  # since; likewise
    purges: Purges  # likewise
    usage: Callable[[datetime, datetime], list[Usage]]  # since and until; likewise
    metrics: Metrics
    crowd: Crowd  # who comes into this process
    new_request_id: Callable[[], str]
    utc_now: Callable[[], datetime]
    policy: str
    started_at_s: int  # Unix time
    max_body_bytes: int
    keepalive_s: float  # of silence in a stream
    offers_metrics: bool
    strangers_read_metrics: bool
    strangers_see_figures: bool
    simulated: bool  # no model behind this gateway is a real one: screens say so
    config: ConfigDesk | None = None  # None: nobody holds the document of a gateway inside another process
