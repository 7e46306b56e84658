"""Money on the path while the books are read anew: at a reload, after a process died, or when the clock was set."""

from decimal import Decimal

import pytest
from tests.unit.rig import CALLER, NOON, Rig, Says, a_route, daily, deployment

from polyroute.errors import StoreError
from polyroute.testing.providers import a_response
from polyroute.types.receipt import Spent
from polyroute.types.response import Usage

COST = Decimal("0.0002")
USAGE = Usage(input_tokens=100, output_tokens=50)
HELLO = a_response("hello there", usage=USAGE)


def restore(rig: Rig) -> None:
    rig.accounts.restore(
        "daily",
        [
            Spent(tenant=CALLER.tenant, team=CALLER.team, user=CALLER.user, key_id=None, model="m", cost_usd=cost_usd)
            for cost_usd in [Decimal(0), *(receipt.cost_usd for receipt in rig.books.receipts())]
        ],
        NOON,
    )


async def test_a_call_of_a_request_under_way_is_not_forgotten() -> None:
    route = a_route(deployment("small"), deployment("large"), gates=[Says("please")])
    rig = Rig({"small": HELLO, "large": a_response("please", usage=USAGE)}, route, allowances=daily("5"))
    told: list[Decimal | None] = []

    async def reload(kind: str) -> None:
        if kind == "settle":
            restore(rig)
            told.append(rig.left_usd())

    rig.books.before = reload
    await rig.answer()
    assert told == [5 - 2 * COST]
    restore(rig)
    assert rig.left_usd() == 5 - 2 * COST, "and counted once when it is booked"


async def test_what_the_books_did_not_take_is_not_forgotten() -> None:
    rig = Rig({"small": HELLO}, allowances=daily("5"))
    rig.books.failing.add("settle")
    with pytest.raises(StoreError):
        await rig.answer()
    rig.books.failing.clear()
    await rig.answer()
    for _ in range(2):
        restore(rig)
        assert rig.left_usd() == 5 - 2 * COST
