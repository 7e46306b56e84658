"""Embeddings between any two forms: what one dialect gives, OpenAI's door tells."""

import base64
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.dialects.openai_embeddings import OpenAIEmbeddings
from polyroute.errors import InvalidRequest, MalformedReply
from polyroute.types.cards import Deployment, ModelCard
from polyroute.types.content import Opaque, text_of
from polyroute.types.request import Request
from polyroute.types.response import Choice, Response, StopReason, Usage

DIALECT = OpenAIEmbeddings()
TARGET = Deployment(
    id="e@p", model="e", provider="p", dialect="openai_chat", upstream_model="up", card=ModelCard(id="p/up")
)
FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8)


def asked(**more: object) -> Request:
    return DIALECT.parse_request({"model": "e", "input": ["a", "b"], **more}, {})


def answer(*vectors: tuple[float, ...]) -> Response:
    choices = tuple(Choice(index=at, parts=(), vector=found, stop=StopReason.END) for at, found in enumerate(vectors))
    return Response(id="", model="served", choices=choices, usage=Usage(input_tokens=5))


@given(st.lists(FLOATS, min_size=1, max_size=4), st.sampled_from(["float", "base64", None]))
def test_a_vector_survives_both_forms(vectors: list[list[float]], form: str | None) -> None:
    given = answer(*map(tuple, vectors))
    request = asked(encoding_format=form)
    assert DIALECT.parse_response(DIALECT.render_response(given, request)).choices == given.choices


def test_base64_holds_little_endian_floats() -> None:
    told = orjson.loads(DIALECT.render_response(answer((1.0, -2.5)), asked(encoding_format="base64")))
    assert struct.unpack("<2f", base64.b64decode(told["data"][0]["embedding"])) == (1.0, -2.5)
    assert told["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


def test_a_number_beyond_32_bits_is_packed_all_the_same() -> None:
    told = orjson.loads(DIALECT.render_response(answer((1e300,)), asked(encoding_format="base64")))
    assert struct.unpack("<f", base64.b64decode(told["data"][0]["embedding"])) == (float("inf"),)


def test_each_input_is_a_message_and_another_dialects_request_can_be_written() -> None:
    request = asked(dimensions=2)
    assert [text_of(message.parts) for message in request.messages] == ["a", "b"]
    foreign = Request(
        model="e", operation="embeddings", messages=request.messages, dimensions=2, extensions={"taskType": "QUERY"}
    )
    wire = DIALECT.render_request(foreign, TARGET, max_output_tokens=None)
    assert wire.dropped == ("taskType",)
    assert orjson.loads(wire.body) == {"input": ["a", "b"], "dimensions": 2, "model": "up"}


def test_token_numbers_go_to_servers_of_this_shape_alone() -> None:
    request = DIALECT.parse_request({"model": "e", "input": [[1, 2], [3]]}, {})
    assert DIALECT.obstacles(request) == ()
    foreign = Request(model="e", operation="embeddings", messages=request.messages)
    assert DIALECT.obstacles(foreign) == ("a `token numbers` part means something only to openai_embeddings",)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"embedding":"%%"}]}',
        b'{"data":[{"embedding":"AAA="}]}',
        b'{"data":[{}]}',
        b"[",
    ],
)
def test_what_holds_no_vectors_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        DIALECT.parse_response(body)


def test_an_input_may_be_an_object_of_text_or_pictures() -> None:
    picture: dict[str, object] = {"image": "https://a.example/a.png"}
    said = asked(input=["a", {"text": "b"}, picture])
    assert [text_of(message.parts) for message in said.messages] == ["a", "b", ""]
    assert said.messages[2].parts == (Opaque(dialect="openai_embeddings", kind="object", raw=picture),)


def test_an_object_may_not_lead_into_a_private_network() -> None:
    with pytest.raises(InvalidRequest, match="public internet"):
        asked(input=[{"image": "http://10.0.0.1/a.png"}])
