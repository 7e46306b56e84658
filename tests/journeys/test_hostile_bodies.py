"""Bodies, keys and names that no honest client sends: one clear shaped error each, and nothing reaches a provider."""

import asyncio
import gzip
import time
from pathlib import Path

import orjson
import pytest
from tests.journeys.rig import ADMIN, DOCUMENT, KEY, Rig, Told, ask, ask_claude, gateway, request
from tests.journeys.upstream import Upstream, chat, message, text_block

CHAT, MESSAGES, COUNT = "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"
DOORS = [CHAT, MESSAGES, COUNT, "/v1/execute", "/v1/route"]
DEEP = b'{"model":"gpt","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

NOT_JSON = {
    "nothing": b"",
    "spaces": b"   \n",
    "half": b'{"model":"gpt","messages":[',
    "single quotes": b"{'model': 'gpt'}",
    "a trailing comma": b'{"model":"gpt",}',
    "a comment": b'{"model":"gpt"/* */}',
    "two values": b'{"model":"gpt"}{"model":"gpt"}',
    "noise behind it": b'{"model":"gpt"} x',
    "a byte order mark": b'\xef\xbb\xbf{"model":"gpt"}',
    "UTF-16": '{"model":"gpt"}'.encode("utf-16"),
    "bytes that are no UTF-8": b'{"model":"gp\xff"}',
    "a surrogate in UTF-8": b'{"model":"\xed\xa0\x80"}',
    "an overlong slash": b'{"model":"\xc0\xaf"}',
    "a lone surrogate": b'{"model":"\\ud800"}',
    "a raw control character": b'{"model":"a\x01b"}',
    "NaN": b'{"model":"gpt","temperature":NaN}',
    "Infinity": b'{"model":"gpt","temperature":-Infinity}',
    "a number that is infinite": b'{"model":"gpt","temperature":1e999}',
    "a leading zero": b'{"model":"gpt","n":01}',
    "an array": b"[]",
    "a string": b'"gpt"',
    "null": b"null",
    "a number": b"1",
    "a form": b"model=gpt&messages=hello",
    "too deep": DEEP,
    "too deep in objects": b'{"model":"gpt","x":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
    "a key twice": b'{"model":"gpt","model":"gpt"}',
    "a key twice, escaped": b'{"model":"gpt","m\\u006fdel":"gpt"}',
    "a key twice inside": b'{"model":"gpt","messages":[{"role":"user","role":"system","content":"x"}]}',
}


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_no_plain_json_object_is_400(rig: Rig, provider: Upstream, path: str, body: bytes) -> None:
    refused(await rig.post(path, body), provider)


HUGE = 10**400
WRONG_CHAT: dict[str, dict[str, object]] = {
    "no model": {"messages": [{"role": "user", "content": "x"}]},
    "no messages": {"model": "gpt"},
    "messages of nothing": {"model": "gpt", "messages": []},
    "messages null": {"model": "gpt", "messages": None},
    "messages an object": {"model": "gpt", "messages": {"role": "user", "content": "x"}},
    "a message that is text": {"model": "gpt", "messages": ["hello"]},
    "a message without a role": {"model": "gpt", "messages": [{"content": "x"}]},
    "a role that is none": {"model": "gpt", "messages": [{"role": "root", "content": "x"}]},
    "content a number": {"model": "gpt", "messages": [{"role": "user", "content": 1}]},
    "a part without a type": {"model": "gpt", "messages": [{"role": "user", "content": [{"text": "x"}]}]},
    "model a number": ask() | {"model": 7},
    "model a list": ask() | {"model": ["gpt"]},
    "model empty": ask() | {"model": ""},
    "model null": ask() | {"model": None},
    "temperature a word": ask(temperature="hot"),
    "temperature a list": ask(temperature=[1]),
    "stream a word": ask(stream="yes"),
    "stream a number": ask(stream=1),
    "max_tokens below zero": ask(max_tokens=-5),
    "max_tokens zero": ask(max_tokens=0),
    "max_tokens a fraction": ask(max_tokens=1.5),
    "max_tokens a truth": ask(max_tokens=True),
    "n below one": ask(n=0),
    "n a word": ask(n="2"),
    "n of a million": ask(n=1_000_000),
    "stop a number": ask(stop=3),
    "tools an object": ask(tools={}),
    "a tool without a function": ask(tools=[{"type": "function"}]),
    "a tool that is text": ask(tools=["x"]),
    "response_format a word": ask(response_format="json"),
    "response_format unknown": ask(response_format={"type": "xml"}),
    "tool_choice without tools a number": ask(tool_choice=4),
    "logit_bias a list": ask(logit_bias=[]),
    "metadata a word": ask(metadata="x"),
    "class unknown": ask(metadata={"class": "urgent"}),
}


