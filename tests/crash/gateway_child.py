"""Gateways that kill themselves at a named moment of a request's life.

Started once; forks one per line `FILE NTH POINT` on standard input, which dies when its moment comes for the NTH time;
`-` is no moment: whoever started it kills it. Says `pid N`, `address URL` once it serves, and `gone` once it is dead.
The moments are put around the gateway's own steps from outside.
"""

import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from polyroute.config.load import read
from polyroute.server import exchange, idempotency
from polyroute.server.serve import run
from polyroute.stages.execution import meter, runner
from polyroute.state.accounts.accounts import Accounts
from polyroute.stores.journal.journal import Journal
from polyroute.stores.records.sqlite import SqliteRecords
from polyroute.stores.sqlite import files, ledger
from polyroute.wiring.serving import serve_document


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, nth: int) -> None:
    left = nth

    def is_now() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def before(owner: Any, name: str) -> None:
        step = getattr(owner, name)

        def stepped(*given: Any, **named: Any) -> Any:
            if is_now():
                die()
            return step(*given, **named)

        setattr(owner, name, stepped)

    def after(owner: Any, name: str) -> None:
        step = getattr(owner, name)

        def stepped(*given: Any, **named: Any) -> Any:
            done = step(*given, **named)
            if is_now():
                die()
            return done

        setattr(owner, name, stepped)

    def after_awaiting(owner: Any, name: str) -> None:
        step = getattr(owner, name)

        async def stepped(*given: Any, **named: Any) -> Any:
            done = await step(*given, **named)
            if is_now():
                die()
            return done

        setattr(owner, name, stepped)

    def at_chunk(number: int) -> None:
        step: Callable[..., AsyncGenerator[Any, None]] = runner.Flow.chunks

        async def chunks(self: Any) -> AsyncGenerator[Any, None]:
            seen = 0
            async for chunk in step(self):
                seen += 1
                if seen == number and is_now():
                    die()
                yield chunk
            if number == 0 and is_now():  # the usage came with the end
                die()

        runner.Flow.chunks = chunks  # type: ignore[method-assign]

    match point:
        case "-":
            pass
        case "after reserve":
            after_awaiting(Accounts, "reserve")
        case "after the opening":
            after_awaiting(meter.Meter, "_write")
        case "first byte":
            after_awaiting(runner.Run, "_open")
        case "mid stream":
            at_chunk(2)
        case "usage seen":
            at_chunk(0)
        case "before the settlement":
            before(Journal, "settle")
        case "after the settlement":
            after(Journal, "settle")
        case "before commit":
            before(ledger, "book")
        case "after commit":
            after(ledger, "book")
        case "before the last byte":
            before(exchange.Exchange, "end_events")
            before(exchange.Exchange, "reply")
        case "in migration":
            before(files, "split_statements")
        case "in recovery":
            before(ledger.SqliteLedger, "_closer")
        case "in a management change":
            after(SqliteRecords, "_apply")
        case "in idempotency":
            before(idempotency._Place, "replace")
        case _:
            raise ValueError(point)


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def serve(file: Path, nth: int, point: str) -> None:
    arm(point, nth)

    async def ready(address: str) -> None:
        tell(f"address {address}")

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        run(lambda: serve_document(read(file, os.environ), os.environ, ready))


def main() -> None:
    for line in sys.stdin:
        file, nth, point = line.strip().split(maxsplit=2)
        child = os.fork()
        if child == 0:
            serve(Path(file), int(nth), point)
            os._exit(0)
        tell(f"pid {child}")
        os.waitpid(child, 0)
        tell("gone")


if __name__ == "__main__":
    main()
