from typing import Any

import orjson
import pytest

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.types.content import Image, Inline, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import Choice, Response, StopReason, TokenLogprob, Usage

DIALECT = OpenAIResponses()
SEALED: dict[str, object] = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
          "encrypted_content": "sealed"}  # fmt: skip


def written(*parts: Part, stop: StopReason = StopReason.END, asked: dict[str, Any] | None = None, **more: Any) -> Any:
    choice = Choice(parts=parts, stop=stop, **more)
    usage = Usage(input_tokens=3, output_tokens=2)
    response = Response(id="chatcmpl-1", model="up", choices=(choice,), usage=usage, created_s=7)
    request = DIALECT.parse_request({"model": "m", "input": "x", **(asked or {})}, {})
    return orjson.loads(DIALECT.render_response(response, request))


def test_every_part_is_an_item_of_its_kind() -> None:
    picture = Image(media=Inline(media_type="image/png", data="AAAA"))
    call = ToolCall(id="c1", name="f", arguments="{}")
    body = written(Thinking(text="Hm."), Text(text="Hi."), Text(text="!"), Refusal(text="No."), call, picture)
    assert [item["type"] for item in body["output"]] == [
        "reasoning", "message", "function_call", "image_generation_call",
    ]  # fmt: skip
    assert [item["id"] for item in body["output"]] == [
        "rs_polyroute_0_chatcmpl_1",
        "msg_polyroute_1_chatcmpl_1",
        "fc_polyroute_2_chatcmpl_1",
        "ig_polyroute_3_chatcmpl_1",
    ]
    assert body["id"] == "resp_polyroute_chatcmpl_1"
    assert [part["type"] for part in body["output"][1]["content"]] == ["output_text", "output_text", "refusal"]
    assert body["output"][2]["call_id"] == "c1"
    assert (body["output"][3]["result"], body["output"][3]["output_format"]) == ("AAAA", "png")


def test_settings_are_echoed_and_nothing_is_said_to_be_stored() -> None:
    asked = {"temperature": 0.5, "instructions": "Be brief.", "store": True, "reasoning": {"effort": "low"},
             "tools": [{"type": "function", "name": "f"}], "metadata": {"a": "b"}}  # fmt: skip
    body = written(Text(text="Hi."), asked=asked)
    assert {name: body[name] for name in asked} == {
        **asked, "store": False, "reasoning": {"effort": "low", "summary": None},
    }  # fmt: skip
    assert (body["top_p"], body["tool_choice"], body["text"]) == (1.0, "auto", {"format": {"type": "text"}})
    assert (body["created_at"], body["model"], body["object"], body["status"]) == (7, "up", "response", "completed")
    assert body["previous_response_id"] is None


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        (StopReason.TOOL_CALLS, "completed", None),
        (StopReason.MAX_TOKENS, "incomplete", {"reason": "max_output_tokens"}),
        (StopReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_stop_is_a_status(stop: StopReason, status: str, reason: object) -> None:
    body = written(Text(text="Hi."), stop=stop)
    assert (body["status"], body["incomplete_details"], body["output"][0]["status"]) == (status, reason, status)


def test_sealed_reasoning_of_its_own_is_told_as_it_came_and_once() -> None:
    sealed = Opaque(dialect="openai_responses", kind="reasoning", raw=SEALED)
    body = written(sealed, Thinking(text="Hm."), Text(text="Hi."))
    assert body["output"][0] == SEALED
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]


def test_signatures_of_others_and_their_items_are_never_told() -> None:
    foreign = Opaque(dialect="anthropic_messages", kind="server_tool_use", raw={"type": "server_tool_use"})
    body = written(Thinking(text="", redacted="sealed"), Thinking(text="Hm.", signature="signed"), foreign)
    assert "sealed" not in str(body["output"])
    assert "signed" not in str(body["output"])
    assert [item["type"] for item in body["output"]] == ["reasoning"]


@pytest.mark.parametrize(
    ("citation", "note"),
    [
        ({"type": "web_search_result_location", "url": "https://x.example", "title": "X"},
         {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 3}),
        ({"type": "url_citation", "url_citation": {"url": "https://x.example", "start_index": 1, "end_index": 2}},
         {"type": "url_citation", "url": "https://x.example", "title": "", "start_index": 1, "end_index": 2}),
        ({"type": "char_location", "document_index": 0}, {"type": "char_location", "document_index": 0}),
    ],
)  # fmt: skip
def test_a_citation_is_an_annotation(citation: dict[str, object], note: dict[str, object]) -> None:
    assert written(Text(text="Hi.", citations=(citation,)))["output"][0]["content"][0]["annotations"] == [note]


def test_logprobs_stand_with_the_first_text() -> None:
    body = written(Text(text="Hi"), logprobs=(TokenLogprob(token="Hi", logprob=-0.5),))
    assert body["output"][0]["content"][0]["logprobs"][0]["token"] == "Hi"
    again = DIALECT.parse_response(orjson.dumps(body))
    assert again.choices[0].logprobs is not None
    assert again.choices[0].logprobs[0].logprob == -0.5
