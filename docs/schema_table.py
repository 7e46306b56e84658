"""What becomes of a JSON schema, or of JSON of any kind, for a model that can be held to none: found out by asking.

A probe is a request with a schema and one thing beside it, or an answer of such a model. `make_reference.py` makes a
section of the dialects' page of it.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from polyroute.dialects.emulation import emulated
from polyroute.stages.validation.asked_form import AskedForm
from polyroute.stages.validation.gates import MatchesSchema
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Message, Part, Text, ToolCall
from polyroute.types.quirks import SCHEMA_BY_TOOL
from polyroute.types.request import OutputFormat, ProviderTool, Reasoning, Request, Tool, ToolChoice, ask
from polyroute.types.response import Choice, Response, StopReason
from polyroute.wiring.dialects import DIALECTS

_SCHEMA: dict[str, object] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
_CARD = ModelCard(id="p/m", capabilities=frozenset({"tools", "thinking"}))
_TARGET = Deployment(
    id="m@p", model="m", provider="p", dialect="d", upstream_model="m", card=_CARD, quirks=frozenset({SCHEMA_BY_TOOL})
)
_DIALECT = DIALECTS["anthropic_messages"]
_OWN = Tool(name="weather")
_SAID = Message(role="assistant", parts=(Text(text="{"),))
_HEAD = """
## A JSON schema for a model that keeps none

The quirk `schema_by_tool` says which models those are ([the catalogue's rows](quirks.md)). The schema then goes as the
input of a tool that must be called, and the caller gets the call's input as text; or in words. Either way the answer is
held against the schema before anything of it is told, and one that does not fit is rejected: the next model of the
route is asked. A route with `commit: first_token` tells a stream as it comes, unchecked.
"""


def _asking(**fields: Any) -> Request:
    return replace(ask("m", "a number"), **{"output": OutputFormat(schema=_SCHEMA), **fields})


def _asked() -> Iterator[tuple[str, Request, Deployment]]:
    yield "nothing else", _asking(), _TARGET
    yield "the caller's tools", _asking(tools=(_OWN,)), _TARGET
    yield "tools that may not be called", _asking(tools=(_OWN,), tool_choice=ToolChoice(mode="none")), _TARGET
    yield "tools of which one must be called", _asking(tools=(_OWN,), tool_choice=ToolChoice(mode="required")), _TARGET
    yield "thinking", _asking(reasoning=Reasoning(effort="high")), _TARGET
    yield "a tool the provider runs itself", _asking(tools=(ProviderTool(dialect="d", kind="k", raw={}),)), _TARGET
    yield "words the answer is to go on from", _asking(messages=(*ask("m", "n").messages, _SAID)), _TARGET
    yield "a schema that is no object's", _asking(output=OutputFormat(schema={"type": "array"})), _TARGET
    yield (
        "a model that takes no forced call",
        _asking(),
        replace(_TARGET, quirks=_TARGET.quirks | {"tool_choice_auto"}),
    )
    yield "JSON of any kind in place of a schema", _asking(output=OutputFormat()), _TARGET


def _put(request: Request, target: Deployment) -> str:
    found = emulated(request, target, _DIALECT)
    if found is None or found.request.messages != request.messages:
        return "in words"
    choice = found.request.tool_choice
    if found.answer_tool is None:
        return "not at all: the answer is calls"
    return "a tool that must be called" if choice and choice.mode == "named" else "one more tool; one must be called"


_CALL = ToolCall(id="2", name=_OWN.name, arguments="{}")
_ANSWERS: tuple[tuple[str, tuple[str | None, tuple[Part, ...], StopReason]], ...] = (
    ("the tool's call", ('{"n":1}', (), StopReason.TOOL_CALLS)),
    ("words beside it", ('{"n":1}', (Text(text="Here:"),), StopReason.TOOL_CALLS)),
    ("a call that does not fit", ('{"m":1}', (), StopReason.TOOL_CALLS)),
    ("a call of the caller's tool", (None, (_CALL,), StopReason.TOOL_CALLS)),
    ("both at once", ('{"n":1}', (_CALL,), StopReason.TOOL_CALLS)),
    ("words in place of a call", (None, (Text(text="One."),), StopReason.END)),
    ("JSON in a fence in place of a call", (None, (Text(text='```\n{"n":1}\n```'),), StopReason.END)),
    ("a call cut at its limit", ("{", (), StopReason.MAX_TOKENS)),
    ("a refusal", (None, (Text(text="No."),), StopReason.REFUSAL)),
)


def _told(arguments: str | None, parts: tuple[Part, ...], stop: StopReason) -> tuple[str, str]:
    """What the caller gets, and how it ends."""
    put = emulated(_asking(tools=(_OWN,)), _TARGET, _DIALECT)
    assert put is not None
    assert put.answer_tool is not None
    calls = () if arguments is None else (ToolCall(id="1", name=put.answer_tool, arguments=arguments),)
    said = Response(id="", model="", choices=(Choice(parts=(*parts, *calls), stop=stop),), usage=None)
    answer, gate = put.whole(said), AskedForm(matches=MatchesSchema(schema=_SCHEMA))
    if not asyncio.run(gate.judge(ask("m", "q"), answer)).accepted:
        return "rejected", "–"
    answer = gate.bare(answer) or answer
    choice = answer.choices[0]
    text = [f"the text `{choice.text}`"] if choice.text else []
    called = ["the call"] if any(isinstance(part, ToolCall) for part in choice.parts) else []
    return " and ".join(text + called), choice.stop.value


def section() -> str:
    lines = [_HEAD, "| beside the schema | it goes |\n| --- | --- |"]
    lines += [f"| {name} | {_put(request, target)} |" for name, request, target in _asked()]
    lines += ["\n| the model answers | the caller gets | it ended |\n| --- | --- | --- |"]
    lines += [f"| {name} | {' | '.join(_told(*said))} |" for name, said in _ANSWERS]
    return "\n".join(lines) + "\n"
