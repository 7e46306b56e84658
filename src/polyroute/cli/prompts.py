"""The verb `prompts`: opened in the store directly. A running server takes a change within 2 s.

The document's own prompts are shown like the managed ones, and changed in the document.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from msgspec import Struct

from polyroute.cli.shell import (
    ConfigOption,
    DebugOption,
    JsonOption,
    document_path,
    fail,
    print_json,
    print_table,
    say,
    told,
)
from polyroute.cli.store import open_records
from polyroute.config.document import Document
from polyroute.config.load import read
from polyroute.config.yaml12 import parse
from polyroute.errors import ConfigError, Conflict, InvalidRequest, Problem, UnknownObject
from polyroute.prompts.compiled import compile_version
from polyroute.prompts.diff import differences
from polyroute.prompts.reference import parse_reference, resolve
from polyroute.prompts.shelf import Actor, Shelf
from polyroute.prompts.show import Shown, listed, shown
from polyroute.prompts.variables import Brought, texts_of
from polyroute.state.directory import taken
from polyroute.types.prompts import DEFAULT_VARIANT, Variable, Variant, Wordings
from polyroute.types.request import Request

prompts = typer.Typer(help="List, show, add, label, compare and render prompts.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
ReferenceArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION|@LABEL]")]


class _Desk(Struct, frozen=True):
    """The document's prompts and the managed ones."""

    document: Document
    shelf: Shelf

    def find(self, name: str) -> Shown:
        """Raises UnknownObject."""
        found = self.document.prompts.get(name) or self.shelf.find(name)
        if found is None:
            raise UnknownObject(f"there is no prompt `{name}`")
        return shown(name, found)

    def pick(self, written: str) -> tuple[Shown, int]:
        """The version that a reference means. Raises UnknownObject or InvalidRequest."""
        try:
            reference = parse_reference(written)
            prompt = self.find(reference.name)
            return prompt, resolve(reference, {v.version: None for v in prompt.versions.values()}, prompt.labels)
        except ValueError as exc:
            raise InvalidRequest(str(exc)) from None
        except LookupError as exc:
            raise UnknownObject(exc.args[0]) from None

    def refuse_declared(self, name: str) -> None:
        if name in self.document.prompts:
            raise Conflict(f"the prompt `{name}` is the document's: change it there")


@contextmanager
def _desk(config: ConfigOption, debug: bool) -> Iterator[_Desk]:
    with told(debug=debug):
        document = read(document_path(config), os.environ).document
        with open_records(config) as records:
            yield _Desk(document, Shelf(records))


def _actor() -> Actor:
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or "somebody"
    return Actor(name=f"command line ({user})", role="admin", now=datetime.now(UTC))


@prompts.command("list")
def list_prompts(config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Every prompt: the document's, and those managed in the store."""
    with _desk(config, debug) as desk:
        rows = listed(desk.document.prompts, desk.shelf.every())
        details = [desk.find(str(row["name"])) for row in rows]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("prompt", "kept in", "bare name means", "versions", "labels"),
        [(p.name, p.source, f"{p.name}@{p.live}", ", ".join(p.versions), _labels(p.labels)) for p in details],
    )


