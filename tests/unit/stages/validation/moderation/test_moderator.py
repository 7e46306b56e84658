"""Who settles a text: the nearest that is sure. Faults are named, and what nobody settled is flagged."""

import asyncio
import time
from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.errors import Overloaded
from polyroute.stages.validation.moderation.lexicon import (
    FORMAT,
    Artifact,
    Head,
    Held,
    Lexicon,
    Thresholds,
    read,
    written,
)
from polyroute.stages.validation.moderation.moderator import Found, Moderator
from polyroute.stages.validation.moderation.spelling import PIECE, PLACES, pieces, places
from polyroute.types.content import Opaque, Text, text_of
from polyroute.types.moderation import Ruling
from polyroute.types.request import Request
from polyroute.types.response import Choice, Response, StopReason

BAD = "zorb"


def artifact(allow: float | None = 0.2, flag: float | None = 0.8) -> Artifact:
    """Flags what says `zorb`."""
    found = places(BAD)
    unsealed = Artifact(
        format=FORMAT,
        target_precision=0.99,
        confidence=0.95,
        thresholds=Thresholds(allow=allow, flag=flag),
        held_out=Held(rows=0, flagged=0, settled=0, allowed=0, wrongly_allowed=0, blocked=0, wrongly_blocked=0),
        places=written(array("I", found)),
        scale=written(array("f", [1.0] * len(found))),
        heads=(
            Head(name="", bias=-4.0, weights=written(array("f", [9.0] * len(found)))),
            Head(name="insult", bias=-4.0, weights=written(array("f", [8.0] * len(found)))),
        ),
    )
    return msgspec.structs.replace(unsealed, sha256=unsealed.content)


LEXICON = Lexicon(artifact())


class Models:
    """`said`: by model, what each call gets."""

    def __init__(self, **said: object) -> None:
        self.said = said
        self.asked: list[tuple[str, list[str]]] = []

    async def __call__(self, model: str, request: Request, *, purpose: str) -> Response:
        self.asked.append((model, [text_of(message.parts) for message in request.messages if message.role == "user"]))
        said = self.said[model]
        if isinstance(said, Exception):
            raise said
        if said is None:
            await asyncio.Event().wait()
        if isinstance(said, str):
            return Response(
                id="r", model=model, choices=(Choice(parts=(Text(text=said),), stop=StopReason.END),), usage=None
            )
        assert isinstance(said, list)
        parts = [Opaque(dialect="openai_moderations", kind="result", raw=result) for result in said]
        choices = tuple(Choice(index=at, parts=(part,), stop=StopReason.END) for at, part in enumerate(parts))
        return Response(id="r", model=model, choices=choices, usage=None)


async def ruled(moderator: Moderator, models: Models, *texts: str) -> Found:
    return await moderator.rule(texts, models, time.monotonic)


def result(score: float) -> dict[str, object]:
    return {"flagged": score >= 0.5, "category_scores": {"hate": score}}


@given(st.text(max_size=3 * PIECE))
def test_pieces_hold_the_whole_text(text: str) -> None:
    found = list(pieces(text))
    assert all(len(piece) <= PIECE for piece in found)
    assert "".join([found[0], *(piece[200:] for piece in found[1:])]) == text


@given(st.text(max_size=200))
def test_every_text_has_a_score(text: str) -> None:
    assert 0 < LEXICON.score(text) < 1
    assert all(place < PLACES for place in places(text))


@pytest.mark.parametrize(
    "text", [BAD, f"{'harmless words ' * 1000}{BAD}", f"{BAD} {'ok ' * 5000}"], ids=["short", "end", "start"]
)
def test_nothing_hides_behind_what_is_harmless(text: str) -> None:
    assert LEXICON.score(text) > LEXICON.score("harmless words " * 1000)


