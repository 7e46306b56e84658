"""`outage`: a provider dies or hangs under a steady load, another stands by; then it comes back. Who notices?

Open loop. What is added is set against the same load while both are well.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.figures import percentile
from bench.openloop import Outcomes, Pool
from bench.processes import CACHED_BYTECODE, Child, free_port, get
from bench.report import Section, table
from bench.traffic import KEY, PATHS, bodies, headers
from bench.variants import DOCUMENT, GATEWAY, HERE, SECRETS, Variant, require

PER_SECOND = 100.0
WELL_S, AWAY_S, BACK_S = 10.0, 20.0, 20.0
KNOWN_S = 2.0  # after the fault: by then it is known
_HANGS_S = 1.0  # for which a first token is waited for
_TEXT = """\
server: {{host: 127.0.0.1, auth: keys}}
store: {{database: "sqlite:///bench.db"}}
providers:
  one: {{dialect: openai, base_url: "http://127.0.0.1:{one}/v1", api_key: {{env: BENCH_UPSTREAM_KEY}}}}
  two: {{dialect: openai, base_url: "http://127.0.0.1:{two}/v1", api_key: {{env: BENCH_UPSTREAM_KEY}}}}
keys: [{{name: bench, key: {{env: BENCH_KEY}}, team: bench, user: bench}}]
models:
  first: {{provider: one, model: fake-d20, timeouts: {{first_token_s: {hangs}}}, price: free}}
  second: {{provider: two, model: fake-d20, price: free}}
routes: {{bench-steady: {{primary: first, fallback: second}}}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    fault: str
    well: Outcomes
    away: Outcomes
    back: Outcomes
    back_after_s: float | None  # until it had nine tenths of a second's calls again


class Mortal:
    """A fake provider that can be killed, stopped, and brought back to its port."""

    def __init__(self, stack: ExitStack, binary: Path, folder: Path, name: str) -> None:
        self.port = free_port()
        self._stack, self._binary, self._folder, self._name = stack, binary, folder, name
        self.start()

    def start(self) -> None:
        command = [str(self._binary), str(self.port)]
        self._child = self._stack.enter_context(Child(self._name, command, port=self.port, folder=self._folder))

    def send(self, number: signal.Signals) -> None:
        self._child.send(number)

    def calls(self) -> int:
        return int(get(self.port, "/stats").body.split(b'"chat":')[1].split(b",")[0])


def outage() -> Section:
    require("gcc")
    seen = list(_each())
    head = (
        "provider", "answered", "added ms p50 / p99, in the first seconds", "added ms p50 / p99, once it is known",
        "in full use again after",
    )  # fmt: skip
    return Section(
        name="outage",
        title=f"A provider goes away ({PER_SECOND:g} requests a second, another stands by; each takes 20 ms)",
        n=f"{sum(one.well.asked + one.away.asked + one.back.asked for one in seen)} requests",
        text=table(head, [_row(one) for one in seen]),
        figures={one.fault: one.away.counts() for one in seen},
    )


def _each() -> Iterator[Seen]:
    killed: tuple[Callable[[Mortal], None], Callable[[Mortal], None]] = (
        lambda one: one.send(signal.SIGKILL),
        lambda one: one.start(),
    )
    stopped: tuple[Callable[[Mortal], None], Callable[[Mortal], None]] = (
        lambda one: one.send(signal.SIGSTOP),
        lambda one: one.send(signal.SIGCONT),
    )
    for fault, (begin, end) in (("killed", killed), ("stopped", stopped)):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            binary = folder / "upstream"
            subprocess.run(["gcc", "-O2", "-o", str(binary), str(HERE / "upstream.c")], check=True)
            one, two = (Mortal(stack, binary, folder, name) for name in ("one", "two"))
            port, document = free_port(), folder / DOCUMENT
            document.write_text(_TEXT.format(one=one.port, two=two.port, hangs=_HANGS_S))
            command = [str(GATEWAY), "serve", "-c", str(document), "--port", str(port)]
            gateway = stack.enter_context(
                Child("gateway", command, port=port, folder=folder, environment=CACHED_BYTECODE | SECRETS)
            )
            Variant(name="gateway", child=gateway, door="chat", model="bench-steady").await_answer()
            yield uvloop.run(_measure(fault, port, one, two, begin, end))


async def _measure(
    fault: str,
    port: int,
    one: Mortal,
    two: Mortal,
    begin: Callable[[Mortal], None],
    end: Callable[[Mortal], None],
) -> Seen:
    pool, messages = Pool(port), _messages()
    await pool.offer(messages, PER_SECOND, 3.0)
    well = await pool.offer(messages, PER_SECOND, WELL_S)
    begin(one)
    away = await pool.offer(messages, PER_SECOND, AWAY_S)
    end(one)
    watching = asyncio.create_task(_until_in_use(two))
    back = await pool.offer(messages, PER_SECOND, BACK_S)
    watching.cancel()
    (after_s,) = await asyncio.gather(watching, return_exceptions=True)
    pool.close()
    return Seen(
        fault=fault,
        well=well,
        away=away,
        back=back,
        back_after_s=after_s if isinstance(after_s, float) else None,
    )


async def _until_in_use(two: Mortal) -> float:
    """Until the one that stood by is asked a tenth of all at most."""
    began_s = asyncio.get_running_loop().time()
    before = two.calls()
    while True:
        await asyncio.sleep(1.0)
        now = two.calls()
        if now - before <= PER_SECOND / 10:
            return asyncio.get_running_loop().time() - began_s
        before = now


def _messages() -> list[bytes]:
    lines = [f"POST {PATHS['chat']} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers("chat", KEY).items()]
    return [
        "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body
        for body in bodies("chat", "bench-steady", stream=False)
    ]


def _row(seen: Seen) -> tuple[str, ...]:
    counts = seen.well.counts() + seen.away.counts() + seen.back.counts()
    usual = seen.well.taken(200)
    early = [taken for due_s, taken in seen.away.times.get(200, []) if due_s < KNOWN_S]
    return (
        seen.fault,
        f"{counts[200]} of {counts.total()}",
        _added(early, usual),
        _added(seen.away.taken(200, since_s=KNOWN_S), usual),
        "not seen" if seen.back_after_s is None else f"{seen.back_after_s:.0f} s",
    )


def _added(taken: list[float], usual: list[float]) -> str:
    return " / ".join(f"{(percentile(taken, share) - percentile(usual, share)) * 1000:+.1f}" for share in (0.5, 0.99))
