"""Valid bodies with something changed at random: never an error of ours, never a body that hangs."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.journeys.rig import DOCUMENT, Rig, Told, gateway
from tests.journeys.upstream import Heard, chat, chat_events, message, message_events, stream, text_block, upstream

CHAT: dict[str, Any] = {
    "model": "gpt",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Hi"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
    "max_tokens": 50,
    "temperature": 0.5,
    "stop": ["x"],
    "stream": False,
    "metadata": {"task": "summarize"},
    "user": "u",
}  # fmt: skip
MESSAGE: dict[str, Any] = {
    "model": "claude",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Hi"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "ok"}]},
        ]},
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "stream": False,
    "metadata": {"user_id": "u"},
}  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["gpt", "claude", "user", "assistant", "tool", "text", "image", "tool_use", "auto", "\u0000", ""]),
    st.lists(st.none() | st.text(max_size=5) | st.integers(0, 9), max_size=3),
    st.dictionaries(
        st.sampled_from(["type", "text", "role", "content", "x"]), st.none() | st.text(max_size=5), max_size=3
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body, by its path."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, below in inner for found in ((*path, key), *places(below, (*path, key)))]


def changed(body: dict[str, Any], path: tuple[Any, ...], change: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(body)
    holder: Any = body
    for key in path[:-1]:
        holder = holder[key]
    if change == "drop":
        del holder[path[-1]]
    elif change == "double" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[path[-1]]))
    elif change == "wrap":
        holder[path[-1]] = [holder[path[-1]]]
    else:
        holder[path[-1]] = value
    return body


@st.composite
def bodies(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(body)))
        body = changed(body, path, draw(st.sampled_from(["set", "set", "drop", "double", "wrap"])), draw(VALUES))
        if not body:
            break
    return {**body, "model": draw(st.sampled_from(["gpt", "claude"]))} if draw(st.booleans()) else body


def script(heard: Heard) -> Any:
    is_chat, is_stream = heard.path.endswith("completions"), heard.json.get("stream") is True
    if is_stream:
        return stream(*(chat_events("a") if is_chat else message_events("a")))
    return chat("a") if is_chat else message(text_block("a"))


def test_no_changed_body_breaks_either_door(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        running = Running(tmp_path)
        rig = runner.run(running.start())

        @settings(max_examples=250, suppress_health_check=list(HealthCheck))
        @given(bodies(CHAT), bodies(MESSAGE))
        def both_doors(asked: dict[str, Any], said: dict[str, Any]) -> None:
            sound(runner.run(rig.post("/v1/chat/completions", asked)))
            sound(runner.run(rig.post("/v1/messages", said)))
            sound(runner.run(rig.post("/v1/messages/count_tokens", said)))
            sound(runner.run(rig.post("/v1/route", asked)))

        try:
            both_doors()
        finally:
            runner.run(running.stop())


class Running:
    """A gateway that outlives single calls of the loop, as hypothesis needs one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Rig:
        started: asyncio.Future[Rig] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(started))
        return await started

    async def stop(self) -> None:
        self._ended.set()
        assert self._task is not None
        await self._task

    async def _run(self, started: asyncio.Future[Rig]) -> None:
        async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url), self._folder) as rig:
            provider.script = script
            started.set_result(rig)
            await self._ended.wait()


def sound(told: Told) -> None:
    assert told.status in (200, 400, 404, 501, 503), (told.status, told.body)
    assert told.is_whole
    if told.status >= 400:
        assert len(told.body) <= 2048
        assert told.json["error"]["message"]
