"""What is measured side by side: the fake upstream itself, an nginx hop before it, and our gateway before it.

The gateway runs with everything on: declared keys, a limit and a budget too high to be hit, the ledger on SQLite at
`durability: process`, and routes that have a fallback. Only its document is written here; nothing in it is special.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.processes import CACHED_BYTECODE, BenchError, Child, free_port, post
from bench.traffic import KEY, PATHS, Door, bodies, headers

HERE = Path(__file__).parent
GATEWAY = Path(sys.executable).with_name("polyroute")

SHAPES = ("", "-d60", "-g5", "-d60-g5", "-n1-g5")
"""How the upstream behaves, said in the model's name (see upstream.c): instant, 60 ms late, chunks 5 ms apart."""

DOCUMENT = "polyroute.yaml"
SECRETS = {"BENCH_KEY": KEY, "BENCH_UPSTREAM_KEY": "sk-upstream-000000000000000"}
"""The environment that the document names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One thing that answers: a process tree, the door to knock at, and the models it serves (`model` + shape)."""

    name: str
    child: Child
    door: Door
    model: str
    keeps_books: bool = False

    def await_answer(self) -> float:
        body = bodies(self.door, self.model, stream=False, count=1)[0]
        return self.child.await_answer(PATHS[self.door], body, headers(self.door))


def require(*tools: str) -> None:
    """Raises BenchError naming every tool that is not on PATH."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        names = ", ".join(missing)
        raise BenchError(f"not found on PATH: {names} (Debian: apt-get install gcc libc6-dev wrk nginx-light)")


def start_upstream(stack: ExitStack, folder: Path) -> Variant:
    binary, port = folder / "upstream", free_port()
    subprocess.run(["gcc", "-O2", "-o", str(binary), str(HERE / "upstream.c")], check=True)
    child = stack.enter_context(Child("direct", [str(binary), str(port)], port=port, folder=folder))
    direct = Variant(name="direct", child=child, door="chat", model="fake")
    direct.await_answer()
    return direct


def start_nginx(stack: ExitStack, folder: Path, upstream: int) -> Variant:
    port, document = free_port(), folder / "nginx.conf"
    text = (HERE / "nginx.conf.in").read_text()
    for name, value in (("@DIR@", folder), ("@UPSTREAM@", upstream), ("@PORT@", port)):
        text = text.replace(name, str(value))
    document.write_text(text)
    command = ["nginx", "-p", str(folder), "-e", str(folder / "nginx-error.log"), "-c", str(document)]
    child = stack.enter_context(Child("nginx", command, port=port, folder=folder))
    hop = Variant(name="nginx", child=child, door="chat", model="fake")
    hop.await_answer()
    return hop


def start_gateway(
    stack: ExitStack,
    folder: Path,
    upstream: int,
    *,
    prefix: tuple[str, ...] = (),
    shapes: Iterable[str] = SHAPES,
    workers: int = 1,
) -> Child:
    """Starts `polyroute serve` without waiting for it; `prefix` is an interpreter with options, such as a profiler."""
    if not GATEWAY.exists():
        raise BenchError(f"no `{GATEWAY.name}` beside this Python: install the project into this environment first")
    port, document = free_port(), folder / DOCUMENT
    document.write_text(gateway_document(upstream, shapes))
    command = [*prefix, str(GATEWAY), "serve", "-c", str(document), "--port", str(port), "--workers", str(workers)]
    return stack.enter_context(
        Child("gateway", command, port=port, folder=folder, environment=CACHED_BYTECODE | SECRETS)
    )


def gateway_doors(child: Child) -> tuple[Variant, ...]:
    """The gateway's variants: OpenAI to OpenAI, Anthropic to Anthropic, and OpenAI translated to Anthropic."""
    return (
        Variant(name="gateway", child=child, door="chat", model="bench", keeps_books=True),
        Variant(name="messages", child=child, door="messages", model="bench-messages", keeps_books=True),
        Variant(name="translated", child=child, door="chat", model="bench-messages", keeps_books=True),
    )


def refuse_an_open_door(variant: Variant) -> None:
    """Raises BenchError if a wrong key is served: figures without the key check would flatter."""
    body = bodies(variant.door, variant.model, stream=False, count=1)[0]
    status = post(variant.child.port, PATHS[variant.door], body, headers(variant.door, "sk-wrong")).status
    if status not in (401, 403):
        raise BenchError(f"{variant.name} answered {status} to a wrong key: not a fair figure")


def gateway_document(upstream: int, shapes: Iterable[str] = SHAPES) -> str:
    """The document that the gateway is measured under."""
    head = f"""\
server: {{host: 127.0.0.1, workers: 1, auth: keys}}
store: {{database: "sqlite:///bench.db", durability: process}}
providers:
  fake: {{dialect: openai, base_url: "http://127.0.0.1:{upstream}/v1", api_key: {{env: BENCH_UPSTREAM_KEY}}}}
  fake-messages: {{dialect: anthropic, base_url: "http://127.0.0.1:{upstream}", api_key: {{env: BENCH_UPSTREAM_KEY}}}}
keys: [{{name: bench, key: {{env: BENCH_KEY}}, team: bench, user: bench}}]
limits: {{per_user_per_minute: 100000000, per_team_daily_usd: 1000000}}
"""
    shapes = list(shapes)
    return head + "models:\n" + "".join(map(_models, shapes)) + "routes:\n" + "".join(map(_routes, shapes))


def _models(shape: str) -> str:
    card = "price: {input: 0.15, output: 0.60, cached_input: 0.075}, context_tokens: 128000"
    return "".join(
        f"  {provider}{shape}: {{deployments: [{{provider: {provider}, model: fake{shape}}}], {card}}}\n"
        for provider in ("fake", "fake-messages")
    )


def _routes(shape: str) -> str:
    return (
        f"  bench{shape}: {{primary: fake{shape}, fallback: fake-messages{shape}}}\n"
        f"  bench-messages{shape}: {{primary: fake-messages{shape}, fallback: fake{shape}}}\n"
    )
