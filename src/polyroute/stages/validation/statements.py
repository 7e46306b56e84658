"""Statements of any dialect that sqlglot knows, held against declared tables. Runs in the parsers' child only.

Parsing finds what is no SQL of the dialect; then every column must belong to a table in sight. What sqlglot cannot
decide (a star of an unknown table, a function's own names) is let pass: a gate that refuses right answers is worse
than one that lets a wrong one through.
"""

from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from polyroute.stages.validation.parsers import Fault

DIALECTS = tuple(sorted(name.value for name in sqlglot.dialects.dialect.Dialects if name.value))
_READS = (exp.Query, exp.Describe, exp.Values)


def check(text: str, options: dict[str, Any]) -> None:
    """Raises Fault."""
    dialect = options["dialect"]
    try:
        statements = [one for one in sqlglot.parse(text, read=dialect) if one is not None]
    except (SqlglotError, RecursionError) as exc:
        raise Fault(f"SQL: {_first_line(exc)}") from None
    if len(statements) != 1:
        raise Fault(f"SQL: {len(statements)} statements, not one")
    statement = statements[0]
    if isinstance(statement, exp.Command):
        raise Fault(f"SQL: `{statement.name or statement.this}` is no statement that can be checked")
    if not options["writes"] and not isinstance(statement, _READS):
        raise Fault("SQL: does something else than read")
    declared = tables_of(options["schema"], dialect) if options["schema"] else None
    _hold_against(statement, declared, options["tables"])
    if declared is not None and isinstance(statement, exp.Query):
        try:
            qualify(statement.copy(), schema=declared, dialect=dialect, quote_identifiers=False)
        except OptimizeError as exc:
            raise Fault(f"SQL: {_first_line(exc)}") from None
        except (SqlglotError, RecursionError):
            return  # more than sqlglot can see through


def _hold_against(statement: Any, declared: dict[str, Any] | None, allowed: list[str] | None) -> None:
    known = None if declared is None else {name.lower() for name in declared}
    names = None if allowed is None else {name.lower() for name in allowed}
    for name in sorted(_read_by(statement)):
        if names is not None and name not in names:
            raise Fault(f"SQL: reads the table `{name}`, which is not allowed")
        if known is not None and name not in known:
            raise Fault(f"SQL: no such table: {name}")


def _read_by(statement: exp.Expression) -> set[str]:
    """Tables, without the names that the statement gives to its own parts."""
    scopes = traverse_scope(statement) if isinstance(statement, exp.Query) else []
    if scopes:
        return {
            source.name.lower()
            for scope in scopes
            for source in scope.sources.values()
            if isinstance(source, exp.Table)
        }
    own = {cte.alias.lower() for cte in statement.find_all(exp.CTE)}
    return {table.name.lower() for table in statement.find_all(exp.Table) if table.name.lower() not in own}


@lru_cache(maxsize=64)
def tables_of(schema: str, dialect: str) -> dict[str, Any]:
    """Columns with their types, by table. Raises Fault where the declaration itself cannot be read."""
    found: dict[str, Any] = {}
    try:
        declarations = sqlglot.parse(schema, read=dialect)
    except (SqlglotError, RecursionError) as exc:
        raise Fault(f"the declared schema: {_first_line(exc)}") from None
    for one in declarations:
        if isinstance(one, exp.Create) and isinstance(one.this, exp.Schema):
            columns = one.this.find_all(exp.ColumnDef)
            found[one.this.this.name] = {c.name: c.kind.sql() if c.kind is not None else "TEXT" for c in columns}
    if not found:
        raise Fault("the declared schema holds no CREATE TABLE")
    return found


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:200]
