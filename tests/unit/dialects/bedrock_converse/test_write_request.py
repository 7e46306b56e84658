"""Requests as Bedrock is sent them."""

from typing import Any

import orjson

from polyroute.dialects.bedrock_converse import BedrockConverse
from polyroute.ports import Preface
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import CacheMark, Message, Text, ToolCall, ToolResult
from polyroute.types.request import OutputFormat, Reasoning, Request, Tool, ToolChoice, Wire

DIALECT = BedrockConverse()
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
USER = {"role": "user", "content": [{"text": "hi"}]}
HI = Message(role="user", parts=(Text(text="hi"),))


def target(model: str = CLAUDE, *capabilities: str) -> Deployment:
    card = ModelCard(id="c", capabilities=frozenset(capabilities) if capabilities else None)
    return Deployment(id="m@p", model="m", provider="p", dialect="bedrock_converse", upstream_model=model, card=card)


def own(limit: int | None = None, model: str = CLAUDE, **fields: Any) -> tuple[Any, tuple[str, ...]]:
    request = DIALECT.parse_request({"model": "m", "stream": False, "messages": [USER], **fields}, {})
    sent = DIALECT.render_request(request, target(model), max_output_tokens=limit)
    return orjson.loads(sent.body), sent.dropped


def anew(request: Request, at: Deployment | None = None, limit: int | None = None) -> tuple[Any, tuple[str, ...]]:
    sent = DIALECT.render_request(request, at or target(), max_output_tokens=limit)
    return orjson.loads(sent.body), sent.dropped


def test_the_path_holds_the_model_escaped_and_the_verb() -> None:
    request = Request(model="m", messages=(HI,), stream=True)
    arn = "arn:aws:bedrock:eu-west-1:000000000000:inference-profile/eu.anthropic.claude"
    path = DIALECT.render_request(request, target(arn), max_output_tokens=None).path
    assert path == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A000000000000%3Ainference-profile%2Feu.anthropic.claude/converse-stream"
    )


def test_an_own_request_keeps_unknown_fields_and_loses_only_the_gateways_words() -> None:
    body, dropped = own(brandNew={"a": 1}, requestMetadata={"class": "batch", "who": "me"})
    assert body == {"messages": [USER], "brandNew": {"a": 1}, "requestMetadata": {"who": "me"}}
    assert dropped == ()
    assert own(requestMetadata={"class": "batch"})[0] == {"messages": [USER]}


def test_a_clamp_shortens_the_answer_and_what_may_be_thought() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 8000}}
    body, _ = own(5000, inferenceConfig={"maxTokens": 9000, "topP": 0.5}, additionalModelRequestFields=thinking)
    assert body["inferenceConfig"] == {"maxTokens": 5000, "topP": 0.5}
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2500
    body, dropped = own(100, additionalModelRequestFields=thinking)
    assert (body["additionalModelRequestFields"], dropped) == ({}, ("reasoning",))
    assert own(100, inferenceConfig={"maxTokens": 50})[0]["inferenceConfig"] == {"maxTokens": 50}


def test_unsigned_reasoning_is_not_sent_to_claude_and_stays_elsewhere() -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    turns = [
        USER,
        {"role": "assistant", "content": [thought, {"text": "a"}]},
        {"role": "assistant", "content": [thought]},
    ]
    body, dropped = own(messages=turns)
    assert body["messages"] == [USER, {"role": "assistant", "content": [{"text": "a"}]}]
    assert dropped == ("thinking of another provider",)
    assert own(messages=turns, model="us.deepseek.r1-v1:0") == ({"messages": turns}, ())


