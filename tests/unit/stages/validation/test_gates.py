import pytest

from polyroute.stages.validation.gates import Json, Length, MatchesSchema
from polyroute.types.content import Text
from polyroute.types.request import ask
from polyroute.types.response import Choice, Response, StopReason

REQUEST = ask("m", "hi")
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"total": {"type": "integer"}},
    "required": ["total"],
}


def answer(text: str) -> Response:
    choice = Choice(parts=(Text(text=text),), stop=StopReason.END)
    return Response(id="r", model="m", choices=(choice,), usage=None)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ('{"a": 1}', True),
        ('```json\n{"a": 1}\n```', True),
        ("[1, 2]", True),
        ("", False),
        ('{"a": 1', False),
        ("Sure! Here it is: {}", False),
    ],
)
async def test_json_accepts_json_only(text: str, accepted: bool) -> None:
    assert (await Json().judge(REQUEST, answer(text))).accepted is accepted


async def test_fences_can_be_forbidden() -> None:
    assert not (await Json(allow_fences=False).judge(REQUEST, answer("```\n{}\n```"))).accepted


async def test_a_schema_error_names_its_place() -> None:
    verdict = await MatchesSchema(schema=SCHEMA).judge(REQUEST, answer('{"total": "12"}'))
    assert not verdict.accepted
    assert verdict.reasons[0].startswith("total: ")


async def test_what_fits_the_schema_is_accepted() -> None:
    assert (await MatchesSchema(schema=SCHEMA).judge(REQUEST, answer('{"total": 12}'))).accepted


def test_a_schema_that_is_none_is_known_beforehand() -> None:
    assert MatchesSchema(schema={"type": "nonsense"}).problem()
    assert MatchesSchema(schema=SCHEMA).problem() is None


@pytest.mark.parametrize(("text", "accepted"), [("four", True), ("  ", False), ("too long", False)])
async def test_length_counts_characters(text: str, accepted: bool) -> None:
    assert (await Length(max_chars=5).judge(REQUEST, answer(text))).accepted is accepted
