"""Recorded answers by dialect, for laws of every wire format: `../shared/data/conformance` beside the checkout.

A dialect that joins `wiring.dialects` joins the laws by its row here.
"""

import gzip
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

import orjson

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
API = {
    "openai_chat": "openai.chat",
    "openai_completions": "openai.completions",
    "openai_responses": "openai.responses",
    "anthropic_messages": "anthropic.messages",
    "gemini": "gemini.generateContent",
    "bedrock_converse": "bedrock.converse",
}
Case = dict[str, Any]
_LONGEST = 50_000  # bytes: what is longer says nothing new about a format


@cache
def _rows() -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {api: [] for api in API.values()}
    with gzip.open(CORPUS) as lines:
        for line in lines:
            row = orjson.loads(line)
            if row["api"] in found and row["status"] == 200:
                found[row["api"]].append(row)
    return found


def streams(dialect: str) -> list[bytes]:
    """Recorded streams, whole; none where the corpus is not here."""
    if dialect not in API or not CORPUS.exists():
        return []
    raws = [_bytes(row) for row in _rows()[API[dialect]] if row["stream"]]
    return [raw for raw in raws if 0 < len(raw) <= _LONGEST]


def answers(dialect: str) -> list[Any]:
    """Recorded whole answers, parsed."""
    if dialect not in API or not CORPUS.exists():
        return []
    rows = (row for row in _rows()[API[dialect]] if not row["stream"] and row["response_body"] is not None)
    return [row["response_body"] for row in rows if len(orjson.dumps(row["response_body"])) <= _LONGEST]


def requests(dialect: str) -> list[Case]:
    """Recorded exchanges whose request is JSON."""
    if dialect not in API or not CORPUS.exists():
        return []
    return [row for row in _rows()[API[dialect]] if isinstance(row["request_body"], dict)]


def _bytes(row: Case) -> bytes:
    return b64decode(row["stream_b64"]) if row.get("stream_b64") else "".join(row["sse_events"] or ()).encode()
