import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.anthropic_messages.read_content import read_block
from polyroute.dialects.anthropic_messages.write_content import (
    call_id,
    write_citation,
    write_part,
    write_parts,
)
from polyroute.types.content import (
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
marks = st.none() | st.builds(CacheMark, ttl=st.sampled_from([None, "5m", "1h"]))
json_objects = st.dictionaries(texts.filter(lambda key: key != "INVALID_JSON"), st.integers(-(2**53), 2**53) | texts)
media = (
    st.builds(Inline, media_type=st.just("image/png"), data=st.just("QUJD"))
    | st.builds(Link, url=st.just("https://example.com/a"))
    | st.builds(FileRef, file_id=texts)
)
images = st.builds(Image, media=media, detail=st.none(), cache=marks)
plain = st.builds(Text, text=texts, cache=marks)
documents = st.builds(
    Document,
    media=st.builds(Inline, media_type=st.just("application/pdf"), data=st.just("QUJD"))
    | st.builds(Inline, media_type=st.just("text/plain"), data=st.sampled_from(["QUJD", "w6Q="])),
    title=st.none() | texts,
    context=st.none() | texts,
    wants_citations=st.booleans(),
    cache=marks,
)
parts = (
    plain
    | images
    | documents
    | st.builds(Thinking, text=texts, signature=texts, redacted=st.none())
    | st.builds(Thinking, text=st.just(""), signature=st.none(), redacted=texts)
    | st.builds(
        ToolCall,
        id=st.from_regex(r"[a-zA-Z0-9_-]+", fullmatch=True),
        name=texts,
        arguments=json_objects.map(lambda given: orjson.dumps(given).decode()),
        cache=marks,
    )
    | st.builds(
        ToolResult,
        call_id=st.from_regex(r"[a-zA-Z0-9_-]+", fullmatch=True),
        parts=st.lists(plain | images | documents, max_size=3).map(tuple),
        is_error=st.booleans(),
        cache=marks,
    )
)


@given(parts)
def test_reading_what_was_written_gives_the_same_part(part: Part) -> None:
    assert read_block(orjson.loads(orjson.dumps(write_part(part))), "at") == part


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Text(text=""), None),
        (Refusal(text="I will not"), {"type": "text", "text": "I will not"}),
        (Thinking(text="hm"), {"type": "thinking", "thinking": "hm", "signature": ""}),
        (Opaque(dialect="openai_chat", kind="x", raw={"type": "x"}), None),
        (Opaque(dialect="anthropic_messages", kind="x", raw={"type": "x"}), {"type": "x"}),
        (
            Image(media=Inline(media_type="image/jpg", data="A")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "A"}},
        ),
        (
            Text(text="a", citations=({"type": "url_citation", "url_citation": {"url": "https://a", "title": "t"}},)),
            {
                "type": "text",
                "text": "a",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://a",
                        "title": "t",
                        "cited_text": "",
                        "encrypted_index": "",
                    }
                ],
            },
        ),
    ],
)
def test_write_part(part: Part, block: object) -> None:
    assert write_part(part) == block


def test_arguments_that_were_wrapped_are_unwrapped() -> None:
    block = write_part(ToolCall(id="a", name="f", arguments="[1]"))
    assert read_block(orjson.loads(orjson.dumps(block)), "at") == ToolCall(id="a", name="f", arguments="[1]")


@given(st.text())
def test_a_call_id_is_one_that_anthropic_takes_and_always_the_same(given_id: str) -> None:
    written = call_id(given_id)
    assert written
    assert written.isascii()
    assert written.replace("_", "").replace("-", "").isalnum() or set(written) <= {"_", "-"}
    assert call_id(given_id) == written
    assert call_id(written) == written


@pytest.mark.parametrize("known", ["toolu_01A", "call_vnl-9", "a", "_"])
def test_a_good_call_id_is_kept(known: str) -> None:
    assert call_id(known) == known


def test_citations_that_come_after_their_text_join_it() -> None:
    cited: dict[str, object] = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": None,
        "cited_text": "",
    }
    assert write_parts((Text(text="It is."), Text(text="", citations=(cited,)))) == [
        {"type": "text", "text": "It is.", "citations": [{**cited, "encrypted_index": ""}]}
    ]


def test_an_address_cited_by_the_responses_api_is_a_search_result() -> None:
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    assert write_citation(cited)["type"] == "web_search_result_location"
