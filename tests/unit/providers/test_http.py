"""The adapter over a transport that only notes, and OpenAI's dialect as an example of one."""

from collections.abc import AsyncGenerator, Mapping

import pytest

from polyroute.dialects.openai_chat import OpenAIChat
from polyroute.errors import AuthRejected, MalformedReply, Overloaded, ProviderError, StreamInterrupted
from polyroute.providers.http import HttpProvider, SealedHeaders
from polyroute.testing.providers import a_deployment
from polyroute.types.cards import Deadlines
from polyroute.types.request import Request, Tool, ask
from polyroute.types.response import Chunk, Ended, Started, StopReason, TextDelta, WireBytes

DIALECT = OpenAIChat()
TARGET = a_deployment("gpt-4o")
DEADLINES = Deadlines()
ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"gpt-4o-2024","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'
)
HEAD = b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024",'
HEAD += b'"choices":[{"index":0,"delta":'
EVENTS = [
    HEAD + b'{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n',
    HEAD + b'{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]


class Secret:
    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value


class Reply:
    def __init__(
        self, status: int, pieces: list[bytes], headers: Mapping[str, str], breaks: ProviderError | None
    ) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces
        self._breaks = breaks
        self.log: list[str] = []

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.chunks()])

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for piece in self._pieces:
            yield piece
        if self._breaks is not None:
            raise self._breaks
        self.log.append("end")

    def close(self) -> None:
        self.log.append("close")

    def detach(self) -> None:
        self.log.append("detach")


class Transport:
    def __init__(
        self,
        *pieces: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        breaks: ProviderError | None = None,
    ) -> None:
        self.reply = Reply(status, list(pieces), headers or {}, breaks)
        self.url = ""
        self.body = b""
        self.headers: Mapping[str, str] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        self.url, self.body, self.headers = url, body, headers
        return self.reply

    async def get(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a provider never asks with GET")

    async def delete(self, url: str, headers: Mapping[str, str], deadlines: Deadlines) -> Reply:
        raise AssertionError("a provider never deletes")

    async def aclose(self) -> None:
        self.reply.log.append("closed")


def provider(transport: Transport, base_url: str = "https://api.example/v1", **headers: str) -> HttpProvider:
    return HttpProvider(
        dialects=(DIALECT,),
        transport=transport,
        base_url=base_url,
        credentials={"authorization": "Bearer key-0123456789"},
        headers={name.replace("_", "-"): Secret(value) for name, value in headers.items()},
        utc_s=lambda: 0.0,
    )


def through_the_door(**fields: object) -> Request:
    return DIALECT.parse_request(
        {"model": "route", "messages": [{"role": "user", "content": "Hello"}], "x_unknown": 1, **fields}, {}
    )


async def stream_of(transport: Transport, request: Request) -> list[Chunk]:
    return [chunk async for chunk in provider(transport).stream(request, TARGET, DEADLINES, None)]


# ── whole answers ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_of_the_same_dialect_gets_the_bytes_untouched() -> None:
    transport = Transport(ANSWER)
    reply = await provider(transport).complete(through_the_door(), TARGET, DEADLINES, None)
    assert (reply.wire, reply.response, reply.model, reply.stop) == (ANSWER, None, "gpt-4o-2024", StopReason.END)
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 1)
    assert b'"x_unknown":1' in transport.body
    assert b'"model":"gpt-4o"' in transport.body


async def test_any_other_request_gets_the_canonical_answer() -> None:
    reply = await provider(Transport(ANSWER)).complete(ask("route", "Hello"), TARGET, DEADLINES, None)
    assert reply.wire is None
    assert reply.response is not None
    assert reply.response.text == "Hi"


async def test_what_could_not_be_said_is_told() -> None:
    request = Request(model="route", messages=ask("route", "x").messages, top_k=3)
    reply = await provider(Transport(ANSWER)).complete(request, TARGET, DEADLINES, None)
    assert reply.dropped == ("top_k",)
    chunks = await stream_of(Transport(*EVENTS), request)
    assert isinstance(chunks[0], Started)
    assert chunks[0].dropped == ("top_k",)


