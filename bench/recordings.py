"""Recorded requests with the input tokens that their providers counted: `../shared/data/conformance`.

Read through the doors of every dialect, as a request of that kind would be read. Left out is what the request does not
hold: stored conversations and prompts, tools that the provider runs itself, files that it fetches.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.processes import BenchError
from polyroute.catalog import tokens
from polyroute.catalog.tokens import Size
from polyroute.errors import PolyrouteError
from polyroute.types.request import ProviderTool, Request
from polyroute.wiring.dialects import DIALECTS

CORPUS = Path(__file__).parents[2] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
_DOORS = {
    "openai.chat": "openai_chat",
    "openai.responses": "openai_responses",
    "anthropic.messages": "anthropic_messages",
    "anthropic.count_tokens": "anthropic_messages",
    "gemini.generateContent": "gemini",
    "bedrock.converse": "bedrock_converse",
}
_MEDIA = frozenset({"vision", "pdf", "document", "audio", "video", "server_tools", "shrunk"})
# Every input class of every provider; a class that is inside another is not named.
_INPUT = (
    *("prompt_tokens", "promptTokenCount", "toolUsePromptTokenCount", "input_tokens", "inputTokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    id: str
    model: str
    is_held_out: bool  # by its scenario, so that no scenario is on both sides
    has_media: bool
    request: Request
    size: Size
    billed: int


def counted() -> Iterator[Counted]:
    """Raises BenchError where the recordings are not here."""
    if not CORPUS.exists():
        raise BenchError(f"the recordings are not here: {CORPUS}")
    with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if case["status"] == 200 and case["api"] in _DOORS and isinstance(case["request_body"], dict):
                found = _read(case)
                if found is not None:
                    yield found


def _read(case: dict[str, Any]) -> Counted | None:
    billed = billed_in(case)
    model = case["model"] or case["request_body"].get("model")
    if not billed or not model:
        return None
    body = {"model": model, **case["request_body"]}
    if case["api"] == "anthropic.count_tokens":
        body.setdefault("max_tokens", 1)
    try:
        request = DIALECTS[_DOORS[case["api"]]].parse_request(body, case["request_headers"] or {})
    except PolyrouteError:
        return None  # refused at the door, so never sent
    size = tokens.measure(request)
    if size.stored or any(isinstance(tool, ProviderTool) for tool in request.tools):
        return None
    return Counted(
        id=case["id"],
        model=model,
        is_held_out=bool(sha256(case["group"].encode()).digest()[0] & 1),
        has_media=not _MEDIA.isdisjoint(case["tags"]) or bool(size.images or size.pages),
        request=request,
        size=size,
        billed=billed,
    )


def billed_in(case: dict[str, Any]) -> int:
    """Input tokens of every class; of a stream's reports the greatest, since some come twice."""
    if case["api"] == "anthropic.count_tokens":
        return _input(case["response_body"])
    return max((_input(report) for answer in _answers(case) for report in _reports(answer)), default=0)


def _answers(case: dict[str, Any]) -> Iterator[Any]:
    if isinstance(case.get("response_body"), dict):
        yield case["response_body"]
    for line in "".join(case.get("sse_events") or ()).splitlines():
        if line.startswith("data:") and line[5:].lstrip()[:1] == "{":
            yield json.loads(line[5:])
    yield from (event.get("payload") for event in case.get("stream_events") or ())


def _reports(answer: Any) -> Iterator[dict[str, Any]]:
    for holder in (answer, *(answer.get(name) for name in ("message", "response"))) if isinstance(answer, dict) else ():
        for name in ("usage", "usageMetadata"):
            if isinstance(holder, dict) and isinstance(holder.get(name), dict):
                yield holder[name]


def _input(report: dict[str, Any]) -> int:
    return sum(count for name in _INPUT if isinstance(count := report.get(name), int))
