"""A gateway whose books are on a small disk of its own, which is filled and freed again while callers ask.

Prints `ok REFUSED UNSETTLED SECONDS`: how many were refused, how many of those after their call, the longest time from
freed space to an answer; or `not here`, where the system lets no process have such a disk.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from tests.crash.full_tmpfs_child import fill, have_a_disk
from tests.journeys.rig import DOCUMENT, Rig, Told, ask, gateway
from tests.journeys.upstream import Answer, Heard, Upstream, chat, chat_events, stream, upstream

from polyroute.stores.sqlite.ledger import open_ledger

_ROUNDS, _CALLS, _REFUSALS = 8, 20, 10


def answer(heard: Heard) -> Answer:
    return stream(*chat_events("one", "two")) if heard.json.get("stream") else chat("ok")


class Tally:
    def __init__(self) -> None:
        self.answered: set[str] = set()
        self.refused = 0
        self.unsettled = 0  # called, and then there was no room to say what it cost
        self.longest_s = 0.0


async def call(rig: Rig, provider: Upstream, tally: Tally, *, streams: bool) -> Told:
    before = len(provider.log)
    more: dict[str, object] = {"stream": True} if streams else {}
    told = await rig.post("/v1/chat/completions", ask("hello", "gpt", **more))
    called = len(provider.log) - before
    if told.status == 200 and told.is_whole and b"error" not in told.body:
        assert called == 1
        tally.answered.add(told.headers["x-polyroute-request-id"])
        return told
    tally.refused += 1
    tally.unsettled += called
    if told.status != 200:
        error = told.json["error"]
        assert (told.status, error["type"]) == (503, "store_error"), told.body
        assert "disk" in error["message"] or "ledger" in error["message"], error
        assert "Traceback" not in error["message"]
    return told


async def main(folder: Path) -> None:
    tally = Tally()
    async with upstream() as provider:
        provider.script = answer
        async with gateway(DOCUMENT.format(url=provider.url), folder) as rig:
            for turn in range(_ROUNDS):
                for number in range(_CALLS + turn):  # so that the disk is full at another byte each time
                    assert (await call(rig, provider, tally, streams=number % 2 == 1)).status == 200
                fill(folder / "ballast")
                aim = tally.refused + _REFUSALS
                while tally.refused < aim:
                    await call(rig, provider, tally, streams=tally.refused % 2 == 1)
                (folder / "ballast").unlink()
                freed_s = time.monotonic()
                assert (await call(rig, provider, tally, streams=False)).status == 200
                tally.longest_s = max(tally.longest_s, time.monotonic() - freed_s)
            calls = len(provider.log)
        ledger = open_ledger(folder / "books.db")  # as the next start does
        await ledger.recover(datetime.now(UTC))
        await ledger.aclose()
        with rig.books() as books:
            assert books.verify() == []
            entries = {entry.request.id: entry for entry in books.entries()}
    assert tally.answered <= entries.keys(), "what was answered is booked"
    assert all(entries[name].request.state == "settled" for name in tally.answered)
    assert sum(len(entry.attempts) for entry in entries.values()) == calls, "each call has one row"
    assert tally.unsettled <= _ROUNDS, "only a call that was under way when the disk became full"
    sys.stdout.write(f"ok {tally.refused} {tally.unsettled} {tally.longest_s:.4f}\n")


if __name__ == "__main__":
    if have_a_disk(Path(sys.argv[1]), "8m"):
        uvloop.run(main(Path(sys.argv[1])))
    else:
        sys.stdout.write("not here\n")
