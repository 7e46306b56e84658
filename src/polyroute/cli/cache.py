"""The verb `cache`: what caches did, from the books; one kept answer's facts; and what is to go.

Answers that a server keeps in its own memory are seen through it alone (`--url`); what is to go from there it learns of
within 2 s, from the store. Where `store.shared` names a server, answers are kept there, and seen from here too.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from polyroute.cli.client import Client
from polyroute.cli.keys import OPERATOR
from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    KeyOption,
    UrlOption,
    document_path,
    fail,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.cli.store import open_books, open_records
from polyroute.config.load import read
from polyroute.providers.transport import open_transport
from polyroute.server.caching import shown
from polyroute.state.purges import Purges, check_key
from polyroute.stores.hits import RouteHits, hits_of
from polyroute.stores.shared.answers import SharedAnswers
from polyroute.types.caching import CacheStanding, Found, Place, Purge
from polyroute.types.money import format_usd
from polyroute.wiring.stores import open_answers

cache = typer.Typer(help="Show what caches saved; look at a kept answer; empty caches.", no_args_is_help=True)

TenantOption = Annotated[str | None, typer.Option("--tenant", help="Of this tenant alone.")]
RouteOption = Annotated[str | None, typer.Option("--route", help="Of this route alone.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="A receipt's `cache_key`.")]


@cache.command()
def stats(
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="As far back.")] = 30,
    tenant: TenantOption = None,
    route: RouteOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Hit rate and money saved, per route and tier."""
    with told(debug=debug):
        if url is not None:
            _tell_stats(_remote("GET", url, key, "", days=str(days), tenant=tenant, route=route), as_json)
            return
        since = datetime.now(UTC) - timedelta(days=days)
        with open_books(config) as books:
            routes = hits_of(books.caches(since), tenant=tenant, route=route)
        standing = asyncio.run(_standing(config))
    if as_json:
        print_json({"since": since, "cache": standing, "routes": routes})
    else:
        print_table(_COLUMNS, [row for each in routes for row in _rows(each)])


@cache.command()
def inspect(
    answer: KeyArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """One kept answer's facts: whose it is, who made it, what it cost, how long it will be kept."""
    with told(debug=debug):
        check_key(answer)
        if url is not None:
            facts = _remote("GET", url, key, f"/{answer}")
        else:
            found = asyncio.run(_found(config, answer))
            if found is None:
                fail(f"no answer is kept under {answer}; what a server keeps in its own memory is seen with --url")
            facts = shown(*found, datetime.now(UTC))
    if as_json:
        print_json(facts)
    else:
        for name, value in facts.items():
            say(f"{name}: {value}")


@cache.command()
def purge(
    answer: Annotated[str | None, typer.Argument(metavar="[KEY]", help="One answer, by its receipt's key.")] = None,
    tenant: TenantOption = None,
    route: RouteOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All answers of all tenants.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Empty caches: of one answer, a tenant, a route, or all. Running servers forget within 2 s."""
    what = Purge(tenant=tenant, route=route, key=answer)
    if (what == Purge()) is not everything:
        raise typer.BadParameter("say what is to go: KEY, --tenant, --route, or --all")
    with told(debug=debug):
        if url is not None:
            path = "" if answer is None else f"/{answer}"
            done = _remote("DELETE", url, key, path, tenant=tenant, route=route)
        else:
            with open_records(config) as records:
                number = Purges(records, lambda: datetime.now(UTC)).ask(OPERATOR, what)
            done = {"purge": number, "removed": asyncio.run(_purged(config, what))}
    if as_json:
        print_json(done)
    else:
        removed = done["removed"]
        say(f"{removed} answers are gone" if removed is not None else "running servers forget them within 2 s")


_COLUMNS = ("route", "tier", "requests", "hits", "hit rate", "cost, USD", "saved, USD")


def _rows(hits: RouteHits) -> list[tuple[str, ...]]:
    if not hits.tiers:
        return [(hits.route, "-", str(hits.requests), "0", "0.0%", "0", "0")]
    return [
        (hits.route, name, str(hits.requests), str(tier.hits), f"{tier.hit_ratio:.1%}", format_usd(tier.cost_usd),
         format_usd(tier.saved_usd))
        for name, tier in hits.tiers.items()
    ]  # fmt: skip


def _tell_stats(said: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    rows = [
        (each["route"], name, str(each["requests"]), str(tier["hits"]), f"{tier['hit_ratio']:.1%}",
         str(tier["cost_usd"]), str(tier["saved_usd"]))
        for each in said["routes"] for name, tier in each["tiers"].items()
    ]  # fmt: skip
    print_table(_COLUMNS, rows)


async def _standing(config: ConfigOption) -> CacheStanding | None:
    answers = _shared(config)
    return None if answers is None else await answers.standing()


async def _found(config: ConfigOption, key: str) -> tuple[Place, Found] | None:
    answers = _shared(config)
    return None if answers is None else await answers.inspect(key)


async def _purged(config: ConfigOption, what: Purge) -> int | None:
    answers = _shared(config)
    return None if answers is None else await answers.purge(what)


def _shared(config: ConfigOption) -> SharedAnswers | None:
    """None where answers lie in servers' own memories."""
    answers = open_answers(read(document_path(config), os.environ).document)
    return answers if isinstance(answers, SharedAnswers) else None


def _remote(method: str, url: str, key: str | None, path: str, **asked: str | None) -> dict[str, Any]:
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return asyncio.run(_call(method, url, key, f"/admin/cache{path}" + (f"?{query}" if query else "")))


async def _call(method: str, url: str, key: str | None, path: str) -> dict[str, Any]:
    transport = open_transport()
    try:
        client = Client(url, key, transport)
        return await (client.get(path) if method == "GET" else client.delete(path))
    finally:
        await transport.aclose()
