"""What is sealed opens under its own name and key, and nothing else."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import StoreError
from polyroute.stores.seal import AesGcmSeal

ONE, TWO = (b64encode(bytes([at]) * 32).decode() for at in (1, 2))


@given(secret=st.binary(max_size=200), name=st.text(max_size=20).filter(lambda text: text.isascii()))
def test_what_is_sealed_opens_and_is_not_seen(secret: bytes, name: str) -> None:
    seal = AesGcmSeal(ONE)
    sealed = seal.seal(secret, name)
    assert seal.unseal(sealed, name, seal.key_id) == secret
    assert len(secret) < 4 or secret not in sealed
    assert seal.seal(secret, name) != sealed


@pytest.mark.parametrize("broken", [b"", b"short", None])
def test_what_was_changed_or_moved_does_not_open(broken: bytes | None) -> None:
    seal = AesGcmSeal(ONE)
    sealed = seal.seal(b"sk-1", "openai")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1]) if broken is None else broken
    for data, name in ((changed, "openai"), (sealed, "other")):
        with pytest.raises(StoreError, match="changed in the store"):
            seal.unseal(data, name, seal.key_id)


def test_the_first_key_seals_and_all_open() -> None:
    old, both, new = AesGcmSeal(ONE), AesGcmSeal(f"{TWO}, {ONE}"), AesGcmSeal(TWO)
    assert both.key_id == new.key_id != old.key_id
    sealed = old.seal(b"sk", "p")
    assert both.unseal(sealed, "p", old.key_id) == b"sk"
    with pytest.raises(StoreError, match=old.key_id):
        new.unseal(sealed, "p", old.key_id)


@pytest.mark.parametrize(
    "keys", ["x", "AAAA", b64encode(bytes(32)).decode(), b64encode(b"x" * 33).decode(), f"{ONE},", f"{ONE},short"]
)
def test_what_is_no_key_is_refused_without_repeating_it(keys: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as caught:
        AesGcmSeal(keys)
    assert ONE not in str(caught.value)
    assert ONE not in repr(AesGcmSeal(ONE))
