"""The child that parses: a line of JSON in, a line out, until its input ends. `parsing.py` starts it.

Nothing here runs what it reads. Python is parsed by Python itself, SQLite's dialect by SQLite (prepared, never
stepped), other dialects of SQL by sqlglot, other languages by their tree-sitter grammar.
"""

import ast
import importlib
import json
import resource
import sqlite3
import sys
from typing import Any

_MEMORY = 1 << 30
_PLACE = 60  # characters of the text that a reason repeats


class Fault(Exception):
    """The text is not what it should be; says why."""


def python(text: str, options: dict[str, Any]) -> None:
    try:
        ast.parse(text)
    except SyntaxError as exc:
        raise Fault(f"Python: {exc.msg} at line {exc.lineno}") from None
    except (RecursionError, MemoryError):
        raise Fault("Python: nested too deeply") from None
    except ValueError as exc:
        raise Fault(f"Python: {exc}") from None


def grammar(text: str, options: dict[str, Any]) -> None:
    """By the tree-sitter grammar that the wheel of this language brings."""
    tree_sitter = importlib.import_module("tree_sitter")
    language = importlib.import_module(f"tree_sitter_{options['language']}")
    parser = tree_sitter.Parser(tree_sitter.Language(language.language()))
    root = parser.parse(text.encode()).root_node
    if root.has_error:
        node = _fault_in(root)
        line = node.start_point[0] + 1
        if node.is_missing:
            raise Fault(f"{options['language']}: `{node.type}` is missing at line {line}")
        raise Fault(f"{options['language']}: cannot be parsed at line {line}: {node.text.decode()[:_PLACE]!r}")


def _fault_in(root: Any) -> Any:
    """The first node that is at fault, inmost."""
    node = root
    while not node.is_missing:
        inner = next((child for child in node.children if child.is_missing or child.has_error), None)
        if inner is None:
            return node
        node = inner
    return node


def sql(text: str, options: dict[str, Any]) -> None:
    if options["dialect"] == "sqlite":
        prepare(text, options)
    else:
        importlib.import_module("polyroute.stages.validation.statements").check(text, options)


# ── SQLite ────────────────────────────────────────────────────────────────────────────────────────────

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_DANGEROUS_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}
_opened: dict[str, sqlite3.Connection] = {}


def prepare(text: str, options: dict[str, Any]) -> None:
    """Compiled against the declared tables, as SQLite itself would. Nothing is stepped: EXPLAIN only tells the plan."""
    refused: list[str] = []

    def allow(action: int, first: str | None, second: str | None, _base: str | None, _by: str | None) -> int:
        if action == sqlite3.SQLITE_READ and tables is not None and (first or "").lower() not in tables:
            refused.append(f"reads the table `{first}`, which is not allowed")
        elif action == sqlite3.SQLITE_FUNCTION and second in _DANGEROUS_FUNCTIONS:
            refused.append(f"calls `{second}`")
        elif action not in _READS and not options["writes"]:
            refused.append("does something else than read")
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    statement = text.strip()
    if not statement:
        raise Fault("SQL: there is none")
    tables = None if options["tables"] is None else {name.lower() for name in options["tables"]}
    connection = declared_in(options["schema"])
    # Writes are compiled too, so that the schema is held against them, and EXPLAIN does none of them.
    connection.set_authorizer(allow)
    try:
        connection.execute(f"EXPLAIN {statement}").close()
    except (sqlite3.Error, sqlite3.Warning) as exc:
        told = refused[0] if refused else str(exc)
        if options["schema"] or refused or not told.startswith(("no such table", "no such column")):
            raise Fault(f"SQL: {told}") from None
    finally:
        connection.set_authorizer(None)


def declared_in(schema: str) -> sqlite3.Connection:
    """An empty database with these tables. Raises Fault where they cannot be made."""
    connection = _opened.get(schema)
    if connection is None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            connection.executescript(schema)
        except (sqlite3.Error, sqlite3.Warning) as exc:
            connection.close()
            raise Fault(f"the declared tables: {exc}") from None
        connection.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 500)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        if len(_opened) >= 64:
            _opened.pop(next(iter(_opened))).close()
        _opened[schema] = connection
    return connection


# ── the loop ──────────────────────────────────────────────────────────────────────────────────────────

_KINDS = {"python": python, "grammar": grammar, "sql": sql}


def answer(line: str) -> str:
    asked = json.loads(line)
    reason = None
    try:
        _KINDS[asked["kind"]](asked["text"], asked["options"] or {})
    except Fault as exc:
        reason = str(exc)
    return json.dumps({"reason": reason})


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        sys.stdout.write(answer(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
