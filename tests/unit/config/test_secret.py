"""A secret cannot be printed by accident."""

import pickle

import msgspec
import pytest

from polyroute.config.secret import Secret

SECRET = Secret("sk-very-secret", name="${KEY}")


@pytest.mark.parametrize(
    "shown", [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r:>5}", f"{SECRET:>9}", str([SECRET])]
)
def test_it_prints_as_stars(shown: str) -> None:
    assert "***" in shown
    assert "secret" not in shown


def test_revealing_is_explicit() -> None:
    assert SECRET.reveal() == "sk-very-secret"


def test_no_encoder_takes_it() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(SECRET)
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)
    with pytest.raises(TypeError):
        vars(SECRET)


def test_equality_is_of_values() -> None:
    assert Secret("a") == Secret("a", name="other")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
