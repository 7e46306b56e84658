"""One YAML text to plain values, by the 1.2 core schema. It knows nothing of settings, reads no file, runs nothing.

Text is data: custom tags, duplicate keys, a second document, values that contain themselves, aliases that multiply,
and deep nesting are refused. Decimal numbers become `Decimal` straight from their digits; `no`, `on`, dates and
`1:30` are text. Source: YAML 1.2.2, section 10.3.2. Merge keys (`<<`) are allowed: they are not in 1.2, but people
use them with anchors.

`${NAME}` inside a text and `{env: NAME}` read the environment; `$${` is a plain `${`.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn, Protocol, Self

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from polyroute.errors import ConfigError, Problem

ROOT = "document"  # the path of a problem that is no setting's
MAX_CHARACTERS = 16 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 2_000_000  # aliases counted as often as they are used

_MAX_DIGITS = 40  # of one number; more is a mistake or an attack
_MAX_EXPONENT = 30
_MOST = 2**63 - 1  # what is counted is kept in 64 bits
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAG = "tag:yaml.org,2002:"
_TAGGED: dict[str, type | tuple[type, ...]] = {
    f"{_TAG}int": int,
    f"{_TAG}float": (int, Decimal),
    f"{_TAG}bool": bool,
    f"{_TAG}null": type(None),
}


class FromEnv(str):
    """Text that the environment gave, wholly or in part; `written` is what the document says."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, text: str, written: str) -> Self:
        self = super().__new__(cls, text)
        self.written = written
        return self


class Unset(FromEnv):
    """Text whose variable is missing. Already reported; nothing more need be said of it."""


class Mark(NamedTuple):
    file: str
    line: int  # from 1
    column: int  # from 1


class Marks:
    """Where each entry of each mapping and list was written. Filled only when a problem is to be placed."""

    def __init__(self) -> None:
        # The container is kept beside its marks: an id is only good while its object lives.
        self._entries: dict[int, tuple[object, dict[object, Mark]]] = {}

    def of(self, container: object) -> dict[object, Mark]:
        return self._entries.setdefault(id(container), (container, {}))[1]

    def find(self, root: object, path: str) -> Mark | None:
        """The mark of the entry at `path`, or of the nearest one above it that was written."""
        here, rest, mark = root, path, None
        while rest:
            step = _first_step(here, rest)
            if step is None:
                break
            key, rest = step
            mark = self.of(here).get(key, mark)
            here = here[key]  # type: ignore[index]  # _first_step found it there
        return mark


def _first_step(container: object, path: str) -> tuple[str | int, str] | None:
    """The entry of `container` that `path` begins with, and the rest of the path. Names may hold dots."""
    if isinstance(container, list) and path.startswith("["):
        number, _, rest = path[1:].partition("]")
        if number.isdigit() and int(number) < len(container):
            return int(number), rest.removeprefix(".")
    if isinstance(container, dict):
        if path in container:
            return path, ""
        for at in [i for i, character in enumerate(path) if character in ".["][::-1]:
            if path[:at] in container:
                return path[:at], path[at:].removeprefix(".")
    return None


class _Pure(Reader, Scanner, Parser):
    """PyYAML's own parser, for where its C one is missing."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class _Events(Protocol):
    def get_event(self) -> Any: ...  # an Event; the stubs know neither `tag` nor `anchor`


def _events(text: str) -> _Events:
    return yaml.CSafeLoader(text) if yaml.__with_libyaml__ else _Pure(text)


class _Frame:
    """A mapping or list that is still open."""

    __slots__ = ("anchor", "begun_at", "container", "key", "marks")

    def __init__(
        self, container: dict[str, object] | list[object], anchor: str | None, begun_at: int, marks: dict[object, Mark]
    ) -> None:
        self.container = container
        self.anchor = anchor
        self.begun_at = begun_at  # values counted when it opened
        self.key: str | None = None
        self.marks = marks


def parse(
    text: str, *, file: str, env: Mapping[str, str], problems: list[Problem], marks: Marks | None = None
) -> object:
    """The document's value, text from the environment as FromEnv.

    What is wrong but leaves the rest readable goes to `problems`. Raises ConfigError with one problem where nothing
    after it can be trusted.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            [Problem(path=ROOT, message=f"the file has more than {MAX_CHARACTERS} characters", file=file, line=1)]
        )
    if not _is_unicode(text):
        raise ConfigError([Problem(path=ROOT, message="half a surrogate pair is no text", file=file, line=1)])
    reader = _Reader(file=file, env=env, problems=problems, marks=marks)
    try:
        return reader.read(_events(text))
    except yaml.MarkedYAMLError as exc:
        raise ConfigError([_syntax_problem(text, file, exc)]) from exc
    except ReaderError as exc:
        line = text.encode()[: exc.position].count(b"\n") + 1
        message = f"a control character that YAML does not allow: {exc.character!r}"
        raise ConfigError([Problem(path=ROOT, message=message, file=file, line=line, column=1)]) from exc


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _syntax_problem(text: str, file: str, error: yaml.MarkedYAMLError) -> Problem:
    message, lines = error.problem or "not readable", text.rstrip().split("\n")
    mark, begun = error.problem_mark, error.context_mark
    if begun is not None and (mark is None or mark.line >= len(lines)):
        mark, message = begun, f"{message} before the end of the file, {error.context}"
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    at = lines[line] if line < len(lines) else ""
    fix = None
    if "\t" in at[: len(at) - len(at.lstrip())]:
        fix = "indent with spaces, not tabs"
    elif "${" in at:
        fix = 'inside { } and [ ] a reference needs quotes: "${NAME}"'
    return Problem(path=ROOT, message=f"not YAML: {message}", fix=fix, file=file, line=line + 1, column=column + 1)


