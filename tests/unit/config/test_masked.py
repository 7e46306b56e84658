from pathlib import Path

import pytest

from polyroute.config.load import Loaded, reads
from polyroute.config.masked import MASK, WITHHELD, mask_problems, masked

DOCUMENT = """
store: {database: "postgresql://me:hidden@db/books"}
providers:
  named: {dialect: openai, api_key: {env: NAMED}}
  spelled: {dialect: openai, api_key: "sk-spelled-out"}
"""


def loaded(text: str) -> Loaded:
    return reads(text, {"NAMED": "sk-of-the-environment"}, folder=Path("/nowhere"))


def test_secrets_are_shown_as_they_are_named() -> None:
    (text,) = masked(loaded(DOCUMENT)).values()
    assert "{env: NAMED}" in text
    assert "sk-of-the-environment" not in text


def test_what_is_spelled_out_is_masked() -> None:
    (text,) = masked(loaded(DOCUMENT)).values()
    assert f'api_key: "{MASK}"' in text
    assert f"postgresql://me:{MASK}@db/books" in text
    assert "hidden" not in text


def test_what_cannot_be_masked_is_not_shown() -> None:
    assert masked(loaded(DOCUMENT.replace("sk-spelled", "sk-sp\\x65lled"))) == {"polyroute.yaml": WITHHELD}


@pytest.mark.parametrize(("key", "count"), [("***", 1), ("sk-1", 0)])
def test_a_text_given_back_with_its_masks_is_refused(key: str, count: int) -> None:
    assert len(mask_problems(loaded(DOCUMENT.replace("sk-spelled-out", key)))) == count
