from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.openai_responses import OpenAIResponses
from polyroute.dialects.openai_responses.names import NAME, made_id
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deployment
from polyroute.types.content import (
    Audio,
    CacheMark,
    Document,
    FileRef,
    Image,
    Inline,
    Link,
    Message,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, ask

DIALECT = OpenAIResponses()
TARGET = a_deployment("up")


def sent(request: Request, target: Deployment = TARGET, limit: int | None = None) -> Any:
    return orjson.loads(DIALECT.render_request(request, target, max_output_tokens=limit).body)


def dropped(request: Request, target: Deployment = TARGET) -> tuple[str, ...]:
    return DIALECT.render_request(request, target, max_output_tokens=None).dropped


def told(*parts: Part, role: Any = "user") -> Any:
    return sent(Request(model="m", messages=(Message(role=role, parts=parts),)))["input"]


def test_the_smallest_request_is_not_to_be_stored() -> None:
    assert sent(ask("m", "Hello", system="Be brief.")) == {
        "model": "up",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "store": False,
    }


def test_its_own_wire_keeps_every_field() -> None:
    body = {"model": "m", "input": "x", "store": True, "new_field": [1], "stream": True, "metadata": {"a": "b"}}
    request = DIALECT.parse_request(body, {})
    assert sent(request) == {**body, "model": "up"}
    assert sent(request, limit=50) == {**body, "model": "up", "max_output_tokens": 50}
    assert sent(DIALECT.parse_request({**body, "max_output_tokens": 20}, {}), limit=50)["max_output_tokens"] == 20
    assert body["model"] == "m"


def test_reasoning_that_we_wrote_ourselves_is_never_sent_and_said_so() -> None:
    thought = {"type": "reasoning", "id": made_id("rs", "a", 0), "summary": []}
    request = DIALECT.parse_request({"model": "m", "input": [{"role": "user", "content": "x"}, thought]}, {})
    assert sent(request)["input"] == [{"role": "user", "content": "x"}]
    assert dropped(request) == ("thinking",)


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Image(media=Link(url="https://x.example/a.png")),
         {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "auto"}),
        (Image(media=Inline(media_type="image/png", data="AAAA"), detail="low"),
         {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}),
        (Document(media=Inline(media_type="application/pdf", data="JVBERg=="), title="a.pdf"),
         {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}),
        (Document(media=Link(url="https://x.example/a.pdf")),
         {"type": "input_file", "file_url": "https://x.example/a.pdf"}),
        (Document(media=Inline(media_type="text/plain", data="aGk="), title="note"),
         {"type": "input_text", "text": "note\n\nhi"}),
    ],
)  # fmt: skip
def test_media_are_parts_of_a_message(part: Part, written: dict[str, Any]) -> None:
    assert told(Text(text="See:"), part) == [
        {"role": "user", "content": [{"type": "input_text", "text": "See:"}, written]}
    ]


