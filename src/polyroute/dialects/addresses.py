"""Whether an address that a request names may be handed to a provider: only hosts of the public internet may.

The gateway never fetches it, but a provider on our own network would, and so would reach what the caller cannot.
Names are not resolved here; a host written as a number is read as the WHATWG URL standard reads it ("IPv4 parser"),
since that is how fetchers do: `127.1`, `0x7f000001` and `0177.0.0.1` are all this machine.
"""

import unicodedata
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

_PRIVATE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(url: str) -> bool:
    """Whether `url`, http or https, names a host that could be on the public internet."""
    if not url.isprintable() or " " in url or "\\" in url:
        return False  # parsers disagree about these, and one of them is the provider's
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    if not host or "%" in host:
        return False
    if ":" in host:
        return _is_public_v6(IPv6Address(host))
    host = unicodedata.normalize("NFKC", host).lower().replace("。", ".").rstrip(".")
    labels = host.split(".")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        number = _v4_number(labels)
        return number is not None and IPv4Address(number).is_global and not IPv4Address(number).is_multicast
    return len(labels) > 1 and not any(host.endswith("." + name) for name in _PRIVATE_NAMES)


def _is_public_v6(address: IPv6Address) -> bool:
    inner = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return inner.is_global and not inner.is_multicast
    return address.is_global and not address.is_multicast


def _v4_number(labels: list[str]) -> int | None:
    """The address that one to four numbers make, each decimal, octal or hexadecimal; None where they make none."""
    numbers = []
    for label in labels:
        base = 16 if label.startswith("0x") else 8 if label.startswith("0") and len(label) > 1 else 10
        try:
            numbers.append(int(label[2:] or "0" if base == 16 else label, base))
        except ValueError:
            return None
    *heads, last = numbers
    if len(numbers) > 4 or any(head > 255 for head in heads) or last >= 256 ** (5 - len(numbers)):
        return None
    return sum(head << 8 * (3 - place) for place, head in enumerate(heads)) + last
