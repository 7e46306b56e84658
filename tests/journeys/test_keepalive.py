"""A provider that falls silent in the middle of its stream: the caller is told that the answer is still to come."""

import asyncio
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import DOCUMENT, PATIENCE_S, ask, ask_claude, gateway, request
from tests.journeys.upstream import Upstream, chat_events, message_events, stream

IMPATIENT = DOCUMENT.replace("auth: keys", "auth: keys, keepalive_s: 0.02")


@pytest.mark.parametrize(
    ("path", "body", "events", "mark"),
    [
        ("/v1/chat/completions", ask(stream=True), chat_events("one", "two"), b": keep-alive\n\n"),
        (
            "/v1/messages",
            ask_claude(stream=True),
            message_events("one", "two"),
            b'event: ping\ndata: {"type": "ping"}\n\n',
        ),
        ("/v1/messages", ask_claude(model="gpt", stream=True), chat_events("one", "two"), b"event: ping\n"),
    ],
    ids=["openai", "anthropic", "anthropic, across"],
)
async def test_a_silent_provider_is_covered_for(
    provider: Upstream, tmp_path: Path, path: str, body: object, events: list[bytes], mark: bytes
) -> None:
    silence = asyncio.Event()
    middle = next(number for number, event in enumerate(events) if b'"two"' in event)
    provider.answers(stream(*events[:middle], silence, *events[middle:]))
    async with gateway(IMPATIENT.format(url=provider.url), tmp_path) as rig:
        connection = await rig.send(request("POST", path, orjson.dumps(body)))
        async with asyncio.timeout(PATIENCE_S):
            head = await connection.until(b"\r\n\r\n")
            begun = await connection.until(b"one")
            filled = await connection.until(mark)
        assert b"200" in head.split(b"\r\n")[0]
        assert b"two" not in begun + filled
        silence.set()
        async with asyncio.timeout(PATIENCE_S):
            rest = await connection.reader.read()
        assert b"two" in rest
        assert b"error" not in rest
        connection.leave()
