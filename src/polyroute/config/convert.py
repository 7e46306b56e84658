"""Plain values to the document's structs, and where that fails, all that is wrong with them.

`convert` is the quick way for a good document. `examine` walks a bad one along the same types: it reports every
mistake, not the first only, and returns what is left without them, so that the rest can still be checked.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct, inspect

from polyroute.config.document import Document, JsonObject
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret
from polyroute.config.suggest import Vocabulary
from polyroute.config.yaml12 import ROOT, FromEnv, Unset, plain
from polyroute.errors import Problem

ReadValue = Callable[[type, Any], Any]  # raises ValueError

_SHOWN = 60  # characters of a wrong value that a problem repeats
_BAD = object()  # nothing of this value can be used


def convert(raw: object, read_value: ReadValue) -> Document:
    """Raises msgspec.ValidationError at the first mistake."""
    return msgspec.convert(raw, Document, dec_hook=read_value)


def value_reader(secret: Callable[[object], Secret]) -> ReadValue:
    """Reads the values that have a form of their own."""

    def read(kind: type, written: Any) -> Any:
        if kind is Secret:
            return secret(written)
        if kind is Duration:
            return Duration.read(written)
        if kind is JsonObject:
            if not isinstance(written, dict):
                raise ValueError("must be a mapping")
            return JsonObject(_json_object(written))
        raise NotImplementedError(kind)

    return read


def _json_object(written: dict[str, object]) -> dict[str, object]:
    return {key: _json(value) for key, value in written.items()}


def _json(value: object) -> object:
    if isinstance(value, dict):
        return _json_object(value)
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, FromEnv) else value


# ── every mistake ─────────────────────────────────────────────────────────────────────────────────────


class Examined(Struct, frozen=True, kw_only=True):
    """What is left without the mistakes, and the mistakes; their paths are not yet placed in a file."""

    rest: object  # what the environment gave is plain text here, or a number where one is wanted
    problems: tuple[Problem, ...]
    shortened: dict[str, tuple[int, ...]]  # lists that lost entries: where those that are left stood

    def original(self, path: str) -> str:
        """The path in the document of what stands at `path` in `rest`."""
        for list_path, places in self.shortened.items():  # outer lists come before the lists in them
            if path.startswith(f"{list_path}["):
                at, _, tail = path[len(list_path) + 1 :].partition("]")
                path = f"{list_path}[{places[int(at)]}]{tail}"
        return path


def examine(raw: object, read_value: ReadValue) -> Examined:
    examiner = _Examiner(read_value)
    rest = examiner.value(_document_type(), raw, "")
    shortened = {path: examiner.shortened[path] for path in sorted(examiner.shortened, key=len)}
    return Examined(rest={} if rest is _BAD else rest, problems=tuple(examiner.problems), shortened=shortened)


@cache
def _document_type() -> inspect.Type:
    return inspect.type_info(Document)


class _Examiner:
    def __init__(self, read_value: ReadValue) -> None:
        self.problems: list[Problem] = []
        self.shortened: dict[str, tuple[int, ...]] = {}
        self._read_value = read_value
        # By the identity of a type, which `_document_type` keeps alive: looking into one is slow.
        self._choices: dict[int, tuple[inspect.Type, ...]] = {}
        self._fields: dict[int, dict[str, inspect.Field]] = {}

    def value(self, kind: inspect.Type, value: object, path: str) -> object:
        """`value` as far as it is right, or _BAD once the problem is told."""
        if isinstance(value, Unset):
            return _BAD
        every = self._choices.get(id(kind))
        if every is None:
            every = self._choices[id(kind)] = _choices(kind)
        choices = [choice for choice in every if _may_hold(choice, value)]
        if not choices:
            return self._wrong(kind, value, path)
        if isinstance(choices[0], inspect.StructType) and isinstance(value, dict):
            return self._struct(choices, value, path)
        return self._single(choices[0], value, path)

    def _single(self, kind: inspect.Type, value: Any, path: str) -> object:
        match kind:
            case inspect.DictType():
                entries = {key: self.value(kind.value_type, item, _join(path, key)) for key, item in value.items()}
                return {key: item for key, item in entries.items() if item is not _BAD}
            case inspect.VarTupleType():
                items = [self.value(kind.item_type, item, f"{path}[{at}]") for at, item in enumerate(value)]
                if len(items) < (kind.min_length or 0):
                    self._report(path, _too_few(len(items), kind.min_length or 0))
                    return _BAD
                places = tuple(at for at, item in enumerate(items) if item is not _BAD)
                if len(places) == len(items):
                    return items
                self.shortened[path] = places
                return [items[at] for at in places] if len(places) >= (kind.min_length or 0) else _BAD
            case inspect.CustomType():
                try:
                    self._read_value(kind.cls, value)
                except ValueError as exc:
                    self._report(path, str(exc))
                    return _BAD
                return value
            case inspect.IntType() | inspect.FloatType() | inspect.BoolType():
                return self._plain(kind, value, path)
            case inspect.DecimalType():
                return self._amount(value, path)
            case inspect.StrType():
                if not (kind.min_length or 0) <= len(value) <= (kind.max_length or len(value)):
                    self._report(path, f"must be {_words(kind)}, got {shown(value)}")
                    return _BAD
                return str(value)
            case inspect.LiteralType():
                if value in kind.values:
                    return str(value)
                fix = Vocabulary(str(known) for known in kind.values).fix(value)
                self._report(path, f"must be {_words(kind)}, got {shown(value)}", fix)
                return _BAD
            case _:
                return _json(value)

    def _plain(self, kind: inspect.Type, value: object, path: str) -> object:
        """A number or a claim; what the environment gave as text is read as if it stood in the document."""
        read: object = value
        if isinstance(value, FromEnv):
            try:
                read = plain(value)
            except ValueError:
                return self._wrong(kind, value, path)
        is_number = isinstance(read, int | Decimal) and not isinstance(read, bool)
        match kind:
            case inspect.BoolType() if isinstance(read, bool):
                return read
            case inspect.IntType() if is_number and not isinstance(read, Decimal) and _in_range(kind, read):
                return read
            case inspect.FloatType() if is_number and _in_range(kind, read):
                return read
            case _:
                return self._wrong(kind, value, path)

    def _amount(self, value: object, path: str) -> object:
        if isinstance(value, str):
            try:
                return Decimal(value)
            except ArithmeticError:
                return self._wrong(inspect.DecimalType(), value, path)
        return value

    def _struct(self, choices: list[inspect.Type], value: dict[str, object], path: str) -> object:
        kind = self._tagged(choices, value, path)
        if kind is None:
            return _BAD
        fields = self._fields.get(id(kind))
        if fields is None:
            fields = self._fields[id(kind)] = {field.encode_name: field for field in kind.fields}
        rest: dict[str, object] = {}
        if kind.tag_field is not None:
            rest[kind.tag_field] = str(value[kind.tag_field])
        is_whole = True
        for key, item in value.items():
            field = fields.get(key)
            if field is not None:
                good = self.value(field.type, item, _join(path, key))
                if good is not _BAD:
                    rest[key] = good
                else:
                    is_whole = is_whole and not field.required
            elif key != kind.tag_field and kind.forbid_unknown_fields:
                fix = Vocabulary(fields).fix(key)
                self._report(_join(path, key), f"there is no setting `{key}` {_inside(path)}", fix)
        for name, field in fields.items():
            if field.required and name not in value:
                self._report(_join(path, name), f"is missing: it must be {_words(field.type)}")
                is_whole = False
        return rest if is_whole else _BAD

    def _tagged(self, choices: list[inspect.Type], value: dict[str, object], path: str) -> inspect.StructType | None:
        structs = [choice for choice in choices if isinstance(choice, inspect.StructType)]
        tag_field = structs[0].tag_field
        if tag_field is None:
            return structs[0]
        by_tag = {str(struct.tag): struct for struct in structs}
        tag = value.get(tag_field)
        if isinstance(tag, Unset):
            return None
        if isinstance(tag, str) and tag in by_tag:
            return by_tag[tag]
        known = ", ".join(f"`{name}`" for name in by_tag)
        misspelt = next((key for key in value if Vocabulary([tag_field]).nearest(key)), None)
        if tag is None and misspelt is not None:
            self._report(
                _join(path, misspelt),
                f"there is no setting `{misspelt}` {_inside(path)}",
                f"did you mean `{tag_field}`?",
            )
        elif tag is None:
            self._report(_join(path, tag_field), f"is missing: it must be one of {known}")
        else:
            fix = Vocabulary(by_tag).fix(str(tag)) or f"known: {known}"
            self._report(_join(path, tag_field), f"{shown(tag)} is not known", fix)
        return None

    def _wrong(self, kind: inspect.Type, value: object, path: str) -> object:
        fix = None
        choices = _choices(kind)
        if isinstance(value, str) and any(isinstance(choice, inspect.BoolType) for choice in choices):
            fix = "yes, no, on and off are text in YAML 1.2" if value.lower() in ("yes", "no", "on", "off") else None
        elif isinstance(value, str) and any(getattr(choice, "tag", None) == value for choice in choices):
            fix = f"write {{use: {value}, …}}"
        elif any(isinstance(choice, inspect.StrType) for choice in choices) and _is_scalar(value):
            fix = "put it in quotes"
        elif any(isinstance(choice, inspect.VarTupleType) for choice in choices) and isinstance(value, str):
            fix = f"write [{shown(value).strip(chr(39))}]"
        # Text in place of a whole group may be a secret that slipped a level up: it is not repeated.
        is_group = not any(_is_scalar_type(choice) for choice in choices)
        got = "text" if is_group and isinstance(value, str) else shown(value)
        self._report(path, f"must be {_words(kind)}, got {got}", fix)
        return _BAD

    def _report(self, path: str, message: str, fix: str | None = None) -> None:
        self.problems.append(Problem(path=path or ROOT, message=message, fix=fix))


def shown(value: object) -> str:
    """A wrong value as a problem may repeat it: what the environment gave is shown by its name only."""
    if isinstance(value, FromEnv):
        return value.written
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, int | Decimal) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _choices(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    """What `kind` may be, without the wrapping of descriptions."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return tuple(choice for each in kind.types for choice in _choices(each))
    return (kind,)


