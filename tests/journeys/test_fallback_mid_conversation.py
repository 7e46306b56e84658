"""One conversation with tools, answered by OpenAI, then Anthropic, then Gemini, as each fails in its turn.

Every provider checks strictly that what it hears is its own native format: ids that match, turns that alternate,
results behind their calls. The caller keeps one history and sees one format throughout. Then: each kind of failure at
each place of the chain moves to the next place, exactly once.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.journeys.rig import PATIENCE_S, Rig, Told, gateway
from tests.journeys.tls import Certificate, secured
from tests.journeys.upstream import (
    HANGS,
    Answer,
    Heard,
    Upstream,
    chat,
    chat_events,
    failing,
    failing_message,
    message,
    message_events,
    stream,
    text_block,
    whole,
)

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
DOCUMENT = """
server: {{auth: open}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{oai}/v1", max_tries: 1, timeouts: {{first_token_s: {patience_s}}}}}
  ant: {{dialect: anthropic, base_url: "{ant}", max_tries: 1, timeouts: {{first_token_s: {patience_s}}}}}
  goo: {{dialect: gemini, base_url: "{goo}/v1beta", max_tries: 1, timeouts: {{first_token_s: {patience_s}}}}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2, output: 8}}}}
  claude: {{provider: ant, model: claude-up, price: {{input: 3, output: 15}}}}
  gemini: {{provider: goo, model: gemini-up, price: {{input: 1, output: 4}}}}
routes:
  chain: {{primary: gpt, fallback: [claude, gemini]}}
