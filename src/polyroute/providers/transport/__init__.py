"""The ways to make an HTTP call to an upstream, all behind `polyroute.ports.Transport`.

`http1` is our own client and the default: the HTTP client is the largest single cost of a gateway. `aiohttp` is for
what `http1` does not do: HTTP proxies, and servers that only a forgiving client understands. It is imported when
chosen, since that import alone costs more than starting the rest.
"""

from pkgutil import resolve_name
from typing import Literal

from polyroute.ports import Transport

TransportName = Literal["http1", "aiohttp"]

_MODULES: dict[TransportName, str] = {
    "http1": "polyroute.providers.transport.http1:Http1Transport",
    "aiohttp": "polyroute.providers.transport.aiohttp_client:AiohttpTransport",
}


def open_transport(name: TransportName = "http1") -> Transport:
    """A transport with its own connection pools; the caller closes it."""
    transport: Transport = resolve_name(_MODULES[name])()
    return transport
