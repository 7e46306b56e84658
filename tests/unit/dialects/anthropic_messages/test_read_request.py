from typing import Any

import pytest

from polyroute.dialects.anthropic_messages.read_request import parse_request
from polyroute.errors import InvalidRequest
from polyroute.types.content import (
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}

BASE: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}


def parse(**changes: object) -> Request:
    return parse_request({**BASE, **changes}, {})


def parse_blocks(*blocks: object, role: str = "user") -> tuple[Message, ...]:
    return parse(messages=[{"role": role, "content": list(blocks)}]).messages


def test_a_plain_request_is_read_whole() -> None:
    request = parse(system="be brief", temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["END"], stream=True)

    assert request.messages == (
        Message(role="system", parts=(Text(text="be brief"),)),
        Message(role="user", parts=(Text(text="hi"),)),
    )
    assert (request.model, request.max_output_tokens, request.stream) == ("m", 10, True)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (0.5, 0.9, 3, ("END",))
    assert request.wire is not None
    assert request.wire.dialect == "anthropic_messages"


def test_null_is_absent() -> None:
    nulls = dict.fromkeys(
        ("system", "tools", "tool_choice", "thinking", "temperature", "stop_sequences", "metadata", "speed", "stream")
    )
    request = parse(**nulls)
    assert (request.tools, request.extensions, request.temperature, request.stream) == ((), {}, None, False)


def test_only_the_dialects_own_headers_are_kept() -> None:
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "x-api-key": "sk-secret", "cookie": "c"}
    request = parse_request(BASE, headers)
    assert request.wire is not None
    assert request.wire.headers == {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b"}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text(text="a", cache=CacheMark(ttl="1h")),
        ),
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, Text(text="a", cache=CacheMark())),
        ({"type": "text", "text": "a", "citations": None, "cache_control": None}, Text(text="a")),
        ({"type": "text", "text": "a", "citations": [{"type": "x"}]}, Text(text="a", citations=({"type": "x"},))),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            Image(media=Inline(media_type="image/png", data="QUJD")),
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b"}},
            Image(media=Link(url="https://a.example/b")),
        ),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, Image(media=FileRef(file_id="f"))),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "ABC"},
                "title": "t",
                "context": "c",
                "citations": {"enabled": True},
            },
            Document(media=Inline(media_type="text/plain", data="QUJD"), title="t", context="c", wants_citations=True),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, Thinking(text="hm", signature="s")),
        ({"type": "redacted_thinking", "data": "x"}, Thinking(text="", redacted="x")),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "ab"}] * 2}},
            Document(media=Inline(media_type="text/plain", data="YWIKYWI=")),
        ),
        (
            {
                "type": "search_result",
                "source": "s",
                "title": "t",
                "content": [{"type": "text", "text": "ab"}],
                "citations": {"enabled": True},
            },
            Document(media=Inline(media_type="text/plain", data="YWI="), title="t", context="s", wants_citations=True),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}},
            ToolCall(id="i", name="f", arguments='{"a":1}'),
        ),
    ],
)
def test_a_block_becomes_its_part(block: dict[str, object], part: object) -> None:
    assert parse_blocks(block, role="assistant")[0].parts == (part,)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {
            "type": "search_result",
            "source": "s",
            "title": "t",
            "content": [PNG],
        },
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [PNG],
            },
        },
        {"type": "yet_to_come", "x": 1},
    ],
)
def test_a_block_without_canonical_form_is_kept_whole(block: dict[str, object]) -> None:
    (part,) = parse_blocks(block)[0].parts
    assert part == Opaque(dialect="anthropic_messages", kind=str(block["type"]), raw=block)


def test_a_file_for_a_container_is_kept_whole_and_named() -> None:
    block: dict[str, object] = {"type": "container_upload", "file_id": "f"}
    (part,) = parse_blocks(block)[0].parts
    assert part == Opaque(dialect="anthropic_messages", kind="container_upload", raw=block, file="f")


