import orjson
import pytest
from msgspec.structs import replace

from polyroute.dialects.anthropic_messages.count import (
    parse_count,
    parse_count_request,
    render_count,
    render_count_request,
)
from polyroute.dialects.anthropic_messages.read_request import parse_request
from polyroute.errors import MalformedReply, Overloaded
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.request import Wire, ask

TARGET = Deployment(
    id="m@a", model="m", provider="a", dialect="anthropic_messages", upstream_model="claude", card=ModelCard(id="a/m")
)
BODY: dict[str, object] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "system": "s", "new_field": 1}


def test_no_max_tokens_is_asked_for() -> None:
    request = parse_count_request(BODY, {"anthropic-beta": "b"})
    sent = render_count_request(request, TARGET)
    assert (sent.path, sent.headers["anthropic-beta"]) == ("/v1/messages/count_tokens", "b")
    assert orjson.loads(sent.body) == {**BODY, "model": "claude"}


def test_a_message_request_is_counted_without_what_shapes_its_answer_only() -> None:
    request = parse_request({**BODY, "max_tokens": 9, "stream": True, "temperature": 0.5, "stop_sequences": ["x"]}, {})
    assert orjson.loads(render_count_request(request, TARGET).body) == {**BODY, "model": "claude"}


def test_a_request_of_another_dialect_is_counted_as_it_would_be_sent() -> None:
    request = replace(ask("m", "hi", system="s"), wire=Wire(dialect="openai_chat", body={}))
    assert orjson.loads(render_count_request(request, TARGET).body) == {
        "model": "claude",
        "system": [{"type": "text", "text": "s"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_the_count_is_read_and_written() -> None:
    assert parse_count(render_count(14)) == 14


@pytest.mark.parametrize(
    "body", [b"", b"3", b"{}", b'{"input_tokens":-1}', b'{"input_tokens":"3"}', b'{"input_tokens":true}']
)
def test_what_is_no_count_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        parse_count(body)


def test_an_error_in_place_of_a_count_is_raised() -> None:
    with pytest.raises(Overloaded):
        parse_count(b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}')
