import pytest

from polyroute.dialects.openai_chat.events import DONE, answer_of, data_of
from polyroute.errors import MalformedReply, Overloaded, ProviderError, Rejected


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b'data: {"id":"1"}\n\n', b'{"id":"1"}'),
        (b"data: [DONE]\n\n", DONE),
        (b"data:[DONE]\r\n\r\n", DONE),
        (b"data: [DONE] \n\n", DONE),
        (b": keep alive\n\n", b""),
        (b"event: ping\n\n", b""),
        (b"\n", b""),
        (b"\r\n", b""),
    ],
)
def test_an_event_carries_its_data(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b"garbage\n\n", MalformedReply),
        (b"<html>\n\n", MalformedReply),
        (b'{"choices":[]}\n\n', MalformedReply),
        (b'{"error":{"message":"busy","code":503}}\n\n', Overloaded),
        (b'event: error\ndata: {"message":"bad","type":"invalid_request_error"}\n\n', Rejected),
        (b'event: error\ndata: {"error":{"message":"busy"}}\n\n', Overloaded),
        (b"event: error\ndata: it broke\n\n", Overloaded),
    ],
)
def test_what_is_no_event_or_an_error_is_raised(event: bytes, kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        data_of(event)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"garbage", MalformedReply),
        (b"[]", MalformedReply),
        (b'{"choices":5}', MalformedReply),
        (b'{"choices":[{"delta":{"content":5}}]}', MalformedReply),
        (b'{"error":{"message":"busy","code":503}}', Overloaded),
        (b'{"error":"busy","error_type":"overloaded"}', Overloaded),
        (b'{"object":"error","message":"bad","code":400}', Rejected),
        (b'{"choices":[{"delta":{},"finish_reason":"error"}]}', Overloaded),
        (b'{"choices":[{"delta":{},"error":{"code":429,"message":"busy"}}]}', Overloaded),
    ],
)
def test_data_that_is_no_chunk_is_raised(data: bytes, kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        answer_of(data)
    assert type(caught.value) is kind
