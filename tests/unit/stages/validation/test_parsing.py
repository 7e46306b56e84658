"""Parsing in children: what they refuse and why, what they survive, and that one that dies is made anew."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.stages.validation.parsers import Fault, answer, prepare, python
from polyroute.stages.validation.parsing import MOST_CHARS, Parsers

TABLES = "CREATE TABLE pets (name TEXT, weight REAL); CREATE TABLE owners (name TEXT)"


@pytest.fixture
async def parsers() -> AsyncIterator[Parsers]:
    made = Parsers(children=1)
    yield made
    await made.aclose()


def sql(**options: Any) -> dict[str, Any]:
    return {"dialect": "sqlite", "schema": TABLES, "tables": None, "writes": False, **options}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1\n", None),
        ("x = = 1", "Python: invalid syntax at line 1"),
        ("\x00", "Python: "),
        ("(" * 10_000, "Python: too many nested parentheses at line 1"),
        ("def f(:\n  pass", "Python: "),
    ],
)
def test_python_is_parsed_by_python(text: str, fault: str | None) -> None:
    if fault is None:
        python(text, {})
        return
    with pytest.raises(Fault, match=fault):
        python(text, {})


@pytest.mark.parametrize(
    ("text", "options", "fault"),
    [
        ("SELECT name FROM pets", {}, None),
        ("SELECT name FROM pets;", {}, None),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n", {}, None),
        ("SELECT nmae FROM pets", {}, "SQL: no such column: nmae"),
        ("SELECT name FROM pests", {}, "SQL: no such table: pests"),
        ("SELECT name FROM pets, owners", {}, "SQL: ambiguous column name: name"),
        ("SELECT name FROM pets GROUP", {}, "SQL: incomplete input"),
        ("", {}, "SQL: there is none"),
        ("SELECT 1; SELECT 2", {}, "SQL: You can only execute one statement at a time"),
        ("DELETE FROM pets", {}, "SQL: does something else than read"),
        ("DELETE FROM pets", {"writes": True}, None),
        ("DELETE FROM pests", {"writes": True}, "SQL: no such table: pests"),
        ("DROP TABLE pets", {"writes": True}, None),
        ("PRAGMA writable_schema = 1", {}, "SQL: does something else than read"),
        ("ATTACH 'x.db' AS x", {}, "SQL: does something else than read"),
        ("SELECT load_extension('x')", {}, "SQL: calls `load_extension`"),
        ("SELECT name FROM owners", {"tables": ["pets"]}, "SQL: reads the table `owners`, which is not allowed"),
        ("SELECT name FROM PETS", {"tables": ["pets"]}, None),
        ("SELECT anything FROM anywhere", {"schema": ""}, None),
        ("SELECT FROM", {"schema": ""}, 'SQL: near "FROM": syntax error'),
        ("SELECT 1", {"schema": "CREATE TABEL t"}, "the declared tables: "),
    ],
)
def test_sqlites_dialect_is_compiled_by_sqlite(text: str, options: dict[str, Any], fault: str | None) -> None:
    if fault is None:
        prepare(text, sql(**options))
        return
    with pytest.raises(Fault) as told:
        prepare(text, sql(**options))
    assert str(told.value).startswith(fault)


def test_what_writes_is_compiled_and_never_done() -> None:
    for _ in range(2):
        prepare("DROP TABLE pets", sql(writes=True))
        prepare("SELECT name FROM pets", sql())


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("javascript", "let x = {a: 1};", None),
        ("javascript", "let x = {a: 1;", "javascript: `}` is missing at line 1"),
        ("javascript", "let = = 3;\n", "javascript: cannot be parsed at line 1"),
    ],
)
def test_a_grammar_names_the_line(language: str, text: str, reason: str | None) -> None:
    said = answer(orjson.dumps({"kind": "grammar", "text": text, "options": {"language": language}}).decode())
    told = orjson.loads(said)["reason"]
    assert told is None if reason is None else told.startswith(reason)


@given(st.text(max_size=300), st.sampled_from(["python", "sql"]))
def test_every_text_gets_an_answer(text: str, kind: str) -> None:
    line = orjson.dumps({"kind": kind, "text": text.encode("utf-8", "replace").decode(), "options": sql()})
    assert set(orjson.loads(answer(line.decode()))) == {"reason"}


async def test_a_child_parses_and_is_used_again(parsers: Parsers) -> None:
    assert (await parsers.parse("python", "x = 1")).reason is None
    child = parsers._free[0]
    assert (await parsers.parse("python", "x = =")).reason == "Python: invalid syntax at line 1"
    assert parsers._free == [child]


async def test_a_child_that_died_meanwhile_is_made_anew(parsers: Parsers) -> None:
    await parsers.parse("python", "x = 1")
    child = parsers._free[0]
    child.kill()
    await child.wait()
    assert (await parsers.parse("python", "x = 1")).reason is None
    assert parsers._free[0] is not child


async def test_one_that_dies_of_its_text_is_tried_once_more_and_then_told(parsers: Parsers) -> None:
    found = await parsers.parse("no such kind", "x")
    assert found.reason == "could not be parsed within the memory that a parser has"


async def test_one_over_its_time_is_ended() -> None:
    parsers = Parsers(wait_s=0.0)
    try:
        assert (await parsers.parse("python", "x = 1")).reason == "could not be parsed within 0 s"
        assert parsers._free == []
    finally:
        await parsers.aclose()


async def test_too_long_a_text_is_not_parsed(parsers: Parsers) -> None:
    assert (await parsers.parse("python", "#" * (MOST_CHARS + 1))).reason is not None
    assert parsers._free == []


async def test_half_a_character_does_not_stop_a_child(parsers: Parsers) -> None:
    assert (await parsers.parse("python", "x = '\ud800'")).reason is None


async def test_who_gives_up_leaves_no_child_behind(parsers: Parsers) -> None:
    asked = asyncio.ensure_future(parsers.parse("python", "x = 1"))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await parsers.parse("python", "x = 1")).reason is None
    assert len(parsers._free) == 1
