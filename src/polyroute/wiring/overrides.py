"""What holds for each tenant: the document's word on it, and the override laid over the document while it lasts.

Views are built once per version of document and overrides; a request looks one up. An override that no longer fits the
document (which was changed since) lets nothing through for its tenant: part of it may be what keeps data in bounds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from polyroute.catalog.cards import Catalogue
from polyroute.config.contract import contract
from polyroute.config.document import Document, Limits
from polyroute.config.layer import Laid, lay
from polyroute.config.resolve import deployments
from polyroute.config.snapshot import Snapshot, layered_hash
from polyroute.errors import ConfigError, Problem, StoreError
from polyroute.ports import Records
from polyroute.stages.matching.match import Boundary
from polyroute.stages.route import Routes, View
from polyroute.state.overrides import Override, read_override
from polyroute.types.cards import Deployment
from polyroute.wiring.gates import gate_problems
from polyroute.wiring.privacy import boundary_of, detector, rules_of
from polyroute.wiring.prompts import missing_prompts
from polyroute.wiring.routes import RouteBook

_log = logging.getLogger("polyroute.overrides")


class _Layer(Struct, frozen=True, kw_only=True):
    override: Override
    view: View
    limits: Limits | None


class Layers:
    """One per version of the document."""

    def __init__(
        self,
        snapshot: Snapshot,
        book: RouteBook,
        routes: Routes,
        records: Records,
        utc_now: Callable[[], datetime],
    ) -> None:
        """`routes` are the document's. What is kept is read at once, where it can be read."""
        self._snapshot = snapshot
        self._book = book
        self._routes = routes
        self._records = records
        self._utc_now = utc_now
        self._usual = {tenant: self._view(snapshot.document, tenant) for tenant in snapshot.document.tenants}
        self._layers: dict[str, _Layer] = {}
        self._generation = -1
        self._in_force: Mapping[str, Limits] = {}
        try:
            self._take()
        except StoreError as fault:
            _log.warning("overrides are not in force until they can be read: %s", fault)

    def view_of(self, tenant: str) -> View | None:
        """None where nothing holds for it alone."""
        layer = self._layers.get(tenant)
        if layer is not None and layer.override.expires_at > self._utc_now():
            return layer.view
        return self._usual.get(tenant)

    @property
    def limits(self) -> Mapping[str, Limits]:
        """By tenant, of the overrides in force that say any."""
        now = self._utc_now()
        return {
            tenant: layer.limits
            for tenant, layer in self._layers.items()
            if layer.limits is not None and layer.override.expires_at > now
        }

    async def refresh(self, on_change: Callable[[], Awaitable[None]]) -> None:
        """Takes what was set, removed or has ended since into force."""
        try:
            await asyncio.to_thread(self._take)
        except StoreError as fault:
            _log.debug("overrides stay as they were: %s", fault)
        in_force = self.limits
        if in_force != self._in_force:
            self._in_force = in_force
            await on_change()

    def _take(self) -> None:
        generation = self._records.generation()
        if generation == self._generation:
            return
        kept = {override.tenant: override for override in map(read_override, self._records.every("override"))}
        now, layers = self._utc_now(), {}
        for tenant, override in kept.items():
            known = self._layers.get(tenant)
            if known is not None and known.override == override:
                layers[tenant] = known
            elif override.expires_at > now:
                layers[tenant] = self._layer(override)
        self._layers, self._generation = layers, generation

    def _layer(self, override: Override) -> _Layer:
        tenant, laid = override.tenant, lay(self._snapshot.document, override.tenant, override.layer)
        if laid.problems:
            told = "; ".join(f"{problem.path}: {problem.message}" for problem in laid.problems)
            _log.error("the override of tenant %s does not fit the document: %s", tenant, told)
            fault = f"the override of tenant `{tenant}` does not fit the document any more: set it anew, or remove it"
            return _Layer(override=override, view=replace(self._view(laid.document, tenant), fault=fault), limits=None)
        book = replace(
            self._book, document=laid.document, deployments={**self._book.deployments, **_more(self._book, laid)}
        )
        view = self._view(laid.document, tenant)
        policy = layered_hash(self._snapshot.digest, {"tenant": tenant, "layer": override.layer})
        return _Layer(
            override=override, view=replace(view, routes=book.layered(self._routes), policy=policy), limits=laid.limits
        )

    def _view(self, document: Document, tenant: str) -> View:
        said = document.tenants.get(tenant)
        return View(
            routes=self._routes,
            policy=self._snapshot.digest,
            boundary=Boundary() if said is None else boundary_of(said, f"tenant `{tenant}`"),
            privacy=() if said is None else rules_of(said.privacy),
        )


def layer_problems(document: Document, tenant: str, layer: Mapping[str, object], records: Records) -> Laid:
    """As the document itself is checked before it starts. Raises StoreError."""
    laid = lay(document, tenant, layer)
    if laid.problems:
        return laid
    problems: list[Problem] = [*gate_problems(laid.document), *missing_prompts(laid.document, records)]
    found = deployments(laid.document, Catalogue())
    known = set(contract(document, found).problems)
    problems += [problem for problem in contract(laid.document, found).problems if problem not in known]
    try:
        detector(laid.document)
    except ConfigError as exc:
        problems += exc.problems
    return Laid(document=document, problems=tuple(problems)) if problems else laid


def _more(book: RouteBook, laid: Laid) -> dict[str, tuple[Deployment, ...]]:
    """Models that only the layer names, as provider/model."""
    found: dict[str, tuple[Deployment, ...]] = {}
    for deployment in deployments(laid.document, Catalogue()):
        if deployment.model not in book.deployments:
            found[deployment.model] = (*found.get(deployment.model, ()), deployment)
    return found
