"""A caller's body to a checked Request."""

from typing import Any

import pytest

from polyroute.dialects.bedrock_converse.read_request import parse_request
from polyroute.errors import InvalidRequest
from polyroute.types.content import CacheMark, Message, Opaque, Text, ToolResult
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice

USER = {"role": "user", "content": [{"text": "hi"}]}


def read(**fields: Any) -> Request:
    return parse_request({"model": "m", "stream": False, "messages": [USER], **fields}, {})


def test_everything_that_has_a_canonical_form() -> None:
    request = read(
        stream=True,
        system=[{"text": "be brief"}, {"cachePoint": {"type": "default"}}],
        inferenceConfig={"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        toolConfig={
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default"}},
                {"systemTool": {"name": "nova_grounding"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        },
        additionalModelRequestFields={"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 1024}, "x": 1},
        serviceTier={"type": "flex"},
        requestMetadata={"class": "batch", "who": "me"},
    )
    assert request.stream
    assert request.messages[0] == Message(role="system", parts=(Text(text="be brief", cache=CacheMark()),))
    assert (request.max_output_tokens, request.temperature, request.top_p, request.stop) == (9, 0.5, 0.9, ("END",))
    assert request.tools == (
        Tool(name="f", description="d", parameters={"type": "object"}, cache=CacheMark()),
        ProviderTool(dialect="bedrock_converse", kind="systemTool", raw={"systemTool": {"name": "nova_grounding"}}),
    )
    assert request.tool_choice == ToolChoice(mode="named", name="f")
    assert request.reasoning == Reasoning(budget_tokens=1024)
    assert (request.top_k, request.service_tier) == (5, "flex")
    assert request.metadata == {"class": "batch", "who": "me"}
    assert request.extensions == {"additionalModelRequestFields.x": 1}


@pytest.mark.parametrize(
    ("fields", "config", "reasoning"),
    [
        ({"thinking": {"type": "adaptive"}}, {"effort": "high"}, Reasoning(effort="high", adaptive=True)),
        ({"thinking": {"type": "disabled"}}, {}, Reasoning(enabled=False)),
        ({"reasoning_config": {"type": "enabled", "budget_tokens": 2000}}, {}, Reasoning(budget_tokens=2000)),
        ({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, {}, Reasoning(effort="low")),
        ({"reasoning_effort": "medium"}, {}, Reasoning(effort="medium")),
        ({}, {"effort": "low"}, Reasoning(effort="low")),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, {}, None),
    ],
)
def test_reasoning_in_each_makers_words(
    fields: dict[str, Any], config: dict[str, Any], reasoning: Reasoning | None
) -> None:
    request = read(additionalModelRequestFields=fields, outputConfig=config)
    assert request.reasoning == reasoning


def test_a_schema_comes_as_text() -> None:
    definition = {"name": "n", "schema": '{"type":"object"}'}
    wanted = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    assert read(outputConfig={"textFormat": wanted}).output == OutputFormat(
        schema={"type": "object"}, name="n", strict=True
    )


def test_results_are_messages_of_their_own() -> None:
    turn = {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": []}}, {"text": "and?"}]}
    assert [(m.role, type(m.parts[0])) for m in read(messages=[turn]).messages] == [
        ("tool", ToolResult),
        ("user", Text),
    ]


def test_a_guardrail_keeps_the_request_with_bedrock() -> None:
    config: dict[str, Any] = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    system, _ = read(guardrailConfig=config).messages
    assert system.parts == (Opaque(dialect="bedrock_converse", kind="guardrailConfig", raw=config),)


@pytest.mark.parametrize("choice", [{"auto": {}}, {"any": {}}])
def test_tool_choices(choice: dict[str, Any]) -> None:
    found = read(toolConfig={"tools": [], "toolChoice": choice}).tool_choice
    assert found == ToolChoice(mode="auto" if "auto" in choice else "required")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages[0].content"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "robot", "content": []}]}, "messages[0].role"),
        ({"system": "be brief"}, "system"),
        ({"inferenceConfig": {"maxTokens": 0}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"maxTokens": "9"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"temperature": 2}}, "inferenceConfig.temperature"),
        ({"inferenceConfig": {"stopSequences": [5]}}, "inferenceConfig.stopSequences[0]"),
        ({"inferenceConfig": []}, "inferenceConfig"),
        ({"toolConfig": {"tools": [{}]}}, "toolConfig.tools[0]"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name"),
        ({"toolConfig": {"tools": [], "toolChoice": {"none": {}}}}, "toolConfig.toolChoice"),
        ({"outputConfig": {"textFormat": {"type": "xml"}}}, "outputConfig.textFormat.type"),
        (
            {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}},
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        ({"serviceTier": {}}, "serviceTier.type"),
        ({"api_base": "http://x"}, "api_base"),
        ({"aws_region_name": "x"}, "aws_region_name"),
        ({"guardrailConfig": 5}, "guardrailConfig"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.field == field