@pytest.mark.parametrize("body", WRONG_CHAT.values(), ids=WRONG_CHAT.keys())
async def test_a_wrong_field_of_a_chat_is_400_and_is_named(
    rig: Rig, provider: Upstream, body: dict[str, object]
) -> None:
    told = await rig.post(CHAT, body)
    refused(told, provider)
    assert told.json["error"]["param"]


WRONG_MESSAGE: dict[str, dict[str, object]] = {
    "no model": {"max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    "no messages": {"model": "claude", "max_tokens": 9},
    "no max_tokens": {"model": "claude", "messages": [{"role": "user", "content": "x"}]},
    "messages of nothing": {"model": "claude", "max_tokens": 9, "messages": []},
    "a role that is none": {"model": "claude", "max_tokens": 9, "messages": [{"role": "root", "content": "x"}]},
    "a block without a type": ask_claude() | {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
    "content a number": ask_claude() | {"messages": [{"role": "user", "content": 1}]},
    "max_tokens a word": ask_claude(max_tokens="9"),
    "max_tokens below zero": ask_claude(max_tokens=-1),
    "system a number": ask_claude(system=7),
    "stream a word": ask_claude(stream="yes"),
    "tools an object": ask_claude(tools={}),
    "a tool without a name": ask_claude(tools=[{"input_schema": {}}]),
    "thinking a word": ask_claude(thinking="hard"),
    "stop_sequences a word": ask_claude(stop_sequences="x"),
    "model a number": ask_claude() | {"model": 7},
}


@pytest.mark.parametrize("body", WRONG_MESSAGE.values(), ids=WRONG_MESSAGE.keys())
async def test_a_wrong_field_of_a_message_is_400_and_is_named(
    rig: Rig, provider: Upstream, body: dict[str, object]
) -> None:
    told = await rig.post(MESSAGES, body)
    refused(told, provider)
    assert told.json["type"] == "error"
    assert told.json["error"]["type"] == "invalid_request_error"
    assert "`" in told.json["error"]["message"]


BAD_NAMES = [
    "no-such-model", "gpt\r\nx-evil: 1", 'gpt"}', "gpt\x00", "../../etc/passwd", "{{7*7}}", "${HOME}", "gpt' OR '1'='1",
    "<script>alert(1)</script>", "\u202egpt", "g" * 100, "oai/", "/gpt", "oai//gpt", "polyroute/", "logic/x", "auto",
    "pipeline/x", "\U0001f600", "auto:gpt/x", "oai/gpt-up?x=1", "GPT",
]  # fmt: skip


@pytest.mark.parametrize("path", [CHAT, MESSAGES, COUNT])
@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
async def test_a_model_that_is_none_is_404_in_the_door_s_shape(
    rig: Rig, provider: Upstream, path: str, name: str
) -> None:
    told = await rig.post(path, ask_claude(model=name))
    assert told.status == 404
    modest(told)
    error = told.json["error"]
    assert error["type"] == ("invalid_request_error" if path == CHAT else "not_found_error")
    assert "x-evil" not in told.headers
    assert provider.log == []


@pytest.mark.parametrize("given", ["a\tb", "a" * 5_000, "\u00e9", "x-evil: 1", '"><script>', "%0d%0ax-evil:%201"])
async def test_a_caller_s_own_id_never_breaks_a_header(rig: Rig, given: str) -> None:
    told = await rig.post(CHAT, ask(), headers={"x-request-id": given, "traceparent": given})
    assert told.status == 200
    assert "x-evil" not in told.headers
    assert told.headers.get("x-request-id", "") in given
    assert len(told.headers.get("x-request-id", "")) <= 128


WRONG_KEYS = {
    "none": None,
    "empty": "",
    "a space": " ",
    "one letter less": KEY[:-1],
    "one letter more": KEY + "x",
    "another case": KEY.upper(),
    "the first twenty letters": KEY[:20] + "0" * 4,
    "a quote": KEY + "'",
    "an injection": "' OR 1=1 --",
    "a sleep": "'; SELECT pg_sleep(10) --",
    "a union": "x' UNION SELECT key FROM keys --",
    "very long": "k" * 50_000,
    "a NUL spelled out": KEY + "%00",
    "the provider's": "sk-of-the-provider-4242",
    "its hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "a letter beyond ASCII": KEY + "\u00e9",
    "two keys": f"{KEY}, {KEY}",
    "twice bearer": f"Bearer {KEY}",
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_a_key_that_is_nearly_right_is_401_and_is_not_repeated(
    rig: Rig, provider: Upstream, path: str, key: str | None
) -> None:
    started_s = time.monotonic()
    told = await rig.post(path, ask(), key=key)
    assert told.status == 401
    assert time.monotonic() - started_s < 3
    modest(told)
    assert told.json["error"]["type"] == "authentication_error"
    assert key is None or len(key) < 3 or key.encode() not in told.body
    assert b"gpt" not in told.body  # a stranger learns no name
    assert provider.log == []


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"authorization": f"bearer{KEY}"},
        {"cookie": f"key={KEY}"},
        {"proxy-authorization": f"Bearer {KEY}"},
        {"x-polyroute-key": KEY},
        {"x-admin": "true", "x-user": "root"},
    ],
)
async def test_a_key_in_the_wrong_place_is_none(rig: Rig, headers: dict[str, str]) -> None:
    assert (await rig.post(CHAT, ask(), key=None, headers=headers)).status == 401
    assert (await rig.get(f"/v1/models?key={KEY}&api_key={KEY}", key=None)).status == 401


