"""A document made into a running gateway, and everything let go of at its end."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import cast

from msgspec import Struct

from polyroute import plugins
from polyroute.catalog import tasks
from polyroute.catalog.cards import Catalogue
from polyroute.catalog.tasks import TaskPack
from polyroute.config.contract import contract
from polyroute.config.document import Document
from polyroute.config.load import Loaded
from polyroute.config.resolve import deployments
from polyroute.config.snapshot import Snapshot
from polyroute.embedders.minilm import MiniLM
from polyroute.embedders.worker import Worker
from polyroute.errors import ConfigError
from polyroute.gateway import RequestPath
from polyroute.journey import Parts
from polyroute.ports import AnswerCache, Classifier, Records, Seal, Transport
from polyroute.providers.transport import open_transport
from polyroute.server.bus import ALARM, CHANGED
from polyroute.server.crew import LEADER, Post
from polyroute.server.overload.crowd import Crowd
from polyroute.server.overload.patience import make_way
from polyroute.server.services import AllFigures, Services
from polyroute.sorting import Sorter
from polyroute.stages.classification.local import PROGRAM
from polyroute.stages.execution.runner import Surroundings
from polyroute.stages.validation.parsing import Parsers
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.accounts.applied import weight_of
from polyroute.state.accounts.shared import SharedAccounts
from polyroute.state.directory import Directory
from polyroute.state.feedback import FeedbackBook
from polyroute.state.health.health import Health
from polyroute.state.hedges import Hedges
from polyroute.state.ids import RANDOM_BITS, new_id
from polyroute.state.keys import Digest
from polyroute.state.latencies import Latencies
from polyroute.state.overrides import Overrides
from polyroute.state.owners import Owners
from polyroute.state.places import Places
from polyroute.state.provider_keys import ProviderKeys
from polyroute.state.purges import Purges
from polyroute.state.reviews import Reviews
from polyroute.stores.hits import CacheLine
from polyroute.stores.ledger import JournaledLedger
from polyroute.stores.shared.answers import SharedAnswers
from polyroute.stores.store import Store
from polyroute.stores.usage import Usage
from polyroute.telemetry.metrics import Metrics
from polyroute.types.cards import Deployment
from polyroute.wiring import access, upkeep
from polyroute.wiring.access import Gate, Managed
from polyroute.wiring.alarms import Alarms
from polyroute.wiring.classifiers import classifier_problems, learned, local_classifiers
from polyroute.wiring.dialects import DIALECTS
from polyroute.wiring.gates import gate_problems
from polyroute.wiring.moderation import moderation_deployments, moderation_problems, moderators_of, said_in
from polyroute.wiring.overload import bounds_of, figures_of
from polyroute.wiring.overrides import Layers, layer_problems
from polyroute.wiring.privacy import detector
from polyroute.wiring.prompts import missing_prompts, registry
from polyroute.wiring.provider_keys import Drawer, KeyedProviders, open_seal
from polyroute.wiring.providers import Workshop, keyed_providers, logic_deployments
from polyroute.wiring.purging import PurgeWatch
from polyroute.wiring.remembering import recall, remember
from polyroute.wiring.retention import keep_to_it
from polyroute.wiring.reviewing import ReviewNotices, hold
from polyroute.wiring.routers import router_problems, routers_of
from polyroute.wiring.routes import RouteBook
from polyroute.wiring.sign_on import open_sign_on
from polyroute.wiring.stores import ClosableRecords, open_accounts, open_answers, open_records, open_store
from polyroute.wiring.watching import Watch, busy

_log = logging.getLogger(__name__)
_RECENT = 20  # requests on the page
_PRETENDERS = ("simulated", "replay")


class Built(Struct, frozen=True, kw_only=True):
    """A running gateway, and what it was built from."""

    snapshot: Snapshot
    services: Services
    deployments: tuple[Deployment, ...]
    foundation: "Foundation"

    @property
    def moderators(self) -> tuple[str, ...]:
        """The routes that moderate."""
        return tuple(name for name, _ in said_in(self.snapshot.document))

    @property
    def path(self) -> RequestPath:
        return self.services.path


class Foundation(Struct, frozen=True, kw_only=True):
    """What outlives a change of the document: connections, books, counters."""

    store: Store
    transport: Transport
    ledger: JournaledLedger
    accounts: Accounts
    latencies: Latencies
    places: Places
    health: Health
    hedges: Hedges
    crowd: Crowd
    metrics: Metrics
    parsers: Parsers
    classing: Worker  # does what takes long with texts: embeds them, and says of which class they are
    watch: Watch
    started_at_s: int
    records: ClosableRecords
    digest: Digest  # of stored keys
    managed: Managed
    provider_keys: ProviderKeys
    drawer: Drawer  # where they lie open
    owners: Owners
    answers: AnswerCache
    purge_watch: PurgeWatch
    post: Post | None  # among the workers of this gateway; None: it is one process

    @property
    def leads(self) -> bool:
        return self.post is None or self.post.leads


@asynccontextmanager
async def open_gateway(loaded: Loaded, env: Mapping[str, str], post: Post | None = None) -> AsyncIterator[Built]:
    """Runs until the block ends. Raises ConfigError or StoreError, with nothing left open."""
    document = loaded.document
    async with AsyncExitStack() as stack:
        transport = open_transport()
        stack.push_async_callback(transport.aclose)
        store = open_store(document, loaded.folder)
        ledger = store.open_ledger(document.store.durability)
        stack.push_async_callback(ledger.aclose)
        records = open_records(store)
        stack.callback(records.close)
        owners = Owners(records, _utc_now)
        stack.push_async_callback(owners.aclose)
        answers = open_answers(document)
        if isinstance(answers, SharedAnswers):
            stack.callback(answers.close)
        managed = Managed(records)
        await asyncio.to_thread(managed.refresh)
        keys_of_providers = provider_keys(records, open_seal(env))
        drawer = Drawer(records, keys_of_providers)
        await asyncio.to_thread(drawer.open)
        workers = 1 if post is None else post.crew.count
        accounts = open_accounts(document, access.allowances(document, managed), store, ledger, workers=workers)
        parsers = Parsers()
        stack.push_async_callback(parsers.aclose)
        classing = Worker(PROGRAM)
        stack.push_async_callback(classing.aclose)
        metrics = Metrics()
        watch = _watch(metrics, accounts, transport, post)
        crowd = Crowd(bounds_of(document.server))
        metrics.crowd, watch.alarms.refused = lambda: figures_of(crowd), lambda: crowd.refused
        stack.push_async_callback(watch.aclose)
        foundation = Foundation(
            store=store,
            records=records,
            digest=access.key_digest(store.beside, env),
            managed=managed,
            provider_keys=keys_of_providers,
            drawer=drawer,
            owners=owners,
            answers=answers,
            purge_watch=PurgeWatch(records, Purges(records, _utc_now)),
            transport=transport,
            ledger=ledger,
            accounts=accounts,
            latencies=Latencies(),
            places=Places(),
            health=Health(time.monotonic(), watch.turned),
            hedges=Hedges(),
            crowd=crowd,
            metrics=metrics,
            parsers=parsers,
            classing=classing,
            watch=watch,
            started_at_s=int(time.time()),
            post=post,
        )
        if isinstance(accounts, SharedAccounts):
            stack.push_async_callback(accounts.aclose)
            await accounts.start()
        if post is not None:
            metrics.keep(post.slates)
        metrics.loads = lambda: busy(foundation.health, time.monotonic())
        await upkeep.catch_up(foundation)
        await foundation.purge_watch.refresh(answers.purge)
        built = assemble(loaded, env, foundation)
        await learned(document, built.services.sorter.local)
        await recall(watch.escalations, records)
        keeper = asyncio.create_task(upkeep.keep_up(foundation), name="polyroute-upkeep")
        stack.push_async_callback(upkeep.end, keeper)
        stack.push_async_callback(upkeep.end, asyncio.create_task(watch.run(), name="polyroute-watch"))
        if foundation.leads:
            remembering = remember(watch.escalations, records)
            stack.push_async_callback(upkeep.end, asyncio.create_task(remembering, name="polyroute-remember"))
            keeping = keep_to_it(document.store.retention, ledger, built.services.reviews, _utc_now)
            stack.push_async_callback(upkeep.end, asyncio.create_task(keeping, name="polyroute-retention"))
        yield built


def assemble(loaded: Loaded, env: Mapping[str, str], foundation: Foundation) -> Built:
    """Everything that a document decides. Raises ConfigError, and then nothing has changed."""
    document, snapshot = loaded.document, Snapshot.of(loaded.document)
    if problems := (
        *gate_problems(document),
        *classifier_problems(document, loaded.folder),
        *router_problems(document, loaded.folder),
        *moderation_problems(document, loaded.folder),
        *missing_prompts(document, foundation.records),
    ):
        raise ConfigError(loaded.placed(problems))
    pack = tasks.load(loaded.folder / document.tasks if document.tasks else None)
    workshop = Workshop(
        document=document,
        folder=loaded.folder,
        transport=foundation.transport,
        classifier=_classifier(document, pack),
        on_quota=lambda deployment, quota: foundation.health.told(deployment, quota, time.monotonic()),
    )
    found = deployments(document, Catalogue())
    for problem in contract(document, found).problems:
        _log.warning("%s: %s", problem.path, problem.message)  # `check` refuses it; a gateway in need still serves
    reviews = Reviews(foundation.records, _utc_now)
    notices = ReviewNotices(document, foundation.transport)
    book = RouteBook(
        document=document,
        deployments={**_by_model(found), **logic_deployments(document), **moderation_deployments(document)},
        tasks=pack,
        today=_utc_now().date(),
        parsers=foundation.parsers,
        embedder=MiniLM(foundation.classing),
        routers=routers_of(document, loaded.folder),
        moderators=moderators_of(document, loaded.folder, foundation.metrics.moderated),
    )
    keyed = KeyedProviders(workshop, foundation.drawer)
    routes = book.routes()
    layers = Layers(snapshot, book, routes, foundation.records, _utc_now)
    foundation.managed.limits = layers.limits
    classifiers = local_classifiers(loaded, foundation.classing)
    parts = Parts(
        pass_rates=foundation.watch.escalations.pass_rates,
        routes=routes,
        view_of=layers.view_of,
        prompts=registry(document, foundation.records, time.monotonic),
        classifier=workshop.classifier,
        classifiers=classifiers,
        dialects=DIALECTS,
        around=Surroundings(
            providers=keyed.providers,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            jitter=random.random,
            health=foundation.health,
            hedges=foundation.hedges,
        ),
        accounts=foundation.accounts,
        ledger=foundation.ledger,
        latencies=foundation.latencies,
        places=foundation.places,
        new_request_id=_new_request_id,
        utc_now=_utc_now,
        draw=random.random,
        policy=snapshot.digest,
        detector=detector(document),
        owners=foundation.owners,
        takes_strangers=lambda: access.takes_strangers(document, foundation.managed),
        answers=foundation.answers,
        hold=lambda review: hold(review, reviews, notices),
        observe=foundation.watch.observe,
        overhear=foundation.watch.overhear,
        begin_trace=foundation.watch.begin_trace,
        make_way=lambda caller: make_way(
            foundation.crowd, caller, weight_of(foundation.accounts.allowances, caller.tenant, caller.team)
        ),
    )
    is_open = document.server.auth == "open"
    gate = Gate(
        document,
        env,
        foundation.managed,
        digest=foundation.digest,
        on_change=lambda: _allow(document, foundation),
        sign_on=open_sign_on(document, foundation.transport),
    )

    path = RequestPath(parts)

    async def catch_up() -> None:
        await gate.refresh()
        await layers.refresh(lambda: _allow_tenants(document, foundation, layers))
        await keyed.refresh()
        await foundation.purge_watch.refresh(path.recalling.purge)

    async def refresh() -> None:
        await catch_up()
        if foundation.post is not None:
            foundation.post.bus.tell_others(CHANGED)

    services = Services(
        path=path,
        dialects=DIALECTS,
        authenticate=gate.authenticate,
        introduce=gate.introduce,
        refresh=refresh,
        catch_up=catch_up,
        provider_keys=foundation.provider_keys,
        keyed_providers=keyed_providers(document),
        directory=directory(foundation.records, foundation.digest),
        reviews=reviews,
        tell_reviewed=notices.tell,
        feedback=FeedbackBook(foundation.records, _utc_now, document.store.retention.receipts_s),
        notes=foundation.records,
        records=foundation.records,
        prompts=parts.prompts,
        overrides=Overrides(foundation.records, _utc_now),
        lay=lambda tenant, layer: layer_problems(document, tenant, layer, foundation.records),
        document=document,
        ad_hoc=lambda strategy, models, gates: book.ad_hoc(strategy, models, gates, parts.routes),
        sorter=Sorter(local=classifiers, asked=book.asked(), monotonic=time.monotonic),
        accounts=foundation.accounts,
        ledger=foundation.ledger,
        figures=lambda: figures(foundation.store),
        cache_lines=lambda since: cache_lines(foundation.store, since),
        purges=Purges(foundation.records, _utc_now),
        usage=lambda since, until: usage(foundation.store, since, until),
        metrics=foundation.metrics,
        crowd=foundation.crowd,
        new_request_id=_new_request_id,
        utc_now=_utc_now,
        policy=snapshot.digest,
        started_at_s=foundation.started_at_s,
        max_body_bytes=int(document.server.max_body_mb * 1_000_000),
        keepalive_s=document.server.keepalive_s,
        offers_metrics=document.telemetry.prometheus,
        strangers_read_metrics=is_open or access.is_loopback(document.server.host),
        strangers_see_figures=is_open,
        simulated=all(document.providers[d.provider].dialect in _PRETENDERS for d in found),
    )
    foundation.watch.follow(document)
    foundation.crowd.follow(bounds_of(document.server))
    return Built(snapshot=snapshot, services=services, deployments=found, foundation=foundation)


def _watch(metrics: Metrics, accounts: Accounts, transport: Transport, post: Post | None) -> Watch:
    if post is None:
        return Watch(metrics, accounts, transport)
    pass_on = None if post.leads else partial(post.bus.tell, LEADER, ALARM)
    alarms = Alarms(metrics, accounts, transport, pass_on=pass_on, is_crew=True)
    return Watch(metrics, accounts, transport, alarms=alarms, name=f"/{post.number}")


def _classifier(document: Document, pack: TaskPack) -> Classifier:
    """A plug-in is a class that takes the task pack as `tasks` and fulfils the port `Classifier`."""
    kind = cast(
        "Callable[..., Classifier]", plugins.find("polyroute.classifiers", document.classifier, path="classifier")
    )
    return kind(tasks=pack)


async def _allow(document: Document, foundation: Foundation) -> None:
    """What managed keys and accounts are allowed comes into force."""
    foundation.accounts.allow(access.allowances(document, foundation.managed))
    await upkeep.restore_budgets(foundation)


async def _allow_tenants(document: Document, foundation: Foundation, layers: Layers) -> None:
    """What overrides allow comes into force, and goes out of it."""
    foundation.managed.limits = layers.limits
    await _allow(document, foundation)


def directory(records: Records, digest: Digest) -> Directory:
    return Directory(
        records,
        digest=digest,
        utc_now=_utc_now,
        new_id=lambda prefix: new_id(prefix, time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS)),
        new_secret=lambda: secrets.token_urlsafe(32),
    )


def provider_keys(records: Records, seal: Seal | None) -> ProviderKeys:
    return ProviderKeys(records, seal, _utc_now)


def figures(store: Store) -> AllFigures:
    with store.open_books() as books:
        return AllFigures(models=books.by_model(), routes=books.by_route(), recent=books.recent(_RECENT))


def cache_lines(store: Store, since: datetime) -> list[CacheLine]:
    with store.open_books() as books:
        return books.caches(since)


def usage(store: Store, since: datetime, until: datetime) -> list[Usage]:
    with store.open_books() as books:
        return books.usage(since, until)


def _by_model(found: tuple[Deployment, ...]) -> dict[str, tuple[Deployment, ...]]:
    by_model: dict[str, tuple[Deployment, ...]] = {}
    for deployment in found:
        by_model[deployment.model] = (*by_model.get(deployment.model, ()), deployment)
    return by_model


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_request_id() -> str:
    return new_id("req", time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))
