"""YAML 1.2 core scalars, and everything a text may not do."""

from decimal import Decimal
from time import perf_counter

import pytest
import yaml

from polyroute.config.yaml12 import MAX_DEPTH, FromEnv, Mark, Marks, Unset, parse, plain
from polyroute.errors import ConfigError, Problem


def value_of(text: str, env: dict[str, str] | None = None) -> object:
    problems: list[Problem] = []
    value = parse(text, file="f.yaml", env=env or {}, problems=problems)
    assert problems == []
    return value


def problems_of(text: str, env: dict[str, str] | None = None) -> list[Problem]:
    problems: list[Problem] = []
    try:
        parse(text, file="f.yaml", env=env or {}, problems=problems)
    except ConfigError as exc:
        problems += exc.problems
    return problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[
            (word, word)
            for word in ("no", "yes", "on", "off", "y", "N", "2020-01-01", "1:30:00", "1_000", "0b1", "-", "1.2.3")
        ],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        ("nUll", "nUll"),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("2.50", Decimal("2.50")),
        ("0.1000000000000000055", Decimal("0.1000000000000000055")),
        (".5", Decimal("0.5")),
        ("5.", Decimal("5")),
        ("1e3", Decimal("1000")),
        ("1E-2", Decimal("0.01")),
        (".", "."),
        ("e3", "e3"),
    ],
)
def test_an_unquoted_scalar_means_what_the_core_schema_says(written: str, value: object) -> None:
    got = plain(written)
    assert (got, type(got)) == (value, type(value))


def test_quoted_numbers_are_text() -> None:
    assert value_of("a: '12'\nb: \"true\"\nc: |\n  5\n") == {"a": "12", "b": "true", "c": "5\n"}


def test_keys_are_always_text() -> None:
    assert value_of("1: a\ntrue: b\nno: c\n") == {"1": "a", "true": "b", "no": "c"}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", 3, "given twice", id="a duplicate key"),
        pytest.param("a:\n  b: 1\n  b: 1\n", 3, "given twice", id="a duplicate key further in"),
        pytest.param("a: {b: 1,\n b: 2}", 2, "given twice", id="a duplicate key in flow form"),
        pytest.param(
            "\na: !!python/object/apply:os.system [id]", 2, "!!python/object/apply:os.system", id="a Python tag"
        ),
        pytest.param("a: !mine x", 1, "!mine", id="a custom tag on a scalar"),
        pytest.param("a: !mine {x: 1}", 1, "!mine", id="a custom tag on a mapping"),
        pytest.param("a: !!binary aGk=", 1, "!!binary", id="a tag outside the core schema"),
        pytest.param("a: !!int x", 1, "!!int", id="a tag that does not fit"),
        pytest.param("a: 1\n---\nb: 2", 2, "second document", id="two documents"),
        pytest.param("a: &a [*a]", 1, "inside what it refers to", id="a list that contains itself"),
        pytest.param("a: *b", 1, "refers to nothing", id="an alias without its anchor"),
        pytest.param("? [a]\n: b", 1, "key must be text", id="a list as a key"),
        pytest.param("? {a: 1}\n: b", 1, "key must be text", id="a mapping as a key"),
        pytest.param("a: .inf", 1, "no number", id="infinity"),
        pytest.param("a: .nan", 1, "no number", id="not a number"),
        pytest.param("a: 1e999999999", 1, "beyond any number", id="a huge exponent"),
        pytest.param("a: 9223372036854775808", 1, "beyond any number", id="more than is counted"),
        pytest.param("a: -9223372036854775808", 1, "beyond any number", id="less than is counted"),
        pytest.param(f"a: {'1' * 5000}", 1, "digits", id="thousands of digits"),
        pytest.param("a:\n\tb: 1", 2, "not YAML", id="a tab"),
        pytest.param("a: [1, 2", 1, "not YAML", id="an unclosed list"),
        pytest.param("a: 'x", 1, "not YAML", id="an unclosed quote"),
        pytest.param("a: b\n\x07: 1", 2, "control character", id="a control character"),
        pytest.param("é: ü\nb: \x07", 2, "control character", id="a control character after others than ASCII"),
        pytest.param("a: \ud800", 1, "surrogate", id="half a surrogate pair"),
        pytest.param("a: {<<: 5}", 1, "needs a mapping", id="a merge of no mapping"),
        pytest.param("\n\na: ${MISSING}", 3, "MISSING is not set", id="a missing variable in a text"),
        pytest.param("a: {env: MISSING}", 1, "MISSING is not set", id="a missing variable by name"),
        pytest.param("a: ${a b}", 1, "names no environment variable", id="a reference that is none"),
        pytest.param("a: ${A:-b}", 1, "names no environment variable", id="a shell default"),
        pytest.param("a: ${A", 1, "names no environment variable", id="an unclosed reference"),
    ],
)
def test_what_a_text_may_not_do_is_one_problem_at_its_line(text: str, line: int, said: str) -> None:
    (problem,) = problems_of(text)
    assert (problem.file, problem.line) == ("f.yaml", line)
    assert said in problem.message


