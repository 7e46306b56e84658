"""Three gateways, one Valkey, a rate limit asked for three times over, unevenly: never over, almost all of it used.

Short here; the long form is 600 a minute for five minutes: `POLYROUTE_LIMIT=600 POLYROUTE_LIMIT_S=300`, which
`./dev soak limits` sets. `POLYROUTE_LIMIT_SEED` replays one.
"""

import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
from tests.journeys.rig import ADMIN, KEY
from tests.rig.replicas import Replica, replicas
from tests.rig.servers import Valkey

LIMIT = int(os.environ.get("POLYROUTE_LIMIT", "20"))
SECONDS = float(os.environ.get("POLYROUTE_LIMIT_S", "1.5"))
SEED = int(os.environ.get("POLYROUTE_LIMIT_SEED", str(random.SystemRandom().randrange(1 << 30))))
WINDOW_S = 60.0
WINDOWS = max(-(-SECONDS // WINDOW_S), 1)
SHARES = (80, 15, 5)  # per cent, by replica

DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db", shared: "{shared}", replicas: 3}}
providers: {{sim: {{dialect: simulated, max_tries: 1}}}}
models: {{m: {{provider: sim, latency_ms: 0, answer: echo, price: free}}}}
keys: [{{name: ci, key: {{env: CI_KEY}}, team: t, user: ci}}]
limits: {{per_user_per_minute: {limit}}}
"""
BODY = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4})


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One call; it was let through, or not, at some moment between the two."""

    sent_s: float
    answered_s: float
    status: int
    retry_after_s: float | None


async def test_a_limit_of_three_replicas_is_never_over_and_almost_all_of_it_is_used(
    valkey_server: Valkey, tmp_path: Path
) -> None:
    print(f"POLYROUTE_LIMIT_SEED={SEED}")
    draw = random.Random(SEED)
    document = DOCUMENT.format(shared=valkey_server.url, limit=LIMIT)
    offered = int(3 * LIMIT * WINDOWS)
    moments = sorted(draw.uniform(0, SECONDS) for _ in range(offered))
    async with replicas(3, document, tmp_path, {"CI_KEY": KEY, "POLYROUTE_ADMIN_KEY": ADMIN}) as fleet:
        began_s = time.monotonic()

        async def ask(at_s: float, replica: Replica) -> Heard:
            await asyncio.sleep(at_s - (time.monotonic() - began_s))
            sent_s = time.monotonic()
            told = await replica.post("/v1/chat/completions", BODY, key=KEY)
            assert told is not None, "nobody dies here"
            after = told.headers.get("retry-after")
            return Heard(
                sent_s=sent_s,
                answered_s=time.monotonic(),
                status=told.status,
                retry_after_s=None if after is None else float(after),
            )

        heard = await asyncio.gather(*(ask(at_s, draw.choices(fleet, SHARES)[0]) for at_s in moments))
    let_through = [call for call in heard if call.status == 200]
    refused = [call for call in heard if call.status == 429]
    most = _most_in_a_window(let_through)
    print(f"{offered} calls in {SECONDS:g} s, limit {LIMIT}/min: {len(let_through)} let through of {LIMIT * WINDOWS:g}")
    print(f"at most {most} in any 60 s; {len(refused)} refused, each told when to come again")
    assert len(let_through) + len(refused) == offered
    assert most <= LIMIT, "never over"
    assert len(let_through) >= 0.99 * LIMIT * WINDOWS, "and almost all of it is used"
    assert all(call.retry_after_s is not None and 0 < call.retry_after_s <= WINDOW_S + 1 for call in refused)


def _most_in_a_window(calls: list[Heard]) -> int:
    """The most that were certainly let through in one window, however it lies: sent after its start, answered in it."""
    most = 0
    by_answer = sorted(calls, key=lambda call: call.answered_s)
    for last, call in enumerate(by_answer):
        start_s = call.answered_s - WINDOW_S
        most = max(most, sum(one.sent_s > start_s for one in by_answer[: last + 1]))
    return most