def test_tool_results_become_messages_of_their_own() -> None:
    messages = parse_blocks(
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": [{"type": "text", "text": "no"}]},
        {"type": "text", "text": "go on"},
    )
    assert messages == (
        Message(
            role="tool",
            parts=(
                ToolResult(call_id="a", parts=(Text(text="1"),)),
                ToolResult(call_id="b", parts=(Text(text="no"),), is_error=True),
            ),
        ),
        Message(role="user", parts=(Text(text="go on"),)),
    )


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(mode="auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(mode="required"), False),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ToolChoice(mode="named", name="f"), True),
        ({"type": "none"}, ToolChoice(mode="none"), None),
    ],
)
def test_tool_choice(choice: dict[str, object], expected: ToolChoice, parallel: bool | None) -> None:
    request = parse(tool_choice=choice)
    assert (request.tool_choice, request.parallel_tool_calls) == (expected, parallel)


def test_tools_of_both_kinds_and_mcp_servers() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    server: dict[str, object] = {
        "type": "url",
        "url": "https://mcp.example.com",
        "name": "m",
        "authorization_token": "t",
    }
    own = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True}
    request = parse(tools=[own, search], mcp_servers=[server])
    assert request.tools == (
        Tool(name="f", description="d", parameters={"type": "object"}, strict=True),
        ProviderTool(dialect="anthropic_messages", kind="web_search_20250305", raw=search),
        ProviderTool(dialect="anthropic_messages", kind="mcp_server", raw=server),
    )
    assert request.extensions == {"tools.defer_loading": True}


@pytest.mark.parametrize(
    ("fields", "reasoning", "extensions"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Reasoning(budget_tokens=2000), {}),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False), {}),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            Reasoning(adaptive=True, effort="max"),
            {"thinking.display": "omitted"},
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(effort="low"), {}),
        (
            {"output_config": {"effort": "low"}, "thinking": {"type": "enabled", "budget_tokens": 2000}},
            Reasoning(budget_tokens=2000),
            {"output_config.effort": "low"},
        ),
        ({"output_config": {"task_budget": {"total": 9}}}, None, {"output_config.task_budget": {"total": 9}}),
    ],
)
def test_thinking_and_effort(fields: dict[str, object], reasoning: Reasoning, extensions: dict[str, object]) -> None:
    request = parse(**fields)
    assert (request.reasoning, request.extensions) == (reasoning, extensions)


@pytest.mark.parametrize("beta", [False, True])
def test_structured_output_by_both_names(beta: bool) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    request = parse(**({"output_format": wanted} if beta else {"output_config": {"format": wanted}}))
    assert request.output == OutputFormat(schema={"type": "object"}, strict=True)


def test_metadata_names_the_callers_user() -> None:
    request = parse(metadata={"user_id": "u", "class": "batch"})
    assert (request.end_user, request.metadata) == ("u", {"class": "batch"})


def test_unknown_fields_are_kept_by_name() -> None:
    assert parse(speed="fast", container="c").extensions == {"speed": "fast", "container": "c"}


def test_later_system_messages_keep_their_place() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    assert [message.role for message in parse(messages=turns).messages] == ["user", "system"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": 1}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "file:///a"}}]}
                ]
            },
            "messages[0].content[0].source.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [1]}]}]},
            "messages[0].content[0].content[0]",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "x"}}]}
                ]
            },
            "messages[0].content[0].cache_control.type",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}
                ]
            },
            "messages[0].content[0].input",
        ),
        ({"system": 3}, "system"),
        ({"system": [{"type": "text", "text": 3}]}, "system[0].text"),
        ({"temperature": 1.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"top_k": 0.5}, "top_k"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"user_id": 3}}, "metadata.user_id"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"mcp_servers": [1]}, "mcp_servers[0]"),
        ({"api_base": "http://evil"}, "api_base"),
        ({"extra_headers": {"authorization": "x"}}, "extra_headers"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**changes)
    assert refused.value.field == field
    assert field in refused.value.message