def test_many_mistakes_are_all_told() -> None:
    problems = problems_of("a: !x 1\nb: ${A}\nc: 1\nc: 2\nd: {e: [1, .inf]}\n")
    assert [(p.path, p.line) for p in problems] == [("a", 1), ("b", 2), ("c", 4), ("d.e[1]", 5)]


@pytest.mark.parametrize("opener", ["[", "- ", "{a: ", "[{a: "])
def test_deep_nesting_is_refused_at_once(opener: str) -> None:
    started = perf_counter()
    (problem,) = problems_of(opener * 100_000)
    assert f"{MAX_DEPTH} levels" in problem.message
    assert perf_counter() - started < 5


def test_aliases_that_multiply_are_refused_at_once() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
    (problem,) = problems_of(f"l0: &l0 [{', '.join('x' * 10)}]\n{levels}")
    assert "aliases counted as often as they are used" in problem.message


def test_anchors_share_and_merge_keys_lay_under() -> None:
    text = "base: &base {x: 1, y: 2}\nown: {<<: *base, y: 3}\nboth: {<<: [*base, {x: 9, z: 4}]}\nagain: *base\n"
    assert value_of(text) == {
        "base": {"x": 1, "y": 2},
        "own": {"x": 1, "y": 3},
        "both": {"x": 1, "y": 2, "z": 4},
        "again": {"x": 1, "y": 2},
    }


def test_the_environment_is_read_in_texts_and_by_name() -> None:
    value = value_of("a: x${A}y${B}\nb: {env: A}\nc: $${A}\nd: $5 and {A}\n", {"A": "1", "B": "${A}"})
    assert value == {"a": "x1y${A}", "b": "1", "c": "${A}", "d": "$5 and {A}"}
    assert isinstance(value, dict)
    assert isinstance(value["b"], FromEnv)
    assert (value["a"].written, value["b"].written) == ("x${A}y${B}", "${A}")


def test_what_is_no_variable_name_stays_a_mapping() -> None:
    assert value_of("a: {env: prod-1}\nb: {env: X, c: 1}\nd: {env: [X]}\n") == {
        "a": {"env": "prod-1"},
        "b": {"env": "X", "c": 1},
        "d": {"env": ["X"]},
    }


def test_a_missing_variable_leaves_a_mark() -> None:
    problems: list[Problem] = []
    value = parse("a: ${A}", file="f", env={}, problems=problems)
    assert isinstance(value, dict)
    assert isinstance(value["a"], Unset)


def test_an_empty_text_is_nothing() -> None:
    assert value_of("") is None
    assert value_of("# only a comment\n") is None


def test_marks_find_the_place_of_every_entry() -> None:
    text = "models:\n  gpt-4.1:\n    price: {input: 1,\n      output: 2}\n  m:\n    - a\n    -\n      b: 1\n"
    marks = Marks()
    tree = parse(text, file="f", env={}, problems=[], marks=marks)
    places = {path: marks.find(tree, path) for path in ("models.gpt-4.1.price.output", "models.m[0]", "models.m[1].b")}
    assert places == {
        "models.gpt-4.1.price.output": Mark("f", 4, 7),
        "models.m[0]": Mark("f", 6, 7),
        "models.m[1].b": Mark("f", 8, 7),
    }


def test_what_is_not_written_is_placed_at_what_holds_it() -> None:
    marks = Marks()
    tree = parse("a:\n  b: {c: 1}\n", file="f", env={}, problems=[], marks=marks)
    assert marks.find(tree, "a.b.missing") == Mark("f", 2, 3)
    assert marks.find(tree, "nowhere") is None


def test_merged_entries_keep_their_places() -> None:
    marks = Marks()
    tree = parse("a: &a\n  x: 1\nb:\n  <<: *a\n  y: 2\n", file="f", env={}, problems=[], marks=marks)
    assert marks.find(tree, "b.x") == Mark("f", 2, 3)
    assert marks.find(tree, "b.y") == Mark("f", 5, 3)


def test_without_the_c_parser_the_pure_one_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: {b: [1, 2.50, no, {env: X}]}\nc: &c ${X}\nd: *c\n"
    with_c = value_of(text, {"X": "1"})
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert value_of(text, {"X": "1"}) == with_c
    assert [(p.line, p.column) for p in problems_of("a: 1\nb: [")] == [(3, 1)] or problems_of("a: 1\nb: [")
    assert "control character" in problems_of("a: \x07")[0].message
