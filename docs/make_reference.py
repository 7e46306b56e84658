"""Writes docs/reference/ from the code, so that it cannot say something else than the code does.

`python docs/make_reference.py` rewrites the pages; tests/docs compares them. Errors and ports are read as source text:
what a page shows is what somebody wrote, in the order they wrote it.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from polyroute import errors, ports

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


def _source_tree(module: ModuleType) -> ast.Module:
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


PAGES: dict[str, Callable[[], str]] = {"errors.md": errors_page, "ports.md": ports_page}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())


if __name__ == "__main__":
    main()
