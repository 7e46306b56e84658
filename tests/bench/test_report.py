"""How figures are kept in RESULTS.md."""

import pytest
from bench.report import Circumstances, Section, put_section, render, table


def test_a_section_that_is_new_is_appended() -> None:
    assert (
        put_section("# Results\n", "path", "new\n") == "# Results\n\n<!-- bench:path -->\nnew\n<!-- /bench:path -->\n"
    )


def test_a_section_that_stands_is_replaced_and_the_rest_is_kept() -> None:
    document = put_section(put_section("# Results\n", "path", "old"), "size", "kept") + "\nA note.\n"
    changed = put_section(document, "path", "new")
    assert changed == document.replace("old", "new")


def test_recording_twice_changes_nothing() -> None:
    once = put_section("", "path", "text")
    assert put_section(once, "path", "text") == once


def test_a_lost_end_marker_is_said_rather_than_guessed() -> None:
    with pytest.raises(ValueError, match=r"/bench:path.*missing"):
        put_section("<!-- bench:path -->\ntext\n", "path", "new")


def test_a_table_has_a_rule_below_its_head() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_a_section_says_date_commit_machine_and_n() -> None:
    section = Section(name="path", title="One request", n="3 rounds", text="…\n", figures={})
    under = Circumstances(machine="2 cores", software="Python", date="2026-01-31", commit="abc", load_average=0.25)
    text = render(section, under)
    assert all(word in text for word in ("## One request", "2026-01-31", "abc", "2 cores", "Python", "0.2", "3 rounds"))