class _Reader:
    def __init__(self, *, file: str, env: Mapping[str, str], problems: list[Problem], marks: Marks | None) -> None:
        self._file = file
        self._env = env
        self._problems = problems
        self._marks = marks
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[object, int]] = {}  # a finished value, and how many values it holds
        self._values = 0

    def read(self, parser: _Events) -> object:
        next_event = parser.get_event
        frames = self._frames
        root: object = None
        documents = 0
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                frame = frames[-1] if frames else None
                if frame is not None and frame.key is None and type(frame.container) is dict:
                    self._take_key(frame, event.value, event)
                    continue
                value = self._scalar(event)
                if event.anchor is not None:
                    self._anchors[event.anchor] = (value, 1)
                self._count(1, event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, {} if kind is MappingStartEvent else [])
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = self._close(event)
            elif kind is AliasEvent:
                value = self._alias(event)
                frame = frames[-1] if frames else None
                if frame is not None and frame.key is None and type(frame.container) is dict:
                    if type(value) is not str:
                        self._fail("a key must be text", event)
                    self._take_key(frame, value, event)
                    continue
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._fail("a second document begins here", event, fix="one document per file: remove the `---`")
                continue
            elif kind is StreamEndEvent:
                return root
            else:
                continue
            if not frames:
                root = value
                continue
            frame = frames[-1]
            container = frame.container
            if type(container) is list:
                if self._marks is not None and kind is not MappingEndEvent and kind is not SequenceEndEvent:
                    frame.marks[len(container)] = self._mark(event)
                container.append(value)
            else:
                assert frame.key is not None
                container[frame.key] = value  # type: ignore[call-overload]  # a dict: it is no list
                frame.key = None

    # ── events ────────────────────────────────────────────────────────────────────────────────────────

    def _take_key(self, frame: _Frame, key: str, event: Any) -> None:
        frame.key = key
        if key in frame.container:
            fix = "keep one of the two"
            self._report("this key is given twice", event, fix=fix)
        elif self._marks is not None:
            frame.marks[key] = self._mark(event)

    def _open(self, event: Any, container: dict[str, object] | list[object]) -> None:
        frames = self._frames
        parent = frames[-1] if frames else None
        if parent is not None and parent.key is None and type(parent.container) is dict:
            self._fail("a key must be text, not a mapping or a list", event)
        if len(frames) >= MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", event)
        if event.tag is not None and event.tag not in (f"{_TAG}map", f"{_TAG}seq", "!"):
            self._report(f"the tag {_shown_tag(event.tag)} is not allowed", event, fix="settings are plain YAML")
        if self._marks is not None and parent is not None and type(parent.container) is list:
            parent.marks[len(parent.container)] = self._mark(event)
        self._count(1, event)
        marks = {} if self._marks is None else self._marks.of(container)
        frames.append(_Frame(container, event.anchor, self._values, marks))

    def _close(self, event: Any) -> object:
        value: object
        frame = self._frames.pop()
        value = container = frame.container
        if type(container) is dict:
            if "<<" in container:
                value = self._merged(container, frame, event)
            elif len(container) == 1 and type(name := container.get("env")) is str and _ENV_NAME.fullmatch(name):
                value = self._variable(name, f"${{{name}}}", event)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (value, self._values - frame.begun_at + 1)
        return value

    def _alias(self, event: Any) -> object:
        if event.anchor not in self._anchors:
            if any(frame.anchor == event.anchor for frame in self._frames):
                self._fail(f"`*{event.anchor}` stands inside what it refers to", event)
            self._fail(f"`*{event.anchor}` refers to nothing above", event, fix=f"name it first: `&{event.anchor}`")
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        return value

    def _merged(self, container: dict[str, object], frame: _Frame, event: Any) -> object:
        """`container` with what its `<<` names laid under its own entries; of several, the first wins."""
        sources = container["<<"]
        merged: dict[str, object] = {}
        marks: dict[object, Mark] = {}
        for source in reversed(sources if type(sources) is list else [sources]):
            if type(source) is not dict:
                self._report("`<<` needs a mapping or a list of mappings", event)
                continue
            self._count(len(source), event)
            merged.update(source)
            if self._marks is not None:
                marks.update(self._marks.of(source))
        merged.update(container)
        del merged["<<"]
        if self._marks is not None:
            self._marks.of(merged).update({**marks, **frame.marks})
        return merged

    # ── scalars ───────────────────────────────────────────────────────────────────────────────────────

    def _scalar(self, event: Any) -> object:
        text: str = event.value
        if "${" in text:
            return self._interpolated(text, event)
        if event.tag is None:
            return text if event.style else self._plain(text, event)
        if event.tag in (f"{_TAG}str", "!"):
            return text
        expected = _TAGGED.get(event.tag)
        if expected is None:
            self._report(f"the tag {_shown_tag(event.tag)} is not allowed", event, fix="settings are plain YAML")
            return text
        value = self._plain(text, event)
        if not isinstance(value, expected):
            self._report(f"{text!r} is not what its tag {_shown_tag(event.tag)} says", event)
        return value

    def _plain(self, text: str, event: Any) -> object:
        try:
            return plain(text)
        except ValueError as exc:
            self._report(str(exc), event)
            return Unset("", text)

    def _interpolated(self, text: str, event: Any) -> object:
        parts, at, unset = [], 0, False
        for found in _REFERENCE.finditer(text):
            parts.append(text[at : found.start()])
            at = found.end()
            name = found.group(1)
            if name is None:
                parts.append("${")
            elif not _ENV_NAME.fullmatch(name) or not found.group(0).endswith("}"):
                fix = "write ${NAME}; for a plain ${ write $${"
                self._report(f"{found.group(0)!r} names no environment variable", event, fix=fix)
                unset = True
            else:
                value = self._variable(name, found.group(0), event)
                unset = unset or isinstance(value, Unset)
                parts.append(value)
        parts.append(text[at:])
        return Unset("", text) if unset else FromEnv("".join(parts), text)

    def _variable(self, name: str, written: str, event: Any) -> FromEnv:
        value = self._env.get(name)
        if value is None:
            self._report(f"the environment variable {name} is not set", event, fix=f"export {name}=…")
            return Unset("", written)
        return FromEnv(value, written)

    # ── reporting ─────────────────────────────────────────────────────────────────────────────────────

    def _count(self, values: int, event: Any) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._fail(f"more than {MAX_VALUES} values, aliases counted as often as they are used", event)

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _problem(self, message: str, event: Any, fix: str | None) -> Problem:
        path = ""
        for frame in self._frames:
            if type(frame.container) is list:
                path += f"[{len(frame.container)}]"
            elif frame.key is not None:
                path += f".{frame.key}" if path else frame.key
        mark = self._mark(event)
        return Problem(path=path or ROOT, message=message, fix=fix, file=mark.file, line=mark.line, column=mark.column)

    def _report(self, message: str, event: Any, *, fix: str | None = None) -> None:
        self._problems.append(self._problem(message, event, fix))

    def _fail(self, message: str, event: Any, *, fix: str | None = None) -> NoReturn:
        raise ConfigError([self._problem(message, event, fix)])


def plain(text: str) -> bool | int | Decimal | str | None:
    """An unquoted scalar's value. Raises ValueError for a number that no setting can mean."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    is_whole = _INT.fullmatch(text)
    if (is_whole or _FLOAT.fullmatch(text)) and len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of more than {_MAX_DIGITS} digits")
    if is_whole:
        whole = int(text, 0) if text[1:2] in ("o", "x") else int(text)
        if abs(whole) > _MOST:
            raise ValueError(f"{text} is beyond any number a setting can have")
        return whole
    if _FLOAT.fullmatch(text):
        exponent = text.lower().partition("e")[2]
        if (
            len(exponent) > 3 or abs(int(exponent or 0)) > _MAX_EXPONENT
        ):  # Decimal itself refuses exponents of 19 digits
            raise ValueError(f"{text} is beyond any number a setting can have")
        return Decimal(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no number that a setting can have")
    return text


def _shown_tag(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