def test_tools_choices_and_cache_marks() -> None:
    tools = (Tool(name="f", parameters={"properties": {}}, cache=CacheMark()), Tool(name="g", strict=True))
    body, dropped = anew(Request(model="m", messages=(HI,), tools=tools, tool_choice=ToolChoice(mode="required")))
    first, point, second = body["toolConfig"]["tools"]
    assert first["toolSpec"]["inputSchema"] == {"json": {"type": "object", "properties": {}}}
    assert point == {"cachePoint": {"type": "default"}}
    assert "strict" not in second["toolSpec"]
    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert dropped == ("tools.strict",)
    strict, dropped = anew(Request(model="m", messages=(HI,), tools=tools[1:]), target(CLAUDE, "json_schema"))
    assert strict["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert dropped == ()
    assert (
        "toolConfig"
        not in anew(Request(model="m", messages=(HI,), tools=tools, tool_choice=ToolChoice(mode="none")))[0]
    )


def test_called_tools_are_declared_where_the_caller_declares_none() -> None:
    call = Message(role="assistant", parts=(ToolCall(id="t", name="f", arguments="{}"),))
    result = Message(role="tool", parts=(ToolResult(call_id="t", parts=()),))
    body, dropped = anew(Request(model="m", messages=(HI, call, result)))
    assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["f"]
    assert dropped == ("tools: declared after earlier calls",)


def test_a_schema_is_native_and_json_is_an_instruction() -> None:
    output = OutputFormat(schema={"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}, name="n")
    body, dropped = anew(Request(model="m", messages=(HI,), output=output))
    definition = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert definition["name"] == "n"
    assert orjson.loads(definition["schema"])["additionalProperties"] is False
    assert dropped == ("output.schema.minimum",)
    body, dropped = anew(Request(model="m", messages=(HI,), output=OutputFormat()))
    assert "JSON" in body["system"][0]["text"]
    assert dropped == ("output: json as an instruction",)


def test_sampling_of_a_thinking_claude_stays_as_it_is_there() -> None:
    request = Request(
        model="m", messages=(HI,), reasoning=Reasoning(effort="low"), temperature=0.2, top_p=0.5, top_k=4,
    )  # fmt: skip
    body, dropped = anew(request)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert "inferenceConfig" not in body
    assert dropped == ("temperature", "top_p", "top_k")


def test_sampling_elsewhere_is_said_in_each_makers_words() -> None:
    request = Request(model="m", messages=(HI,), temperature=1.5, top_p=0.5, top_k=4, stop=("X",), max_output_tokens=9)
    body, dropped = anew(request, target("amazon.nova-lite-v1:0"))
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 1.0, "topP": 0.5, "stopSequences": ["X"]}
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 4}}
    assert dropped == ("temperature>1",)
    assert anew(request)[1] == ("temperature>1", "top_p")  # Claude takes one of the two
    assert anew(request, target("meta.llama3"))[1] == ("temperature>1", "top_k")


def test_what_has_no_field_is_named() -> None:
    request = Request(
        model="m", messages=(HI,), seed=1, presence_penalty=1.0, frequency_penalty=1.0, logit_bias={"1": 1.0},
        end_user="u", service_tier="auto", metadata={"who": "me", "class": "batch"}, extensions={"x": 1},
        wire=Wire(dialect="openai_chat", body={}),
    )  # fmt: skip
    body, dropped = anew(request)
    assert body == {"messages": [USER], "requestMetadata": {"who": "me"}}
    assert dropped == (
        "service_tier", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "end_user", "x",
    )  # fmt: skip


def test_a_preface_is_laid_into_an_own_body() -> None:
    wire = Wire(dialect="bedrock_converse", body={"messages": [USER], "system": [{"text": "b"}], "x": 1})
    laid = DIALECT.with_preface(
        wire, Preface(system="a", user="u", sets_output=True, output=OutputFormat(schema={"type": "object"}))
    )
    assert laid.body["system"] == [{"text": "a"}, {"text": "b"}]
    assert laid.body["messages"] == [{"role": "user", "content": [{"text": "u"}, {"text": "hi"}]}]
    assert laid.body["x"] == 1
    assert isinstance(laid.body["outputConfig"], dict)
    assert wire.body["messages"] == [USER]
