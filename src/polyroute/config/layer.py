"""What is laid over the document for one tenant: parts of routes, limits, and what its requests may reach. Pure.

A layer says `routes`, `limits` and `policy` in the document's own words, and only what differs. It changes routes and
adds none, holds no secret and no address, and what keeps data in bounds it narrows and never widens.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from polyroute.config.check import check
from polyroute.config.convert import convert, examine, value_reader
from polyroute.config.document import DataPolicy, Document, Limits, Logic, Moderation, Privacy, Route, Tenant
from polyroute.config.secret import Secret
from polyroute.config.snapshot import builtins_of
from polyroute.config.suggest import Vocabulary
from polyroute.errors import Problem
from polyroute.types.privacy import KINDS

SECTIONS = ("routes", "limits", "policy")
_FIXED = frozenset({"review", "cache"})  # of a route: they name addresses, or stores of the whole gateway
_STRENGTH = {"allow": 0, "redact": 1, "private": 1, "refuse": 2}


class Laid(Struct, frozen=True, kw_only=True):
    """The document as it is for a tenant, and what is wrong with the layer; then the document is as it was."""

    document: Document
    limits: Limits | None = None  # of the tenant's users and teams, where the layer says any
    problems: tuple[Problem, ...] = ()


class Difference(Struct, frozen=True, kw_only=True):
    """A setting that is other than in the document."""

    path: str
    base: object
    override: object


def lay(document: Document, tenant: str, layer: Mapping[str, object]) -> Laid:
    """Every problem at once."""
    vocabulary = Vocabulary(SECTIONS)
    problems = [
        Problem(path=name, message=f"`{name[:60]}` is no part of an override", fix=vocabulary.fix(name))
        for name in layer
        if name not in SECTIONS
    ]
    written = {
        "routes": _plain(layer.get("routes") or {}),
        "limits": _plain(layer.get("limits") or {}),
        "tenants": {tenant: _plain(layer.get("policy") or {})},
    }
    examined = examine(written, _read)
    problems += [replace(problem, path=_path(problem.path, tenant)) for problem in examined.problems]
    try:
        said = convert(examined.rest, _read)
    except msgspec.ValidationError as exc:
        return Laid(document=document, problems=(*problems, Problem(path="document", message=str(exc))))
    given = examined.rest if isinstance(examined.rest, dict) else {}
    routes = dict(document.routes)
    for name, route in said.routes.items():
        base = document.routes.get(name)
        if base is None:
            fix = Vocabulary(document.routes).fix(name)
            problems.append(Problem(path=f"routes.{name}", message=f"there is no route `{name}` to change", fix=fix))
            continue
        changes = _changes(route, given["routes"][name])
        problems += _fixed(f"routes.{name}", changes)
        routes[name] = _changed(base, changes)
    policy = document.tenants.get(tenant, Tenant())
    tenants = document.tenants
    if changes := _changes(said.tenants.get(tenant, Tenant()), given.get("tenants", {}).get(tenant, {})):
        tenants = {**tenants, tenant: replace(policy, **changes)}
    limits = _changes(said.limits, given.get("limits", {}))
    laid = replace(document, routes=routes, tenants=tenants)
    if not problems:
        checked = replace(laid, limits=replace(document.limits, **limits))
        problems += [replace(problem, path=_path(problem.path, tenant)) for problem in check(checked)]
        problems += _widened(document, laid, tenant)
    if problems:
        return Laid(document=document, problems=tuple(problems))
    return Laid(document=laid, limits=replace(document.limits, **limits) if limits else None)


def differences(base: Document, laid: Laid, tenant: str) -> tuple[Difference, ...]:
    """What a tenant gets other than the document says, setting by setting."""
    found: list[Difference] = []
    for name, route in laid.document.routes.items():
        if route is not base.routes[name]:
            found += _apart(f"routes.{name}", base.routes[name], route)
    if laid.limits is not None:
        found += _apart("limits", base.limits, laid.limits)
    found += _apart("policy", base.tenants.get(tenant, Tenant()), laid.document.tenants.get(tenant, Tenant()))
    return tuple(found)


def _no_secret(written: object) -> Secret:
    raise ValueError("an override holds no secrets and no addresses: they are the document's")


_read = value_reader(_no_secret)


def _plain(value: object) -> object:
    """JSON's numbers as the document has them."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    return Decimal(repr(value)) if isinstance(value, float) else value