@pytest.mark.parametrize("size", [1_100_000, 5_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_over_the_limit_is_413_while_it_streams_in(
    provider: Upstream, tmp_path: Path, size: int, is_chunked: bool
) -> None:
    document = DOCUMENT.format(url=provider.url).replace("{auth: keys}", "{auth: keys, max_body_mb: 1}")
    async with gateway(document, tmp_path) as rig:
        data = orjson.dumps(ask("x" * size))
        if is_chunked:
            head = request("POST", CHAT, headers={"transfer-encoding": "chunked"}).replace(
                b"content-length: 0\r\n", b""
            )
            data = head + b"%x\r\n%s\r\n" % (len(data), data)  # and no end
        else:
            data = request("POST", CHAT, data)
        connection = await rig.send(data)
        told = await connection.read()
        assert told.status == 413
        modest(told)
        assert "1 MB" in told.json["error"]["message"]
        assert told.headers["connection"] == "close"
    assert provider.log == []


async def test_an_answer_to_an_unread_body_is_not_lost_to_a_reset(provider: Upstream, tmp_path: Path) -> None:
    """A client that is still writing when it is refused must be able to read why."""
    document = DOCUMENT.format(url=provider.url).replace("{auth: keys}", "{auth: keys, max_body_mb: 1}")
    async with gateway(document, tmp_path) as rig:
        size = 30_000_000
        connection = await rig.send(
            request("POST", CHAT, b"")[:-4].replace(b"length: 0", b"length: %d" % size) + b"\r\n\r\n"
        )
        for _ in range(size // 1_000_000):
            connection.writer.write(b"x" * 1_000_000)
            await connection.writer.drain()
        assert (await connection.read()).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "GZIP"])
async def test_a_compressed_body_is_refused_unread(rig: Rig, provider: Upstream, encoding: str) -> None:
    refused(await rig.post(CHAT, gzip.compress(orjson.dumps(ask())), headers={"content-encoding": encoding}), provider)


async def test_ten_thousand_messages_and_tools_are_carried_in_time(rig: Rig, provider: Upstream) -> None:
    provider.script = lambda heard: chat("ok") if heard.path.endswith("completions") else message(text_block("ok"))
    turns = [{"role": "user" if at % 2 == 0 else "assistant", "content": f"turn {at}"} for at in range(10_001)]
    schema = {"type": "object", "properties": {}}
    tools = [{"type": "function", "function": {"name": f"f{at}", "parameters": schema}} for at in range(10_000)]
    started_s = time.monotonic()
    for path, model in ((CHAT, "gpt"), (CHAT, "claude"), (MESSAGES, "gpt"), (MESSAGES, "claude")):
        body = {"model": model, "max_tokens": 50, "messages": turns}
        told = await rig.post(path, body)
        assert told.status in (200, 400, 503), told.body[:300]
        modest(told)
    modest(await rig.post(CHAT, ask(tools=tools)))
    assert time.monotonic() - started_s < 10


@pytest.mark.parametrize(
    "number", [b"1" + b"0" * 400, b"-1" + b"0" * 400, b"9" * 5_000, b"1e-999", b"18446744073709551616"]
)
async def test_numbers_of_any_size_break_nothing(rig: Rig, number: bytes) -> None:
    for field in (b"max_tokens", b"seed", b"temperature", b"n", b"x-unknown"):
        body = orjson.dumps(ask())[:-1] + b',"%s":%s}' % (field, number)
        told = await rig.post(CHAT, body)
        assert told.status in (200, 400, 503), (field, told.body)
        modest(told)


NAMES = ["a\r\nb", 'a"b', "a\\b", "\u0000", "\u001b[31m", "a" * 3_000, "\u202e", "\U0001f600"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_names_with_control_characters_are_refused_or_carried_whole(
    rig: Rig, provider: Upstream, name: str
) -> None:
    tool = {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    told = await rig.post(CHAT, ask(tools=[tool], user=name))
    assert told.status in (200, 400)
    modest(told)
    if told.status == 200:
        assert provider.last.json["tools"][0]["function"]["name"] == name
        assert provider.last.json["user"] == name


async def test_pages_open_to_strangers_tell_them_nothing(rig: Rig) -> None:
    await rig.post(CHAT, ask())
    for path in ("/", "/health", "/health/live", "/health/ready"):
        told = await rig.get(path, key=None)
        assert told.status == 200
        for word in (b"gpt", b"claude", b"oai", b"0.1.0", b"uvicorn", b"books.db", b"127.0.0.1"):
            assert word not in told.body + repr(told.headers).encode(), (path, word)
        assert "server" not in told.headers
        assert "date" not in told.headers
        assert "x-powered-by" not in told.headers


async def test_the_page_forbids_scripts_frames_and_sniffing(rig: Rig) -> None:
    headers = (await rig.get("/", key=None)).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_no_origin_is_ever_let_in(rig: Rig) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for told in (
        await rig.call("OPTIONS", CHAT, headers=headers),
        await rig.post(CHAT, ask(), headers=headers),
        await rig.get("/v1/models", headers=headers),
        await rig.get("/", headers=headers),
    ):
        assert not [name for name in told.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/execute"])
async def test_a_wrong_method_is_405_and_names_the_right_one(rig: Rig, path: str, method: str) -> None:
    told = await rig.call(method, path)
    assert (told.status, told.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        modest(told)


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v2/chat/completions", "/x" * 2_000, "/%3Cscript%3E", "/wp-login.php"]
)
@pytest.mark.parametrize("key", [None, KEY, ADMIN])
async def test_an_unknown_path_is_404_in_openai_s_shape(rig: Rig, path: str, key: str | None) -> None:
    told = await rig.get(path, key=key)
    assert told.status == 404
    modest(told)
    assert set(told.json["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "path", ["/v1/messages/nothing", "/anthropic/v1/nothing", "/anthropic/", "/v1/messages/batches"]
)
async def test_an_unknown_path_of_anthropic_s_is_404_in_its_shape(rig: Rig, path: str) -> None:
    told = await rig.get(path)
    assert told.status in (404, 501)
    assert told.json["type"] == "error"
    assert set(told.json["error"]) >= {"type", "message"}


async def test_a_hundred_hostile_callers_do_not_stop_an_honest_one(rig: Rig) -> None:
    async def hostile(number: int) -> None:
        await rig.post(CHAT, [DEEP, b"{", b"\xff" * 100_000][number % 3])

    flood = [asyncio.create_task(hostile(number)) for number in range(100)]
    assert (await rig.post(CHAT, ask())).status == 200
    await asyncio.gather(*flood)


def modest(told: Told) -> None:
    """An error is short, in JSON, and shows nothing of how we are built."""
    if told.status < 400:
        return
    assert len(told.body) <= 2048
    assert told.json["error"]["message"]
    for word in (b"Traceback", b".py", b"site-packages", b"msgspec", b"orjson", b"sqlite"):
        assert word not in told.body


def refused(told: Told, provider: Upstream) -> None:
    assert told.status == 400, told.body[:500]
    modest(told)
    assert provider.log == []