async def test_a_streamed_question_can_be_answered_whole_and_the_other_way_round() -> None:
    transport = Transport(ANSWER)
    await provider(transport).complete(through_the_door(stream=True), TARGET, DEADLINES, None)
    assert b'"stream":true' not in transport.body
    assert transport.headers["accept"] == "application/json"
    transport = Transport(*EVENTS)
    await stream_of(transport, through_the_door())
    assert b'"stream":true' in transport.body
    assert transport.headers["accept"] == "text/event-stream"


async def test_the_output_limit_is_passed_on() -> None:
    transport = Transport(ANSWER)
    await provider(transport).complete(through_the_door(max_tokens=100), TARGET, DEADLINES, 7)
    assert b'"max_tokens":7' in transport.body


def test_obstacles_are_the_dialects() -> None:
    adapter = provider(Transport())
    assert adapter.obstacles(through_the_door(), TARGET) == ()
    assert adapter.obstacles(Request(model="r", messages=(), tools=(Tool(name="t"),)), TARGET) == ()


# ── addresses and headers ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.example/v1", "https://api.example/v1/chat/completions"),
        ("https://api.example/v1/", "https://api.example/v1/chat/completions"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/chat/completions"),
        ("https://api.example/v1?api-version=1", "https://api.example/v1/chat/completions?api-version=1"),
        ("https://a.example/d/{model}?v=1", "https://a.example/d/gpt-4o/chat/completions?v=1"),
    ],
)
async def test_the_address_is_the_documents(base_url: str, url: str) -> None:
    transport = Transport(ANSWER)
    await provider(transport, base_url).complete(through_the_door(), TARGET, DEADLINES, None)
    assert transport.url == url


async def test_a_models_name_cannot_leave_its_place_in_the_address() -> None:
    transport = Transport(ANSWER)
    target = a_deployment("../../evil?x=1#/a b")
    await provider(transport, "https://a.example/d/{model}").complete(through_the_door(), target, DEADLINES, None)
    assert transport.url == "https://a.example/d/..%2F..%2Fevil%3Fx%3D1%23%2Fa%20b/chat/completions"


async def test_headers_are_the_documents_and_the_dialects() -> None:
    transport = Transport(ANSWER)
    adapter = provider(transport, OpenAI_Organization="org-1", user_agent="ours")
    await adapter.complete(through_the_door(), TARGET, DEADLINES, None)
    assert transport.headers == {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": "ours",
        "authorization": "Bearer key-0123456789",
        "openai-organization": "org-1",
    }


@pytest.mark.parametrize("name", ["host", "content_length", "transfer_encoding", "accept_encoding"])
def test_the_transports_own_headers_cannot_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="set by the transport"):
        provider(Transport(), **{name: "x"})


@pytest.mark.parametrize("base_url", ["", "api.example/v1", "https://user:pass@api.example/v1", "file:///etc/passwd"])
def test_an_address_that_cannot_be_called_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        provider(Transport(), base_url)


def test_nothing_secret_is_shown() -> None:
    adapter = provider(Transport(), x_token="token-0123456789")
    shown = repr(adapter) + repr(SealedHeaders({"authorization": "Bearer key-0123456789"}))
    shown += " ".join(repr(value) for name, value in vars(adapter).items() if name != "_secrets")
    assert "0123456789" not in shown


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_is_the_dialects_with_the_time_to_come_back() -> None:
    transport = Transport(b'{"error":{"message":"Slow down"}}', status=429, headers={"retry-after-ms": "1500"})
    with pytest.raises(Overloaded, match="Slow down") as caught:
        await provider(transport).complete(through_the_door(), TARGET, DEADLINES, None)
    assert (caught.value.http_status, caught.value.retry_after_s) == (429, 1.5)