def _changes(said: Struct, given: Mapping[str, object]) -> dict[str, Any]:
    """The fields that were really given, by their names in Python."""
    pairs = zip(said.__struct_encode_fields__, said.__struct_fields__, strict=True)
    return {field: getattr(said, field) for written, field in pairs if written in given}


def _fixed(path: str, changes: Mapping[str, Any]) -> Iterator[Problem]:
    for field in _FIXED & changes.keys():
        yield Problem(path=f"{path}.{field}", message="cannot be overridden", fix="change it in the document")
    if isinstance(changes.get("strategy"), Moderation):
        fix = "put it into a route of the document"
        yield Problem(path=f"{path}.strategy", message="a moderator cannot be put into an override", fix=fix)
    if isinstance(changes.get("strategy"), Logic):
        fix = "put it into a route of the document"
        yield Problem(path=f"{path}.strategy", message="plain logic cannot be put into an override", fix=fix)


def _changed(base: Route, changes: dict[str, Any]) -> Route:
    """`primary` takes the place of a strategy, and the other way round."""
    if changes.get("primary") is not None:
        changes = {"strategy": None, **changes}
    elif changes.get("strategy") is not None:
        changes = {"primary": None, **changes}
    return replace(base, **changes)


# ── narrower, never wider ─────────────────────────────────────────────────────────────────────────────────


def _widened(base: Document, laid: Document, tenant: str) -> Iterator[Problem]:
    for name, route in laid.routes.items():
        before = base.routes[name]
        if route is before:
            continue
        yield from _reaches_further(f"routes.{name}", before, route)
        yield from _tells_more(f"routes.{name}.privacy", before.privacy or base.privacy, route.privacy or base.privacy)
        if before.require_human_review and not route.require_human_review:
            path = f"routes.{name}.require_human_review"
            yield _wider(path, "the document has a person look at its answers")
    policy, held = laid.tenants.get(tenant, Tenant()), base.tenants.get(tenant, Tenant())
    yield from _reaches_further("policy", held, policy)
    yield from _tells_more("policy.privacy", held.privacy, policy.privacy)


def _reaches_further(path: str, before: Route | Tenant, after: Route | Tenant) -> Iterator[Problem]:
    if before.region is not None and after.region != before.region:
        yield _wider(f"{path}.region", f"the document binds it to {before.region}")
    if before.private and not after.private:
        yield _wider(f"{path}.private", "the document keeps it private")
    if before.allowed_providers is not None:
        beyond = set(after.allowed_providers or ()) - set(before.allowed_providers)
        if after.allowed_providers is None or beyond:
            allowed = ", ".join(before.allowed_providers) or "none"
            yield _wider(f"{path}.allowed_providers", f"the document allows {allowed}")
    held, asked = before.data_policy or DataPolicy(), after.data_policy or DataPolicy()
    if held.retention_days is not None and (asked.retention_days is None or asked.retention_days > held.retention_days):
        yield _wider(f"{path}.data_policy.retention_days", f"the document allows {held.retention_days}")
    if held.trains is False and asked.trains is not False:
        yield _wider(f"{path}.data_policy.trains", "the document does not allow it")


def _tells_more(path: str, before: Privacy | None, after: Privacy | None) -> Iterator[Problem]:
    if before is None:
        return
    kept = _kinds(before) - (_kinds(after) if after is not None else frozenset())
    if kept and before.on_pii != "allow":
        yield _wider(f"{path}.detect", f"the document looks for {', '.join(sorted(kept))} too")
    if after is not None and after.on_pii != before.on_pii and _STRENGTH[after.on_pii] <= _STRENGTH[before.on_pii]:
        yield _wider(f"{path}.on_pii", f"the document says `{before.on_pii}`")


def _kinds(privacy: Privacy) -> frozenset[str]:
    return frozenset(KINDS if privacy.detect == "all" else privacy.detect)


def _wider(path: str, held: str) -> Problem:
    return Problem(path=path, message=f"an override may narrow this and not widen it: {held}")


# ── what differs ──────────────────────────────────────────────────────────────────────────────────────────


def _apart(path: str, base: Struct, other: Struct) -> Iterator[Difference]:
    one, two = asdict(base), asdict(other)
    for written, field in zip(base.__struct_encode_fields__, base.__struct_fields__, strict=True):
        if one[field] != two[field]:
            shown = {"base": builtins_of(one[field]), "override": builtins_of(two[field])}
            yield Difference(path=f"{path}.{written}", **shown)


def _path(path: str, tenant: str) -> str:
    return path.replace(f"tenants.{tenant}", "policy", 1) if path.startswith(f"tenants.{tenant}") else path
