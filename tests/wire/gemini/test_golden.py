"""Golden files: what is read from them and written again is them. Forms and sources are in README.md beside them."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.gemini import Gemini
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.response import Ended

HERE = Path(__file__).parent
DIALECT = Gemini()
ABLE = frozenset({"tools", "thinking", "thinking_level", "json_schema", "json_with_tools"})
TARGET = Deployment(
    id="flash@google",
    model="flash",
    provider="google",
    dialect="gemini",
    upstream_model="gemini-3-flash",
    card=ModelCard(id="google/gemini-3-flash", capabilities=ABLE),
)


def golden(name: str) -> Any:
    return orjson.loads((HERE / name).read_bytes())


@pytest.mark.parametrize("keeps_wire", [True, False])
def test_request(keeps_wire: bool) -> None:
    body = golden("request.json")
    request = DIALECT.parse_request({**body, "model": "flash", "stream": False}, {})
    if not keeps_wire:
        # Thoughts are asked for by name in the caller's own form alone.
        request = replace(request, wire=None, extensions={})

    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)

    assert orjson.loads(sent.body) == body
    assert sent.dropped == ()


def test_request_from_the_openai_door() -> None:
    conversation = golden("from_openai.json")
    request = OpenAIChat().parse_request(conversation["given"], {})

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, TARGET, max_output_tokens=None)

    assert sent.path == conversation["path"]
    assert orjson.loads(sent.body) == conversation["sent"]
    assert list(sent.dropped) == conversation["dropped"]


def test_response() -> None:
    body = golden("response.json")
    request = DIALECT.parse_request({**golden("request.json"), "model": "flash"}, {})
    response = DIALECT.parse_response(orjson.dumps(body))
    assert orjson.loads(DIALECT.render_response(response, request)) == body


@pytest.mark.parametrize("same_dialect", [True, False])
def test_stream(same_dialect: bool) -> None:
    recorded = (HERE / "stream.sse").read_bytes()
    reader = DIALECT.open_reader(same_dialect=same_dialect)
    *chunks, ended = [*reader.feed(recorded), *reader.close()]
    assert isinstance(ended, Ended)
    writer = DIALECT.open_writer(DIALECT.parse_request({**golden("request.json"), "model": "flash"}, {}))
    assert b"".join(map(writer.write, chunks)) + writer.end(ended, {}) == recorded
