"""A call's arguments as an object, whatever the model wrote."""

import orjson
import pytest

from polyroute.dialects.arguments import write_arguments
from polyroute.ports import Dialect
from polyroute.types.content import ToolCall
from polyroute.types.request import ask
from polyroute.types.response import Choice, Response, StopReason
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("", b"{}"),
        (" ", b"{}"),
        ('{"a": 12345678901234567890123}', b'{"a": 12345678901234567890123}'),
        ("[1]", b'{"INVALID_JSON":"[1]"}'),
        ('{"a": ', b'{"INVALID_JSON":"{\\"a\\": "}'),
    ],
)
def test_arguments_are_always_an_object(arguments: str, written: bytes) -> None:
    assert orjson.dumps(write_arguments(arguments)) == written


@pytest.mark.parametrize("dialect", [ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI])
def test_what_was_wrapped_is_read_back_as_it_was(dialect: Dialect) -> None:
    call = ToolCall(id="call_1", name="f", arguments='{"cut')
    told = Response(id="a", model="m", choices=(Choice(parts=(call,), stop=StopReason.TOOL_CALLS),), usage=None)
    again = dialect.parse_response(dialect.render_response(told, ask("m", "q")))
    assert [part.arguments for part in again.choices[0].parts if isinstance(part, ToolCall)] == ['{"cut']
