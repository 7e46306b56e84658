"""`/`: one server-rendered page of the gateway's figures, until there is a dashboard.

No script, no outside resource, every value escaped. Where callers need keys, a stranger learns only that it is up.
"""

import asyncio
from html import escape

from polyroute.server.admission import caller_of
from polyroute.server.exchange import Exchange
from polyroute.server.services import Services
from polyroute.stores.figures import Figures
from polyroute.types.money import format_usd
from polyroute.types.receipt import Receipt

_HTML = (b"content-type", b"text/html; charset=utf-8")
_GUARD = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{padding:.35rem .6rem;text-align:right;"
    "border-bottom:1px solid #d8dee4}th:first-child,td:first-child{text-align:left}"
    ".note{background:#fff8c5;border:1px solid #d4a72c;padding:.6rem .8rem;border-radius:6px}"
)
_COLUMNS = ("", "calls", "errors", "input tokens", "output tokens", "cost USD", "saved USD", "p50 ms", "p95 ms")

_REQUEST_COLUMNS = (
    "request", "route", "answered by", "attempts", "why not the primary", "fallback ms", "cost USD", "total ms",
)  # fmt: skip


async def page(exchange: Exchange, services: Services) -> None:
    if not services.strangers_see_figures:
        body = "<p>The gateway is up. Its figures: <code>polyroute savings</code> on this machine.</p>"
    else:
        await caller_of(exchange, services)  # an open door has a guard against foreign pages
        figures = await asyncio.to_thread(services.figures)
        body = (
            _table("Models", _COLUMNS, [(row.name, *_cells(row)) for row in figures.models])
            + _table("Routes", _COLUMNS, [(row.name, *_cells(row)) for row in figures.routes])
            + _table("Newest requests", _REQUEST_COLUMNS, [_request_cells(receipt) for receipt in figures.recent])
        )
    note = ""
    if services.simulated:
        note = '<p class="note">Every model here is <b>simulated</b> or replayed: no provider is called.</p>'
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Polyroute</title><style>{_STYLE}</style>'
        f"<h1>Polyroute</h1>{note}<p>Document <code>{escape(services.policy)}</code></p>{body}</html>"
    )
    await exchange.reply(200, html.encode(), _GUARD, _HTML)


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{lines}</table>"


def _request_cells(receipt: Receipt) -> tuple[str, ...]:
    return (
        receipt.request_id,
        receipt.route,
        receipt.model or receipt.state,
        str(len(receipt.attempts)),
        receipt.fallback_reason or "",
        "" if receipt.fallback_ms is None else f"{receipt.fallback_ms:.1f}",
        format_usd(receipt.cost_usd),
        f"{receipt.total_ms:.1f}",
    )


def _cells(row: Figures) -> tuple[str, ...]:
    return (
        str(row.calls),
        str(row.errors),
        str(row.input_tokens),
        str(row.output_tokens),
        format_usd(row.cost_usd) + (" +?" if row.unpriced else ""),
        format_usd(row.saved_usd),
        f"{row.p50_ms:.1f}",
        f"{row.p95_ms:.1f}",
    )
