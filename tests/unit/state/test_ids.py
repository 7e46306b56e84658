from hypothesis import given
from hypothesis import strategies as st

from polyroute.state.ids import RANDOM_BITS, new_id

TIMES = st.integers(0, (1 << 48) - 1)
RANDOM = st.integers(0, (1 << RANDOM_BITS) - 1)


@given(TIMES, RANDOM, TIMES, RANDOM)
def test_ids_sort_as_their_times_do(one_ms: int, one: int, other_ms: int, other: int) -> None:
    assert (new_id("req", one_ms, one) < new_id("req", other_ms, other)) == ((one_ms, one) < (other_ms, other))


def test_an_id_has_its_prefix_and_a_fixed_length() -> None:
    assert new_id("req", 1, 2) == "req_" + "000000000001" + "00000000000000000002"


def test_random_bits_beyond_the_field_are_cut_off() -> None:
    assert new_id("a", 0, 1 << RANDOM_BITS) == new_id("a", 0, 0)
