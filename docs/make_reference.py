"""Writes docs/reference/ from the code, so that it cannot say something else than the code does.

`python docs/make_reference.py` rewrites the pages; tests/docs compares them. Errors and ports are read as source
text: what a page shows is what somebody wrote, in the order they wrote it. Settings are read from their types.
"""

import ast
import inspect
import runpy
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import typer
import typer.core
import typer.main

from polyroute import errors, ports
from polyroute.catalog.cards import Catalogue
from polyroute.catalog.counting import Weights, families
from polyroute.cli import main as cli
from polyroute.config import document
from polyroute.config.durations import Duration
from polyroute.config.secret import Secret
from polyroute.server import errors as server_errors
from polyroute.server.later import later
from polyroute.server.table import build_table
from polyroute.types.quirks import QUIRKS

FOLDER = Path(__file__).parent / "reference"
_HEAD = "<!-- Made by docs/make_reference.py; change the code and run it again. -->\n"


def errors_page() -> str:
    tree = _source_tree(errors)
    drawing = next(textwrap.dedent(text) for text in _doc(tree).split("\n\n") if "├" in text)
    lines = [
        _HEAD,
        "# Errors\n",
        "Every error Polyroute raises; import them from `polyroute.errors`.\n",
        "```text",
        drawing,
        "```",
    ]
    for node in _classes(tree):
        if "Struct" in _bases(node):
            continue
        lines += [f"\n## {node.name}\n", f"A kind of `{_bases(node)[0]}`."]
        lines += _paragraphs(node)
        init = next((item for item in _functions(node) if item.name == "__init__"), None)
        arguments = init.args.args[1:] + init.args.kwonlyargs if init else []
        lines += _listed("Fields", [f"`{item.arg}`: `{ast.unparse(item.annotation or item)}`" for item in arguments])
    return "\n".join(lines) + "\n"


def ports_page() -> str:
    tree = _source_tree(ports)
    lines = [_HEAD, "# Ports\n", _doc(tree), "\nImport them from `polyroute.ports`."]
    for node in _classes(tree):
        kind = "port" if "Protocol" in _bases(node) else "value"
        lines += [f"\n## {node.name}\n", f"A {kind}."]
        lines += _paragraphs(node)
        lines += _listed("Fields", list(_fields(node)))
        for method in _functions(node):
            lines += [f"\n### {node.name}.{method.name}\n", "```python", _signature(method), "```"]
            lines += _paragraphs(method)
    return "\n".join(lines) + "\n"


def http_page() -> str:
    lines = [
        _HEAD,
        "# HTTP\n",
        "What headers and errors mean is told in [HTTP, in words](../http.md). `501` is: not in this version.\n",
    ]
    lines += ["| request | what | needs |", "| --- | --- | --- |"]
    for endpoint in build_table().endpoints:
        what = "501" if endpoint.handler is later else endpoint.summary
        needs = "nothing" if endpoint.action is None else f"a key granted `{endpoint.action}`"
        lines.append(f"| `{endpoint.method} {endpoint.path}` | {what} | {needs} |")
    lines += ["\n## Errors\n", "The first row that fits, by the [kind of error](errors.md).\n"]
    lines += ["| error | status | type | code |", "| --- | --- | --- | --- |"]
    for error, status, kind, code in _error_rows():
        said = "its own" if code == "None" else f"`{code}`"
        lines.append(f"| [{error}](errors.md#{error.lower()}) | {status} | `{kind}` | {said} |")
    return "\n".join(lines) + "\n"


def _error_rows() -> Iterator[tuple[str, str, str, str]]:
    """The table of server/errors.py: error, status, type, code."""
    for row in ast.walk(_source_tree(server_errors)):
        if isinstance(row, ast.Tuple) and len(row.elts) == 4 and ast.unparse(row.elts[0]).startswith("errors."):
            error, status, kind, code = (ast.unparse(cell).strip("'") for cell in row.elts)
            yield error.removeprefix("errors."), status, kind, code


def cli_page() -> str:
    lines = [
        _HEAD,
        "# Command line\n",
        "Every verb also takes `--help`. Exit codes: 0 done, 1 it found a problem, 2 wrong usage.",
    ]
    for name in cli.VERBS:
        root = typer.main.get_command(cli.build(name))
        assert isinstance(root, typer.core.TyperGroup)
        lines += _verb(f"polyroute {name}", root.commands[name])
    return "\n".join(lines) + "\n"


