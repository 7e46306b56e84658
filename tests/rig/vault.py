"""A small server that answers in the shapes that Vault's documentation gives for KV version 2. It is not Vault.

Source: developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2, "Read secret version"; /vault/api-docs, "Error
response".
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hvs.canary-token-4242"


class FakeVault:
    """`secrets`: by path; None, a deleted version. `broken`: status and body in place of any answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.secrets: dict[str, dict[str, object] | None] = {}
        self.broken: tuple[int, bytes] | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((path, headers))
        if self.broken is not None:
            return self.broken
        if headers.get("x-vault-token") != TOKEN:
            return 403, b'{"errors":["permission denied"]}'
        name = path.removeprefix("/v1/")
        if name not in self.secrets:
            return 404, b'{"errors":[]}'
        found = self.secrets[name]
        metadata = {"created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False, "version": 1}
        if found is None:
            metadata["deletion_time"] = "2026-01-02T00:00:00Z"
        answer = {
            "request_id": "f4e7", "lease_id": "", "renewable": False, "lease_duration": 0,
            "data": {"data": found, "metadata": metadata}, "wrap_info": None, "warnings": None, "auth": None,
        }  # fmt: skip
        return (404 if found is None else 200), json.dumps(answer).encode()


@contextmanager
def fake_vault() -> Iterator[FakeVault]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = vault.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        vault = FakeVault(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield vault
        finally:
            server.shutdown()
            thread.join()