def _may_hold(kind: inspect.Type, value: object) -> bool:
    """Whether `value` is of the sort that `kind` is written as; its details are for later."""
    if isinstance(value, dict):
        return isinstance(kind, inspect.StructType | inspect.DictType | inspect.CustomType | inspect.AnyType)
    if isinstance(value, list):
        return isinstance(kind, inspect.VarTupleType | inspect.AnyType)
    if value is None:
        return isinstance(kind, inspect.NoneType | inspect.AnyType)
    if isinstance(value, bool):
        return isinstance(kind, inspect.BoolType | inspect.AnyType)
    numeric = inspect.IntType | inspect.FloatType | inspect.DecimalType | inspect.CustomType | inspect.AnyType
    if isinstance(value, int | Decimal):
        return isinstance(kind, numeric)
    textual = inspect.StrType | inspect.LiteralType | inspect.DecimalType | inspect.CustomType | inspect.AnyType
    if isinstance(value, FromEnv):
        return isinstance(kind, textual | inspect.IntType | inspect.FloatType | inspect.BoolType)
    return isinstance(kind, textual)


def _words(kind: inspect.Type) -> str:
    """What a value of `kind` is, for people."""
    words = []
    for choice in _choices(kind):
        match choice:
            case inspect.NoneType():
                continue
            case inspect.StrType():
                least = choice.min_length
                words.append("text" + (f" of {least} to {choice.max_length} characters" if choice.max_length else ""))
            case inspect.LiteralType():
                words.append(("one of " if len(choice.values) > 1 else "") + ", ".join(f"`{v}`" for v in choice.values))
            case inspect.IntType():
                words.append(f"a whole number{_range_words(choice)}")
            case inspect.FloatType():
                words.append(f"a number{_range_words(choice)}")
            case inspect.BoolType():
                words.append("true or false")
            case inspect.DecimalType():
                words.append("an amount such as 2.50")
            case inspect.VarTupleType():
                words.append("a list")
            case inspect.CustomType() if choice.cls is Secret:
                words.append("{env: NAME}, {file: PATH}, {vault: PATH#FIELD} or text in quotes")
            case inspect.CustomType() if choice.cls is Duration:
                words.append("a span of time such as 30s, 5m, 24h or 7d")
            case _:
                words.append("a mapping")
    return " or ".join(dict.fromkeys(words))


def _range_words(kind: inspect.IntType | inspect.FloatType) -> str:
    low, high = kind.ge, kind.le
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    most = f" and at most {high:g}" if high is not None else ""
    return f" of more than {kind.gt:g}{most}" if kind.gt is not None else ""


def _too_few(count: int, least: int) -> str:
    entries = "one entry" if least == 1 else f"{least} entries"
    return f"is empty: it needs at least {entries}" if not count else f"has {count} of at least {entries}"


def _in_range(kind: inspect.IntType | inspect.FloatType, number: Any) -> bool:
    return (
        (kind.ge is None or number >= kind.ge)
        and (kind.gt is None or number > kind.gt)
        and (kind.le is None or number <= kind.le)
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | Decimal)


def _is_scalar_type(kind: inspect.Type) -> bool:
    numeric = inspect.IntType | inspect.FloatType | inspect.DecimalType
    return isinstance(kind, numeric | inspect.StrType | inspect.LiteralType | inspect.BoolType)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _inside(path: str) -> str:
    return f"in `{path}`" if path else "at the top of the document"
