"""When a rule applies to a request. Declared in the document, evaluated without a model.

Every stated member must hold. Phrases are matched in lower case and do not count where they are negated.
Patterns are RE2's: linear in the text, whatever the caller writes (no look-around, no back-references).
"""

from functools import lru_cache

import re2
from msgspec import Struct, field

from polyroute import phrases
from polyroute.types.request import Request
from polyroute.types.routing import Classification, Complexity


class Condition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule's `when` may say of the newest user message and of the request around it."""

    contains: tuple[str, ...] = ()  # any of these phrases
    contains_all: tuple[str, ...] = ()
    matches: str | None = None  # a pattern, searched for in the text as written
    min_words: int | None = None
    max_words: int | None = None
    complexity: tuple[Complexity, ...] = ()
    task: tuple[str, ...] = ()
    has: tuple[str, ...] = ()  # "tools", "image", "document", "audio"
    metadata: dict[str, str] = {}
    class_: dict[str, str | tuple[str | None, ...] | None] = field(default_factory=dict, name="class")
    """By classifier: the class, or any of several; null is none of its classes."""


class Sight(Struct, frozen=True, kw_only=True):
    """What conditions look at, read off a request once."""

    text: str
    lowered: str
    classification: Classification
    contents: frozenset[str]
    metadata: dict[str, object]


def see(request: Request, classification: Classification) -> Sight:
    text = request.last_user_text
    contents = {type(part).__name__.lower() for message in request.messages for part in message.parts}
    if request.tools:
        contents.add("tools")
    return Sight(
        text=text,
        lowered=text.lower(),
        classification=classification,
        contents=frozenset(contents),
        metadata=request.metadata,
    )


def holds(condition: Condition, sight: Sight) -> bool:
    if condition.contains and not _any_phrase(sight.lowered, condition.contains):
        return False
    if not all(_any_phrase(sight.lowered, (phrase,)) for phrase in condition.contains_all):
        return False
    if condition.complexity and sight.classification.label not in condition.complexity:
        return False
    if condition.task and sight.classification.task not in condition.task:
        return False
    if condition.class_ and not _classed(condition, sight.classification):
        return False
    if not sight.contents.issuperset(condition.has):
        return False
    if any(sight.metadata.get(name) != value for name, value in condition.metadata.items()):
        return False
    if condition.min_words is not None and len(sight.text.split(None, condition.min_words)) < condition.min_words:
        return False
    if condition.max_words is not None and len(sight.text.split(None, condition.max_words)) > condition.max_words:
        return False
    return condition.matches is None or groups(condition.matches, sight.text) is not None


def classes_in(condition: Condition) -> dict[str, tuple[str | None, ...]]:
    """By classifier: the classes that the condition names."""
    return {name: wanted if isinstance(wanted, tuple) else (wanted,) for name, wanted in condition.class_.items()}


def _classed(condition: Condition, classification: Classification) -> bool:
    for name, wanted in classes_in(condition).items():
        found = classification.classes.get(name)
        if found is None or found.fault is not None or found.label not in wanted:
            return False
    return True


def groups(pattern: str, text: str) -> dict[str, str] | None:
    """Named groups of the first match, plus the whole match as "match"; None where there is none."""
    try:
        found = _compiled(pattern).search(text)
    except UnicodeEncodeError:  # half of a surrogate pair: no character, and RE2 reads UTF-8
        found = _compiled(pattern).search(text.encode("utf-8", "replace").decode())
    if found is None:
        return None
    return {"match": found.group(0), **{name: value or "" for name, value in found.groupdict().items()}}


def pattern_problem(pattern: str) -> str | None:
    """Why RE2 does not take `pattern`; None where it does."""
    try:
        _compiled(pattern)
    except re2.error as exc:
        return str(exc)
    return None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> "re2._Regexp":
    return re2.compile(pattern)


def _any_phrase(lowered: str, wanted: tuple[str, ...]) -> bool:
    return any(not hit.negated for hit in phrases.find(lowered, (phrase.lower() for phrase in wanted)))
