"""Values in exchange for placeholders such as `[EMAIL_1]`, and back: in one request a value always has the same one."""

import json
from collections.abc import Iterable

import re2

from polyroute.types.privacy import KINDS, Finding, PiiKind

OPENING = "["
_LONGEST = 32  # characters of a placeholder
_WRITTEN = re2.compile(r"\[(?:" + "|".join(kind.upper() for kind in KINDS) + r")_[0-9]+\]")


class Placeholders:
    """A placeholder that already stands in `texts` is nobody's, so that what is put back is what was taken out."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._taken = {found.group(0) for text in texts if OPENING in text for found in _WRITTEN.finditer(text)}
        self._names: dict[tuple[PiiKind, str], str] = {}
        self._values: dict[str, str] = {}
        self._last: dict[PiiKind, int] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def redact(self, text: str, findings: Iterable[Finding]) -> str:
        """`findings` in the order of the text, none overlapping another."""
        pieces: list[str] = []
        at = 0
        for finding in findings:
            pieces += (text[at : finding.start], self._name(finding.kind, text[finding.start : finding.end]))
            at = finding.end
        return "".join((*pieces, text[at:])) if pieces else text

    def restore(self, text: str, *, in_json: bool = False) -> str:
        """`in_json`: the text is JSON, so that values are put into its strings."""
        if OPENING not in text:
            return text
        pieces: list[str] = []
        at = 0
        while (opening := text.find(OPENING, at)) >= 0:
            closing = text.find("]", opening, opening + _LONGEST)
            value = self._values.get(text[opening : closing + 1]) if closing > 0 else None
            if value is None:
                pieces.append(text[at : opening + 1])
                at = opening + 1
            else:
                pieces += (text[at:opening], json.dumps(value)[1:-1] if in_json else value)
                at = closing + 1
        return "".join((*pieces, text[at:]))

    def held(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a placeholder."""
        opening = text.rfind(OPENING)
        if opening < 0 or "]" in text[opening:]:
            return 0
        beginning = text[opening:]
        if len(beginning) > _LONGEST:
            return 0
        return len(beginning) if any(name.startswith(beginning) for name in self._values) else 0

    def _name(self, kind: PiiKind, value: str) -> str:
        name = self._names.get((kind, value))
        while name is None:
            number = self._last[kind] = self._last.get(kind, 0) + 1
            wanted = f"[{kind.upper()}_{number}]"
            if wanted not in self._taken:
                name = self._names[kind, value] = wanted
                self._values[wanted] = value
        return name
