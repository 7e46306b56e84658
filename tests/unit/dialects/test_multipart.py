"""Uploads: read as they stand, written as they came, refused where two parsers could disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.multipart import count, fields_of, read_form
from polyroute.errors import InvalidRequest

KIND = "multipart/form-data; boundary=xyz"


def part(head: str, content: bytes = b"v") -> bytes:
    return b"--xyz\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


@given(st.lists(st.binary(max_size=60).filter(lambda data: b"\r\n--xyz" not in b"\r\n" + data), max_size=5))
def test_what_was_read_is_written_as_it_came(contents: list[bytes]) -> None:
    raw = body(*(part(f'name="f{at}"; filename="a"', content) for at, content in enumerate(contents)))
    form = read_form(raw, KIND)
    assert [one.content for one in form.parts] == contents
    assert form.encode(form.parts) == raw


@pytest.mark.parametrize(
    ("head", "name", "filename"),
    [
        ('name="file"; filename="a b.wav"', "file", "a b.wav"),
        ("name=file; filename=a.wav", "file", "a.wav"),
        ('name="a\\"b"', 'a"b', None),
        ('filename="x;y=z"; name="file"', "file", "x;y=z"),
        ("name=\"file\"; filename*=UTF-8''%e2%82%ac.wav", "file", "UTF-8''%e2%82%ac.wav"),
        ('name="é"', "é", None),
    ],
)
def test_a_part_is_named_as_its_header_says(head: str, name: str, filename: str | None) -> None:
    (one,) = read_form(body(part(head)), KIND).parts
    assert (one.name, one.filename) == (name, filename)


def test_fields_are_texts_and_lists_where_their_name_says_so() -> None:
    form = read_form(body(part('name="a"', "é".encode()), part('name="b[]"', b"1"), part('name="b[]"', b"2")), KIND)
    assert fields_of(form) == {"a": "é", "b[]": ["1", "2"]}


@pytest.mark.parametrize(
    "kind", [KIND.replace("xyz", '"xyz"'), KIND + "; charset=utf-8", KIND.upper().replace("XYZ", "xyz")]
)
def test_the_boundary_is_found_however_it_is_written(kind: str) -> None:
    assert read_form(body(part('name="a"')), kind).parts[0].name == "a"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (part('name="a"'), "the closing boundary is missing"),
        (b"--xyz\r\nno end of headers", "no end of its headers"),
        (b"hello" + body(part('name="a"')), "does not begin"),
        (body(part('name="a"')) + b"more", "follows its closing boundary"),
        (body(b"--xyzz\r\n\r\n\r\n"), "followed by neither"),
        (body(part('title="a"')), "names no field"),
        (body(part('name="a"; name="b"')), "stands twice"),
        (body(*(part(f'name="f{at}"') for at in range(200))), "more than 100 parts"),
        (body(b"--xyz\r\n" + b"x" * 9_000 + b"\r\n\r\nv\r\n"), "no end of its headers"),
    ],
)
def test_what_is_ambiguous_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        read_form(raw, KIND)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (body(part('name="a"'), part('name="a"')), "a"),
        (body(part('name="a"', b"\xff")), "a"),
        (body(part('name="a"', b"x" * 300_000)), "a"),
        (body(part('name="a"\r\nContent-Transfer-Encoding: base64')), "a"),
    ],
)
def test_an_error_names_the_field(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fields_of(read_form(raw, KIND))
    assert caught.value.field == field


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_form(raw, KIND)


@pytest.mark.parametrize("given", ["11", "100000000000"])
def test_a_count_that_is_too_high_is_told_how_high_it_may_be(given: str) -> None:
    with pytest.raises(InvalidRequest, match="`n` must be at most 10"):
        count(given, "n", 1, 10)