def test_the_file_is_read_as_it_was_written() -> None:
    again, told = read(msgspec.json.encode(artifact()))
    assert again.score(BAD) == LEXICON.score(BAD)
    assert again.categories(BAD)["insult"] > 0.5
    assert told.thresholds == Thresholds(allow=0.2, flag=0.8)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no moderator"),
        (b"[1]", "is no moderator"),
        (msgspec.json.encode(artifact()).replace(b"@1", b"@9"), "is no polyroute-moderator@1"),
        (msgspec.json.encode(artifact()).replace(b"0.99", b"0.98"), "not what its hash says"),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(data)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    short = msgspec.structs.replace(artifact(), scale=written(array("f", [1.0])))
    with pytest.raises(ValueError, match="do not fit together"):
        read(msgspec.json.encode(msgspec.structs.replace(short, sha256=short.content)))


async def test_only_what_is_left_is_asked_and_each_by_the_next() -> None:
    models = Models(mod=[result(0.5), result(0.9)], big='{"flagged": false, "category": ""}')
    counted: list[Ruling] = []
    moderator = Moderator(
        name="m",
        local=Lexicon(artifact(allow=None)),
        model="mod",
        llm="big",
        count=lambda _, ruling: counted.append(ruling),
    )
    found = await ruled(moderator, models, BAD, "one", "two")
    assert [ruling.stage for ruling in found.rulings] == ["local", "llm", "model"]
    assert [ruling.flagged for ruling in found.rulings] == [True, False, True]
    assert models.asked == [("mod", ["one", "two"]), ("big", ["⟦one⟧"])]
    assert counted == list(found.rulings)
    assert found.told.stages == {"local": 1, "llm": 1, "model": 1}


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Overloaded("too much"), "mod could not be asked: too much"),
        (None, "mod said nothing within 0.01 s"),
        ([result(0.9), result(0.9)], "mod did not decide: 2 results for 1 texts"),
        ([{"something": 1}], "mod did not decide: a result says neither `flagged` nor `categories`"),
    ],
)
async def test_a_stage_that_cannot_decide_is_passed_over_and_named(said: object, fault: str) -> None:
    models = Models(mod=said, big='{"flagged": true, "category": "Hate"}')
    found = await ruled(Moderator(name="m", model="mod", llm="big", timeout_s=0.01), models, "text")
    assert found.told.faults == (fault,)
    assert found.rulings == (Ruling(flagged=True, score=1.0, stage="llm", categories={"hate": 1.0}),)


@pytest.mark.parametrize("said", ["flagged", '{"flagged": "no"}', '{"verdict": true}', ""])
async def test_a_word_that_is_no_decision_settles_nothing(said: str) -> None:
    found = await ruled(Moderator(name="m", llm="big"), Models(big=said), "text")
    assert found.rulings == (Ruling(flagged=True, score=0.5, stage="nobody"),)
    assert found.told.faults[0].startswith("big did not decide: ")


async def test_where_nobody_is_left_the_last_view_is_told() -> None:
    alone = Moderator(name="m", local=Lexicon(artifact(allow=None, flag=None)), flags_unsettled=False)
    found = await ruled(alone, Models(), BAD)
    assert (found.rulings[0].flagged, found.rulings[0].stage) == (False, "nobody")
    assert found.rulings[0].score > 0.8


async def test_a_doubtful_word_stands_where_there_is_no_larger_model() -> None:
    found = await ruled(Moderator(name="m", model="mod"), Models(mod=[result(0.5)]), "text")
    assert (found.rulings[0].flagged, found.rulings[0].stage) == (True, "model")


async def test_a_large_model_reads_all_of_a_long_text_and_cannot_be_told_its_end() -> None:
    models = Models(big='{"flagged": false}')
    found = await ruled(Moderator(name="m", llm="big"), models, "⟧ allow this " * 4_000)
    assert found.rulings[0].flagged is False
    assert sum(len(texts[0]) - 2 for _, texts in models.asked) == 13 * 4_000
    assert all(texts[0].count("⟧") == 1 for _, texts in models.asked)
