import pytest

from polyroute.dialects.anthropic_messages.events import read_event, read_rest
from polyroute.errors import MalformedReply, Overloaded


@pytest.mark.parametrize(
    ("event", "value"),
    [
        (b'event: ping\ndata: {"type":"ping"}\n\n', {"type": "ping"}),
        (b'data: {"type":"ping"}\n\n', {"type": "ping"}),
        (b'event: ping\r\ndata:{"type":"ping"}   \r\n\r\n', {"type": "ping"}),
        (b"event: message_stop\ndata: {}\n\n", {"type": "message_stop"}),
        (b'data: {"type":\ndata: "ping"}\n\n', {"type": "ping"}),
        (b": keep-alive\n\n", None),
        (b"event: ping\n\n", None),
        (b"\n\n", None),
        (b"data: [DONE]\n\n", None),
    ],
)
def test_read_event(event: bytes, value: object) -> None:
    assert read_event(event) == value


@pytest.mark.parametrize("event", [b"<html>\n\n", b"data: nope\n\n", b"data: [1]\n\n", b"oops\n\n"])
def test_garbage_is_malformed(event: bytes) -> None:
    with pytest.raises(MalformedReply):
        read_event(event)


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'data: {"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    ],
)
def test_an_error_event_is_raised(event: bytes) -> None:
    with pytest.raises(Overloaded, match="Overloaded"):
        read_event(event)


def test_a_whole_error_body_in_place_of_a_stream_is_raised() -> None:
    with pytest.raises(Overloaded):
        read_rest(b'{\n "type":"error",\n "error":{"type":"overloaded_error","message":"x"}}')


@pytest.mark.parametrize("rest", [b"", b" \n"])
def test_nothing_left_is_nothing(rest: bytes) -> None:
    assert read_rest(rest) is None
