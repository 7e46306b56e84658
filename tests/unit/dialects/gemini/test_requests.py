"""What a request means at Gemini's door, and how others' requests are put to it."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.gemini import Gemini
from polyroute.dialects.gemini.write_content import UNSIGNED
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import InvalidRequest
from polyroute.ports import Preface
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deployment
from polyroute.types.content import Image, Inline, Text, Thinking, ToolCall, ToolResult
from polyroute.types.request import OutputFormat, Reasoning, Request

DIALECT, OPENAI, ANTHROPIC = Gemini(), OpenAIChat(), AnthropicMessages()
TARGET = a_deployment("gemini-2.5-flash")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}


def parse(*parts: Any, **more: Any) -> Request:
    return DIALECT.parse_request({"model": "m", "contents": [{"role": "user", "parts": list(parts)}], **more}, {})


def put(request: Request, target: Deployment = TARGET, limit: int | None = None) -> Any:
    return orjson.loads(DIALECT.render_request(request, target, max_output_tokens=limit).body)


def chat(*messages: Any, **more: Any) -> Request:
    return OPENAI.parse_request({"model": "m", "messages": list(messages), **more}, {})


def able(*capabilities: str) -> Deployment:
    return replace(TARGET, card=replace(TARGET.card, capabilities=frozenset(capabilities)))


# ── the door ──────────────────────────────────────────────────────────────────────────────────────────────


def test_snake_case_says_the_same_as_camel_case() -> None:
    camel = {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {"maxOutputTokens": 5, "thinkingConfig": {"thinkingBudget": 0}},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    }
    snake = {
        "system_instruction": {"parts": {"text": "s"}},
        "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 0}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}},
    }
    first = parse({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, **camel)
    second = parse({"inline_data": {"mime_type": "image/png", "data": "AA=="}}, **snake)
    assert replace(first, wire=None) == replace(second, wire=None)
    assert first.reasoning == Reasoning(enabled=False)
    assert first.tool_choice is not None
    assert (first.tool_choice.mode, first.tool_choice.name) == ("named", "f")


def test_calls_without_ids_are_joined_to_their_results_by_name_and_order() -> None:
    calls: list[Any] = [{"functionCall": {"name": name, "args": {}}} for name in ("a", "b", "a")]
    results = [{"functionResponse": {"name": name, "response": {"output": str(i)}}} for i, name in enumerate("aab")]
    contents = [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]
    request = DIALECT.parse_request({"model": "m", "contents": contents}, {})
    ids = [part.id for part in request.messages[0].parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 3
    answered = [part.call_id for part in request.messages[1].parts if isinstance(part, ToolResult)]
    assert answered == [ids[0], ids[2], ids[1]]


def test_base64_of_googles_sdks_is_read_as_everyone_elses() -> None:
    [message] = parse({"inlineData": {"mimeType": "image/png", "data": "-_8"}}).messages
    assert message.parts == (Image(media=Inline(media_type="image/png", data="+/8=")),)


def test_an_openapi_schema_becomes_json_schema() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"n": {"type": "INTEGER", "nullable": True}, "list": {"type": "ARRAY", "maxItems": "3"}},
        "propertyOrdering": ["n"],
    }
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    request = parse({"text": "q"}, generationConfig=config)
    assert request.output is not None
    assert request.output.schema == {
        "type": "object",
        "properties": {"n": {"type": ["integer", "null"]}, "list": {"type": "array", "maxItems": 3}},
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {"data": ""}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "http://10.0.0.1/x", "mimeType": "image/png"}}]}]},
         "contents[0].parts[0].fileData.fileUri"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "file:///etc/passwd"}}]}]},
         "contents[0].parts[0].fileData.fileUri"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"text": "q"}]}], "generationConfig": {"temperature": 3}},
         "generationConfig.temperature"),
        ({"contents": [{"parts": [{"text": "q"}]}], "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}},
         "toolConfig.functionCallingConfig.mode"),
        ({"contents": [{"parts": [{"text": "q"}]}], "api_base": "http://elsewhere"}, "api_base"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.parse_request({"model": "m", **body}, {})
    assert caught.value.field == field


def test_a_stored_beginning_is_no_other_providers() -> None:
    request = parse({"text": "q"}, cachedContent="cachedContents/1")
    assert OPENAI.obstacles(request)
    assert ANTHROPIC.obstacles(request)
    assert DIALECT.obstacles(request) == ()


def test_the_clamp_goes_where_the_caller_put_the_limit() -> None:
    request = parse({"text": "q"}, generation_config={"max_output_tokens": 100, "topK": 2})
    assert put(request, limit=7)["generation_config"] == {"max_output_tokens": 7, "topK": 2}
    assert put(parse({"text": "q"}), limit=7)["generationConfig"] == {"maxOutputTokens": 7}


def test_a_preface_is_laid_into_the_callers_own_body() -> None:
    request = parse({"text": "q"}, system_instruction={"parts": [{"text": "own"}]}, safetySettings=[])
    assert request.wire is not None
    preface = Preface(system="ours", user="first", sets_output=True, output=OutputFormat(schema={"type": "object"}))
    body = DIALECT.with_preface(request.wire, preface).body
    again = DIALECT.parse_request(body, {})
    assert [part.text for message in again.messages for part in message.parts if isinstance(part, Text)] == [
        "ours", "own", "first", "q",
    ]  # fmt: skip
    assert again.output is not None
    assert body["safetySettings"] == []


# ── the upstream ──────────────────────────────────────────────────────────────────────────────────────────


def test_parallel_results_stand_in_one_turn_and_name_their_functions() -> None:
    calls: list[Any] = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": "{}"}} for i, n in (("1", "a"), ("2", "b"))
    ]
    request = chat(
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "tool", "tool_call_id": "1", "content": '{"one": 1}'},
        {"role": "user", "content": [{"type": "text", "text": "go on"}, PICTURE]},
    )
    _, model, user = put(request)["contents"]
    assert [part["functionCall"]["name"] for part in model["parts"]] == ["a", "b"]
    assert [part.get("thoughtSignature") for part in model["parts"]] == [UNSIGNED, None]
    assert [part["functionResponse"] for part in user["parts"][:2]] == [
        {"id": "2", "name": "b", "response": {"output": "two"}},
        {"id": "1", "name": "a", "response": {"one": 1}},
    ]
    assert user["parts"][2:] == [
        {"text": "go on"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
    ]


def test_a_model_that_wants_no_signatures_gets_none() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    request = chat({"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [call]})
    assert UNSIGNED not in str(put(request, able("tools", "thinking")))
    assert UNSIGNED in str(put(request, able("tools", "thinking", "thinking_level")))


def test_anothers_thinking_is_left_out_and_told() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "theirs"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": blocks}]
    request = ANTHROPIC.parse_request({"model": "m", "max_tokens": 9, "messages": messages}, {})
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)
    assert b"theirs" not in sent.body
    assert "thinking" in sent.dropped


@pytest.mark.parametrize(
    ("reasoning", "capabilities", "config"),
    [
        ({"reasoning_effort": "medium"}, None, {"includeThoughts": True, "thinkingBudget": 8192}),
        ({"reasoning_effort": "medium"}, ("thinking", "thinking_level"),
         {"includeThoughts": True, "thinkingLevel": "medium"}),
        ({"reasoning_effort": "xhigh"}, ("thinking", "thinking_level"),
         {"includeThoughts": True, "thinkingLevel": "high"}),
        ({"reasoning_effort": "none"}, ("thinking",), {"thinkingBudget": 0}),
        ({"reasoning_effort": "none"}, ("thinking", "always_thinks"), {"thinkingBudget": 128}),
        ({"reasoning": {"max_tokens": 2000}}, ("thinking", "thinking_level"),
         {"includeThoughts": True, "thinkingLevel": "medium"}),
        ({"reasoning_effort": "low"}, ("tools",), None),
    ],
)  # fmt: skip
def test_how_much_to_think(reasoning: Any, capabilities: tuple[str, ...] | None, config: Any) -> None:
    target = TARGET if capabilities is None else able(*capabilities)
    body = put(chat({"role": "user", "content": "q"}, **reasoning), target)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config


def test_json_beside_tools_is_an_instruction_where_the_model_takes_no_both() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    tool = {"type": "function", "function": {"name": "f"}}
    request = chat({"role": "user", "content": "q"}, response_format=form, tools=[tool])
    assert put(request)["generationConfig"]["responseJsonSchema"] == {"type": "object"}
    sent = DIALECT.render_request(request, able("tools", "json_schema"), max_output_tokens=None)
    body = orjson.loads(sent.body)
    assert '{"type":"object"}' in body["systemInstruction"]["parts"][0]["text"]
    assert "output: json as an instruction" in sent.dropped


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"n": 9}, "n=9"),
        ({"stop": list("abcdef")}, "at most 5"),
        ({"modalities": ["text", "audio"], "audio": {}}, "audio"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AA=="}}]}]}, "image/gif"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, "file id"),
    ],
)  # fmt: skip
def test_what_gemini_has_no_form_for_is_refused(more: Any, reason: str) -> None:
    request = OPENAI.parse_request({"model": "m", "messages": [{"role": "user", "content": "q"}], **more}, {})
    assert any(reason in found for found in DIALECT.obstacles(request))


def test_hints_without_a_field_are_told() -> None:
    request = chat(
        {"role": "user", "content": "q"},
        logit_bias={"1": 2}, user="u", service_tier="flex", seed=2**40, store=True, metadata={"a": "b"},
    )  # fmt: skip
    dropped = DIALECT.render_request(request, TARGET, max_output_tokens=None).dropped
    assert {"logit_bias", "user", "service_tier", "seed", "store", "metadata"} <= set(dropped)


def test_sampling_choices_and_logprobs_keep_their_meaning() -> None:
    more = {"temperature": 0.3, "top_p": 0.9, "seed": 7, "n": 2, "logprobs": True, "top_logprobs": 3, "stop": ["x"]}
    config = put(chat({"role": "user", "content": "q"}, **more))["generationConfig"]
    assert config == {
        "temperature": 0.3, "topP": 0.9, "seed": 7, "candidateCount": 2, "responseLogprobs": True, "logprobs": 3,
        "stopSequences": ["x"],
    }  # fmt: skip


def test_own_thoughts_and_signatures_go_back() -> None:
    said = {"role": "model", "parts": [{"text": "hm", "thought": True, "thoughtSignature": "s1"},
                                       {"functionCall": {"name": "f"}, "thoughtSignature": "s2"}]}  # fmt: skip
    request = DIALECT.parse_request({"model": "m", "contents": [{"parts": [{"text": "q"}]}, said]}, {})
    assert request.messages[1].parts == (
        Thinking(text="hm", thought_signature="s1"),
        ToolCall(id="call_0", name="f", arguments="{}", thought_signature="s2"),
    )
    parts = put(replace(request, wire=None))["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["s1", "s2"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine", "/tunedModels/mine:generateContent"),
        ("a b?c", "/models/a%20b%3Fc:generateContent"),
    ],
)
def test_the_models_name_stands_in_the_path(name: str, path: str) -> None:
    target = replace(TARGET, upstream_model=name)
    assert DIALECT.render_request(parse({"text": "q"}), target, max_output_tokens=None).path == path
