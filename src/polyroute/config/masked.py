"""A document's text as it may be shown: secrets as they are named, never their values.

A secret that the document itself spells out becomes `***`, and so does a password in an address. A text whose secrets
cannot be found in it, because they are written with escapes, is not shown at all.
"""

import re

from polyroute.config.load import Loaded
from polyroute.config.sources import secrets_of
from polyroute.errors import Problem

MASK = "***"
WITHHELD = "# Not shown: a secret is written here in a form that cannot be masked. Name it: {env: NAME}.\n"
_LITERAL = "literal"
_PASSWORD = re.compile(r"(://[^\s/@:'\"]*):([^\s/@'\"]+)@")


def masked(loaded: Loaded) -> dict[str, str]:
    """Each of its files' text, by the file's name in the document's folder; the document itself comes first."""
    spelled = sorted({s.reveal() for s in secrets_of(loaded.document) if s.name == _LITERAL}, key=len, reverse=True)
    if any(all(value not in text for text in loaded.texts.values()) for value in spelled):
        return {loaded.file.name: WITHHELD}
    return {_name(loaded, file): _masked(text, spelled) for file, text in loaded.texts.items()}


def mask_problems(loaded: Loaded) -> tuple[Problem, ...]:
    """A text that was shown, and given back with its masks, holds no secrets."""
    if not any(s.name == _LITERAL and s.reveal() == MASK for s in secrets_of(loaded.document)):
        return ()
    message = f"a secret is `{MASK}`, which only stands for one"
    return (Problem(path="document", message=message, fix="name it: {env: NAME}"),)


def _masked(text: str, spelled: list[str]) -> str:
    for value in spelled:
        text = text.replace(value, MASK)
    return _PASSWORD.sub(rf"\1:{MASK}@", text)


def _name(loaded: Loaded, file: str) -> str:
    prefix = f"{loaded.folder}/"
    return file.removeprefix(prefix)
