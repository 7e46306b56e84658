import pytest
from msgspec.structs import replace

from polyroute.stages.selection.sticky import sticky_key
from polyroute.types.access import Caller
from polyroute.types.content import Message, Text
from polyroute.types.request import Request, Tool, ask
from polyroute.types.routing import StickyBy

ANN, BOB = Caller(user="ann"), Caller(user="bob")
PLAIN = ask("m", "hello", system="be kind")


def said(**more: object) -> Request:
    return replace(PLAIN, **more)


def key(by: StickyBy, request: Request = PLAIN, caller: Caller = ANN, session: str | None = None) -> bytes | None:
    return sticky_key(by, request, caller, session)


@pytest.mark.parametrize(
    ("session", "request_", "means"),
    [
        pytest.param("one", said(metadata={"session_id": "two"}), "one", id="the header comes first"),
        pytest.param(None, said(metadata={"session_id": "two"}, end_user="four"), "two", id="then the metadata"),
        pytest.param(
            None, said(extensions={"prompt_cache_key": "three"}, end_user="four"), "three", id="then prompt_cache_key"
        ),
        pytest.param(None, said(end_user="four"), "four", id="then the body's user"),
        pytest.param(None, said(metadata={"session_id": 7}, end_user="four"), "four", id="a number is no name"),
    ],
)
def test_a_session_is_what_the_caller_says_it_is(session: str | None, request_: Request, means: str) -> None:
    assert key("session", request_, session=session) == key("session", session=means)


def test_a_request_that_names_no_session_sticks_to_nothing() -> None:
    assert key("session") is None


def test_tenants_share_no_keys() -> None:
    elsewhere = Caller(user="ann", tenant="other")
    for by in ("session", "user", "prompt_prefix"):
        assert sticky_key(by, PLAIN, ANN, "s") != sticky_key(by, PLAIN, elsewhere, "s")


def test_a_user_is_the_key_s_and_the_body_s() -> None:
    assert key("user") == key("user", ask("m", "something else"))
    assert key("user") != key("user", caller=BOB)
    assert key("user") != key("user", said(end_user="child"))


def test_a_prefix_is_the_same_through_a_conversation_and_changes_with_what_providers_cache() -> None:
    answer = Message(role="assistant", parts=(Text(text="hello, you"),))
    later = replace(PLAIN, messages=(*PLAIN.messages, answer, *ask("m", "and then?").messages))
    assert key("prompt_prefix", later) == key("prompt_prefix")
    assert key("prompt_prefix", caller=BOB) == key("prompt_prefix")
    assert key("prompt_prefix", ask("m", "hello", system="be brief")) != key("prompt_prefix")
    assert key("prompt_prefix", ask("m", "hi", system="be kind")) != key("prompt_prefix")
    assert key("prompt_prefix", said(tools=(Tool(name="look"),))) != key("prompt_prefix")


def test_texts_do_not_run_into_one_another() -> None:
    assert key("prompt_prefix", ask("m", "bc", system="a")) != key("prompt_prefix", ask("m", "c", system="ab"))
