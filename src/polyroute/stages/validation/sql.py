"""Accepts a response whose SQL its dialect takes: parsed, and held against the declared tables where there are any.

SQLite's own dialect is compiled by SQLite itself, so that what it would take is never refused. Other dialects are
parsed by sqlglot. Nothing is ever run. One statement, and one that only reads, unless `writes` says otherwise.
"""

import importlib
from typing import ClassVar

from msgspec import Struct

from polyroute.stages.validation.parsers import Fault, declared_in
from polyroute.stages.validation.parsing import Parsers
from polyroute.stages.validation.texts import code_in
from polyroute.types.request import Request
from polyroute.types.response import Response
from polyroute.types.routing import Verdict


def dialects() -> tuple[str, ...]:
    """Beside SQLite's own. Raises ImportError without the extra `gates`."""
    known: tuple[str, ...] = importlib.import_module("polyroute.stages.validation.statements").DIALECTS
    return known


def schema_problem(schema: str, dialect: str) -> str | None:
    """Why the declared tables cannot be read; None where they can. Of one's own document, so it is read right here."""
    try:
        if dialect == "sqlite":
            declared_in(schema)
        else:
            importlib.import_module("polyroute.stages.validation.statements").tables_of(schema, dialect)
    except Fault as exc:
        return str(exc)
    return None


class Sql(Struct, frozen=True, kw_only=True):
    name: ClassVar[str] = "sql"

    parsers: Parsers
    dialect: str = "sqlite"
    schema: str = ""  # CREATE TABLE statements
    tables: tuple[str, ...] | None = None  # that may be read; None: any that is declared
    writes: bool = False

    async def judge(self, request: Request, response: Response) -> Verdict:
        options = {
            "dialect": self.dialect,
            "schema": self.schema,
            "tables": self.tables,
            "writes": self.writes,
        }
        statement = code_in(response.text, ("sql", self.dialect))
        reason = (await self.parsers.parse("sql", statement, options)).reason
        if reason is not None:
            return Verdict(gate=self.name, accepted=False, score=0.0, reasons=(reason,))
        return Verdict(gate=self.name, accepted=True, score=1.0)
