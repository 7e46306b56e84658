"""A text in the pieces that a model without a tokenizer streams: a word with the space around it. Pure."""

import re

_WORD = re.compile(r"\s*\S+\s*|\s+")  # linear: the two classes never overlap


def words(text: str) -> tuple[str, ...]:
    """Joined they are `text`."""
    return tuple(_WORD.findall(text))


def cut_at_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """`text` up to the first of `stops` that it holds, and which one that was."""
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
