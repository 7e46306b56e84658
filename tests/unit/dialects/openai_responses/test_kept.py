"""Answers that a provider keeps: their ids, how they are asked for, what they took."""

from typing import Any

import orjson
import pytest

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.errors import InvalidRequest
from polyroute.ports import Recall
from polyroute.types.request import Reference
from polyroute.types.response import Usage

DIALECT = OpenAIResponses()
USAGE = {"input_tokens": 3, "output_tokens": 2}


def answer(**more: Any) -> bytes:
    items = [{"type": "reasoning", "id": "rs_1"}, {"type": "message", "id": "msg_1", "content": []}, {"type": "odd"}]
    return orjson.dumps({"id": "resp_1", "status": "completed", "output": items, "usage": USAGE, **more})


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param(answer(), ("resp_1", "rs_1", "msg_1"), id="an answer and its items"),
        pytest.param(answer(output=[{"id": "ci_1", "container_id": "c"}, {"id": "ci_2", "container_id": "c"}]),
                     ("resp_1", "ci_1", "ci_2", "c"), id="the container its tools ran in"),
        pytest.param(answer(store=True), ("resp_1", "rs_1", "msg_1"), id="one that says so"),
        pytest.param(answer(store=False), (), id="one that is not kept"),
        pytest.param(answer(id=None), (), id="one without an id"),
        pytest.param(answer(id=7), (), id="one whose id is none"),
        pytest.param(answer(id="../x"), (), id="one whose id is a path"),
        pytest.param(answer(id="x" * 300), (), id="one whose id is too long"),
        pytest.param(answer(output=[{"type": "message", "id": {"a": 1}}]), ("resp_1",), id="an item whose id is none"),
    ],
)  # fmt: skip
def test_an_answer_is_kept_under_its_ids(body: bytes, kept: tuple[str, ...]) -> None:
    assert DIALECT.skim_response(body).kept == kept


@pytest.mark.parametrize(
    ("act", "query", "recall"),
    [
        ("read", (), Recall(method="GET", path="/responses/resp_1")),
        ("delete", (), Recall(method="DELETE", path="/responses/resp_1")),
        ("cancel", (), Recall(method="POST", path="/responses/resp_1/cancel")),
        (
            "input",
            (("limit", "5"), ("after", "a&b=c")),
            Recall(method="GET", path="/responses/resp_1/input_items", query="limit=5&after=a%26b%3Dc"),
        ),
        (
            "read",
            (("stream", "true"), ("starting_after", "7")),
            Recall(method="GET", path="/responses/resp_1", query="stream=true&starting_after=7", streams=True),
        ),
        (
            "read",
            (("include[]", "a"), ("include[]", "b")),
            Recall(method="GET", path="/responses/resp_1", query="include[]=a&include[]=b"),
        ),
    ],
)
def test_an_answer_is_asked_for_below_its_own_path(act: str, query: Any, recall: Recall) -> None:
    assert DIALECT.recall("resp_1", act, query) == recall


def test_an_id_cannot_leave_its_segment_of_the_path() -> None:
    assert DIALECT.recall("a/../b?c#d", "read", ()).path == "/responses/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize("query", [("api_key", "x"), ("limit", "9" * 300), ("stream", "true")])
def test_a_query_that_is_not_known_goes_nowhere(query: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest) as told:
        DIALECT.recall("resp_1", "input", (query,))
    assert told.value.field == query[0]


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (answer(), Usage(input_tokens=3, output_tokens=2)),
        (answer(status="incomplete"), Usage(input_tokens=3, output_tokens=2)),
        (answer(status="failed"), Usage(input_tokens=3, output_tokens=2)),
        (answer(status="in_progress"), None),
        (answer(status="queued"), None),
        (answer(usage=None), None),
        (answer(usage={"input_tokens": -1, "output_tokens": 2}), None),
        (b"<html>", None),
    ],
)
def test_what_an_answer_took_is_known_once_it_has_ended_and_says_so(body: bytes, usage: Usage | None) -> None:
    assert DIALECT.final_usage(body) == usage


def test_a_request_says_what_it_refers_to_and_where() -> None:
    items = [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_1"}]
    body: dict[str, object] = {
        "model": "m", "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}, "input": items,
        "background": True,
    }  # fmt: skip
    request = DIALECT.parse_request(body, {})
    assert request.refers == (
        Reference(id="resp_1", field="previous_response_id"),
        Reference(id="conv_1", field="conversation.id"),
        Reference(id="msg_1", field="input[1].id"),
    )
    assert request.background
    assert DIALECT.parse_request({"model": "m", "input": "x"}, {}).refers == ()
