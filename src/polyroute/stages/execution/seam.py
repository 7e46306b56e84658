"""Where a second model's words join those of the first: what it says again is left out. Pure.

The new words are kept back while they may still be a repetition of the old ones' end. A repetition counts where it is
too long to be an accident, is all that was told, or begins with a word that would else stand there twice without a
space between. White space that stands on both sides is told once.
"""

_NO_ACCIDENT = 16  # characters
_LONGEST = 4_000
_WORD = 3


class Seam:
    __slots__ = ("_held", "_is_joined", "_told")

    def __init__(self, told: str) -> None:
        self._told = told[-_LONGEST:]
        self._held = ""
        self._is_joined = not told

    def feed(self, words: str) -> str:
        """What of `words`, and of what was kept back, may be told."""
        if self._is_joined:
            return words
        self._held += words
        return "" if self._held in self._told else self.close()

    def close(self) -> str:
        """No more words come, or they are no repetition any longer."""
        if self._is_joined:
            return ""
        self._is_joined = True
        return self._held[repeated(self._told, self._held) :]


def repeated(told: str, words: str) -> int:
    """How many characters at the beginning of `words` say the end of `told` again."""
    for length in range(min(len(told), len(words), _LONGEST), 0, -1):
        if told.endswith(words[:length]) and _counts(told, words[:length]):
            return length
    return 0


def _counts(told: str, again: str) -> bool:
    if len(again) >= _NO_ACCIDENT or len(again) == len(told) or again.isspace():
        return True
    before = told[-len(again) - 1]
    return len(again) >= _WORD and before.isspace() and not again[0].isspace()
