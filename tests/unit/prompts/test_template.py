import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.prompts.template import parse_template

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text().filter(lambda text: "{{" not in text and not text.endswith(("{", "\\")) and not text.startswith("{"))


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hello {{name}}!", {"name": "Ann"}, "Hello Ann!"),
        ("{{ a }}{{b}}{{ a}}", {"a": "1", "b": "2"}, "121"),
        (r"literal \{{a}} and {{a}}", {"a": "1"}, "literal {{a}} and 1"),
        ("json {\"a\": {\"b\": 1}}", {}, "json {\"a\": {\"b\": 1}}"),
        ("", {}, ""),
        ("{{a}}", {"a": "{{a}} {{b}}"}, "{{a}} {{b}}"),
    ],
)  # fmt: skip
def test_rendering(text: str, values: dict[str, str], expected: str) -> None:
    assert parse_template(text).render(values) == expected


@pytest.mark.parametrize("text", ["{{", "{{}}", "{{a b}}", "{{a", "{{#if a}}x{{/if}}", "{{a.b}}", "{{1a}}", "{{{a}}}"])
def test_what_opens_no_variable_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="opens no variable"):
        parse_template(text)


@given(st.lists(st.tuples(PLAIN, NAMES)), PLAIN, st.text())
def test_every_value_stands_where_its_name_stood(pieces: list[tuple[str, str]], tail: str, value: str) -> None:
    text = "".join(f"{plain}{{{{{name}}}}}" for plain, name in pieces) + tail
    rendered = parse_template(text).render({name: value for _, name in pieces})
    assert rendered == "".join(f"{plain}{value}" for plain, _ in pieces) + tail
