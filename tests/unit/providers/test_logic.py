from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyroute.conditions import Condition
from polyroute.errors import MalformedReply, Remedy
from polyroute.providers.logic import LogicProvider, Lookup, Rule, Service
from polyroute.testing.providers import a_deployment, check_provider
from polyroute.types.cards import Deadlines
from polyroute.types.request import ask
from polyroute.types.response import StopReason

TARGET = a_deployment("logic")
ORDER = Condition(matches=r"order (?P<id>\S+)")
AT_LEISURE = Deadlines()


class Fetched:
    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> str:
        self.calls.append((url, timeout_s))
        return "fetched"


def logic(rule: Rule, fetch: Fetched | None = None) -> LogicProvider:
    return LogicProvider({TARGET.id: rule}, fetch or Fetched())


async def said(rule: Rule, text: str) -> str:
    reply = await logic(rule).complete(ask("faq", text), TARGET, AT_LEISURE, None)
    assert reply.response is not None
    return reply.response.text


async def url_for(template: str, text: str, pattern: str = ORDER.matches or "") -> str:
    fetch = Fetched()
    rule = Rule(when=Condition(matches=pattern), answer=Service(url=template, headers={}))
    await logic(rule, fetch).complete(ask("faq", text), TARGET, AT_LEISURE, None)
    return fetch.calls[0][0]


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        pytest.param("Hello!", "hi", "Hello!", id="plain text"),
        pytest.param("Order {id} is on its way", "where is order 7b?", "Order 7b? is on its way", id="a named group"),
        pytest.param("You said {match}.", "order 7", "You said order 7.", id="the whole match"),
        pytest.param("{id} {id}", "order 7", "7 7", id="twice"),
        pytest.param("{other} {", "order 7", "{other} {", id="what is no name stays"),
        pytest.param("{{id}}", "order 7", "{7}", id="braces around a name"),
        pytest.param("{id}", "order {match}", "{match}", id="what was filled in is not looked at again"),
    ],
)
async def test_templates(template: str, text: str, expected: str) -> None:
    assert await said(Rule(when=ORDER, answer=template), text) == expected


async def test_a_group_that_took_no_part_is_empty() -> None:
    rule = Rule(when=Condition(matches=r"order(?P<id> \d+)?"), answer="[{id}]")
    assert await said(rule, "my order") == "[]"


async def test_a_condition_without_a_pattern_names_nothing() -> None:
    assert await said(Rule(when=Condition(contains=("order",)), answer="{match}"), "order 7") == "{match}"


TABLE = {"7": "seven", "8": "eight of {id}"}


@pytest.mark.parametrize(("text", "expected"), [("order 7", "seven"), ("order 8", "eight of 8"), ("order 9", "none")])
async def test_a_lookup(text: str, expected: str) -> None:
    rule = Rule(when=ORDER, answer=Lookup(key="{id}", table=TABLE, missing="none"))
    assert await said(rule, text) == expected


async def test_a_lookup_that_finds_nothing_leaves_it_to_the_models() -> None:
    with pytest.raises(MalformedReply) as caught:
        await said(Rule(when=ORDER, answer=Lookup(key="{id}", table=TABLE)), "order 9")
    assert caught.value.remedy is Remedy.SWITCH


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("order 7", "/orders/7?x=1"),
        ("order ../../admin", "/orders/..%2F..%2Fadmin?x=1"),
        ("order 7?admin=1&x#y", "/orders/7%3Fadmin%3D1%26x%23y?x=1"),
        ("order %2e%2e", "/orders/%252e%252e?x=1"),
        ("order é@evil", "/orders/%C3%A9%40evil?x=1"),
    ],
)
async def test_what_fills_an_address_stays_in_its_place(text: str, path: str) -> None:
    assert await url_for("http://shop:80/orders/{id}?x=1", text) == f"http://shop:80{path}"


@pytest.mark.parametrize("text", ["order ..", "order ."])
async def test_a_step_up_cannot_be_escaped_and_is_not_asked_for(text: str) -> None:
    with pytest.raises(MalformedReply):
        await url_for("http://shop/orders/{id}", text)
    assert await url_for("http://shop/orders?id={id}", text) == f"http://shop/orders?id={text[6:]}"


@given(st.text(st.characters(exclude_categories=()), min_size=1).filter(lambda text: text not in (".", "..")))
async def test_no_text_changes_an_addresss_parts(text: str) -> None:
    if any(c.isspace() or c in "\x1c\x1d\x1e\x1f\x85" or "\ud800" <= c <= "\udfff" for c in text):
        return
    url = await url_for("http://shop/a/{id}/b?c={id}&d=e", f"order {text}", r"(?s)order (?P<id>.+)")
    assert url.isascii()
    assert url.isprintable()
    path, _, query = url.removeprefix("http://shop").partition("?")
    assert path.count("/") == 3
    assert path.endswith("/b")
    assert query.startswith("c=")
    assert query.endswith("&d=e")
    assert query.count("&") == 1


@pytest.mark.parametrize(("left_s", "expected"), [(600.0, 2.0), (0.5, 0.5)])
async def test_a_service_has_no_more_time_than_is_left(left_s: float, expected: float) -> None:
    fetch = Fetched()
    rule = Rule(when=ORDER, answer=Service(url="http://shop/", headers={}, timeout_s=2.0))
    await logic(rule, fetch).complete(ask("faq", "order 7"), TARGET, Deadlines(total_s=left_s), None)
    assert fetch.calls == [("http://shop/", expected)]


async def test_usage_is_what_a_model_would_have_taken_and_marked_as_a_guess() -> None:
    reply = await logic(Rule(when=ORDER, answer="it is on its way")).complete(
        ask("faq", "where is order 7, please?"), TARGET, AT_LEISURE, None
    )
    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.usage.input_tokens > 5
    assert reply.usage.output_tokens >= 4
    assert reply.stop is StopReason.END


async def test_logic_is_a_provider_like_any() -> None:
    provider = LogicProvider(
        {
            TARGET.id: Rule(when=Condition(), answer="Yes"),
            "down@provider": Rule(when=Condition(), answer=Lookup(key="x", table={})),
        },
        Fetched(),
    )
    await check_provider(provider, TARGET, failing=a_deployment("down"))
