"""Whole answers."""

import orjson
import pytest

from polyroute.dialects.bedrock_converse.answers import parse_response, skim_response, write_response
from polyroute.errors import AuthRejected, MalformedReply, Overloaded, ProviderError
from polyroute.types.content import Refusal, Text
from polyroute.types.response import Choice, Response, StopReason, Usage

ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "stop_sequence",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    "additionalModelResponseFields": {"stop_sequence": "END"},
    "trace": {"promptRouter": {"invokedModelId": "arn:x/claude"}},
    "serviceTier": {"type": "flex"},
}


def test_an_answer_is_read_whole() -> None:
    response = parse_response(orjson.dumps(ANSWER))
    choice = Choice(
        parts=(Text(text="Hi"),), stop=StopReason.STOP_SEQUENCE, stop_sequence="END", raw_stop="stop_sequence"
    )
    usage = Usage(input_tokens=1, output_tokens=2)
    assert response == Response(id="", model="arn:x/claude", choices=(choice,), usage=usage, service_tier="flex")
    reply = skim_response(orjson.dumps(ANSWER))
    assert (reply.model, reply.stop, reply.usage) == ("arn:x/claude", StopReason.STOP_SEQUENCE, usage)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", MalformedReply),
        (b"<html>", MalformedReply),
        (b"null", MalformedReply),
        (b"[]", MalformedReply),
        (b"{}", MalformedReply),
        (b'{"output":null}', MalformedReply),
        (b'{"output":{"message":{}}}', MalformedReply),
        (b'{"output":{"message":{"content":"x"}}}', MalformedReply),
        (b'{"message":"no","__type":"ThrottlingException"}', Overloaded),
        (b'{"message":"no","__type":"AccessDeniedException"}', AuthRejected),
    ],
)
def test_what_is_no_answer_is_a_providers_error(body: bytes, error: type[ProviderError]) -> None:
    for read in (parse_response, skim_response):
        with pytest.raises(error):
            read(body)


def test_a_block_that_cannot_be_read_is_malformed() -> None:
    with pytest.raises(MalformedReply, match="toolUseId"):
        parse_response(b'{"output":{"message":{"content":[{"toolUse":{}}]}}}')


def test_an_answer_is_written_with_all_that_sdks_expect() -> None:
    choice = Choice(parts=(Refusal(text="no"),), stop=StopReason.REFUSAL)
    written = orjson.loads(write_response(Response(id="i", model="m", choices=(choice,), usage=None)))
    assert written == {
        "output": {"message": {"role": "assistant", "content": [{"text": "no"}]}},
        "stopReason": "content_filtered",
        "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
        "metrics": {"latencyMs": 0},
        "trace": {"promptRouter": {"invokedModelId": "m"}},
    }
