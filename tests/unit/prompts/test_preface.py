import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from polyroute.ports import Preface
from polyroute.prompts.preface import with_preface
from polyroute.types.content import CacheMark, Image, Link, Message, Role, Text
from polyroute.types.request import Request, ask

ROLES = st.sampled_from(["system", "developer", "user", "assistant"])


def _say(role: Role, *texts: str) -> Message:
    return Message(role=role, parts=tuple(Text(text=text) for text in texts))


def _talk(*messages: Message) -> Request:
    return Request(model="m", messages=messages)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((_say("user", "q"),), (_say("system", "S"), _say("user", "U\n\nq"))),
        ((_say("system", "s"), _say("user", "q")), (_say("system", "S\n\ns"), _say("user", "U\n\nq"))),
        ((_say("developer", "s"), _say("user", "q")), (_say("developer", "S\n\ns"), _say("user", "U\n\nq"))),
        ((_say("assistant", "a"),), (_say("system", "S"), _say("user", "U"), _say("assistant", "a"))),
        ((), (_say("system", "S"), _say("user", "U"))),
    ],
)
def test_where_the_words_stand(before: tuple[Message, ...], after: tuple[Message, ...]) -> None:
    assert with_preface(_talk(*before), Preface(system="S", user="U")).messages == after


def test_beside_a_cache_mark_or_an_image_they_are_a_part_of_their_own() -> None:
    marked = Message(role="user", parts=(Text(text="q", cache=CacheMark()),))
    pictured = Message(role="user", parts=(Image(media=Link(url="https://x.example/a.png")), Text(text="q")))
    for message in (marked, pictured):
        (worded,) = with_preface(_talk(message), Preface(user="U")).messages
        assert worded.parts == (Text(text="U"), *message.parts)


def test_an_output_is_set_only_where_the_preface_says_so() -> None:
    request = replace(ask("m", "q"), output=None)
    assert with_preface(request, Preface()) == request


@given(st.lists(st.tuples(ROLES, st.text(min_size=1)), max_size=6), st.text(min_size=1), st.text(min_size=1))
def test_no_word_of_the_callers_is_lost(said: list[tuple[Role, str]], system: str, user: str) -> None:
    request = _talk(*(_say(role, text) for role, text in said))
    worded = with_preface(request, Preface(system=system, user=user)).messages
    kept = [part.text for message in worded for part in message.parts if isinstance(part, Text)]
    assert all(any(text.endswith(words) for text in kept) for _, words in said)
    assert len(worded) <= len(said) + 2
