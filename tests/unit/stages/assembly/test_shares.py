from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.assembly.shares import shared
from polyroute.types.money import ZERO_USD, from_nanos
from polyroute.types.receipt import Attempt, AttemptStatus
from polyroute.types.response import Usage


def attempt(number: int, cost_usd: Decimal | None, status: AttemptStatus = "succeeded") -> Attempt:
    return Attempt(
        id=f"req_a.{number}",
        step=number,
        deployment="d",
        provider="p",
        model="m",
        upstream_model="u",
        status=status,
        usage=Usage(input_tokens=1),
        cost_usd=cost_usd,
    )


def spent(attempts: tuple[Attempt, ...]) -> Decimal:
    return sum((one.cost_usd or ZERO_USD for one in attempts), ZERO_USD)


@given(st.lists(st.integers(0, 10**12).map(from_nanos) | st.none(), max_size=4), st.integers(0, 2000))
def test_all_together_pay_what_the_call_costs(costs: list[Decimal | None], joined: int) -> None:
    attempts = tuple(attempt(number, cost) for number, cost in enumerate(costs))
    shares = shared(attempts, joined)
    assert spent(shares.attempts) + joined * shares.each_usd == spent(attempts)
    assert shares.given_usd == joined * shares.each_usd
    assert spent(shares.attempts) >= shares.each_usd >= 0
    assert joined == 0 or shares.each_usd * 2 <= spent(attempts)


def test_tokens_stay_with_the_one_that_called() -> None:
    shares = shared((attempt(0, Decimal("0.3")),), 2)
    assert shares.attempts[0].usage == Usage(input_tokens=1)
    (joined,) = shares.for_request("req_b")
    assert (joined.id, joined.usage, joined.role, joined.cost_usd) == ("req_b.0", None, "shared", Decimal("0.1"))
