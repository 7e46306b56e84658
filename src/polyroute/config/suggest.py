"""The known name somebody may have meant. It suggests; it never corrects."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_COMPARISONS = 100_000  # thousands of unknown names among thousands of known ones still end soon
_SHOWN = 12


class Vocabulary:
    """Names that are allowed at some place."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(dict.fromkeys(names))
        self._found: dict[str, str | None] = {}

    def nearest(self, name: str) -> str | None:
        """The known name most like `name`; None where none is like it."""
        if name not in self._found and len(self._found) * len(self._names) < _MOST_COMPARISONS:
            lowered = {known.lower(): known for known in self._names}
            close = get_close_matches(name[:100].lower(), lowered, n=1)
            self._found[name] = lowered[close[0]] if close else None
        return self._found.get(name)

    def fix(self, name: str) -> str | None:
        """What to write in place of the unknown `name`."""
        nearest = self.nearest(name)
        if nearest is not None:
            return f"did you mean `{nearest}`?"
        if not self._names or len(self._names) > _SHOWN:
            return None
        return "known: " + ", ".join(f"`{known}`" for known in self._names)