def _verb(name: str, command: object) -> list[str]:
    """The verb's own section, then those below it."""
    assert isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup)
    lines = [f"\n## {name}\n", inspect.cleandoc(command.help or "")]
    rows = [_option(parameter) for parameter in command.params]
    lines += ["\n| option | default | meaning |\n| --- | --- | --- |", *rows] if rows else []
    if isinstance(command, typer.core.TyperGroup):
        for below, verb in command.commands.items():
            lines += _verb(f"{name} {below}", verb)
    return lines


def _option(parameter: object) -> str:
    assert isinstance(parameter, typer.core.TyperArgument | typer.core.TyperOption)
    given = isinstance(parameter, typer.core.TyperOption)
    written = ", ".join([*parameter.opts, *parameter.secondary_opts]) if given else (parameter.name or "").upper()
    default = "required" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    return f"| `{written}` | {default} | {parameter.help or ''} |"


def settings_page() -> str:
    lines = [
        _HEAD,
        "# Settings\n",
        "Every section and field of `polyroute.yaml`. A key that is not here is an error.\n",
    ]
    lines += ["A duration is written `30s`, `5m`, `24h` or `7d`; a secret is named, as `{env: NAME}` or `${NAME}`."]
    for struct in _structs_within(document.Document, []):
        lines += [f"\n## {struct.__name__}\n", inspect.getdoc(struct) or ""]
        lines += [f"\nWritten `use: {struct.__struct_config__.tag}`."] if struct.__struct_config__.tag else []
        lines += ["\nThis version knows it by name only."] if issubclass(struct, document.Later) else []
        rows = [_setting(struct, item) for item in msgspec.structs.fields(struct)]
        lines += ["\n| key | what | default | meaning |\n| --- | --- | --- | --- |", *rows] if rows else []
    return "\n".join(lines) + "\n"


def _structs_within(kind: object, found: list[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    """Every struct that `kind` leads to, in the order a reader meets them."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in found:
            found.append(kind)
            for hint in typing.get_type_hints(kind, include_extras=True).values():
                _structs_within(hint, found)
    else:
        for inner in typing.get_args(kind):
            _structs_within(inner, found)
    return found


def _setting(struct: type[msgspec.Struct], item: msgspec.structs.FieldInfo) -> str:
    kind = typing.get_type_hints(struct, include_extras=True)[item.name]
    metas = [meta for meta in typing.get_args(kind) if isinstance(meta, msgspec.Meta)]
    meaning = next((meta.description for meta in metas if meta.description), None) or _comment(struct, item.name)
    return f"| `{item.encode_name}` | {_said(kind)} | {_default(item)} | {meaning} |"


def _comment(struct: type, name: str) -> str:
    """The comment behind a field, where its module is not written for the document alone."""
    line = next(line for line in inspect.getsource(struct).splitlines() if line.startswith(f"    {name}:"))
    return line.partition("  # ")[2].partition("noqa")[0]


def _default(item: msgspec.structs.FieldInfo) -> str:
    if item.required:
        return "required"
    if item.default in (None, (), msgspec.NODEFAULT) or isinstance(item.default, msgspec.Struct):
        return ""
    return f"`{str(item.default).lower() if isinstance(item.default, bool) else item.default}`"


_WORDS: dict[object, str] = {
    typing.Any: "anything",
    bool: "true or false",
    Decimal: "decimal number",
    Duration: "duration",
    document.JsonObject: "JSON object",
    Secret: "secret",
    float: "number",
    int: "whole number",
    str: "text",
}


def _said(kind: object) -> str:
    """A type as a reader of the document would say it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        bounds = [meta for meta in inner[1:] if isinstance(meta, msgspec.Meta)]
        limits = [f" {word} {value:g}" for meta in bounds for word, value in _limits(meta) if value is not None]
        return _said(inner[0]) + "".join(limits)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_said(item) for item in inner if item is not types.NoneType)
    if origin is tuple:
        return f"list of {_said(inner[0])}"
    if origin is dict:
        return f"by name: {_said(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return _WORDS[kind]


def _limits(meta: msgspec.Meta) -> tuple[tuple[str, float | None], ...]:
    return ("from", meta.ge), ("above", meta.gt), ("to", meta.le), ("below", meta.lt)


def _source_tree(module: types.ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.get_docstring(node) or ""


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in tree.body if isinstance(node, ast.ClassDef) and "Enum" not in _bases(node))


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def _functions(node: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef))


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            default = f" = `{ast.unparse(item.value)}`" if item.value else ""
            yield f"`{ast.unparse(item.target)}`: `{ast.unparse(item.annotation)}`{default}"


