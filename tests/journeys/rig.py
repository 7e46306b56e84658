"""A real gateway on a free loopback port, in the test's own event loop, and the plainest of HTTP clients for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from polyroute.config.load import reads
from polyroute.server.app import App
from polyroute.server.serve import listen, serve
from polyroute.server.table import build_table
from polyroute.stores.sqlite.books import Books
from polyroute.types.receipt import Receipt
from polyroute.wiring.build import Built, open_gateway

KEY = "pk-test-0123456789abcdef"
ADMIN = "pk-admin-0123456789abcdef"
PROVIDER_KEY = "sk-of-the-provider-4242"
PATIENCE_S = 10.0  # nothing takes so long; a test that hangs fails instead

# Both kinds of upstream at one scripted provider, with a price, for the key of one user.
DOCUMENT = """
server: {{auth: keys}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: PROVIDER_KEY}}, max_tries: 1}}
models:
  gpt: {{provider: oai, model: gpt-up, price: {{input: 2.50, output: 10.00}}}}
  claude: {{provider: ant, model: claude-up, price: {{input: 3.00, output: 15.00}}}}
keys:
  - {{name: ci, key: {{env: CI_KEY}}, team: platform, user: ci}}
"""
ENV = {"CI_KEY": KEY, "POLYROUTE_ADMIN_KEY": ADMIN, "PROVIDER_KEY": PROVIDER_KEY}


@dataclass(frozen=True, kw_only=True)
class Told:
    """An answer of the gateway, as it stood on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool = True  # False: the connection closed before the body's end

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of each server-sent event; `[DONE]` as text."""
        lines = (line[5:].strip() for line in self.body.split(b"\n") if line.startswith(b"data:"))
        return [line.decode() if line == b"[DONE]" else orjson.loads(line) for line in lines]


@dataclass(frozen=True, kw_only=True)
class Rig:
    built: Built
    port: int
    folder: Path
    app: App
    connections: list["Connection"] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(
        self, path: str, body: object, *, key: str | None = KEY, headers: Mapping[str, str] | None = None
    ) -> Told:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.call("POST", path, data, key=key, headers=headers)

    async def get(self, path: str, *, key: str | None = KEY, headers: Mapping[str, str] | None = None) -> Told:
        return await self.call("GET", path, key=key, headers=headers)

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        connection = await self.send(request(method, path, body, key=key, headers=headers))
        try:
            return await connection.read(method)
        finally:
            connection.leave()

    async def send(self, data: bytes) -> "Connection":
        """Writes `data` on a new connection, which stays open."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        connection = Connection(reader=reader, writer=writer)
        self.connections.append(connection)
        writer.write(data)
        return connection

    def books(self) -> Books:
        return Books(self.folder / "books.db")

    async def receipt(self, told: Told) -> Receipt:
        found = await self.built.services.ledger.receipt(told.headers["x-polyroute-request-id"])
        assert found is not None
        return found

    async def settled(self, count: int = 1) -> list[Receipt]:
        """The newest receipts, once so many are in the books: what a caller that left never gets to see."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := self.receipts()) < count:
                await asyncio.sleep(0.005)
        return found

    def receipts(self) -> list[Receipt]:
        """Settled ones, the newest first."""
        with self.books() as books:
            return books.recent()


@dataclass(frozen=True, kw_only=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self, method: str = "POST") -> Told:
        return await read_answer(self.reader, method)

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(mark)

    def leave(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def gateway(document: str, folder: Path, env: Mapping[str, str] = ENV) -> AsyncIterator[Rig]:
    loaded = reads(document, env, folder=folder)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def on_ready(url: str) -> None:
        ready.set_result(url)

    async with open_gateway(loaded, env) as built:
        app = App(built.services, build_table(), time.monotonic)
        sock = listen("127.0.0.1", 0)
        serving = asyncio.create_task(serve(app, sock, on_ready))
        try:
            serving.add_done_callback(lambda ended: ready.done() or ready.cancel())
            await ready
            rig = Rig(built=built, port=sock.getsockname()[1], folder=folder, app=app)
            try:
                yield rig
            finally:
                for connection in rig.connections:
                    connection.leave()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def request(
    method: str, path: str, body: bytes = b"", *, key: str | None = KEY, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one request, the last of its connection."""
    fields = {"host": "gateway", "connection": "close", **(headers or {})}
    if key is not None:
        fields.setdefault("authorization", f"Bearer {key}")
    if body or method == "POST":
        fields.setdefault("content-type", "application/json")
        fields.setdefault("content-length", str(len(body)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


async def read_answer(reader: asyncio.StreamReader, method: str = "POST") -> Told:
    async with asyncio.timeout(PATIENCE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in fields)}
        status = int(line.split(" ")[1])
        if status == 100:
            return await read_answer(reader, method)
        body, is_whole = b"", True
        try:
            if method == "HEAD":
                pass
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readuntil(b"\r\n")
            else:
                body = await reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            is_whole = False
    return Told(status=status, headers=headers, body=body, is_whole=is_whole)


def ask(text: str = "hello", model: str = "gpt", **more: object) -> dict[str, object]:
    """A chat completion's body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def ask_claude(text: str = "hello", model: str = "claude", **more: object) -> dict[str, object]:
    """A message's body."""
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}
