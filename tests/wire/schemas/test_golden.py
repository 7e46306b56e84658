"""A schema as a tool that must be called, and its call as the answer, against files."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.emulation import emulated
from polyroute.ports import Dialect
from polyroute.testing.providers import a_deployment
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, OPENAI_CHAT


def golden(name: str) -> Any:
    return orjson.loads((Path(__file__).parent / f"{name}.json").read_bytes())


@pytest.mark.parametrize("dialect", [ANTHROPIC_MESSAGES, BEDROCK_CONVERSE])
def test_a_schema_goes_out_and_its_answer_comes_back_as_written(dialect: Dialect) -> None:
    file, asked = golden(dialect.name), OPENAI_CHAT.parse_request(golden("asked"), {})
    target = replace(a_deployment("claude-3-haiku"), quirks=frozenset({"schema_by_tool"}))
    put = emulated(asked, target, dialect)
    assert put is not None
    sent = dialect.render_request(put.request, target, max_output_tokens=None)
    assert orjson.loads(sent.body) == file["request"]
    answer = put.whole(dialect.parse_response(orjson.dumps(file["response"])))
    told = orjson.loads(OPENAI_CHAT.render_response(answer, asked))
    (choice,), usage = told["choices"], told["usage"]
    assert {
        "content": choice["message"]["content"],
        "finish_reason": choice["finish_reason"],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
    } == golden("answered")
    assert "tool_calls" not in choice["message"]