def test_a_turn_of_the_model_is_its_items_in_order_without_thinking() -> None:
    call = ToolCall(id="c1", name="f", arguments="")
    parts = (Thinking(text="Hm.", signature="sig"), Text(text="Looking."), call, Refusal(text="No."))
    assert told(*parts, role="assistant") == [
        {"role": "assistant", "content": "Looking."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]


def test_a_result_with_a_picture_is_an_array() -> None:
    picture = Image(media=Inline(media_type="image/png", data="AAAA"))
    result = ToolResult(call_id="c1", parts=(Text(text="see"), picture))
    [item] = told(result, role="tool")
    assert (item["type"], item["call_id"]) == ("function_call_output", "c1")
    assert [part["type"] for part in item["output"]] == ["input_text", "input_image"]
    assert told(ToolResult(call_id="c1", parts=(Text(text="a"), Text(text="b"))), role="tool")[0]["output"] == "a\nb"


def test_tools_are_as_strict_as_they_were_elsewhere() -> None:
    tools = (Tool(name="f", parameters={"type": "object"}), Tool(name="g", strict=True))
    request = replace(ask("m", "x"), tools=tools, tool_choice=ToolChoice(mode="named", name="f"))
    assert sent(request)["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True},
    ]
    assert sent(request)["tool_choice"] == {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("output", "form"),
    [
        (OutputFormat(), {"type": "json_object"}),
        (
            OutputFormat(schema={"type": "object"}, name="n", strict=True),
            {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        ),
    ],
)
def test_a_form_of_answers_is_a_format_of_text(output: OutputFormat, form: dict[str, Any]) -> None:
    assert sent(replace(ask("m", "x"), output=output))["text"] == {"format": form}


@pytest.mark.parametrize(
    ("reasoning", "quirks", "written"),
    [
        (Reasoning(effort="low"), (), {"effort": "low"}),
        (Reasoning(effort="max"), (), {"effort": "high"}),
        (Reasoning(budget_tokens=6000), (), {"effort": "medium"}),
        (Reasoning(effort="minimal"), ("no_minimal_effort",), {"effort": "low"}),
        (Reasoning(effort="low"), ("no_effort",), None),
        (Reasoning(enabled=False), ("effort_none",), {"effort": "none"}),
        (Reasoning(enabled=False), (), None),
        (Reasoning(), (), None),
    ],
)
def test_how_much_to_think_is_a_word(reasoning: Reasoning, quirks: tuple[str, ...], written: object) -> None:
    target = replace(TARGET, quirks=frozenset(quirks))
    assert sent(replace(ask("m", "x"), reasoning=reasoning), target).get("reasoning") == written


def test_sampling_is_left_out_where_a_model_takes_none() -> None:
    request = replace(ask("m", "x"), temperature=0.5, top_p=0.9)
    assert sent(request)["temperature"] == 0.5
    fixed = replace(TARGET, quirks=frozenset({"fixed_sampling"}))
    assert "temperature" not in sent(request, fixed)
    assert dropped(request, fixed) == ("temperature", "top_p")


def test_what_has_no_field_here_is_named() -> None:
    request = replace(
        ask("m", "x"), top_k=5, seed=1, logit_bias={"1": 1.0}, presence_penalty=0.1, frequency_penalty=0.1,
        metadata={"a": "b"}, extensions={"new": 1},
        messages=(Message(role="user", parts=(Text(text="x", cache=CacheMark()),)),),
    )  # fmt: skip
    assert dropped(request) == (
        "cache", "frequency_penalty", "logit_bias", "metadata", "new", "presence_penalty", "seed", "top_k",
    )  # fmt: skip


def test_logprobs_are_asked_for_by_what_is_included() -> None:
    body = sent(replace(ask("m", "x"), logprobs=True, top_logprobs=2))
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 2)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(ask("m", "x"), n=2), "n=2: openai_responses gives one choice"),
        (replace(ask("m", "x"), stop=("END",)), "stop: openai_responses knows no stop sequences"),
        (
            replace(ask("m", "x"), output_modalities=("text", "audio")),
            "modalities: openai_responses answers in text only",
        ),
        (
            replace(ask("m", "x"), tools=(ProviderTool(dialect="gemini", kind="googleSearch", raw={}),)),
            "the tool `googleSearch` is one of gemini",
        ),
        (
            Request(model="m", messages=(Message(role="user", parts=(Audio(data="AA", format="wav"),)),)),
            "audio: openai_responses takes none",
        ),
        (
            Request(
                model="m", messages=(Message(role="user", parts=(Opaque(dialect="gemini", kind="video", raw={}),)),)
            ),
            "a `video` part means something only to gemini",
        ),
        (
            Request(model="m", messages=(Message(role="user", parts=(Image(media=FileRef(file_id="f")),)),)),
            "a file stored at another provider cannot be read",
        ),
    ],
)
def test_what_cannot_be_said_is_an_obstacle(request_: Request, reason: str) -> None:
    assert DIALECT.obstacles(request_) == (reason,)


def test_its_own_wire_has_no_obstacles() -> None:
    body: dict[str, object] = {"model": "m", "previous_response_id": "resp_1", "tools": [{"type": "web_search"}]}
    request = DIALECT.parse_request(body, {})
    assert DIALECT.obstacles(request) == ()
    assert request.wire is not None
    assert request.wire.dialect == NAME
