"""The gateway's books after a run, read with its own commands: do they balance, and do they tell what happened?"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.processes import BenchError
from bench.variants import DOCUMENT, GATEWAY, SECRETS

ANSWER_USD = Decimal("0.0000513")
"""One answer of the upstream at the document's prices: 182 tokens in at 0.15, 40 out at 0.60 USD per million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Books:
    """What was booked."""

    requests: int
    attempts: Counter[str]  # by status
    succeeded_usd: Decimal  # of the attempts that succeeded


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """What the fake upstream counted."""

    calls: int
    done: int  # answered whole

    @classmethod
    def read(cls, stats: bytes) -> Upstream:
        counts = json.loads(stats)
        return cls(calls=counts["chat"] + counts["stream"] + counts["messages"], done=counts["done"])


def findings(folder: Path) -> str | None:
    """What `polyroute ledger verify` finds; None where the books balance. Also beside a running gateway."""
    ran = _ledger(folder, "verify")
    return None if ran.returncode == 0 else (ran.stderr or ran.stdout).decode(errors="replace").strip()


def read_books(folder: Path) -> Books:
    """Of a gateway that has ended."""
    ran = _ledger(folder, "export", "--json")
    if ran.returncode:
        raise BenchError(f"the books could not be read:\n{ran.stderr.decode(errors='replace')[-2000:]}")
    requests, attempts, succeeded_usd = 0, Counter[str](), Decimal(0)
    for line in ran.stdout.splitlines():
        requests += 1
        for attempt in json.loads(line)["attempts"]:
            attempts[attempt["status"]] += 1
            if attempt["status"] == "succeeded":
                succeeded_usd += Decimal(attempt["cost_usd"])
    return Books(requests=requests, attempts=attempts, succeeded_usd=succeeded_usd)


def discrepancies(books: Books, upstream: Upstream, *, answered: int, left: int) -> list[str]:
    """Where books, upstream and callers disagree by more than the `left` callers can explain.

    A caller that left may have done so before its call was sent, or after the upstream had written its last byte.
    `answered` are whole answers to requests that are booked.
    """
    attempts, succeeded = books.attempts.total(), books.attempts["succeeded"]
    claims = (
        ("requests booked", books.requests, answered, answered + left),
        ("attempts booked, by the upstream's calls", attempts, upstream.calls, upstream.calls + left),
        ("attempts that succeeded, by the upstream's answers", succeeded, upstream.done - left, upstream.done),
    )
    found = [f"{what}: {count}, not {low} to {high}" for what, count, low, high in claims if not low <= count <= high]
    if books.succeeded_usd != succeeded * ANSWER_USD:
        found.append(f"{succeeded} answers at {ANSWER_USD} USD were booked at {books.succeeded_usd} USD")
    return found


def _ledger(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(GATEWAY), "ledger", *arguments, "-c", str(folder / DOCUMENT)]
    return subprocess.run(command, capture_output=True, env=os.environ | SECRETS, cwd=folder, timeout=600, check=False)
