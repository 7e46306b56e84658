"""Whose a kept answer is: known at once, found again in the store, and nobody else's."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from polyroute.errors import StoreError
from polyroute.state import owners as module
from polyroute.state.owners import KEPT_FOR, Owner, Owners
from polyroute.stores.records.sqlite import SqliteRecords

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[SqliteRecords]:
    with SqliteRecords(tmp_path / "books.db") as opened:
        yield opened


def an_owner(answer_id: str = "resp_1", *, tenant: str = "blue", is_estimated: bool = False) -> Owner:
    return Owner(
        tenant=tenant, team="t", user="u", provider="oai", deployment="gpt@oai", answer_id=answer_id,
        request_id="req_1", is_estimated=is_estimated,
    )  # fmt: skip


def opened(notes: SqliteRecords, now: datetime = NOON) -> Owners:
    return Owners(notes, lambda: now)


async def test_what_was_noted_is_known_before_it_is_written(notes: SqliteRecords) -> None:
    owners = opened(notes)
    owners.note(an_owner(), ["resp_1", "msg_1"])
    assert await owners.find("blue", ["msg_1", "resp_1"]) == {"msg_1": an_owner(), "resp_1": an_owner()}
    assert notes.look("owner/blue", ["resp_1"], now=NOON) == {}
    await owners.aclose()
    assert list(notes.look("owner/blue", ["resp_1", "msg_1"], now=NOON)) == ["resp_1", "msg_1"]


async def test_another_process_finds_answers_and_items_in_the_store(notes: SqliteRecords) -> None:
    first, second = opened(notes), opened(notes)
    first.note(an_owner(), ["resp_1", "msg_1", "rs_1"])
    await first.until_written(5)
    assert await second.find("blue", ["rs_1"]) == {"rs_1": an_owner()}
    assert await second.find("blue", ["resp_1"]) == {"resp_1": an_owner()}


async def test_what_is_on_its_way_into_the_store_is_waited_for(notes: SqliteRecords) -> None:
    first, second = opened(notes), opened(notes)
    looking = asyncio.ensure_future(second.find("blue", ["resp_1"]))
    await asyncio.sleep(0)
    first.note(an_owner(), ["resp_1"])
    assert await looking == {"resp_1": an_owner()}


async def test_another_tenants_id_is_as_nobodys(notes: SqliteRecords) -> None:
    owners = opened(notes)
    owners.note(an_owner(), ["resp_1", "msg_1"])
    assert await owners.find("red", ["resp_1", "msg_1", "resp_never"]) == {}
    assert await opened(notes).find("red", ["resp_1", "msg_1", "resp_never"]) == {}


async def test_two_tenants_may_hold_one_id(notes: SqliteRecords) -> None:
    owners = opened(notes)
    for tenant in ("blue", "red"):
        owners.note(an_owner(tenant=tenant), ["resp_1"])
    await owners.aclose()
    again = opened(notes)
    assert {(await again.find(tenant, ["resp_1"]))["resp_1"].tenant for tenant in ("blue", "red")} == {"blue", "red"}


async def test_what_was_dropped_is_nobodys_with_its_items(notes: SqliteRecords) -> None:
    owners = opened(notes)
    owners.note(an_owner(), ["resp_1", "msg_1"])
    await owners.drop(an_owner())
    for one in (owners, opened(notes)):
        assert await one.find("blue", ["resp_1", "msg_1"]) == {}


async def test_a_note_lives_as_long_as_its_provider_keeps_an_answer(notes: SqliteRecords) -> None:
    owners = opened(notes)
    owners.note(an_owner(), ["resp_1"])
    await owners.aclose()
    assert await opened(notes, NOON + KEPT_FOR - timedelta(seconds=1)).find("blue", ["resp_1"])
    assert not await opened(notes, NOON + KEPT_FOR).find("blue", ["resp_1"])


async def test_that_its_cost_is_known_outlives_the_process(notes: SqliteRecords) -> None:
    owners, owner = opened(notes), an_owner(is_estimated=True)
    owners.note(owner, ["resp_1"])
    told = await owners.settled(owner)
    assert not told.is_estimated
    for one in (owners, opened(notes)):
        assert await one.find("blue", ["resp_1"]) == {"resp_1": told}


class Away:
    """A store that is away for the first `times` writes."""

    def __init__(self, notes: SqliteRecords, times: int) -> None:
        self._notes = notes
        self.times = times
        self.look: Callable[..., dict[str, bytes]] = notes.look
        self.held: Callable[..., dict[str, bytes]] = notes.held
        self.swap = notes.swap
        self.drop = notes.drop
        self.keep = notes.keep

    def keep_all(self, space: str, bodies: Mapping[str, bytes], *, now: datetime, until: datetime) -> None:
        self.times -= 1
        if self.times >= 0:
            raise StoreError("away")
        self._notes.keep_all(space, bodies, now=now, until=until)


async def test_a_store_that_is_away_is_tried_again(notes: SqliteRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.001)
    away = Away(notes, times=2)
    owners = Owners(away, lambda: NOON)
    owners.note(an_owner(), ["resp_1"])
    assert await owners.find("blue", ["resp_1"]) == {"resp_1": an_owner()}
    await owners.until_written(5)
    assert away.times < 0
    assert await opened(notes).find("blue", ["resp_1"]) == {"resp_1": an_owner()}


async def test_a_store_that_cannot_be_asked_is_never_a_no(notes: SqliteRecords) -> None:
    def fails(space: str, names: Sequence[str], *, now: datetime) -> dict[str, bytes]:
        raise StoreError("away")

    away = Away(notes, times=0)
    away.look = fails
    with pytest.raises(StoreError):
        await Owners(away, lambda: NOON).find("blue", ["resp_1"])
