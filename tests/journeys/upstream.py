"""A provider that answers by script and keeps a log of what it heard: the oracle of every journey.

Raw bytes over asyncio streams. Nothing waits for time: an answer that hangs, hangs until its caller leaves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the provider does with one request. `pieces` are sent one by one; an event among them is awaited first."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes | asyncio.Event] = ()
    kind: str = "application/json"
    chunked: bool = False
    end: str = "keep"  # "keep" the connection, "cut" it (RST) after the pieces, "hang" until the caller leaves
    raw: bytes | None = None  # in place of head and body


@dataclass(kw_only=True)
class Heard:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    arrived_s: float
    left_s: float | None = None  # when the caller hung up before the answer was whole
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


Script = Callable[[Heard], Answer]


class Upstream:
    def __init__(self) -> None:
        self.log: list[Heard] = []
        self.script: Script = lambda heard: chat("ok")
        self.arrived = asyncio.Event()  # set with each request
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *answers: Answer) -> None:
        """In order; the last one again and again."""
        left = list(answers)
        self.script = lambda heard: left.pop(0) if len(left) > 1 else left[0]

    @property
    def last(self) -> Heard:
        return self.log[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        heard = None
        try:
            while (heard := await _hear(reader)) is not None:
                self.log.append(heard)
                self.arrived.set()
                if not await _tell(self.script(heard), heard, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            if heard is not None:
                _left(heard)
        finally:
            writer.close()
            self._tasks.discard(task)


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    provider = Upstream()
    server = await asyncio.start_server(provider._serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        for task in list(provider._tasks):
            task.cancel()
        await asyncio.gather(*provider._tasks, return_exceptions=True)


async def _hear(reader: asyncio.StreamReader) -> Heard | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *fields = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    now_s = asyncio.get_running_loop().time()
    return Heard(method=method, path=path, headers=headers, body=body, arrived_s=now_s)


async def _tell(answer: Answer, heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection may serve another request."""
    if answer.raw is not None:
        writer.write(answer.raw)
        await writer.drain()
        return False
    watch = asyncio.ensure_future(reader.read(1))
    try:
        whole = [piece for piece in answer.pieces if isinstance(piece, bytes)]
        length = "transfer-encoding: chunked" if answer.chunked else f"content-length: {sum(map(len, whole))}"
        if answer.end == "cut" and not answer.chunked:
            length = f"content-length: {sum(map(len, whole)) + 100}"
        head = [f"HTTP/1.1 {answer.status} X", f"content-type: {answer.kind}", length]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.pieces or answer.end == "keep":
            writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        for piece in answer.pieces:
            if isinstance(piece, asyncio.Event):
                await writer.drain()
                if not await _first(watch, piece):
                    return _left(heard)
            else:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
        await writer.drain()
        if answer.end == "hang":
            await watch
            return _left(heard)
        if answer.end == "cut":
            writer.transport.abort()
            return False
        if answer.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not watch.done()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _first(watch: "asyncio.Future[Any]", gate: asyncio.Event) -> bool:
    """Waits for the gate; False where the caller left before it opened."""
    opened: asyncio.Future[Any] = asyncio.ensure_future(gate.wait())
    await asyncio.wait({watch, opened}, return_when=asyncio.FIRST_COMPLETED)
    opened.cancel()
    return not watch.done()


def _left(heard: Heard) -> bool:
    heard.left_s = asyncio.get_running_loop().time()
    heard.left.set()
    return False


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────


def whole(value: object, status: int = 200, **headers: str) -> Answer:
    names = {name.replace("_", "-"): given for name, given in headers.items()}
    return Answer(status=status, pieces=(orjson.dumps(value),), headers=names)


def chat(
    text: str | None, *, model: str = "served-model", usage: tuple[int, int] = (11, 7), **message: object
) -> Answer:
    """An OpenAI chat completion. A list of tool calls ends it so."""
    stop = "tool_calls" if "tool_calls" in message else "stop"
    return whole({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, **message},
                     "finish_reason": stop, "logprobs": None}],
        "usage": chat_usage(*usage),
    })  # fmt: skip


def chat_usage(inputs: int, outputs: int) -> Json:
    return {"prompt_tokens": inputs, "completion_tokens": outputs, "total_tokens": inputs + outputs}


def message(*content: Json, model: str = "served-claude", stop: str = "end_turn") -> Answer:
    """An Anthropic message of these blocks."""
    return whole({
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": list(content),
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 7},
    })  # fmt: skip


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def chunk(delta: Json, finish: str | None = None, *, model: str = "served-model", **more: object) -> bytes:
    return b"data: " + orjson.dumps({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more,
    }) + b"\n\n"  # fmt: skip


def chat_events(*texts: str, model: str = "served-model", usage: tuple[int, int] | None = (11, 7)) -> list[bytes]:
    """An OpenAI stream, event by event, as one that was asked for usage."""
    events = [chunk({"role": "assistant", "content": ""}, model=model)]
    events += [chunk({"content": text}, model=model) for text in texts]
    events.append(chunk({}, "stop", model=model))
    if usage is not None:
        last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": model,
                "choices": [], "usage": chat_usage(*usage)}  # fmt: skip
        events.append(b"data: " + orjson.dumps(last) + b"\n\n")
    return [*events, b"data: [DONE]\n\n"]


def event(kind: str, **fields: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def message_events(*texts: str, model: str = "served-claude") -> list[bytes]:
    """An Anthropic stream of one text block."""
    opening: Json = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1},
    }  # fmt: skip
    deltas = [event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts]
    return [
        event("message_start", message=opening),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *deltas,
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7}),
        event("message_stop"),
    ]


def stream(*pieces: bytes | asyncio.Event, end: str = "keep") -> Answer:
    return Answer(pieces=pieces, kind="text/event-stream", chunked=True, end=end)


def failing(status: int, message: str = "no", kind: str = "server_error", code: str | None = None) -> Answer:
    """An error in OpenAI's shape."""
    return whole({"error": {"message": message, "type": kind, "param": None, "code": code}}, status)


def failing_message(status: int, message: str = "no", kind: str = "api_error") -> Answer:
    """An error in Anthropic's shape."""
    return whole({"type": "error", "error": {"type": kind, "message": message}}, status)


HANGS = Answer(end="hang")
CUT = Answer(pieces=(b"{",), end="cut")
