"""Every fault of a provider: what its caller sees, what is booked, and that the committed page says so."""

from pathlib import Path

from tests.journeys.failover import PAGE, Help, Mode, Seen, page, run

NOBODYS_FAULT = ("400", "413")  # the request is wrong, whoever is asked


async def test_each_fault_comes_to_what_the_page_says(tmp_path: Path) -> None:
    found = await run(tmp_path)
    assert page(found) == PAGE.read_text(), "run .venv/bin/python -m tests.journeys.failover"
    assert len({fault for fault, _, _ in found}) >= 16
    assert [case for case, seen in found.items() if broken(*case, seen)] == []


def broken(fault: str, mode: Mode, help_: Help, seen: Seen) -> bool:
    """Whether a promise is not kept that holds for every fault."""
    if help_ == "going on":
        marked = seen.caller.startswith("the whole stream, marked") and seen.told.body.count(b": polyroute: ") == 1
        return not marked or seen.receipt.model != "spare"
    if mode == "after":
        return not seen.caller.startswith("error event") or seen.receipt.state != "failed"
    if help_ == "standing by" and fault not in NOBODYS_FAULT:
        return seen.caller not in ("the answer", "the whole stream") or seen.receipt.model != "spare"
    return not 400 <= seen.told.status < 505
