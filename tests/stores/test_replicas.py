"""Three gateways, one PostgreSQL, one Valkey: a budget holds to the nano-dollar, though gateways die and counters go.

`POLYROUTE_REPLICA_ROUNDS=20` for the long form; `POLYROUTE_REPLICA_SEED` replays one.
"""

import asyncio
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from tests.journeys.rig import ADMIN, KEY
from tests.rig.replicas import Replica, replicas
from tests.rig.servers import Valkey

from polyroute.stores.books import Books
from polyroute.stores.postgres.store import PostgresStore
from polyroute.stores.shared.resp import connect, encode, parse_place

ROUNDS = int(os.environ.get("POLYROUTE_REPLICA_ROUNDS", "1"))
SEED = int(os.environ.get("POLYROUTE_REPLICA_SEED", str(random.SystemRandom().randrange(1 << 30))))
CALLS = int(os.environ.get("POLYROUTE_REPLICA_CALLS", "90"))
BUDGET_USD = Decimal("0.10")  # about forty average answers
USD_PER_TOKEN = Decimal("0.0001")

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "{database}", shared: "{shared}", replicas: 3}}
providers: {{sim: {{dialect: simulated, max_tries: 1}}}}
models:
  m: {{provider: sim, latency_ms: 60, tokens_per_s: 400, answer: echo, price: {{input: 0, output: 100}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: team{number}, user: ci}}]
limits: {{per_team_daily_usd: {budget}}}
"""


async def test_a_budget_holds_while_replicas_die_and_counters_are_lost(
    database: str, valkey_server: Valkey, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        await _round(number, database, valkey_server, folder)


async def _round(number: int, database: str, valkey_server: Valkey, folder: Path) -> None:
    print(f"POLYROUTE_REPLICA_SEED={SEED} round {number}")
    draw = random.Random(SEED + number)
    document = DOCUMENT.format(database=database, shared=valkey_server.url, budget=BUDGET_USD, number=number)
    env = {"CI_KEY": KEY, "POLYROUTE_ADMIN_KEY": ADMIN}
    async with replicas(3, document, folder, env) as fleet:
        victim = draw.choice(fleet)

        async def kill_one() -> None:
            await asyncio.sleep(draw.uniform(0.02, 0.25))
            await victim.kill()

        async def flush() -> None:
            await asyncio.sleep(draw.uniform(0.02, 0.3))
            connection = await connect(parse_place(valkey_server.url), answer_s=5)
            await connection.call(encode("FLUSHALL"))
            connection.close()

        told, *_ = await asyncio.gather(
            asyncio.gather(*(_ask(draw, draw.choice(fleet)) for _ in range(CALLS))), kill_one(), flush()
        )
        await victim.start()  # books what it left
        answered = sum((usd for usd in told if usd is not None), Decimal(0))
        refused = 0
        while refused < 6:  # spend the rest in small answers
            spent = await _ask(draw, fleet[refused % 3], words=4)
            if spent is None:
                refused += 1
                await asyncio.sleep(0.3)  # on a busy machine one may have taken the store for away
            else:
                refused, answered = 0, answered + spent
    with PostgresStore(database, folder).open_books() as books:
        total = _spent(books, number)
        assert books.verify() == []
        assert books.open_requests() == []
    print(f"round {number}: clients saw {answered} USD, the books say {total} of {BUDGET_USD}")
    assert answered <= total, "every answer that a client saw is in the books"
    assert total <= BUDGET_USD, "never over by a nano-dollar"
    assert total >= BUDGET_USD * Decimal("0.99"), "and nothing of it is lost"


async def _ask(draw: random.Random, replica: Replica, *, words: int | None = None) -> Decimal | None:
    """What the answer cost; None where there was none."""
    count = words or draw.randrange(4, 60)
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "word " * count}]}
    body |= {"max_tokens": count + draw.randrange(0, 20) if words is None else words}
    if draw.random() < 0.5:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    told = await replica.post("/v1/chat/completions", orjson.dumps(body), key=KEY)
    if told is None or told.status != 200:
        return None
    if not body.get("stream"):
        return USD_PER_TOKEN * int(told.json["usage"]["completion_tokens"])
    usages = [event["usage"] for event in told.events if isinstance(event, dict) and event.get("usage")]
    return USD_PER_TOKEN * int(usages[-1]["completion_tokens"]) if usages and "[DONE]" in told.events else None


def _spent(books: Books, number: int) -> Decimal:
    return sum(
        (
            entry.receipt.cost_usd
            for entry in books.entries()
            if entry.receipt is not None and entry.request.team == f"team{number}"
        ),
        Decimal(0),
    )
