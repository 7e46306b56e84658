"""Whether an address that a request names may be handed to a provider: only hosts of the public internet may.

The gateway never fetches it, but a provider on our own network would, and so would reach what the caller cannot.
Names are not resolved here; a host written as a number is read as the WHATWG URL standard reads it ("IPv4 parser"),
since that is how fetchers do: `127.1`, `0x7f000001` and `0177.0.0.1` are all this machine.
"""

import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

_PRIVATE_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_ISATAP = 0x0000_5EFE  # RFC 5214, 6.1: the interface's first half, its u bit left out
_RELAYS = IPv4Network("192.88.99.0/24")  # RFC 7526: of 6to4


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
        return is_public_address(IPv6Address(host))
    host = unicodedata.normalize("NFKC", host).lower().replace("。", ".").rstrip(".")
    labels = host.split(".")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        number = _v4_number(labels)
        return number is not None and is_public_address(IPv4Address(number))
    return len(labels) > 1 and not any(host.endswith("." + name) for name in _PRIVATE_NAMES)


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is one of the public internet; an IPv6 address that stands for an IPv4 one is as public as that is.

    Source: IANA's special-purpose registries, beside what `ipaddress` knows of them.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address not in _RELAYS
    if address in _NAT64 or int(address) >> 32 & 0xFDFF_FFFF == _ISATAP:
        return is_public_address(IPv4Address(int(address) & 0xFFFF_FFFF))
    if (inner := address.ipv4_mapped or address.sixtofour) is not None:
        return is_public_address(inner)
    is_special = address.is_multicast or address.is_reserved or address.is_site_local or address in _LOCAL_NAT64
    return address.is_global and not is_special


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
