"""An OpenID Connect issuer on loopback: keys of its own that it can change, tokens as good or bad as one likes."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "polyroute"


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    def __init__(self, name: str | None, algorithm: str = "ES256", *, bits: int = 2048) -> None:
        self.name, self.algorithm = name, algorithm
        self.private: Any
        if algorithm == "RS256":
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()

    def jwk(self) -> dict[str, Any]:
        spoken = jwt.get_algorithm_by_name(self.algorithm)
        public: dict[str, Any] = json.loads(spoken.to_jwk(self.private.public_key()))
        return {**public, "use": "sig", **({} if self.name is None else {"kid": self.name})}


class FakeIssuer:
    def __init__(self) -> None:
        self.url = ""
        self.keys = [SigningKey("one")]
        self.pages: dict[str, tuple[int, bytes]] = {}  # in place of what it would say
        self.asked: list[str] = []

    def token(self, key: SigningKey | None = None, *, header: dict[str, Any] | None = None, **claims: object) -> str:
        """`claims` over the usual ones; None leaves one out."""
        key = key or self.keys[0]
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "iat": now, **claims}
        whole = {name: value for name, value in usual.items() if value is not None}
        named = {} if key.name is None else {"kid": key.name}
        return jwt.encode(whole, key.private, algorithm=key.algorithm, headers={**named, **(header or {})})

    def say(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if path in self.pages:
            return self.pages[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            return 200, json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()
        return 404, b"{}"


@asynccontextmanager
async def fake_issuer() -> AsyncIterator[FakeIssuer]:
    issuer = FakeIssuer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status, body = issuer.say(head.split(" ")[1])
            writer.write(
                b"HTTP/1.1 %d X\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer
    finally:
        server.close()
