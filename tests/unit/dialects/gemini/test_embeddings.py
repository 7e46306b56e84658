from typing import Any

import orjson
import pytest
from tests.conformance.test_gemini_corpus import CORPUS, Case, cases

from polyroute.dialects.gemini import GeminiEmbeddings
from polyroute.dialects.openai_embeddings import OpenAIEmbeddings
from polyroute.errors import InvalidRequest, MalformedReply, Overloaded
from polyroute.testing.providers import a_deployment

DIALECT, OPENAI = GeminiEmbeddings(), OpenAIEmbeddings()
TARGET = a_deployment("gemini-embedding-001")


def content(said: str) -> dict[str, Any]:
    return {"content": {"parts": [{"text": said}]}}


@pytest.mark.skipif(not CORPUS.exists(), reason="the conformance corpus is not beside this checkout")
@pytest.mark.parametrize("case", cases(api="gemini.batchEmbedContents"))
def test_a_recorded_batch_passes_both_ways_and_reaches_openais_door(case: Case) -> None:
    request = DIALECT.parse_request({**case["request_body"], "model": "m"}, {})
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    asked = [{**item, "model": "models/gemini-embedding-001"} for item in case["request_body"]["requests"]]
    assert sent.path == "/models/gemini-embedding-001:batchEmbedContents"
    assert orjson.loads(sent.body) == {"requests": asked}

    body = orjson.dumps(case["response_body"])
    response = DIALECT.parse_response(body)
    assert orjson.loads(DIALECT.render_response(response, request))["embeddings"] == case["response_body"]["embeddings"]
    told = orjson.loads(OPENAI.render_response(response, OPENAI.parse_request({"model": "m", "input": "q"}, {})))
    vectors = [item["values"] for item in case["response_body"]["embeddings"]]
    assert [item["embedding"] for item in told["data"]] == vectors
    assert DIALECT.skim_response(body).wire is body


def test_openais_inputs_go_out_as_a_batch() -> None:
    request = OPENAI.parse_request({"model": "m", "input": ["a", "b"], "dimensions": 64, "user": "u"}, {})
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert orjson.loads(sent.body)["requests"] == [
        {"model": "models/gemini-embedding-001", **content(said), "outputDimensionality": 64} for said in "ab"
    ]
    assert sent.dropped == ("user",)


def test_one_input_is_asked_and_answered_alone() -> None:
    body = {"model": "m", "stream": False, **content("a"), "taskType": "RETRIEVAL_QUERY", "output_dimensionality": 8}
    request = DIALECT.parse_request(body, {})
    assert request.dimensions == 8
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert sent.path.endswith(":embedContent")
    assert orjson.loads(sent.body) == {name: value for name, value in body.items() if name not in ("model", "stream")}
    response = DIALECT.parse_response(b'{"embedding": {"values": [1, 0.5]}}')
    assert orjson.loads(DIALECT.render_response(response, request)) == {"embedding": {"values": [1, 0.5]}}
    [sent_on] = orjson.loads(OPENAI.render_request(request, TARGET, max_output_tokens=None).body)["input"]
    assert sent_on == "a"


def test_token_numbers_and_long_batches_are_refused() -> None:
    assert DIALECT.obstacles(OPENAI.parse_request({"model": "m", "input": [1, 2]}, {}))
    assert DIALECT.obstacles(OPENAI.parse_request({"model": "m", "input": ["a"] * 101}, {}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({**content("a"), "outputDimensionality": 0}, "outputDimensionality"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.parse_request({"model": "m", **body}, {})
    assert caught.value.field == field


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"embeddings": []}', b'{"embedding": {"values": ["x"]}}'])
def test_what_holds_no_vectors_is_malformed(answer: bytes) -> None:
    with pytest.raises(MalformedReply):
        DIALECT.parse_response(answer)


def test_an_error_inside_a_200_is_one() -> None:
    with pytest.raises(Overloaded):
        DIALECT.skim_response(b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}')
