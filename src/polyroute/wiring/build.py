"""A document made into a running gateway, and everything let go of at its end."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from polyroute.catalog import tasks
from polyroute.catalog.cards import Catalogue
from polyroute.config.document import Document
from polyroute.config.load import Loaded
from polyroute.config.resolve import deployments
from polyroute.config.snapshot import Snapshot
from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import ConfigError
from polyroute.gateway import Parts, RequestPath
from polyroute.providers.transport import open_transport
from polyroute.server.services import AllFigures, Services
from polyroute.stages.classification.heuristic import HeuristicClassifier
from polyroute.stages.execution.runner import Surroundings
from polyroute.state.accounts.accounts import Accounts
from polyroute.state.ids import RANDOM_BITS, new_id
from polyroute.state.latencies import Latencies
from polyroute.stores.sqlite.books import Books
from polyroute.stores.sqlite.ledger import SqliteLedger, open_ledger
from polyroute.telemetry.log import log_request
from polyroute.telemetry.metrics import Metrics
from polyroute.telemetry.tiers import TierWatch
from polyroute.types.cards import Deployment
from polyroute.types.receipt import Receipt
from polyroute.wiring import access
from polyroute.wiring.providers import Workshop, build_providers, logic_deployments
from polyroute.wiring.routes import RouteBook, gate_problems, tier_targets

_PRETENDERS = ("simulated", "replay")


class Built(Struct, frozen=True, kw_only=True):
    """A running gateway, and what it was built from."""

    snapshot: Snapshot
    services: Services
    deployments: tuple[Deployment, ...]

    @property
    def path(self) -> RequestPath:
        return self.services.path


@asynccontextmanager
async def open_gateway(loaded: Loaded, env: Mapping[str, str]) -> AsyncIterator[Built]:
    """Runs until the block ends. Raises ConfigError or StoreError, with nothing left open."""
    document = loaded.document
    if problems := gate_problems(document):
        raise ConfigError(loaded.placed(problems))
    authenticate = access.authenticator(document, env)
    accounts = Accounts(access.allowances(document))
    found = deployments(document, Catalogue())
    database = database_path(document, loaded.folder)
    pack = tasks.load(loaded.folder / document.tasks if document.tasks else None)
    metrics = Metrics()
    tiers = TierWatch(tier_targets(document), time.monotonic)

    def observe(receipt: Receipt) -> None:
        metrics.answered(receipt)
        log_request(receipt)
        for breach in tiers.note(receipt):
            metrics.breached(breach)

    async with AsyncExitStack() as stack:
        transport = open_transport()
        stack.push_async_callback(transport.aclose)
        workshop = Workshop(
            document=document,
            folder=loaded.folder,
            openai_chat=OpenAIChat(),
            anthropic_messages=AnthropicMessages(),
            transport=transport,
            classifier=HeuristicClassifier(tasks=pack),
        )
        providers = build_providers(workshop)
        for provider in providers.values():
            stack.push_async_callback(provider.aclose)
        ledger = open_ledger(database, durability=document.store.durability)
        stack.push_async_callback(ledger.aclose)
        await _restore(ledger, accounts, database)
        book = RouteBook(
            document=document,
            deployments={**_by_model(found), **logic_deployments(document)},
            tasks=pack,
            today=_utc_now().date(),
        )
        snapshot = Snapshot.of(document)
        parts = Parts(
            routes=book.routes(),
            classifier=workshop.classifier,
            dialects=workshop.dialects,
            around=Surroundings(
                providers=providers, monotonic=time.monotonic, sleep=asyncio.sleep, jitter=random.random
            ),
            accounts=accounts,
            ledger=ledger,
            latencies=Latencies(),
            new_request_id=_new_request_id,
            utc_now=_utc_now,
            draw=random.random,
            policy=snapshot.digest,
            observe=observe,
        )
        is_open = document.server.auth == "open"
        services = Services(
            path=RequestPath(parts),
            dialects=workshop.dialects,
            authenticate=authenticate,
            ad_hoc=lambda strategy, models, gates: book.ad_hoc(strategy, models, gates, parts.routes),
            accounts=accounts,
            ledger=ledger,
            figures=lambda: figures(database),
            metrics=metrics,
            new_request_id=_new_request_id,
            utc_now=_utc_now,
            policy=snapshot.digest,
            started_at_s=int(time.time()),
            max_body_bytes=int(document.server.max_body_mb * 1_000_000),
            offers_metrics=document.telemetry.prometheus,
            strangers_read_metrics=is_open or access.is_loopback(document.server.host),
            strangers_see_figures=is_open,
            simulated=all(document.providers[d.provider].dialect in _PRETENDERS for d in found),
        )
        yield Built(snapshot=snapshot, services=services, deployments=found)


def database_path(document: Document, folder: Path) -> Path:
    """The file of the embedded store."""
    return folder / document.store.database.removeprefix("sqlite:///")


def figures(database: Path) -> AllFigures:
    with Books(database) as books:
        return AllFigures(models=books.by_model(), routes=books.by_route())


async def _restore(ledger: SqliteLedger, accounts: Accounts, database: Path) -> None:
    """Closes what a dead process left open, and sets the budgets to what was spent."""
    now = _utc_now()
    await ledger.recover(now)
    with Books(database) as books:
        for period, start in accounts.windows(now).items():
            accounts.restore(period, books.spent_since(start), now)


def _by_model(found: tuple[Deployment, ...]) -> dict[str, tuple[Deployment, ...]]:
    by_model: dict[str, tuple[Deployment, ...]] = {}
    for deployment in found:
        by_model[deployment.model] = (*by_model.get(deployment.model, ()), deployment)
    return by_model


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_request_id() -> str:
    return new_id("req", time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))
