"""Content blocks to parts."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from polyroute.dialects.bedrock_converse.read_content import read_parts
from polyroute.dialects.bedrock_converse.write_content import write_parts
from polyroute.errors import InvalidRequest
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    Image,
    Inline,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

VIDEO: dict[str, Any] = {"video": {"format": "mp4", "source": {"bytes": "aGk="}}}
PNG = {"format": "png", "source": {"bytes": "aGk="}}


def read(*blocks: Any) -> tuple[Part, ...]:
    return read_parts(list(blocks), "content", [])


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "hi"}, Text(text="hi")),
        ({"image": PNG}, Image(media=Inline(media_type="image/png", data="aGk="))),
        (
            {"document": {"format": "pdf", "name": "a", "source": {"bytes": "aGk="}, "citations": {"enabled": True}}},
            Document(media=Inline(media_type="application/pdf", data="aGk="), title="a", wants_citations=True),
        ),
        ({"audio": {"format": "wav", "source": {"bytes": "aGk="}}}, Audio(data="aGk=", format="wav")),
        (
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
            Thinking(text="hm", signature="s"),
        ),
        ({"reasoningContent": {"redactedContent": "xx"}}, Thinking(text="", redacted="xx")),
        (
            {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
            ToolCall(id="t1", name="f", arguments='{"a":1}'),
        ),
        (
            {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}, {"image": PNG}], "status": "error"}},
            ToolResult(
                call_id="t1",
                parts=(Text(text="x"), Image(media=Inline(media_type="image/png", data="aGk="))),
                is_error=True,
            ),
        ),
        (VIDEO, Opaque(dialect="bedrock_converse", kind="video", raw=VIDEO)),
        ({"brandNew": {"a": 1}}, Opaque(dialect="bedrock_converse", kind="brandNew", raw={"brandNew": {"a": 1}})),
    ],
)  # fmt: skip
def test_a_block_is_read_and_written_again(block: dict[str, Any], part: Part) -> None:
    assert read(block) == (part,)
    assert orjson.loads(orjson.dumps(write_parts((part,)))) == [block]


def test_json_in_a_result_is_text() -> None:
    (result,) = read({"toolResult": {"toolUseId": "t", "content": [{"json": {"a": [1]}}]}})
    assert result == ToolResult(call_id="t", parts=(Text(text='{"a":[1]}'),))


def test_a_document_may_be_plain_text() -> None:
    (document,) = read({"document": {"name": "n", "source": {"text": "héllo"}}})
    data = b64encode("héllo".encode()).decode()
    assert document == Document(media=Inline(media_type="text/plain", data=data), title="n")


def test_a_cache_point_marks_what_stands_before_it() -> None:
    unmarked: list[str] = []
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    parts = read_parts([point, {"text": "a"}, point], "content", unmarked)
    assert parts == (Text(text="a", cache=CacheMark(ttl="1h")),)
    assert unmarked == ["cachePoint"]


def test_cited_text_is_text_with_citations() -> None:
    location = {"location": {"web": {"url": "https://x.example"}}}
    (part,) = read({"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [location]}})
    assert isinstance(part, Text)
    assert part.text == "ab"
    assert part.citations[0]["url"] == "https://x.example"


def test_a_server_tools_own_traffic_stays_as_it_is() -> None:
    call = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t", "content": [], "type": "nova_grounding_result"}}
    assert [type(part) for part in read(call, result)] == [Opaque, Opaque]


@pytest.mark.parametrize(
    ("block", "field"),
    [
        (5, "content[0]"),
        ({}, "content[0]"),
        ({"text": 5}, "content[0].text"),
        ({"image": {"format": "png"}}, "content[0].image.source"),
        ({"image": {"format": 5, "source": {"bytes": "x"}}}, "content[0].image.format"),
        ({"image": {"format": "png", "source": {"bytes": 5}}}, "content[0].image.source.bytes"),
        ({"image": {"format": "png", "source": {"s3Location": {}}}}, "content[0].image.source.s3Location.uri"),
        ({"video": {"format": "mp4", "source": {"s3Location": {}}}}, "content[0].video.source.s3Location.uri"),
        (
            {"video": {"format": "mp4", "source": {"s3Location": {"uri": "http://10.0.0.1/x"}}}},
            "content[0].video.source.s3Location.uri",
        ),
        ({"document": {"format": "exe", "source": {"bytes": "x"}}}, "content[0].document.format"),
        ({"toolUse": {"name": "f"}}, "content[0].toolUse.toolUseId"),
        ({"toolResult": {"toolUseId": "t", "content": [{"toolUse": {"toolUseId": "a", "name": "b"}}]}},
         "content[0].toolResult.content[0]"),
        ({"toolResult": {"toolUseId": "t", "status": "odd"}}, "content[0].toolResult.status"),
        ({"cachePoint": {"type": "odd"}}, "content[0].cachePoint.type"),
        ({"reasoningContent": {}}, "content[0].reasoningContent.reasoningText"),
        ({"citationsContent": {"citations": [5]}}, "content[0].citationsContent.citations[0]"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_refused_by_its_place(block: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(block)
    assert caught.value.field == field
