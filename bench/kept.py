"""What the books take: bytes on disk by a row of the ledger and by a receipt, and the CPU of closing what a crash left.

`python -m bench.kept [REQUESTS] [OPEN]`, by default 500,000 requests of one call each (a million ledger rows) and
100,000 requests left open. SQLite; numbers are made up from a seed, names are long, and the key is a managed one.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from polyroute.state.ids import new_id
from polyroute.stores.journal.lines import decode_receipt, encode_receipt, opening_line, settled
from polyroute.stores.sqlite.books import journals_folder
from polyroute.stores.sqlite.ledger import SqliteLedger, open_ledger
from polyroute.testing.stores import an_opening
from polyroute.types.receipt import Receipt, Settlement

_BATCH = 256
_SEED = 7
_AT = datetime(2026, 3, 1, tzinfo=UTC)
_TYPICAL = decode_receipt(
    b'{"request_id":"","time":"2026-03-01T00:00:00Z","caller":{"user":"anna.berg","team":"support","key_id":"key_0'
    b'19fd0b280f4bf9937bd4a1fe11267e"},"door":"openai_chat","route":"support","requested_model":"support","policy"'
    b':"c94675b51574","state":"settled","classification":{"label":"moderate","score":0.3419,"classifier":"heuristi'
    b'c@1","evidence":[{"feature":"words: 41","weight":0.0615},{"feature":"asks why","weight":0.2}],"elapsed_ms":0'
    b'.148},"candidates":[{"deployment":"gpt-4o-mini@openai-eu","model":"gpt-4o-mini","expected_usd":"0.000783000"'
    b',"worst_usd":"0.001137000","latency_ms":812.4},{"deployment":"haiku@bedrock","model":"haiku","expected_usd":'
    b'"0.000983000","worst_usd":"0.002137000","latency_ms":644.1}],"strategy":"complexity","plan":["gpt-4o-mini@op'
    b'enai-eu","haiku@bedrock"],"plan_reason":"complexity: moderate, so gpt-4o-mini","estimated_cost_usd":"0.00078'
    b'3000","estimated_cost_per_1k":"0.003","attempts":[{"id":"","step":0,"deployment":"gpt-4o-mini@openai-eu","pr'
    b'ovider":"openai-eu","model":"gpt-4o-mini","upstream_model":"gpt-4o-mini","answered_model":"gpt-4o-mini-2024-'
    b'07-18","status":"succeeded","usage":{"input_tokens":311,"output_tokens":144},"cost_usd":"0.000093000"}],"mod'
    b'el":"gpt-4o-mini","answered_model":"gpt-4o-mini-2024-07-18","provider":"openai-eu","stop":"end","usage":{"in'
    b'put_tokens":311,"output_tokens":144},"cost_usd":"0.000093000","baseline":"gpt-4o","baseline_usd":"0.00089300'
    b'0","saved_usd":"0.000800000"}'
)


def main(requests: int, left_open: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _sizes(Path(folder) / "books.db", requests)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        asyncio.run(_recovery(Path(folder) / "books.db", left_open))


def _sizes(path: Path, requests: int) -> None:
    ledger, draw = open_ledger(path), random.Random(_SEED)
    length = 0
    for start in range(0, requests, _BATCH):
        batch = [_settlement(number, draw) for number in range(start, min(start + _BATCH, requests))]
        length += sum(len(encode_receipt(settlement.receipt)) for settlement in batch)
        ledger._book([settled(settlement, settlement.receipt.cost_usd * 3, "0123456789abcdef") for settlement in batch])
    by_table = dict(ledger._connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
    rows = sum(by_table[name] for name in ("requests", "requests_by_time", "attempts"))
    kept = by_table["receipts"] + by_table["sqlite_autoindex_receipts_1"]
    print(f"{2 * requests} rows of the ledger: {rows / 1e6:.1f} MB, {rows / requests / 2:.0f} bytes each")
    print(
        f"{requests} receipts of {length / requests:.0f} bytes: {kept / 1e6:.1f} MB, {kept / requests:.0f} bytes each"
    )
    asyncio.run(ledger.aclose())


def _settlement(number: int, draw: random.Random) -> Settlement:
    request_id = new_id("req", 1_767_225_600_000 + number * 7, draw.getrandbits(80))
    now = _AT + timedelta(microseconds=number * 6997 + draw.randrange(999))
    total_ms = round(draw.uniform(300, 3000), 3)
    attempt = replace(
        _TYPICAL.attempts[0],
        id=f"{request_id}.0",
        started_ms=round(draw.random(), 3),
        first_token_ms=round(total_ms / 3, 3),
        duration_ms=round(total_ms - 0.4, 3),
    )
    receipt: Receipt = replace(
        _TYPICAL,
        request_id=request_id,
        time=now,
        attempts=(attempt,),
        total_ms=total_ms,
        upstream_ms=attempt.duration_ms,
        overhead_ms=round(draw.random(), 3),
    )
    return Settlement(request_id=request_id, settled_at=now, state="settled", receipt=receipt)


async def _recovery(path: Path, left_open: int) -> None:
    await open_ledger(path).aclose()
    with (journals_folder(path) / "dead.jsonl").open("wb") as journal:
        for number in range(left_open):
            journal.write(opening_line(an_opening(new_id("req", number, number))))
    ledger: SqliteLedger = open_ledger(path)
    began_cpu, began = time.process_time(), time.perf_counter()
    found = await ledger.recover(_AT)
    cpu_s, clock_s = time.process_time() - began_cpu, time.perf_counter() - began
    print(f"{found.requests} requests left open, closed: {cpu_s:.1f} s of CPU, {clock_s:.1f} s by the clock")
    await ledger.aclose()


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [500_000, 100_000][len(given) :]))
