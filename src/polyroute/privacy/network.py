"""Electronic addresses in a text: e-mail, and IPv4 and IPv6."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import re2

from polyroute.types.privacy import Finding

_EMAILS = re2.compile(r"[\pL\pN._%+'&-]+@(?:[\pL\pN-]+\.)+[\pL\pN-]+")
_V4 = re2.compile(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")
_V6 = re2.compile(r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{3,40}(?:\.[0-9]{1,3}){0,3}")
_FILES = frozenset({"bmp", "css", "gif", "html", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "webp"})
_LONGEST_LOCAL, _LONGEST = 64, 254  # RFC 5321, 4.5.3.1
_LEAST_GROUPS = 3  # fewer are as often a name in a programming language (`a::b`)


def emails(text: str) -> Iterator[Finding]:
    if "@" not in text:
        return
    for found in _EMAILS.finditer(text):
        local = found.group(0).partition("@")[0]
        start = found.start() + len(local) - len(local.lstrip(".'-&%"))
        local = local.lstrip(".'-&%")
        ending = found.group(0).rpartition(".")[2].rstrip("-")
        end = found.end() - (len(found.group(0)) - len(found.group(0).rstrip("-")))
        if not 0 < len(local) <= _LONGEST_LOCAL or local.endswith(".") or not _is_top(ending.lower()):
            continue
        if end - start <= _LONGEST:
            yield Finding(kind="email", start=start, end=end, confidence=0.95)


def addresses(text: str) -> Iterator[Finding]:
    """Of machines that can be somebody's: neither loopback nor unspecified nor multicast."""
    for found in _V4.finditer(text):
        before, after = text[max(0, found.start() - 1) : found.start()], text[found.end() : found.end() + 2]
        if before in (".", "v", "V", "-") or (after[:1] == "." and after[1:].isdecimal()):
            continue  # a longer number, or a version's
        if _is_somebodys(found.group(0)):
            yield Finding(kind="ip", start=found.start(), end=found.end(), confidence=0.8)
    if ":" not in text:
        return
    for found in _V6.finditer(text):
        written = found.group(0)
        end = found.end() - (1 if written.endswith(":") and not written.endswith("::") else 0)
        written = text[found.start() : end]
        if text[max(0, found.start() - 1) : found.start()].isalnum() or text[end : end + 1].isalnum():
            continue
        if sum(map(bool, written.split(":"))) >= _LEAST_GROUPS and _is_somebodys(written):
            yield Finding(kind="ip", start=found.start(), end=end, confidence=0.9)


def _is_top(label: str) -> bool:
    """Whether a name may end so: two letters or more, or their form in ASCII (RFC 5890), and no file's ending."""
    return (len(label) > 1 and label.isalpha() and label not in _FILES) or label.startswith("xn--")


def _is_somebodys(written: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(written)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or written == "255.255.255.255")
