"""What a reranking costs beforehand, and what three companies' answers say of it."""

import pytest

from polyroute.dialects.rerank import Rerank
from polyroute.types.response import Units, Usage

DIALECT = Rerank()


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param(["a"], Units(searches=1), id="one"),
        pytest.param(["a"] * 100, Units(searches=1), id="a hundred are one search"),
        pytest.param(["a"] * 101, Units(searches=2), id="one more is another"),
        pytest.param(["a" * 501] * 51, Units(searches=2, estimated=True), id="long ones count for each 500 tokens"),
    ],
)
def test_searches(documents: list[str], expected: Units) -> None:
    assert DIALECT.parse_request({"model": "r", "query": "q", "documents": documents}, {}).units == expected


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        pytest.param(
            b'{"results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}',
            Usage(units=Units(searches=1)),
            id="Cohere",
        ),
        pytest.param(
            b'{"model":"j","usage":{"total_tokens":38},"results":[{"index":0,"document":{"text":"a"},"relevance_score":1}]}',
            Usage(input_tokens=38),
            id="Jina",
        ),
        pytest.param(
            b'{"object":"list","data":[{"relevance_score":0.4,"index":1}],"usage":{"total_tokens":26}}',
            Usage(input_tokens=26),
            id="Voyage",
        ),
        pytest.param(b'{"results":[{"index":0,"relevance_score":0.5}]}', None, id="nothing said"),
    ],
)
def test_usage(body: bytes, usage: Usage | None) -> None:
    assert DIALECT.parse_response(body).usage == usage
