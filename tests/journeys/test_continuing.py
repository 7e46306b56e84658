"""A stream that is cut once something was told, before the official SDKs: gone on with and marked, or an honest error.

The second provider goes on from whatever it is given, as a model would: so that the whole text comes out wherever the
first is cut.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import anthropic
import openai
import pytest
from tests.journeys.rig import DOCUMENT, KEY, Rig, ask, ask_claude, gateway
from tests.journeys.upstream import (
    Answer,
    Heard,
    Upstream,
    chat_events,
    chunk,
    event,
    message_events,
    stream,
)

from polyroute.types.receipt import Receipt

FULL = "Once upon a time there was a gateway that never cut a story short, whatever came."
TOLD = "Once upon a time there was a gate"
ROUTES = """
routes:
  onward: {{primary: gpt, fallback: [claude], on_interrupt: continue}}
  back: {{primary: claude, fallback: [gpt], on_interrupt: continue}}
  strict: {{primary: gpt, fallback: [claude]}}
  strict_back: {{primary: claude, fallback: [gpt]}}
keys:"""
HASTY = ("model: gpt-up,", "model: gpt-up, timeouts: {between_tokens_s: 0.3},")
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
Door = Literal["openai", "anthropic"]
PATHS: dict[Door, str] = {"openai": CHAT, "anthropic": MESSAGES}


def document(url: str) -> str:
    return DOCUMENT.replace("keys:", ROUTES.strip()).format(url=url)


@pytest.fixture
async def rig(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(document(provider.url), tmp_path) as running:
        yield running


@pytest.fixture
async def oai(rig: Rig) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{rig.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def ant(rig: Rig) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=rig.url, api_key=KEY, max_retries=0) as client:
        yield client


def text_in(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def goes_on(heard: Heard) -> Answer:
    """What a model makes of it: the whole story; or, told to go on, its last words again and then the rest."""
    messages = heard.json["messages"]
    said = next((text_in(one) for one in messages if one["role"] == "assistant"), "")
    assert FULL.startswith(said)
    words = FULL if not said else said[-20:] + FULL[len(said) :]
    pieces = [words[at : at + 7] for at in range(0, len(words), 7)]
    is_claude = heard.path.endswith("/messages")
    return stream(*(message_events(*pieces) if is_claude else chat_events(*pieces)))


def cut(provider: Upstream, first: str, *pieces: bytes, end: str = "cut") -> None:
    """`first` tells so much and no more; the other goes on."""
    gate = asyncio.Event()

    def script(heard: Heard) -> Answer:
        if heard.json["model"] != first:
            return goes_on(heard)
        asyncio.get_running_loop().call_later(0.02, gate.set)  # what was told is read before the cut
        return stream(*pieces, gate, end=end)

    provider.script = script


def begun_chat(*texts: str) -> list[bytes]:
    return chat_events(*texts)[: 1 + len(texts)]


def begun_message(*texts: str) -> list[bytes]:
    return message_events(*texts)[: 3 + len(texts)]


def told(receipt: Receipt) -> list[tuple[str, str, str | None]]:
    return [(attempt.model, attempt.status, attempt.role) for attempt in receipt.attempts]


BOTH = [("gpt", "failed", None), ("claude", "succeeded", "continuation")]


# ── the SDKs ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wants_usage", [True, False], ids=["usage", "no usage"])
async def test_openais_sdk_reads_one_answer_of_two_models(
    rig: Rig, oai: openai.AsyncOpenAI, provider: Upstream, wants_usage: bool
) -> None:
    cut(provider, "gpt-up", *begun_chat("Once upon a time", " there was a gate"))
    options: Any = {"stream_options": {"include_usage": True}} if wants_usage else {}
    got = await oai.chat.completions.create(
        model="onward", messages=[{"role": "user", "content": "A story"}], stream=True, **options
    )
    chunks = [one async for one in got]
    said = [one for one in chunks if one.choices]
    assert "".join(one.choices[0].delta.content or "" for one in said) == FULL
    assert [one.choices[0].finish_reason for one in said if one.choices[0].finish_reason] == ["stop"]
    assert list(dict.fromkeys(one.model for one in chunks)) == ["served-model", "served-claude"]
    extra = chunks[-1].model_extra
    assert extra is not None
    assert extra["polyroute"]["continued_by"] == ["claude"]
    assert extra["polyroute"]["model"] == "claude"
    (receipt,) = await rig.settled()
    assert told(receipt) == BOTH
    assert receipt.cost_usd == sum(attempt.cost_usd or 0 for attempt in receipt.attempts)
    first, second = (attempt.usage for attempt in receipt.attempts)
    assert first is not None
    assert first.estimated
    assert first.output_tokens > 0
    assert second is not None
    assert (second.input_tokens, second.output_tokens, second.estimated) == (11, 7, False)
    if wants_usage:
        usage = chunks[-1].usage
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == (first.input_tokens, first.output_tokens + 7)


async def test_anthropics_sdk_reads_one_answer_of_two_models(
    rig: Rig, ant: anthropic.AsyncAnthropic, provider: Upstream
) -> None:
    cut(provider, "claude-up", *begun_message("Once upon a time", " there was a gate"))
    async with ant.messages.stream(
        model="back", max_tokens=300, messages=[{"role": "user", "content": "A story"}]
    ) as events:
        ends: list[Any] = [one async for one in events if one.type == "message_delta"]
        whole = await events.get_final_message()
    assert [block.text for block in whole.content if block.type == "text"] == [FULL], "one block, to its end"
    assert whole.stop_reason == "end_turn"
    assert ends[-1].model_extra["polyroute"]["continued_by"] == ["gpt"]
    (receipt,) = await rig.settled()
    assert told(receipt) == [("claude", "failed", None), ("gpt", "succeeded", "continuation")]


async def test_by_default_the_sdks_raise(
    rig: Rig, oai: openai.AsyncOpenAI, ant: anthropic.AsyncAnthropic, provider: Upstream
) -> None:
    cut(provider, "gpt-up", *begun_chat(TOLD))
    got = await oai.chat.completions.create(
        model="strict", messages=[{"role": "user", "content": "A story"}], stream=True
    )
    with pytest.raises(openai.APIError):
        [one async for one in got]
    cut(provider, "claude-up", *begun_message(TOLD))
    with pytest.raises(anthropic.APIError):
        async with ant.messages.stream(
            model="strict_back", max_tokens=300, messages=[{"role": "user", "content": "A story"}]
        ) as events:
            await events.get_final_message()
    assert [receipt.state for receipt in await rig.settled(2)] == ["failed", "failed"]


# ── the wire ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("door", PATHS)
async def test_the_seam_is_a_comment_between_the_two(rig: Rig, provider: Upstream, door: Door) -> None:
    cut(provider, "gpt-up", *begun_chat(TOLD))
    body = ask_claude(model="onward", stream=True) if door == "anthropic" else ask(model="onward", stream=True)
    answer = await rig.post(PATHS[door], body)
    before, mark, after = answer.body.partition(b": polyroute: claude goes on\n\n")
    assert mark
    assert b"gate" in before
    assert b"gate" not in after
    assert answer.headers["x-polyroute-model"] == "gpt", "who began is known at the beginning"


async def test_a_provider_that_falls_silent_counts_as_cut(provider: Upstream, tmp_path: Path) -> None:
    cut(provider, "gpt-up", *begun_chat(TOLD), end="hang")
    async with gateway(document(provider.url).replace(*HASTY), tmp_path) as rig:
        answer = await rig.post(CHAT, ask(model="onward", stream=True))
        (receipt,) = await rig.settled()
    assert said(answer.events) == FULL
    assert (receipt.attempts[0].error, receipt.attempts[0].message is not None) == ("ProviderTimeout", True)
    assert told(receipt) == BOTH
    async with asyncio.timeout(5):
        await provider.log[0].left.wait()


async def test_the_second_is_asked_in_its_own_form(rig: Rig, provider: Upstream) -> None:
    """A model that is known to take a beginning is given one; any other is told in words."""
    cut(provider, "gpt-up", *begun_chat(TOLD))
    await rig.post(CHAT, ask(model="onward", stream=True))
    messages = provider.last.json["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "user"]
    known = document(provider.url).replace("model: claude-up,", "model: claude-up, capabilities: [tools, prefill],")
    async with gateway(known.replace("books.db", "known.db"), rig.folder) as other:
        cut(provider, "gpt-up", *begun_chat(TOLD))
        await other.post(CHAT, ask(model="onward", stream=True))
    messages = provider.last.json["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant"]
    assert text_in(messages[-1]) == TOLD


@pytest.mark.parametrize("more", [
    pytest.param({"response_format": {"type": "json_object"}}, id="JSON"),
    pytest.param({"logprobs": True}, id="probabilities"),
    pytest.param({"n": 2}, id="two answers"),
])  # fmt: skip
async def test_what_cannot_be_sewn_together_ends_in_an_error(
    rig: Rig, provider: Upstream, more: dict[str, Any]
) -> None:
    cut(provider, "gpt-up", *begun_chat(TOLD))
    answer = await rig.post(CHAT, {**ask(model="onward", stream=True), **more})
    assert "error" in answer.events[-1]
    assert len(provider.log) == 1


async def test_half_a_tool_call_is_not_gone_on_with(rig: Rig, provider: Upstream) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":'}}
    cut(provider, "gpt-up", *begun_chat(TOLD), chunk({"tool_calls": [call]}))
    answer = await rig.post(CHAT, ask(model="onward", stream=True))
    assert "error" in answer.events[-1]
    assert len(provider.log) == 1


def said(events: list[Any]) -> str:
    """Text of an OpenAI or Anthropic stream."""
    text = ""
    for one in events:
        if isinstance(one, dict):
            text += (one.get("delta") or {}).get("text") or "" if one.get("type") == "content_block_delta" else ""
            text += "".join(choice["delta"].get("content") or "" for choice in one.get("choices", ()))
    return text


# ── every byte ────────────────────────────────────────────────────────────────────────────────────────────

RAW: dict[str, bytes] = {
    "gpt-up": b"".join(chat_events("Once upon a time", FULL[16:51], FULL[51:])),
    "claude-up": b"".join(message_events("Once upon a time", FULL[16:51], FULL[51:])),
}
WHOLE_ENDS = {"openai": b"[DONE]", "anthropic": b"message_stop"}


@pytest.mark.parametrize("is_helped", [True, False], ids=["continue", "error"])
@pytest.mark.parametrize("first", RAW)
@pytest.mark.parametrize("door", PATHS)
async def test_cut_at_every_byte_a_stream_is_whole_or_says_that_it_is_not(
    rig: Rig, provider: Upstream, door: Door, first: str, is_helped: bool
) -> None:
    route = {("gpt-up", True): "onward", ("claude-up", True): "back",
             ("gpt-up", False): "strict", ("claude-up", False): "strict_back"}[first, is_helped]  # fmt: skip
    raw, outcomes = RAW[first], dict[int, str]()

    def script(heard: Heard) -> Answer:
        if heard.json["model"] != first:
            return goes_on(heard)
        messages = heard.json["messages"]
        return stream(raw[: int(text_in(messages[-1]))], end="keep")

    provider.script = script

    async def one(at: int) -> None:
        body = (
            ask_claude(str(at), model=route, stream=True)
            if door == "anthropic"
            else ask(str(at), model=route, stream=True)
        )
        answer = await rig.post(PATHS[door], body)
        assert answer.status == 200, answer.body
        ended, failed = WHOLE_ENDS[door] in answer.body, b'"error"' in answer.body
        assert ended != failed, answer.body[-400:]
        text = said(answer.events)
        assert text == FULL if ended else FULL.startswith(text) and text, "never a truncated success"
        receipt = await rig.receipt(answer)
        assert receipt.state == ("settled" if ended else "failed")
        assert receipt.cost_usd == sum(attempt.cost_usd or 0 for attempt in receipt.attempts)
        marks = answer.body.count(b" goes on\n\n")
        assert marks == sum(attempt.role == "continuation" for attempt in receipt.attempts)
        outcomes[at] = "gone on with" if marks else "whole" if ended else "error"

    cuts = range(1, len(raw))
    for start in range(0, len(cuts), 4):
        await asyncio.gather(*map(one, cuts[start : start + 4]))
        rig.built.path.health._breakers.clear()  # or the next ones would be asked of the other alone
    assert set(outcomes.values()) == ({"whole", "gone on with"} if is_helped else {"whole", "error"})


def test_the_recorded_streams_say_the_whole_story() -> None:
    assert len(RAW) == 2
    assert all(event_text in raw for raw in RAW.values() for event_text in (b"Once upon a time", b"whatever came."))
    assert event("ping") in RAW["claude-up"]