async def test_a_key_that_the_provider_repeats_is_not_told() -> None:
    transport = Transport(b'{"error":{"message":"Incorrect API key provided: key-0123456789"}}', status=401)
    with pytest.raises(AuthRejected) as caught:
        await provider(transport).complete(through_the_door(), TARGET, DEADLINES, None)
    assert "0123456789" not in caught.value.message


async def test_an_error_that_breaks_off_is_still_an_error_of_its_status() -> None:
    transport = Transport(b"<html>", status=503, breaks=StreamInterrupted("cut"))
    with pytest.raises(Overloaded):
        await provider(transport).complete(through_the_door(), TARGET, DEADLINES, None)


async def test_an_endless_error_is_not_read_to_its_end() -> None:
    transport = Transport(*[b"x" * 100_000] * 1000, status=500)
    with pytest.raises(Overloaded):
        await provider(transport).complete(through_the_door(), TARGET, DEADLINES, None)
    assert "end" not in transport.reply.log


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b'{"choices":[]}', b'{"choices":"x"}', b"\xff\xfe"])
@pytest.mark.parametrize("is_same", [True, False])
async def test_an_answer_that_makes_no_sense_is_malformed(body: bytes, is_same: bool) -> None:
    request = through_the_door() if is_same else ask("route", "Hello")
    with pytest.raises(MalformedReply):
        await provider(Transport(body)).complete(request, TARGET, DEADLINES, None)


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_of_the_same_dialect_is_bytes_and_a_tail() -> None:
    transport = Transport(*EVENTS)
    chunks = await stream_of(transport, through_the_door(stream=True, stream_options={"include_usage": True}))
    assert chunks[0] == WireBytes(data=EVENTS[0])
    assert isinstance(chunks[-1], Ended)
    assert chunks[-1].wire == EVENTS[1] + EVENTS[2]


async def test_any_other_stream_is_canonical() -> None:
    chunks = await stream_of(Transport(*EVENTS), ask("route", "Hello"))
    assert isinstance(chunks[0], Started)
    assert TextDelta(text="Hi") in chunks
    assert isinstance(chunks[-1], Ended)


async def test_the_upstream_is_let_go_before_the_end_is_told() -> None:
    transport = Transport(*EVENTS, b"never read")
    stream = provider(transport).stream(ask("route", "Hello"), TARGET, DEADLINES, None)
    async for chunk in stream:
        if isinstance(chunk, Ended):
            assert transport.reply.log == ["detach"]
    assert "end" not in transport.reply.log


async def test_closing_a_stream_closes_the_upstream() -> None:
    transport = Transport(*EVENTS)
    stream = provider(transport).stream(ask("route", "Hello"), TARGET, DEADLINES, None)
    await anext(stream)
    await stream.aclose()
    assert transport.reply.log == ["close"]


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        pytest.param([EVENTS[0]], StreamInterrupted, id="cut after the first event"),
        pytest.param([], StreamInterrupted, id="nothing at all"),
        pytest.param([ANSWER], MalformedReply, id="answered whole"),
        pytest.param([ANSWER[:40], ANSWER[40:]], MalformedReply, id="answered whole, in pieces"),
        pytest.param(
            [b'{"error":{"message":"no","type":"server_error","code":500}}'], ProviderError, id="an error, under 200"
        ),
        pytest.param([b"<html>\n\n</html>"], ProviderError, id="a page"),
    ],
)
@pytest.mark.parametrize("is_same", [True, False])
async def test_a_stream_that_is_none_is_a_provider_error(
    pieces: list[bytes], error: type[ProviderError], is_same: bool
) -> None:
    request = through_the_door(stream=True) if is_same else ask("route", "Hello")
    transport = Transport(*pieces)
    with pytest.raises(error):
        await stream_of(transport, request)
    assert "close" in transport.reply.log


async def test_the_shared_transport_is_not_the_adapters_to_close() -> None:
    transport = Transport()
    await provider(transport).aclose()
    assert transport.reply.log == []
