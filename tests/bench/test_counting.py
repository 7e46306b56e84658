from bench.counting import FITTED, Row, columns, errors, fit
from hypothesis import given
from hypothesis import strategies as st

from polyroute.catalog.counting import Weights
from polyroute.catalog.tokens import Size, Wrapped


def size(**wrapped: int) -> Size:
    return Size(tokens=0, most_tokens=0, wrapped=Wrapped(**wrapped))


def test_the_fit_finds_the_weights_that_made_the_rows() -> None:
    shapes = [size(texts=50 * n, messages=1 + n % 4, tools=n % 3, schemas=10 * (n % 3)) for n in range(1, 60)]
    rows = [
        Row(s, 5 + 6 * s.wrapped.messages + s.wrapped.texts + (300 if s.wrapped.tools else 0) + 2 * s.wrapped.schemas)
        for s in shapes
    ]
    found = fit(rows, Weights(tools=250))
    guesses = [sum(x * getattr(found, name) for x, name in zip(columns(row.size), FITTED, strict=True)) for row in rows]
    assert errors([round(guess) for guess in guesses], [row.billed for row in rows]).p90 < 0.02


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), min_size=1, max_size=30))
def test_weights_are_never_negative(rows: list[tuple[int, int]]) -> None:
    found = fit([Row(size(texts=texts, messages=1), billed) for texts, billed in rows], Weights())
    assert all(getattr(found, name) >= 0 for name in FITTED)


def test_an_error_is_a_share_of_what_was_billed() -> None:
    found = errors([110, 90, 10], [100, 100, 20])
    assert (found.n, found.bias, found.median, found.p90) == (3, -0.1, 0.1, 0.5)
    assert (found.n_100, found.median_100) == (2, 0.1)