@prompts.command()
def show(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """A prompt's versions, who made them, its labels and how they moved."""
    with _desk(config, debug) as desk:
        prompt = desk.find(name)
    if as_json:
        print_json(prompt)
        return
    say(f"{prompt.name} ({prompt.source}); the bare name means {prompt.name}@{prompt.live}")
    say(f"labels: {_labels(prompt.labels) or 'none'}")
    for version in prompt.versions.values():
        made = f", {version.at:%Y-%m-%d %H:%M} by {version.by}" if version.at is not None else ""
        say(f"\n{prompt.name}@{version.version}{made}")
        for variable, rules in version.wordings.variables.items():
            say(f"  {{{{{variable}}}}}: {rules.type}{'' if rules.required else ', may be missing'}")
        for variant, words in version.wordings.variants.items():
            for field, text in (("system", words.system), ("user", words.user)):
                if text is not None:
                    say(f"  [{variant}] {field}:")
                    say("\n".join(f"    {line}" for line in text.splitlines()))
    for move in prompt.moves:
        went = f"to {move.version}" if move.version is not None else "taken away"
        came = f" from {move.before}" if move.before is not None else ""
        say(f"{move.at:%Y-%m-%d %H:%M} {move.label}{came} {went} by {move.by}")


@prompts.command()
def add(
    name: NameArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON of {variables, variants}; any other text is the system prompt.", metavar="FILE"
        ),
    ] = None,
    system: Annotated[str | None, typer.Option(help="The default variant's instructions.")] = None,
    user: Annotated[str | None, typer.Option(help="The default variant's text before the caller's.")] = None,
    variable: Annotated[
        list[str] | None, typer.Option(help="With --system or --user: NAME or NAME:TYPE; repeat.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Set to the new version in the same act; repeat.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Add a version. It is numbered, and never changes."""
    with _desk(config, debug) as desk:
        desk.refuse_declared(name)
        wordings = _wordings(file, system, user, variable or [])
        number = desk.shelf.add(name, wordings, label or [], _actor())
    if as_json:
        print_json({"name": name, "version": number, "id": f"{name}@{number}", "labels": label or []})
    else:
        say(f"{name}@{number}" + (f", labelled {', '.join(label)}" if label else ""))


@prompts.command("label")
def set_label(
    name: NameArgument,
    label: Annotated[str, typer.Argument(metavar="LABEL")],
    version: Annotated[int | None, typer.Argument(metavar="VERSION")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the label away.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Point a label at a version: a rollback is this."""
    if delete == (version is not None):
        raise typer.BadParameter("give a version, or --delete")
    with _desk(config, debug) as desk:
        desk.refuse_declared(name)
        if version is not None:
            kept = desk.shelf.point(name, label, version, _actor())
        else:
            used = [r for r, route in desk.document.routes.items() if route.prompt == f"{name}@{label}"]
            if used:
                fail(f"route `{used[0]}` goes by `{name}@{label}`: move the label instead, or change the route")
            kept = desk.shelf.unpoint(name, label, _actor())
    if as_json:
        print_json({"name": name, "labels": kept.labels})
    else:
        say(f"{name}: {_labels(kept.labels) or 'no labels'}")


@prompts.command()
def diff(
    one: ReferenceArgument,
    other: Annotated[str, typer.Argument(metavar="VERSION|LABEL", help="Of the same prompt.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """What differs between two versions, line by line. Exit 1 where something does."""
    with _desk(config, debug) as desk:
        prompt, before = desk.pick(one)
        _, after = desk.pick(other if "@" in other else f"{prompt.name}@{other}")
    pair = [(number, prompt.versions[str(number)].wordings) for number in (before, after)]
    lines = differences(prompt.name, pair[0], pair[1])
    if as_json:
        print_json({"name": prompt.name, "from": before, "to": after, "lines": lines})
    else:
        say("\n".join(lines) if lines else f"{prompt.name}@{before} and @{after} say the same")
    if lines:
        raise typer.Exit(1)


@prompts.command()
def render(
    reference: ReferenceArgument,
    var: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; repeat.", metavar="NAME=VALUE")] = None,
    variant: Annotated[str, typer.Option(help="Which family's words.")] = DEFAULT_VARIANT,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """The words as a model would read them."""
    with _desk(config, debug) as desk:
        prompt, number = desk.pick(reference)
        ready = compile_version(prompt.name, number, prompt.versions[str(number)].wordings)
        words = ready.variants.get(variant)
        if words is None:
            fail(f"{ready.id} has no variant `{variant}`; it has {', '.join(ready.variants)}")
        given = {name: _value(ready.variables.get(name), text) for name, text in map(_pair, var or [])}
        brought = Brought(request=Request(model="", messages=()), at="--var", variables=given)
        rendered = words.render(texts_of(ready.variables, brought))
    if as_json:
        print_json({"id": ready.id, "variant": variant, "system": rendered.system, "user": rendered.user})
        return
    for field, text in (("system", rendered.system), ("user", rendered.user)):
        if text is not None:
            say(f"[{field}]\n{text}")


def _wordings(file: Path | None, system: str | None, user: str | None, variables: list[str]) -> Wordings:
    """Raises InvalidRequest or ConfigError."""
    if (file is None) == (system is None and user is None):
        raise InvalidRequest("give `--file`, or `--system` and `--user`")
    if file is not None and file.suffix in (".yaml", ".yml", ".json"):
        problems: list[Problem] = []
        raw = parse(file.read_text(encoding="utf-8"), file=str(file), env=os.environ, problems=problems, marks=None)
        if problems:
            raise ConfigError(problems)
        return taken(Wordings, raw)
    if file is not None:
        system = file.read_text(encoding="utf-8").strip()
    declared = {name: {"type": kind or "string"} for name, _, kind in (item.partition(":") for item in variables)}
    return Wordings(
        variants={DEFAULT_VARIANT: Variant(system=system, user=user)},
        variables={name: taken(Variable, rules) for name, rules in declared.items()},
    )


def _pair(written: str) -> tuple[str, str]:
    name, equals, value = written.partition("=")
    if not equals:
        raise InvalidRequest(f"`{written}` is not of the form NAME=VALUE")
    return name, value


def _value(variable: Variable | None, text: str) -> object:
    """A shell gives text only; what is not declared as text is read as JSON."""
    if variable is None or variable.type == "string":
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _labels(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label}={version}" for label, version in labels.items())
