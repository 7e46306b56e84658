from typing import Any

import pytest

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.dialects.openai_responses.names import NAME, made_id
from polyroute.errors import InvalidRequest
from polyroute.types.content import (
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

DIALECT = OpenAIResponses()
PDF = "data:application/pdf;base64,JVBERg=="
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "done"}


def read(**body: Any) -> Request:
    return DIALECT.parse_request({"model": "m", "input": "x", **body}, {})


def turns(*items: Any) -> list[tuple[str, tuple[Any, ...]]]:
    return [(message.role, message.parts) for message in read(input=list(items)).messages]


def test_a_text_is_a_user_s_message_and_instructions_stand_before_it() -> None:
    assert read(instructions="Be brief.").messages == (
        Message(role="system", parts=(Text(text="Be brief."),)),
        Message(role="user", parts=(Text(text="x"),)),
    )


@pytest.mark.parametrize("kind", [{}, {"type": "message"}])
@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
def test_a_message_is_read_in_both_its_forms(kind: dict[str, str], role: str) -> None:
    part = "output_text" if role == "assistant" else "input_text"
    for content in ("hello", [{"type": part, "text": "hello"}]):
        assert turns({**kind, "role": role, "content": content}) == [(role, (Text(text="hello"),))]


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ({"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
         Image(media=Link(url="https://x.example/a.png"), detail="low")),
        ({"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
         Image(media=Inline(media_type="image/png", data="AAAA"))),
        ({"type": "input_image", "file_id": "file-1"}, Image(media=FileRef(file_id="file-1"))),
        ({"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
         Document(media=Inline(media_type="application/pdf", data="JVBERg=="), title="a.pdf")),
        ({"type": "input_file", "file_url": "https://x.example/a.pdf"},
         Document(media=Link(url="https://x.example/a.pdf"))),
        ({"type": "input_file", "file_id": "file-1"}, Document(media=FileRef(file_id="file-1"))),
        ({"type": "refusal", "refusal": "No."}, Refusal(text="No.")),
        ({"type": "input_new", "x": 1}, Opaque(dialect=NAME, kind="input_new", raw={"type": "input_new", "x": 1})),
    ],
)  # fmt: skip
def test_a_part_is_read(raw: dict[str, Any], part: object) -> None:
    assert turns({"role": "user", "content": [raw]}) == [("user", (part,))]


def test_reasoning_words_and_calls_of_one_turn_are_one_message() -> None:
    thought = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}],
               "encrypted_content": "sealed"}  # fmt: skip
    said = {"role": "assistant", "content": "Looking."}
    call = ToolCall(id="c1", name="f", arguments='{"a":1}')
    assert turns({"role": "user", "content": "x"}, thought, said, CALL, {**CALL, "call_id": "c2"}, RESULT)[1:] == [
        (
            "assistant",
            (
                Thinking(text="Hm.", redacted="sealed"),
                Text(text="Looking."),
                call,
                ToolCall(id="c2", name="f", arguments='{"a":1}'),
            ),
        ),
        ("tool", (ToolResult(call_id="c1", parts=(Text(text="done"),)),)),
    ]


def test_two_messages_of_the_model_stay_two() -> None:
    said = [{"role": "assistant", "content": text} for text in ("one", "two")]
    assert turns(*said) == [("assistant", (Text(text="one"),)), ("assistant", (Text(text="two"),))]


def test_a_result_may_hold_pictures() -> None:
    output = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]
    [(_, (result,))] = turns({**RESULT, "output": output})
    assert [type(part) for part in result.parts] == [Text, Image]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "x", "namespace": "crm"},
        {**CALL, "namespace": "crm"},
        {"type": "of_tomorrow"},
    ],
)
def test_what_only_this_dialect_knows_is_kept_and_is_an_obstacle_elsewhere(item: dict[str, Any]) -> None:
    [(_, (part,))] = turns(item)
    assert part == Opaque(dialect=NAME, kind=item["type"], raw=item)


@pytest.mark.parametrize(
    "state",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
        {"background": True},
    ],
)
def test_what_lives_at_the_provider_stands_before_the_messages(state: dict[str, Any]) -> None:
    [name] = state
    opaque = Opaque(dialect=NAME, kind=name, raw=state)
    assert read(**state).messages[0].parts == (opaque,)
    assert DIALECT.parse_request({"model": "m", **state}, {}).messages[0].parts == (opaque,)


def test_what_is_null_or_false_asks_for_nothing() -> None:
    request = read(previous_response_id=None, background=False, conversation=None, tools=None, text=None)
    assert request.messages == read().messages
    assert request.extensions == {}


def test_fields_are_read_into_their_canonical_places() -> None:
    request = read(
        tools=[
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "web_search"},
        ],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=20,
        temperature=0.5,
        top_p=0.9,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=3,
        user="u",
        service_tier="flex",
        metadata={"a": "b"},
        store=False,
    )
    assert request.tools == (
        Tool(name="f", parameters={"type": "object"}, strict=True),
        ProviderTool(dialect=NAME, kind="web_search", raw={"type": "web_search"}),
    )
    assert request.tool_choice == ToolChoice(mode="named", name="f")
    assert request.parallel_tool_calls is False
    assert request.output == OutputFormat(schema={"type": "object"}, name="n")
    assert request.reasoning == Reasoning(effort="low")
    assert (request.max_output_tokens, request.temperature, request.top_p) == (20, 0.5, 0.9)
    assert (request.logprobs, request.top_logprobs, request.end_user) == (True, 3, "u")
    assert request.stream_usage
    assert sorted(request.extensions) == ["include", "reasoning.summary", "store", "text.verbosity"]


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("required", ToolChoice(mode="required")),
        ({"type": "custom", "name": "c"}, ToolChoice(mode="named", name="c")),
        ({"type": "file_search"}, ToolChoice(mode="named", name="file_search")),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
            ToolChoice(mode="required"),
        ),
    ],
)
def test_a_tool_choice_is_read_in_every_form(choice: object, meant: ToolChoice) -> None:
    tools: list[dict[str, Any]] = [{"type": "function", "name": name, "parameters": {}} for name in ("f", "g")]
    request = read(tools=tools, tool_choice=choice)
    assert request.tool_choice == meant
    allowed = isinstance(choice, dict) and choice["type"] == "allowed_tools"
    assert [tool.name for tool in request.tools if isinstance(tool, Tool)] == (["g"] if allowed else ["f", "g"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"model": ""}, "model"),
        ({"input": [7]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
        ({"instructions": ["x"]}, "instructions"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "mcp", "server_url": "http://127.0.0.1/"}]}, "tools[0].server_url"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"include": "all"}, "include"),
        ({"background": "yes"}, "background"),
        ({"prompt": {}}, "prompt.id"),
        ({"api_key": "sk-x"}, "api_key"),
        ({"previous_response_id": made_id("resp", "x")}, "previous_response_id"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        read(**body)
    assert told.value.field == field
