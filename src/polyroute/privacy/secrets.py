"""Keys and passwords in a text: those with a mark of their own, private keys, and what a label names."""

from collections.abc import Iterator

import re2

from polyroute.types.privacy import Finding

_MARKED = re2.compile(
    r"\b(?:"
    r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek, ours
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}"  # AWS
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|ya29\.[A-Za-z0-9_-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|glpat-[A-Za-z0-9_-]{20,}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|hf_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|r8_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{50,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # a signed JSON Web Token
    r")"
)
_LABELLED = re2.compile(
    r"(?i)\b(?:[a-z_]*(?:api[_-]?key|secret(?:[_-]?(?:access[_-]?)?key)?|access[_-]?token|auth[_-]?token)"
    r"|password|passwd|passwort|pwd)[\"']?[ \t]*[:=][ \t]*[\"']?([^\s\"',;<>{}\[\]]{8,})"
)
_BEGIN, _END, _LINE = "-----BEGIN ", "-----END ", "-----"
_LONGEST_LABEL = 60


def secrets(text: str) -> Iterator[Finding]:
    yield from _private_keys(text)
    for found in _MARKED.finditer(text):
        yield Finding(kind="secret", start=found.start(), end=found.end(), confidence=0.95)
    for found in _LABELLED.finditer(text):
        value = found.group(1)
        if any(c.isdecimal() for c in value) and any(c.isalpha() for c in value):
            yield Finding(kind="secret", start=found.start(1), end=found.end(1), confidence=0.6)


def _private_keys(text: str) -> Iterator[Finding]:
    """In PEM (RFC 7468), however long; one that was cut off goes on to the text's end."""
    at = text.find(_BEGIN)
    while at >= 0:
        label = text[at + len(_BEGIN) : at + len(_BEGIN) + _LONGEST_LABEL].partition(_LINE)[0]
        end = at + len(_BEGIN)
        if label.endswith("PRIVATE KEY"):
            closing = f"{_END}{label}{_LINE}"
            ends = text.find(closing, end)
            end = len(text) if ends < 0 else ends + len(closing)
            yield Finding(kind="secret", start=at, end=end, confidence=0.99)
        at = text.find(_BEGIN, end)
