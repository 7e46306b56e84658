"""What personal data a request holds, and what its rules make of that: it is refused, rewritten, or kept private.

The canonical request and the caller's own body are rewritten alike, so that neither brings past a provider what the
other left out. The values themselves are in the `Guard` alone, which lives as long as its request.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import InvalidRequest
from polyroute.privacy.detector import Detector
from polyroute.privacy.placeholders import Placeholders
from polyroute.privacy.walk import mapped
from polyroute.types.privacy import KINDS, Finding, PiiKind, PiiRule
from polyroute.types.request import Request
from polyroute.types.response import Reply, Response

HIDDEN = "[…]"


class Guard(Struct, frozen=True, kw_only=True):
    """What was found in one request."""

    counts: dict[PiiKind, int]  # different values
    values: tuple[str, ...]
    private: tuple[PiiKind, ...]  # kinds found that only private deployments may read
    redacted: tuple[PiiKind, ...]  # kinds found that nobody may read
    placeholders: Placeholders
    in_json: bool  # answers are JSON text

    @property
    def actions(self) -> tuple[str, ...]:
        return tuple(name for name, kinds in (("private", self.private), ("redact", self.redacted)) if kinds)

    def hide(self, text: str) -> str:
        """For logs and errors: without the values, also as JSON writes them."""
        for value in self.values:
            text = text.replace(value, HIDDEN).replace(json.dumps(value)[1:-1], HIDDEN)
        return text

    def masked(self, request: Request) -> Request:
        """For whoever notes down what it saw."""
        return mapped(request, lambda text, path: self.hide(text))

    def restore(self, text: str) -> str:
        return self.placeholders.restore(text, in_json=self.in_json)

    def restored(self, response: Response) -> Response:
        return mapped(response, self._put_back)

    def restored_reply(self, reply: Reply) -> Reply:
        """`reply` with the values in place; a body that is no JSON stays as it is."""
        if not self.placeholders:
            return reply
        if reply.response is not None:
            return replace(reply, response=self.restored(reply.response))
        if reply.wire is None or b"[" not in reply.wire:
            return reply
        try:
            body = json.loads(reply.wire)
        except ValueError:
            return reply
        changed = mapped(body, self._put_back)
        return reply if changed is body else replace(reply, wire=json.dumps(changed, ensure_ascii=False).encode())

    def _put_back(self, text: str, path: str) -> str:
        in_json = self.in_json and not path.endswith("arguments") and ".arguments." not in path
        return self.placeholders.restore(text, in_json=in_json)


class Guarded(Struct, frozen=True, kw_only=True):
    request: Request
    texts: Mapping[str, str]  # of the prompt's variables
    guard: Guard


def guard(request: Request, texts: Mapping[str, str], rules: Sequence[PiiRule], detector: Detector) -> Guarded | None:
    """None where nothing is found. Raises InvalidRequest, naming kinds and field, where a rule refuses."""
    look = _Look(detector, frozenset().union(*(rule.kinds for rule in rules)))
    if request.wire is not None:
        mapped(request.wire.body, look.see)
    mapped(request, look.see)
    mapped(dict(texts), look.see, "variables")
    if not look.places:
        return None
    refused = _kinds(look.places, rules, "refuse")
    if refused:
        field = look.places[refused[0]]
        raise InvalidRequest(
            f"`{field}` holds personal data ({', '.join(refused)}), which this route takes from nobody: leave it out",
            field=field,
            code="personal_data",
        )
    redacted = _kinds(look.places, rules, "redact")
    counts: dict[PiiKind, int] = {}
    for kind, _ in look.values:
        counts[kind] = counts.get(kind, 0) + 1
    found = Guard(
        counts=counts,
        values=tuple(sorted({value for _, value in look.values}, key=len, reverse=True)),
        private=_kinds(look.places, rules, "private"),
        redacted=redacted,
        placeholders=Placeholders(look.texts),
        in_json=request.output is not None,
    )
    return Guarded(
        request=_rewritten(request, look, found) if redacted else request,
        texts={name: look.redact(text, found) for name, text in texts.items()} if redacted else texts,
        guard=found,
    )


class _Look:
    """Finds the data of each different text once."""

    def __init__(self, detector: Detector, kinds: Iterable[PiiKind]) -> None:
        self._detector = detector
        self._kinds = tuple(kind for kind in KINDS if kind in set(kinds))
        self._found: dict[str, tuple[Finding, ...]] = {}
        self.places: dict[PiiKind, str] = {}  # where a kind was seen first
        self.values: dict[tuple[PiiKind, str], None] = {}

    @property
    def texts(self) -> Iterable[str]:
        return self._found

    def see(self, text: str, path: str) -> str:
        findings = self._found.get(text)
        if findings is None:
            findings = self._found[text] = self._detector.find(text, self._kinds)
            for finding in findings:
                self.places.setdefault(finding.kind, path)
                self.values[finding.kind, text[finding.start : finding.end]] = None
        return text

    def redact(self, text: str, found: Guard) -> str:
        """Every text was seen before."""
        findings = self._found[text]
        if not findings:
            return text
        return found.placeholders.redact(text, (f for f in findings if f.kind in found.redacted))


def _rewritten(request: Request, look: _Look, found: Guard) -> Request:
    def change(text: str, path: str) -> str:
        return look.redact(text, found)

    changed = mapped(request, change)
    if request.wire is None:
        return changed
    return replace(changed, wire=replace(request.wire, body=mapped(request.wire.body, change), is_opened=True))


def _kinds(places: Mapping[PiiKind, str], rules: Sequence[PiiRule], action: str) -> tuple[PiiKind, ...]:
    return tuple(k for k in KINDS if k in places and any(k in r.kinds for r in rules if r.action == action))
