"""Plain text into a document's bytes and out of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.plain_text import read_text, write_text
from polyroute.types.content import Inline


@given(st.text(st.characters(codec="utf-8")))
def test_what_is_written_is_read(said: str) -> None:
    assert read_text(write_text(said)) == said


@pytest.mark.parametrize(
    ("media_type", "data", "said"),
    [
        pytest.param("text/csv", "YSxi", "a,b", id="any kind of text"),
        pytest.param("text/plain", "YS\nxi\n", "a,b", id="base64 in lines"),
        pytest.param("text/plain", "!", None, id="no base64"),
        pytest.param("text/plain", "/w==", None, id="no UTF-8"),
        pytest.param("application/pdf", "YSxi", None, id="no text"),
    ],
)
def test_only_text_is_read(media_type: str, data: str, said: str | None) -> None:
    assert read_text(Inline(media_type=media_type, data=data)) == said