def _signature(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    word = "async def" if isinstance(method, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(method.returns)}" if method.returns else ""
    return f"{word} {method.name}({ast.unparse(method.args)}){returns}: ..."


def _paragraphs(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [f"\n{_doc(node)}"] if _doc(node) else []


def _listed(title: str, items: list[str]) -> list[str]:
    return [f"\n{title}:\n", *(f"- {item}" for item in items)] if items else []


def quirks_page() -> str:
    lines = [
        _HEAD,
        "# Quirks\n",
        "Where servers depart from the form of the API they speak, most from OpenAI's chat completions. `quirks` at",
        "a provider, model or deployment adds to what the catalogue knows, and `-name` takes one away.\n",
        "| quirk | the server |\n| --- | --- |",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in QUIRKS.items()]
    lines += ["\n## Known beforehand\n", "Every row that fits counts. A model goes by the beginning of its own name.\n"]
    lines += ["| at | models | quirks | source | as of |\n| --- | --- | --- | --- | --- |"]
    for row in Catalogue().quirk_rows:
        told = [*(f"`{piece}`" for piece in row.addresses), *(f"any `{name}`" for name in sorted(row.dialects))]
        places = ", ".join([*sorted(row.families), *told])
        models = ", ".join(f"`{name}`" for name in row.models) or "all"
        models += f"; not {', '.join(f'`{name}`' for name in row.unless)}" if row.unless else ""
        models += f"; lacking `{row.lacking}`" if row.lacking else ""
        quirks = ", ".join(f"`{name}`" for name in sorted(row.quirks))
        lines.append(f"| {places} | {models} | {quirks} | {row.source} | {row.as_of} |")
    return "\n".join(lines) + "\n"


def dialects_page() -> str:
    folder = Path(__file__).parent
    page: str = runpy.run_path(str(folder / "dialect_table.py"))["page"](_HEAD)
    section: str = runpy.run_path(str(folder / "schema_table.py"))["section"]()
    return page + section


def counting_page() -> str:
    lines = [
        _HEAD,
        "# Counting input tokens\n",
        "Without a tokenizer and without a network. A text's tokens are estimated from its bytes; what a family of",
        "models wraps around them was fitted to recorded usage on one half of the recorded scenarios, and the errors",
        "below are those of the other half: shares of what the provider billed. A provider's own count replaces the",
        "estimate as soon as it is known, and what is held for a request is a bound, not this estimate.",
        "`python -m bench.fit_tokens` writes these figures, `python -m bench tokens` measures them.\n",
        "| family | models | fitted on | tried on | middle error | half within | nine tenths within |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for family in families():
        models = ", ".join(f"`{name}`" for name in family.models)
        found = family.found
        errors = (found.bias, found.median, found.p90) if found else ()
        said = [f"{100 * share:.0f} %" for share in errors] or ["-"] * 3
        tried = found.n if found else 0
        lines.append(f"| {family.name} | {models} | {family.fitted_on} | {tried} | {' | '.join(said)} |")
    lines += ["\n## Weights\n", "Tokens for one of each; text and schemas per token that the estimate makes of them.\n"]
    names = Weights.__struct_fields__
    lines += [f"| family | {' | '.join(names)} |", f"| --- |{' --- |' * len(names)}"]
    for family in families():
        lines.append(f"| {family.name} | {' | '.join(f'{getattr(family.weights, name):g}' for name in names)} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "ports.md": ports_page,
    "settings.md": settings_page,
    "quirks.md": quirks_page,
    "counting.md": counting_page,
    "http.md": http_page,
    "cli.md": cli_page,
    "dialects.md": dialects_page,
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())


if __name__ == "__main__":
    main()
