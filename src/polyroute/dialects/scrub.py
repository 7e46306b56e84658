"""A provider's error message made fit to repeat: no key, no address, no page of HTML, and short.

Works on failures only, never on an answer. Linear in the message, which is cut before it is searched.
"""

import re

_LONGEST = 500  # characters a caller is shown
_SEARCHED = 2000

_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|key|org|proj)[-_](?=[-_.*A-Za-z]*[0-9*])[-_.*0-9A-Za-z]{6,}"
    r"|\b(?:AIza|AKIA|eyJ)[-_.0-9A-Za-z]{10,}"
    r"|\b[Bb]earer\s+\S+"
)
_ADDRESS = re.compile(
    r"\b[a-z][a-z0-9+]{1,9}://\S+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|\b(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+):\d{2,5}\b"
)


def scrub(message: str) -> str:
    """`message` without keys, addresses and control characters, at most 500 characters; empty where it is a page."""
    if message.lstrip()[:1] == "<":
        return ""
    shown = message[:_SEARCHED]
    if not shown.isprintable():
        shown = "".join(mark if mark.isprintable() else " " for mark in shown)
    shown = _ADDRESS.sub("[address]", shown)
    shown = " ".join(_SECRET.sub("[key]", shown).split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
