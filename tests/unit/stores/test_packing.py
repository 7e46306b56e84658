import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.errors import StoreError
from polyroute.stores import packing
from polyroute.stores.journal.lines import encode_receipt
from polyroute.stores.packing import kept_receipt, pack, readable, unpack
from polyroute.testing.stores import a_settlement
from polyroute.types.receipt import CandidateNote, Receipt, StageTimes

Spoil = Callable[[bytes], bytes]
RELEASED = {"receipt-1.txt": "4f6fce3521aa6e619af7bb7a1280e0c6aae9b71aadf8ee9077d846dc12e0ff90"}


def a_receipt() -> Receipt:
    """As a gateway settles one: about 1.4 kB as JSON."""
    receipt = a_settlement("req_01a1fd0b2811d6eaccf9ba0ac41bea3e").receipt
    return replace(
        receipt,
        time=datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC),
        candidates=(CandidateNote(deployment="haiku@bedrock-eu", model="haiku", latency_ms=412.75),),
        strategy="fixed",
        plan=("haiku@bedrock-eu",),
        plan_reason="fixed: haiku",
        times=StageTimes(classification_ms=0.081, matching_ms=0.042, execution_ms=417.5),
    )


@given(st.binary(max_size=5000))
def test_what_is_unpacked_is_what_was_packed(body: bytes) -> None:
    assert unpack(pack(body)) == body


def test_a_receipt_is_packed_to_a_third_of_its_length() -> None:
    body = encode_receipt(a_receipt())
    assert len(pack(body)) < len(body) / 3
    assert kept_receipt(pack(body)) == a_receipt()


def test_a_receipt_of_before_is_read_as_it_is() -> None:
    assert kept_receipt(encode_receipt(a_receipt())) == a_receipt()


def test_a_dictionary_that_was_released_never_changes() -> None:
    """Change nothing here: a further dictionary is a further file."""
    folder = Path(packing.__file__).with_name("dictionaries")
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == RELEASED


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda kept: kept[:-3], "breaks off", id="cut off"),
        pytest.param(lambda kept: kept[:1] + b"\xff" * 20, "damaged", id="overwritten"),
        pytest.param(lambda kept: b"\x02" + kept[1:], "newer Polyroute", id="of a later version"),
        pytest.param(lambda kept: b"", "damaged", id="empty"),
        pytest.param(lambda kept: pack(b'{"a": 1}'), "damaged", id="no receipt"),
    ],
)
def test_what_cannot_be_read_says_why(spoil: Spoil, says: str) -> None:
    kept = spoil(pack(encode_receipt(a_receipt())))
    with pytest.raises(StoreError, match=says):
        kept_receipt(kept)
    assert readable(kept) is None