"""
PLACES = ("gpt", "claude", "gemini")


def document(url: str, *, patience_s: float = PATIENCE_S, **addresses: str) -> str:
    return DOCUMENT.format(patience_s=patience_s, **{"oai": url, "ant": url, "goo": url, **addresses})


@pytest.fixture
async def chain(provider: Upstream, tmp_path: Path) -> AsyncIterator[Rig]:
    async with gateway(document(provider.url), tmp_path, {}) as running:
        yield running


# ── what each provider takes for its own ──────────────────────────────────────────────────────────────────


def place_of(heard: Heard) -> str:
    """Which of the three was asked, by its own path."""
    if heard.path == CHAT:
        return "gpt"
    if heard.path == MESSAGES:
        return "claude"
    assert heard.path.partition("?")[0] in (
        "/v1beta/models/gemini-up:generateContent",
        "/v1beta/models/gemini-up:streamGenerateContent",
    )
    return "gemini"


def check_openai(body: Any) -> None:
    assert body["model"] == "gpt-up"
    waiting: list[str] = []
    for one in body["messages"]:
        if one["role"] == "tool":
            waiting.remove(one["tool_call_id"])
            assert isinstance(one["content"], str)
        else:
            assert waiting == [], "calls without results"
        if one["role"] == "assistant":
            waiting = [call["id"] for call in one.get("tool_calls", ())]
            for call in one.get("tool_calls", ()):
                assert call["type"] == "function"
                orjson.loads(call["function"]["arguments"])
    assert waiting == []
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]


def check_anthropic(body: Any) -> None:
    assert body["model"] == "claude-up"
    assert body["max_tokens"] > 0
    assert "Be brief." in orjson.dumps(body["system"]).decode()
    assert [tool["name"] for tool in body["tools"]] == ["weather"]
    assert all(tool["input_schema"]["type"] == "object" for tool in body["tools"])
    turns = body["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    waiting: list[str] = []
    for turn in turns:
        blocks = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(results) == sorted(waiting), "every call is answered in the next turn"
        assert [block["type"] for block in blocks[: len(results)]] == ["tool_result"] * len(results), "results first"
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert len(set(waiting)) == len(waiting)
        assert all(isinstance(block["input"], dict) for block in blocks if block["type"] == "tool_use")
        assert turn["role"] == "assistant" or not waiting


def check_gemini(body: Any) -> None:
    assert "Be brief." in orjson.dumps(body["systemInstruction"]).decode()
    declared = [one for tool in body["tools"] for one in tool["functionDeclarations"]]
    assert [one["name"] for one in declared] == ["weather"]
    assert not body.keys() & {"messages", "model", "stream", "max_tokens"}
    waiting: list[str] = []
    for turn in body["contents"]:
        assert turn["role"] in ("user", "model")
        assert turn["parts"]
        answers = [part["functionResponse"] for part in turn["parts"] if "functionResponse" in part]
        assert [one["name"] for one in answers] == waiting, "every call is answered in the next turn, in order"
        assert all(isinstance(one["response"], dict) for one in answers)
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        assert all(isinstance(call.get("args", {}), dict) for call in calls)
        assert turn["role"] == "model" or not calls
        waiting = [call["name"] for call in calls]


CHECKS: dict[str, Callable[[Any], None]] = {"gpt": check_openai, "claude": check_anthropic, "gemini": check_gemini}
DOWN = {
    "gpt": failing(503, "busy"),
    "claude": failing_message(529, "Overloaded", "overloaded_error"),
    "gemini": whole({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}, 503),
}


def gemini_says(*parts: Any, stop: str = "STOP") -> Answer:
    return whole({
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": stop, "index": 0}],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
        "modelVersion": "served-gemini", "responseId": "g-1",
    })  # fmt: skip


def calls_of_openai(*cities: str) -> Answer:
    calls = [
        {"id": f"call_{city}", "type": "function", "function": {"name": "weather", "arguments": f'{{"city":"{city}"}}'}}
        for city in cities
    ]
    return chat(None, tool_calls=calls)


class Turns:
    """Who answers in each turn; all before it in the chain fail, each heard in its own format first."""

    def __init__(self, provider: Upstream) -> None:
        self.heard: list[str] = []
        self.bodies: dict[str, Any] = {}
        self._who = "gpt"
        self._answer = chat("ok")
        provider.script = self._hear

    def next(self, who: str, answer: Answer) -> None:
        self.heard, self._who, self._answer = [], who, answer

    def _hear(self, heard: Heard) -> Answer:
        place = place_of(heard)
        self.heard.append(place)
        self.bodies[place] = heard.json
        CHECKS[place](heard.json)
        return self._answer if place == self._who else DOWN[place]


# ── one conversation ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_conversation_at_openai_s_door_goes_on_wherever_it_is_answered(chain: Rig, provider: Upstream) -> None:
    turns = Turns(provider)
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    history: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "The weather there and in Rome?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
    ]

    async def turn(who: str, answer: Answer, asked: list[str]) -> Any:
        turns.next(who, answer)
        told = await chain.post(CHAT, {"model": "chain", "messages": history, "tools": [tool]}, key=None)
        assert told.status == 200, told.body
        assert turns.heard == asked
        assert told.headers["x-polyroute-model"] == who
        history.append(told.json["choices"][0]["message"])
        return history[-1]

    said = await turn("gpt", calls_of_openai("Oslo", "Rome"), ["gpt"])
    assert [call["id"] for call in said["tool_calls"]] == ["call_Oslo", "call_Rome"]
    history += [
        {"role": "tool", "tool_call_id": f"call_{city}", "content": f"sun in {city}"} for city in ("Oslo", "Rome")
    ]

    use = {"type": "tool_use", "id": "toolu_01Bern", "name": "weather", "input": {"city": "Bern"}}
    said = await turn("claude", message(text_block("And Bern."), use, stop="tool_use"), ["gpt", "claude"])
    assert said["content"] == "And Bern."
    (call,) = said["tool_calls"]
    assert (call["id"], orjson.loads(call["function"]["arguments"])) == ("toolu_01Bern", {"city": "Bern"})
    results = turns.bodies["claude"]["messages"][2]["content"]
    assert [(block["tool_use_id"], "sun in" in str(block["content"])) for block in results] == [
        ("call_Oslo", True),
        ("call_Rome", True),
    ]
    assert PNG in orjson.dumps(turns.bodies["claude"]).decode()
    history.append({"role": "tool", "tool_call_id": "toolu_01Bern", "content": "fog in Bern"})

    parts = [{"functionCall": {"name": "weather", "args": {"city": city}}} for city in ("Bonn", "Graz")]
    said = await turn("gemini", gemini_says(*parts), ["gpt", "claude", "gemini"])
    ids = [call["id"] for call in said["tool_calls"]]
    assert len(set(ids)) == 2
    assert [orjson.loads(call["function"]["arguments"]) for call in said["tool_calls"]] == [
        {"city": "Bonn"},
        {"city": "Graz"},
    ]
    contents = orjson.dumps(turns.bodies["gemini"]["contents"]).decode()
    for words in ("The weather there", PNG, "sun in Oslo", "sun in Rome", "And Bern.", "fog in Bern"):
        assert words in contents, words
    history += [{"role": "tool", "tool_call_id": call, "content": "snow"} for call in ids]

    said = await turn("gpt", chat("All are known."), ["gpt"])  # and home again, with everything that was said elsewhere
    assert said["content"] == "All are known."
    heard = turns.bodies["gpt"]["messages"]
    assert [one["tool_call_id"] for one in heard if one["role"] == "tool"] == [
        "call_Oslo", "call_Rome", "toolu_01Bern", *ids,
    ]  # fmt: skip


async def test_a_conversation_at_anthropic_s_door_keeps_images_in_results(chain: Rig, provider: Upstream) -> None:
    turns = Turns(provider)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    calls = [
        {"type": "tool_use", "id": f"toolu_{city}", "name": "weather", "input": {"city": city}}
        for city in ("Oslo", "Rome")
    ]
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": "toolu_Oslo", "content": [{"type": "text", "text": "see"}, image]},
        {"type": "tool_result", "tool_use_id": "toolu_Rome", "content": "no such city", "is_error": True},
    ]
    body = {
        "model": "chain",
        "max_tokens": 200,
        "system": "Be brief.",
        "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": calls},
            {"role": "user", "content": results},
        ],
    }
    for who, answer in (
        ("gpt", calls_of_openai("Bern")),
        ("claude", message({"type": "tool_use", "id": "call_Bern", "name": "weather", "input": {"city": "Bern"}})),
        ("gemini", gemini_says({"functionCall": {"name": "weather", "args": {"city": "Bern"}}})),
    ):
        turns.next(who, answer)
        told = await chain.post(MESSAGES, body, key=None)
        assert told.status == 200, told.body
        assert turns.heard == list(PLACES[: PLACES.index(who) + 1])
        (block,) = told.json["content"]
        assert (block["type"], block["name"], block["input"]) == ("tool_use", "weather", {"city": "Bern"})
        assert block["id"]
        heard = orjson.dumps(turns.bodies[who]).decode()
        for words in (PNG, "see", "no such city"):
            assert words in heard, (who, words)


# ── each failure at each place ────────────────────────────────────────────────────────────────────────────

FAILURES: dict[str, Answer | None] = {
    "timeout": HANGS,
    "an error of the server": whole({"error": {"message": "oops", "type": "api_error"}}, 500),
    "overloaded": whole({"error": {"message": "busy", "type": "overloaded_error"}}, 503),
    "a rate limit": whole({"error": {"message": "slow down", "type": "rate_limit_error"}}, 429, retry_after="120"),
    "malformed": Answer(pieces=(b'{"id": "x", "choices": [',)),
    "a page": Answer(pieces=(b"<html>maintenance</html>",), kind="text/html"),
    "our key refused": whole({"error": {"message": "no", "type": "authentication_error"}}, 401),
    "cut": Answer(pieces=(b"{",), end="cut"),
    "TLS": None,  # a certificate that nobody signed
}
SAYS: dict[str, Answer] = {
    "gpt": chat("here"),
    "claude": message(text_block("here")),
    "gemini": gemini_says({"text": "here"}),
}
STREAMS: dict[str, Answer] = {
    "gpt": stream(*chat_events("here")),
    "claude": stream(*message_events("here")),
    "gemini": stream(
        b"data: "
        + orjson.dumps(
            {
                "candidates": [
                    {"content": {"role": "model", "parts": [{"text": "here"}]}, "finishReason": "STOP", "index": 0}
                ],
                "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18},
                "modelVersion": "served-gemini",
                "responseId": "g-1",
            }
        )
        + b"\r\n\r\n"
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
async def test_each_failure_at_each_place_moves_on_exactly_once(
    provider: Upstream, tmp_path: Path, failure: str, place: int, is_stream: bool
) -> None:
    """All places up to `place` fail so; after the last there is none to move to."""
    answer, stack = FAILURES[failure], AsyncExitStack()
    failing_places = PLACES[: place + 1]
    addresses: dict[str, str] = {}
    if answer is None:
        port = await stack.enter_async_context(secured(Certificate(tmp_path)))
        addresses = dict.fromkeys(("oai", "ant", "goo")[: place + 1], f"https://127.0.0.1:{port}")
    heard: list[str] = []

    def script(request: Heard) -> Answer:
        heard.append(place_of(request))
        if answer is not None and heard[-1] in failing_places:
            return answer
        return (STREAMS if is_stream else SAYS)[heard[-1]]

    provider.script = script
    patience_s = 0.05 if failure == "timeout" else PATIENCE_S
    async with stack, gateway(document(provider.url, patience_s=patience_s, **addresses), tmp_path, {}) as rig:
        body = {"model": "chain", "messages": [{"role": "user", "content": "Hello"}], "stream": is_stream}
        told = await rig.post(CHAT, body, key=None)
        asked = list(PLACES[: place + 2])
        if answer is not None:
            assert heard == asked, "each place once, in order"
        if place == 2:
            assert_all_failed(told, failure)
            receipt = (await rig.settled())[0]
        else:
            assert told.status == 200, told.body
            assert told.headers["x-polyroute-model"] == asked[-1]
            assert b"here" in told.body
            receipt = await rig.receipt(told)
        assert [one.model for one in receipt.attempts] == asked
        failures = {one.error for one in receipt.attempts[: place + 1]}
        assert len(failures) == 1, "one typed error, whichever provider it was"
        if failure == "TLS":
            assert failures == {"Unreachable"}
        with rig.books() as books:
            assert list(books.verify()) == []


def assert_all_failed(told: Told, failure: str) -> None:
    assert told.status == (429 if failure == "a rate limit" else 502), told.body
    assert told.json["error"]["message"]
