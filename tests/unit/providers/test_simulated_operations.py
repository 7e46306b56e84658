"""Simulated answers beside chat: the same each time, of the shape asked for, and plain to see."""

import base64
import math
import zlib

import pytest

from polyroute.dialects.audio_length import length_of
from polyroute.dialects.openai_embeddings import OpenAIEmbeddings
from polyroute.dialects.openai_images import OpenAIImages
from polyroute.dialects.openai_moderations import OpenAIModerations
from polyroute.dialects.openai_speech import OpenAISpeech
from polyroute.dialects.rerank import Rerank
from polyroute.providers.simulated_operations import DIMENSIONS, choices_for, media_type_for
from polyroute.types.content import Audio, Image, Inline, Opaque
from polyroute.types.request import Request


def vectors(*texts: str, **more: object) -> list[tuple[float, ...]]:
    request = OpenAIEmbeddings().parse_request({"model": "s", "input": list(texts), **more}, {})
    return [choice.vector or () for choice in choices_for(request)]


def nearness(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("size", [1, 2, 512, None])
def test_a_vector_has_the_asked_size_and_length_one(size: int | None) -> None:
    (vector,) = vectors("some words", dimensions=size)
    assert len(vector) == (size or DIMENSIONS)
    assert math.isclose(nearness(vector, vector), 1.0)


def test_common_words_make_texts_near() -> None:
    red, crimson, tax = vectors("the red fox runs", "the red fox sleeps", "income tax law")
    assert nearness(red, crimson) > 0.5 > abs(nearness(red, tax))
    assert vectors("the red fox runs") == [red]


def test_token_numbers_have_vectors_too() -> None:
    request = OpenAIEmbeddings().parse_request({"model": "s", "input": [[1, 2], [3]]}, {})
    one, other = (choice.vector for choice in choices_for(request))
    assert one != other


def results(request: Request) -> list[dict[str, object]]:
    return [part.raw for choice in choices_for(request) for part in choice.parts if isinstance(part, Opaque)]


def test_documents_are_ranked_best_first_and_equal_ones_stay_in_order() -> None:
    body: dict[str, object] = {
        "model": "s",
        "query": "red fox",
        "documents": ["dog", "a red car", "the red fox", "cat"],
    }
    found = results(Rerank().parse_request(body, {}))
    assert [result["index"] for result in found] == [2, 1, 0, 3]


def test_a_moderation_says_that_it_is_simulated() -> None:
    (found,) = results(OpenAIModerations().parse_request({"model": "s", "input": "x"}, {}))
    assert found["simulated"] is True
    assert found["flagged"] is False


def test_an_image_is_a_png_that_says_so() -> None:
    found = choices_for(OpenAIImages().parse_request({"model": "s", "prompt": "a cat", "n": 2}, {}))
    assert len(found) == 2
    image = found[0].parts[0]
    assert isinstance(image, Image)
    assert isinstance(image.media, Inline)
    data = base64.b64decode(image.media.data)
    assert b"simulated" in data
    at = data.index(b"IDAT")
    assert len(zlib.decompress(data[at + 4 : -16])) == 4


def test_speech_lasts_about_as_long_as_its_text() -> None:
    request = OpenAISpeech().parse_request({"model": "s", "input": "x" * 100}, {})
    (choice,) = choices_for(request)
    (sound,) = choice.parts
    assert isinstance(sound, Audio)
    assert length_of(base64.b64decode(sound.data)).audio_ms == 6_000
    assert media_type_for(request) == "audio/wav"
