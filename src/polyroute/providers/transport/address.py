"""An upstream's URL, taken apart once. Pure; the addresses come from the document, never from a request."""

from urllib.parse import quote, urlsplit

from msgspec import Struct

_PORTS = {"http": 80, "https": 443}


class Origin(Struct, frozen=True, kw_only=True):
    """What a connection is made to, and kept for."""

    host: str  # without brackets
    port: int
    is_tls: bool
    server_name: str | None = None  # what a certificate must bear, where `host` is an address that was looked up


class Address(Struct, frozen=True, kw_only=True):
    origin: Origin
    authority: str  # as the `host` field carries it
    target: str  # path and query, as the request line carries them


def parse_url(url: str) -> Address:
    """Raises ValueError, with the reason, where `url` is not a plain http(s) address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"not an address: {exc}") from exc
    if parts.scheme not in _PORTS:
        raise ValueError("an address starts with http:// or https://")
    if not parts.hostname:
        raise ValueError("the address names no host")
    if "@" in parts.netloc:
        raise ValueError("an address holds no credentials; use `api_key`")
    if any(not "!" <= character <= "~" for character in parts.path + parts.query):
        raise ValueError("path and query are printable ASCII without spaces; percent-encode the rest")
    try:
        host = parts.hostname.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise ValueError("the host is no valid name") from exc
    default = _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return Address(
        origin=Origin(host=host, port=port or default, is_tls=parts.scheme == "https"),
        authority=shown if port in {None, default} else f"{shown}:{port}",
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def escape(name: str) -> str:
    """`name` as one segment of a path, which it cannot leave."""
    return quote(name, safe="")
