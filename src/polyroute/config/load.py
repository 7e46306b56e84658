"""A document's text to its values: files, includes, environment. It reads and types; what must fit is `check`'s.

A good document is parsed once. One with a mistake is parsed again with line marks, and all that is wrong is told at
once: what cannot be typed, and what `check` finds in the rest.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from polyroute.config.check import Known, check
from polyroute.config.convert import ReadValue, convert, examine, shown, value_reader
from polyroute.config.document import Document, Model, Provider
from polyroute.config.prompts import unread_files, with_prompt_files
from polyroute.config.secret import Secret
from polyroute.config.sources import SecretReader
from polyroute.config.targets import names_in
from polyroute.config.yaml12 import MAX_CHARACTERS, ROOT, Mark, Marks, parse
from polyroute.errors import ConfigError, Problem

_MAX_FILES = 100

# Providers that need no declaring where their key is in the environment, as their own SDKs read it.
_OWN_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}


class Loaded(Struct, frozen=True, kw_only=True):
    """A typed document, and what is needed to say where in which file a setting stands."""

    document: Document
    folder: Path  # the document's relative paths start here
    file: Path
    texts: dict[str, str]  # by file
    env: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Loaded({self.file})"  # texts and environment may hold secrets

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """`problems` with file, line and column, in the order of the text."""
        assembly = _Assembly(self.env, marks := Marks(), texts=self.texts)
        tree = assembly.tree(self.file)
        return _placed(problems, tree, marks, self.file)


def read(path: Path, env: Mapping[str, str]) -> Loaded:
    """Load and check. Raises ConfigError with every problem."""
    return _checked(load(path, env))


def reads(text: str, env: Mapping[str, str], *, folder: Path, file: str = "polyroute.yaml") -> Loaded:
    """`read` for a text that stands in no file; its relative paths start at `folder`."""
    return _checked(loads(text, env, folder=folder, file=file))


def load(path: Path, env: Mapping[str, str]) -> Loaded:
    """Raises ConfigError with every problem of the text; `check` is still to be asked."""
    return _load(path, env, {})


def loads(text: str, env: Mapping[str, str], *, folder: Path, file: str = "polyroute.yaml") -> Loaded:
    """`load` for a text that stands in no file."""
    path = folder / file
    return _load(path, env, {str(path): text})


def _checked(loaded: Loaded) -> Loaded:
    problems = (*check(loaded.document), *_missing_files(loaded))
    if problems:
        raise ConfigError(loaded.placed(problems))
    return loaded


def _missing_files(loaded: Loaded) -> Iterable[Problem]:
    for name, provider in loaded.document.providers.items():
        if provider.recordings is not None and not (loaded.folder / provider.recordings).is_file():
            message = f"there is no file {provider.recordings} in the document's folder"
            yield Problem(path=f"providers.{name}.recordings", message=message)
    yield from unread_files(loaded.document)


def _load(path: Path, env: Mapping[str, str], texts: dict[str, str]) -> Loaded:
    assembly = _Assembly(env, None, texts=texts)
    tree = assembly.tree(path)
    read_value = value_reader(SecretReader(path.parent, env, tree.get("secrets")).read)
    document = None if assembly.problems else _typed(tree, assembly.texts, read_value)
    if document is None:
        document = _explained(path, env, assembly.texts, read_value)
    document, prompt_texts = with_prompt_files(_with_own_providers(document, env), path.parent)
    return Loaded(document=document, folder=path.parent, file=path, texts={**assembly.texts, **prompt_texts}, env=env)


def _typed(tree: object, texts: Mapping[str, str], read_value: ReadValue) -> Document | None:
    """None where something is wrong."""
    if any("${" in text or "env" in text for text in texts.values()):
        examined = examine(tree, read_value)  # tells text from numbers, which the environment does not
        if examined.problems:
            return None
        tree = examined.rest
    try:
        return convert(tree, read_value)
    except msgspec.ValidationError:
        return None


def _explained(path: Path, env: Mapping[str, str], texts: dict[str, str], read_value: ReadValue) -> Document:
    """Raises ConfigError with all that is wrong; a document where nothing is, after all."""
    marks = Marks()
    assembly = _Assembly(env, marks, texts=texts)
    tree = assembly.tree(path)
    examined = examine(tree, read_value)
    problems = [*assembly.problems, *examined.problems]
    try:
        document = convert(examined.rest, read_value)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at `$")
        problem = Problem(path=where.strip("`.") or ROOT, message=message)
        raise ConfigError(_placed([*problems, problem], tree, marks, path)) from exc
    if not problems:
        return document
    # A setting that was left out as wrong must not be missed a second time.
    told = {above for problem in problems for above in _above(problem.path)}
    known = Known.of_sections(*(tree.get(section) for section in ("providers", "models", "routes")))
    for problem in check(_with_own_providers(document, env), known):
        at = examined.original(problem.path)
        if at not in told:
            problems.append(replace(problem, path=at))
    raise ConfigError(_placed(problems, tree, marks, path))


def _above(path: str) -> list[str]:
    """`path` itself and every path that leads to it."""
    return [path, *(path[:at] for at, character in enumerate(path) if character in ".[")]


def _placed(problems: Iterable[Problem], tree: object, marks: Marks, file: Path) -> tuple[Problem, ...]:
    placed = []
    for problem in problems:
        if problem.line is None:
            mark = marks.find(tree, problem.path) or Mark(str(file), 1, 1)
            problem = replace(problem, file=mark.file, line=mark.line, column=mark.column)
        placed.append(problem)
    placed.sort(key=lambda p: (p.file != str(file), p.file or "", p.line or 0, p.column or 0))
    return tuple(dict.fromkeys(placed))


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────


class _Assembly:
    """One tree of a file and all that it includes."""

    def __init__(self, env: Mapping[str, str], marks: Marks | None, *, texts: dict[str, str]) -> None:
        self.problems: list[Problem] = []
        self.texts = dict(texts)
        self._env = env
        self._marks = marks
        self._done: set[Path] = set()

    def tree(self, path: Path, above: tuple[Path, ...] = ()) -> dict[str, object]:
        """Raises ConfigError where a file cannot be read, or is no YAML."""
        self._done.add(path.resolve())
        text = self.texts.get(str(path))
        if text is None:
            text = self.texts[str(path)] = _text(path)
        value = parse(text, file=str(path), env=self._env, problems=self.problems, marks=self._marks)
        if value is not None and not isinstance(value, dict):
            message = f"a document is a mapping of sections (providers, models, routes, …), this is {shown(value)}"
            raise ConfigError([*self.problems, Problem(path=ROOT, message=message, file=str(path), line=1, column=1)])
        whole = self._without_empty(value or {})
        included = whole.pop("include", ())
        for at, name in enumerate(included if isinstance(included, list) else [included] if included else []):
            self._include(whole, path, (*above, path.resolve()), name, f"include[{at}]")
        return whole

    def _without_empty(self, value: dict[str, object]) -> dict[str, object]:
        """Sections that are only a heading are not there."""
        kept = {section: content for section, content in value.items() if content is not None}
        self._carry(kept, value)
        return kept

    def _include(self, whole: dict[str, object], path: Path, above: tuple[Path, ...], name: object, at: str) -> None:
        if not isinstance(name, str):
            self._report(path, at, f"must be a file's name, got {shown(name)}")
            return
        file = path.parent / name
        if file.resolve() in above:
            self._report(path, at, f"{name} is included by itself, directly or by way of others")
        elif len(self._done) >= _MAX_FILES:
            self._report(path, at, f"more than {_MAX_FILES} files")
        elif file.resolve() not in self._done:
            try:
                self._merge(whole, self.tree(file, above))
            except ConfigError as exc:
                raise ConfigError([*self.problems, *exc.problems]) from exc

    def _merge(self, whole: dict[str, object], other: dict[str, object]) -> None:
        """`other` laid into `whole`: sections are joined entry by entry, lists end to end; a setting is given once."""
        for section, content in other.items():
            present = whole.get(section)
            if section not in whole:
                whole[section] = content
                self._carry(whole, other, section)
            elif isinstance(present, dict) and isinstance(content, dict):
                joined = {**present, **content}
                self._carry(joined, content)
                self._carry(joined, present)
                for key in content.keys() & present.keys():
                    self._conflict(f"{section}.{key}", present, content, key)
                whole[section] = joined
            elif isinstance(present, list) and isinstance(content, list):
                chain = [*present, *content]
                self._carry(chain, present)
                self._carry(chain, content, shift=len(present))
                whole[section] = chain
            else:
                self._conflict(section, whole, other, section)

    def _carry(self, target: object, source: object, only: str | None = None, *, shift: int = 0) -> None:
        """The marks of `source` are those of `target` too."""
        if self._marks is not None:
            for key, mark in self._marks.of(source).items():
                if only is None or key == only:
                    self._marks.of(target)[key + shift if isinstance(key, int) else key] = mark

    def _conflict(self, path: str, one: object, other: object, key: str) -> None:
        first = self._marks.of(one).get(key) if self._marks is not None else None
        second = self._marks.of(other).get(key) if self._marks is not None else None
        message = f"is given twice, first at {first.file}:{first.line}" if first else "is given twice"
        problem = Problem(path=path, message=message, fix="keep it in one of the files")
        if second is not None:
            problem = replace(problem, file=second.file, line=second.line, column=second.column)
        self.problems.append(problem)

    def _report(self, path: Path, at: str, message: str) -> None:
        self.problems.append(Problem(path=at, message=message, file=str(path), line=self._include_line(path)))

    def _include_line(self, path: Path) -> int:
        """Where the file's `include` stands."""
        lines = self.texts[str(path)].splitlines()
        return next((number for number, line in enumerate(lines, start=1) if line.startswith("include")), 1)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(4 * MAX_CHARACTERS + 1)
    except FileNotFoundError as exc:
        fix = "`polyroute init` writes a starter document"
        raise ConfigError([Problem(path=ROOT, message="there is no such file", fix=fix, file=str(path))]) from exc
    except OSError as exc:
        message = f"cannot be read: {exc.strerror}"
        raise ConfigError([Problem(path=ROOT, message=message, file=str(path))]) from exc
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        message = f"the byte 0x{raw[exc.start]:02x} is not UTF-8"
        fix = "save the file as UTF-8"
        raise ConfigError([Problem(path=ROOT, message=message, fix=fix, file=str(path), line=line, column=1)]) from exc


# ── providers that declare themselves ─────────────────────────────────────────────────────────────────


def _with_own_providers(document: Document, env: Mapping[str, str]) -> Document:
    """The document with the well-known providers that it uses and does not declare, keyed by the environment."""
    used = {target.partition("/")[0] for target in _mentioned(document) if "/" in target}
    for model in document.models.values():
        if isinstance(model, Model):
            used.update(p.provider for p in model.deployments)
            used.add(model.provider or "")
    own: dict[str, Provider] = {}
    for name in used - document.providers.keys():
        if name == "simulated":
            own[name] = Provider(dialect="simulated")
        elif name in _OWN_KEYS and (key := env.get(_OWN_KEYS[name])):
            secret = Secret(key, name=f"${{{_OWN_KEYS[name]}}}")
            own[name] = Provider(dialect=name, api_key=secret)  # type: ignore[arg-type]  # the name is its family's
    return replace(document, providers={**document.providers, **own}) if own else document


def _mentioned(document: Document) -> Iterable[str]:
    yield from (model for model in document.models.values() if isinstance(model, str))
    for route in document.routes.values():
        yield from names_in(route)
