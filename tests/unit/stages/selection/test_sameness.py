from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.stages.selection.sameness import Asked, may_be_kept, place_of
from polyroute.types.content import Message, Text
from polyroute.types.request import (
    FreeInput,
    OutputFormat,
    ProviderTool,
    Reasoning,
    Reference,
    Request,
    Tool,
    ToolChoice,
    Wire,
    ask,
    without_stream,
)
from polyroute.types.response import Units
from polyroute.types.trace import Trace

BODY = {"model": "kept", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5}
BASE = replace(ask("kept", "hello"), wire=Wire(dialect="openai_chat", body=BODY))
ASKED = Asked(tenant="a", route="r", policy="p", door="openai_chat")
TRACE = Trace.read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None)
# How an answer is told, under which name its route was asked for, and which trace that belongs to.
TOLD_APART = {"model": "polyroute/kept", "stream": True, "stream_usage": True, "trace": TRACE}
CHANGED: dict[str, Any] = {
    "messages": (*BASE.messages, Message(role="system", parts=(Text(text="s"),))),
    "operation": "embeddings",
    "tools": (Tool(name="f"),),
    "tool_choice": ToolChoice(mode="required"),
    "parallel_tool_calls": False,
    "output": OutputFormat(schema={"type": "object"}),
    "reasoning": Reasoning(effort="high"),
    "max_output_tokens": 5,
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 4,
    "stop": ("x",),
    "seed": 1,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1.0},
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "refers": (Reference(id="x", field="previous_response_id"),),
    "background": True,
    "units": Units(images=1),
    "dimensions": 12,
    "output_modalities": ("audio",),
    "end_user": "somebody",
    "service_tier": "flex",
    "metadata": {"a": "b"},
    "extensions": {"verbosity": "low"},
    "wire": replace(BASE.wire, headers={"anthropic-beta": "x"}) if BASE.wire else None,
}
TOOLS = (
    Tool(name="f", description="d"),
    Tool(name="f", parameters={"type": "object"}),
    Tool(name="f", strict=True),
    Tool(name="f", free_input=FreeInput()),
)


def key(request: Request, asked: Asked = ASKED) -> str:
    return place_of(request, asked).key


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(Request)])
def test_whatever_changes_an_answer_changes_the_key(field: str) -> None:
    """Every field there is, also one that is added tomorrow."""
    other = {field: (TOLD_APART | CHANGED).get(field, "other")}
    assert (key(replace(BASE, **other)) == key(BASE)) is (field in TOLD_APART)


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(Asked)])
def test_whatever_else_decides_on_an_answer_changes_the_key(field: str) -> None:
    other = {"texts": {"name": "x"}}.get(field, "other")
    assert key(BASE, replace(ASKED, **{field: other})) != key(BASE)


def test_each_trait_of_a_tool_is_in_the_key() -> None:
    keys = {key(replace(BASE, tools=(tool,))) for tool in (Tool(name="f"), Tool(name="g"), *TOOLS)}
    assert len(keys) == len(TOOLS) + 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(min_size=1, max_size=20), json_values)
def test_any_field_of_the_body_changes_the_key_and_streaming_never_does(name: str, value: object) -> None:
    assert BASE.wire is not None
    body = {**BODY, name: value}
    changed = replace(BASE, wire=replace(BASE.wire, body=body))
    is_told = name in ("model", "stream", "stream_options")
    is_same = name in BODY and body == BODY
    assert (key(changed) == key(BASE)) is (is_told or is_same)
    streamed = replace(changed, stream=True, wire=replace(BASE.wire, body={**body, "stream": True}))
    if name not in ("stream", "stream_options"):
        assert key(streamed) == key(changed) == key(without_stream(streamed))


def test_the_order_of_a_body_s_fields_does_not_matter() -> None:
    assert BASE.wire is not None
    turned = replace(BASE, wire=replace(BASE.wire, body=dict(reversed(BODY.items()))))
    assert key(turned) == key(BASE)


@given(st.lists(st.text(max_size=6), min_size=4, max_size=4), st.lists(st.text(max_size=6), min_size=4, max_size=4))
def test_no_two_tenants_share_a_key(one: list[str], other: list[str]) -> None:
    first = Asked(tenant=one[0], route=one[1], policy=one[2], door=one[3])
    second = Asked(tenant=other[0], route=other[1], policy=other[2], door=other[3])
    assert (key(BASE, first) == key(BASE, second)) is (first == second)


@pytest.mark.parametrize(
    ("request_", "is_kept"),
    [
        pytest.param(BASE, True, id="a question"),
        pytest.param(replace(BASE, tools=(Tool(name="f"),)), True, id="with a tool of the caller's"),
        pytest.param(replace(BASE, operation="embeddings"), True, id="embeddings"),
        pytest.param(replace(BASE, tools=(ProviderTool(dialect="d", kind="web_search", raw={}),)), False, id="search"),
        pytest.param(replace(BASE, operation="image"), False, id="an image"),
        pytest.param(replace(BASE, background=True), False, id="in the background"),
        pytest.param(replace(BASE, refers=(Reference(id="r", field="f"),)), False, id="about what a provider keeps"),
        pytest.param(
            replace(BASE, wire=Wire(dialect="openai_chat", body={**BODY, "store": True})), False, id="to be kept there"
        ),
    ],
)
def test_only_what_is_an_answer_and_nothing_else_is_kept(request_: Request, is_kept: bool) -> None:
    assert may_be_kept(request_, is_stored=False) is is_kept


@pytest.mark.parametrize(("store", "is_kept"), [(None, False), (True, False), (False, True)])
def test_what_a_door_s_provider_keeps_unasked_is_kept_here_only_where_it_must_not(
    store: bool | None, is_kept: bool
) -> None:
    body = BODY if store is None else {**BODY, "store": store}
    request = replace(BASE, wire=Wire(dialect="openai_responses", body=body))
    assert may_be_kept(request, is_stored=True) is is_kept
