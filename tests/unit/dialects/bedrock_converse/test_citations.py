"""Citations in both vocabularies."""

from typing import Any

import pytest

from polyroute.dialects.bedrock_converse.citations import read_citation, write_citation

PAGE: dict[str, Any] = {
    "title": "sample",
    "sourceContent": [{"text": "cited"}],
    "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
}


def test_a_page_is_cited_in_anthropics_words() -> None:
    assert read_citation(PAGE) == {
        "type": "page_location",
        "cited_text": "cited",
        "document_title": "sample",
        "document_index": 0,
        "start_page_number": 1,
        "end_page_number": 2,
    }


@pytest.mark.parametrize(
    "citation",
    [
        PAGE,
        {"title": "t", "location": {"documentChar": {"documentIndex": 1, "start": 3, "end": 9}}},
        {"title": "t", "location": {"documentChunk": {"documentIndex": 1, "start": 3, "end": 9}}},
        {
            "title": "t",
            "source": "https://x.example",
            "location": {"searchResultLocation": {"searchResultIndex": 1, "start": 3, "end": 9}},
        },
        {"title": "t", "location": {"web": {"url": "https://x.example"}}},
        {"location": {"newKind": {"a": 1}}, "title": "t"},
    ],
)
def test_what_is_read_is_written(citation: dict[str, Any]) -> None:
    assert write_citation(read_citation(citation)) == citation


def test_an_address_that_openai_cites() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "X", "start_index": 0}}
    assert write_citation(cited) == {"title": "X", "location": {"web": {"url": "https://x.example"}}}


def test_garbage_says_what_it_can() -> None:
    assert read_citation({"location": 5}) == {"location": 5}
    assert write_citation({"anything": 1}) == {}
