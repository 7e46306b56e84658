"""Golden files: what is read from them and written again is them. Forms and sources are in README.md beside them."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages import AnthropicMessages
from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.response import Ended

HERE = Path(__file__).parent
DIALECT = OpenAIChat()


def target(*capabilities: str) -> Deployment:
    card = ModelCard(id="openai/gpt-4o", capabilities=frozenset(capabilities) or None)
    return Deployment(
        id="gpt@openai", model="gpt", provider="openai", dialect="openai_chat", upstream_model="gpt-4o", card=card
    )


def golden(name: str) -> Any:
    return orjson.loads((HERE / name).read_bytes())


@pytest.mark.parametrize("keeps_wire", [True, False])
def test_request(keeps_wire: bool) -> None:
    body = golden("request.json")
    request = DIALECT.parse_request(body, {})
    if not keeps_wire:
        messages = tuple(
            replace(message, parts=tuple(part for part in message.parts if "file-abc" not in repr(part)))
            for message in request.messages
        )
        body["messages"][1]["content"].pop(4)
        request = replace(request, wire=None, messages=messages)
        assert DIALECT.obstacles(request) == ()

    sent = DIALECT.render_request(request, target(), max_output_tokens=None)

    assert orjson.loads(sent.body) == body
    assert sent.dropped == ()


def test_request_from_the_anthropic_door() -> None:
    conversation = golden("from_anthropic.json")
    request = AnthropicMessages().parse_request(conversation["given"], {})

    assert DIALECT.obstacles(request) == ()
    sent = DIALECT.render_request(request, target("tools", "thinking"), max_output_tokens=None)

    assert orjson.loads(sent.body) == conversation["sent"]
    assert list(sent.dropped) == conversation["left_out"]


def test_response() -> None:
    body = golden("response.json")
    request = DIALECT.parse_request(golden("request.json"), {})
    assert orjson.loads(DIALECT.render_response(DIALECT.parse_response(orjson.dumps(body)), request)) == body


@pytest.mark.parametrize(("same_dialect", "file"), [(True, "stream.sse"), (False, "stream_rewritten.sse")])
def test_stream(same_dialect: bool, file: str) -> None:
    reader = DIALECT.open_reader(same_dialect=same_dialect)
    writer = DIALECT.open_writer(DIALECT.parse_request(golden("request.json"), {}))

    *chunks, ended = reader.feed((HERE / "stream.sse").read_bytes()) + reader.close()

    assert isinstance(ended, Ended)
    sent = b"".join(map(writer.write, chunks)) + writer.end(ended, {"cost_usd": "0.01"})
    assert sent.replace(b',"polyroute":{"cost_usd":"0.01"}', b"") == (HERE / file).read_bytes()


def test_errors() -> None:
    for error in golden("errors.json"):
        body = DIALECT.render_error(error["kind"], "what to do", field=error["field"], code=error["code"])
        assert orjson.loads(body) == error["body"]
