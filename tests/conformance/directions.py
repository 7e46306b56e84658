"""Each chat API's exchanges in every direction through a running gateway: how a door is called, and what must arrive.

An exchange is a row of the conformance corpus, or of `tests/wire/in_kind.jsonl`, which has its form. Three directions:
`same` is the row at the door of its own API, before its own upstream; `answer` puts its answer before another door;
`question` puts its question to another upstream. Each is told as None, or as what is wrong in one line.
"""

import gzip
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from tests.conformance.test_across import answered, joined, kind_of_stop, stop_of
from tests.journeys.rig import Rig, Told, gateway
from tests.journeys.upstream import Answer, Upstream, upstream

from polyroute.errors import ProviderError
from polyroute.ports import Dialect
from polyroute.types.content import Image, Opaque, Part, Text, ToolCall
from polyroute.types.response import Ended, StopReason, Usage
from polyroute.wiring.dialects import ANTHROPIC_MESSAGES, BEDROCK_CONVERSE, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "cases.jsonl.gz"
IN_KIND = Path(__file__).parents[1] / "wire" / "in_kind.jsonl"
APIS: dict[str, Dialect] = {
    "openai.chat": OPENAI_CHAT,
    "openai.responses": OPENAI_RESPONSES,
    "anthropic.messages": ANTHROPIC_MESSAGES,
    "gemini.generateContent": GEMINI,
    "bedrock.converse": BEDROCK_CONVERSE,
}
MODELS = {
    "openai.chat": "gpt",
    "openai.responses": "o",
    "anthropic.messages": "claude",
    "gemini.generateContent": "flash",
    "bedrock.converse": "nova",
}
# Cards without limits: what a model can do is not what is tried here.
DOCUMENT = """
server: {{auth: open, max_body_mb: 64}}
store: {{database: "sqlite:///books.db"}}
providers:
  oai: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: KEY}}, max_tries: 1, quirks: [no_openai_responses]}}
  rsp: {{dialect: openai, base_url: "{url}/v1", api_key: {{env: KEY}}, max_tries: 1, quirks: [no_openai_chat]}}
  ant: {{dialect: anthropic, base_url: "{url}", api_key: {{env: KEY}}, max_tries: 1}}
  goo: {{dialect: gemini, base_url: "{url}/v1beta", api_key: {{env: KEY}}, max_tries: 1, buckets: ["gs://pydantic-ai-dev"]}}
  aws:
    {{dialect: bedrock, base_url: "{url}", region: us-east-1, max_tries: 1,
      credentials: {{access_key: {{env: KEY}}, secret_key: {{env: KEY}}}}}}
models: {{gpt: oai/target-model, o: rsp/target-model, claude: ant/target-model, flash: goo/target-model,
          nova: aws/target-model}}
"""
# Why a question may be refused: the other API has no such thing at all.
NOT_OFFERED = (
    "is one of ", "means something only to", "only openai_chat", "only openai_responses", "only anthropic_messages",
    "only gemini", "only bedrock_converse", "gives one choice", "gives none", "takes none", "knows no stop sequences",
    "answers in text only", "stored at another provider", "takes no image by its address", "takes at most 5 sequences",
    "takes no document by its address", "is not asked for audio", "takes image/", "takes gif", "takes text only",
    "takes application/pdf and text", "cannot forbid tools once some were called",
    "what the request refers to is bound to",
)  # fmt: skip
_CLOSED = "a request may not name a file in"  # a bucket that this provider does not open
_NO_USAGE = (0, 0, 0, 0)

Case = dict[str, Any]


@cache
def rows(path: Path) -> tuple[Case, ...]:
    """The exchanges of the chat APIs in a file; none where it is not here."""
    if not path.exists():
        return ()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        found = (orjson.loads(line) for line in lines)
        return tuple(row for row in found if row["api"] in APIS and isinstance(row["request_body"], dict))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Rig, Upstream]]:
    async with upstream() as provider, gateway(DOCUMENT.format(url=provider.url), folder, {"KEY": "sk-1"}) as rig:
        yield rig, provider


# ── the three directions ──────────────────────────────────────────────────────────────────────────────────


async def same(rig: Rig, provider: Upstream, case: Case) -> str | None:
    """The provider hears what was asked, and the caller gets what was answered, but for what the interface promises."""
    api, before = case["api"], len(provider.log)
    provider.answers(answer_of(case))
    told = await ask(rig, api, MODELS[api], case["request_body"], case)
    if case["status"] != 200:
        return None if told.status >= 400 else f"status {told.status} in place of {case['status']}"
    if len(provider.log) == before:
        return f"no provider was asked: {told.body[:300]!r}"
    if (heard := fault_in_question(provider.last.json, case)) is not None:
        return heard
    raw = bytes_of(case)
    if not case["stream"]:
        failed = said(APIS[api], raw, is_stream=False) is None
        if told.status != 200:
            return None if failed else f"status {told.status}: {told.body[:300]!r}"
        return None if told.body == raw else "the body is not what was answered"
    given = said(APIS[api], raw, is_stream=True)
    got = said(APIS[api], told.body, is_stream=True)
    if given is None:
        return None if got is None else "a failed stream ended well"
    if got is None:
        return f"the stream cannot be read again: {told.body[-300:]!r}"
    if not asks_usage(case):
        given, got = {**given, "usage": None}, {**got, "usage": None}
    return differing(given, got)


async def answer(rig: Rig, provider: Upstream, case: Case, door: str) -> str | None:
    """What was answered reaches a caller of another door, or fails in that door's own shape."""
    provider.answers(answer_of(case))
    told = await ask(rig, door, MODELS[case["api"]], QUESTIONS[door], {**case, "request_headers": {}})
    given = said(APIS[case["api"]], bytes_of(case), is_stream=case["stream"]) if case["status"] == 200 else None
    if told.status != 200:
        return None if given is None and is_error(told.json, door) else f"status {told.status}: {told.body[:300]!r}"
    got = said(APIS[door], told.body, is_stream=case["stream"])
    if given is None:
        return None if got is None else "a failed answer arrived as a good one"
    if got is None:
        return f"the answer cannot be read: {told.body[-300:]!r}"
    is_clear = not given["opaque"]  # a call that only its maker understands stops the answer for nobody else
    return differing(fitted(given, door, is_clear=is_clear), fitted(got, door, is_clear=is_clear))


async def question(rig: Rig, provider: Upstream, case: Case, api: str) -> str | None:
    """What was asked is put to another upstream and answered, or refused because that has no such thing."""
    provider.answers(plain_answer(api, is_stream=case["stream"]))
    before = len(provider.log)
    told = await ask(rig, case["api"], MODELS[api], case["request_body"], case)
    if told.status == 200:
        return None if len(provider.log) > before else "answered, and nobody was asked"
    if told.status == 400 and case["status"] == 400:
        return None
    text, is_unasked = told.body.decode(), len(provider.log) == before
    if told.status == 503 and is_unasked and any(mark in text for mark in NOT_OFFERED):
        return None
    if told.status == 400 and is_unasked and _CLOSED in text:
        return None
    return f"status {told.status}: {told.body[:400]!r}"


# ── calling ───────────────────────────────────────────────────────────────────────────────────────────────

QUESTIONS: dict[str, dict[str, Any]] = {
    "openai.chat": {"messages": [{"role": "user", "content": "q"}]},
    "openai.responses": {"input": "q"},
    "anthropic.messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "q"}]},
    "gemini.generateContent": {"contents": [{"role": "user", "parts": [{"text": "q"}]}]},
    "bedrock.converse": {"messages": [{"role": "user", "content": [{"text": "q"}]}]},
}


async def ask(rig: Rig, door: str, model: str, body: dict[str, Any], case: Case) -> Told:
    """As a client of that door would: the model and the stream in the body, or in the path."""
    headers = {name: value for name, value in case["request_headers"].items() if name.startswith("anthropic-")}
    if door == "gemini.generateContent":
        verb = "streamGenerateContent?alt=sse" if case["stream"] else "generateContent"
        return await rig.post(f"/v1beta/models/{model}:{verb}", body, key=None)
    if door == "bedrock.converse":
        return await rig.post(f"/model/{model}/converse{'-stream' if case['stream'] else ''}", body, key=None)
    path = {"openai.chat": "chat/completions", "openai.responses": "responses", "anthropic.messages": "messages"}[door]
    asked = {**body, "model": model}
    if body is QUESTIONS[door] and case["stream"]:
        asked |= {"stream": True}
        if door == "openai.chat":
            asked["stream_options"] = {"include_usage": True}
    return await rig.post(f"/v1/{path}", asked, key=None, headers=headers)


def bytes_of(case: Case) -> bytes:
    if "sse_events" in case:
        return "".join(case["sse_events"]).encode()
    if "stream_b64" in case:
        return b64decode(case["stream_b64"])
    if "response_text" in case or "response_b64" in case:
        return b"the recorded answer is no JSON"
    return orjson.dumps(case["response_body"])


def answer_of(case: Case) -> Answer:
    raw = bytes_of(case)
    kind = case["response_headers"].get("content-type", "application/json")
    if not case["stream"]:
        return Answer(status=case["status"], pieces=(raw,), kind=kind)
    third = len(raw) // 3
    return Answer(pieces=(raw[:third], raw[third : 2 * third + 1], raw[2 * third + 1 :]), kind=kind, chunked=True)


@cache
def plain_answer(api: str, *, is_stream: bool) -> Answer:
    """The first answer of an API that is nothing but text."""
    for case in rows(IN_KIND):
        if case["api"] == api and case["stream"] == is_stream and case["status"] == 200:
            given = said(APIS[api], bytes_of(case), is_stream=is_stream)
            if given is not None and given["text"] and not given["calls"] and not given["opaque"]:
                return answer_of(case)
    raise LookupError(f"no plain answer of {api}")


# ── comparing ─────────────────────────────────────────────────────────────────────────────────────────────


def said(dialect: Dialect, raw: bytes, *, is_stream: bool) -> dict[str, Any] | None:
    """All that an answer says; None where it fails."""
    try:
        if not is_stream:
            response = dialect.parse_response(raw)
            first = response.choices[0]
            return _all(first.parts, first.stop, response.usage)
        reader = dialect.open_reader(same_dialect=False)
        chunks = [*reader.feed(raw), *reader.close()]
    except ProviderError:
        return None
    last = chunks[-1]
    assert isinstance(last, Ended)
    return _all(joined(chunks), stop_of(chunks), last.usage)


def _all(parts: tuple[Part, ...], stop: StopReason, usage: Usage | None) -> dict[str, Any]:
    text, thinking, calls, _ = answered(parts)
    return {
        "text": text,
        "thinking": thinking,
        "calls": calls,
        "ids": [part.id for part in parts if isinstance(part, ToolCall)],
        "images": sum(isinstance(part, Image) for part in parts),
        "citations": [citation for part in parts if isinstance(part, Text) for citation in part.citations],
        "opaque": sorted(part.kind for part in parts if isinstance(part, Opaque)),
        "stop": kind_of_stop(stop),
        "usage": _NO_USAGE if usage is None else _counted(usage),
    }


def _counted(usage: Usage) -> tuple[int, ...]:
    return usage.total_input_tokens, usage.total_output_tokens, usage.cached_input_tokens, usage.reasoning_tokens


def fitted(said: dict[str, Any], door: str, *, is_clear: bool) -> dict[str, Any]:
    """Without what this door has no words for: parts of one provider's own, and what the table of dialects names."""
    fit = {**said, "citations": len(said["citations"])}
    del fit["opaque"]
    if not is_clear:
        del fit["stop"]
    if door == "bedrock.converse":
        fit["usage"] = fit["usage"][:3]  # reasoning is counted in the output
    if door == "openai.responses":  # its images are items of its own
        fit["images"] += said["opaque"].count("image_generation_call")
    if door == "gemini.generateContent":  # its sources are addresses
        fit["citations"] = sum("url" in (cited.get("url_citation") or cited) for cited in said["citations"])
        fit["calls"] = [name for name, arguments in said["calls"]]  # arguments that were cut are wrapped
    return fit


def differing(given: dict[str, Any], got: dict[str, Any]) -> str | None:
    found = [f"{name}: {given[name]!r:.150} became {got[name]!r:.150}" for name in given if given[name] != got[name]]
    return "; ".join(found) or None


def fault_in_question(heard: dict[str, Any], case: Case) -> str | None:
    expected = dict(case["request_body"])
    if case["api"] in ("openai.chat", "openai.responses", "anthropic.messages"):
        expected["model"] = "target-model"
    if case["api"] == "openai.chat" and expected.get("stream"):
        expected["stream_options"] = {**(expected.get("stream_options") or {}), "include_usage": True}
    return None if heard == expected else f"the provider heard {heard!r:.300}"


def asks_usage(case: Case) -> bool:
    return case["api"] != "openai.chat" or bool((case["request_body"].get("stream_options") or {}).get("include_usage"))


def is_error(body: dict[str, Any], door: str) -> bool:
    """Whether it has that door's shape of an error."""
    if door == "bedrock.converse":
        return isinstance(body.get("message"), str)
    error = body["error"]
    return bool(error["message"]) and (body.get("type") == "error") == (door == "anthropic.messages")


def directions(case: Case) -> Iterator[tuple[str, str]]:
    """(direction, API) of an exchange: the door of `answer`, the upstream of `question`."""
    yield "same", case["api"]
    for other in APIS:
        if other != case["api"]:
            yield "answer", other
            if case["status"] == 200:
                yield "question", other


async def outcome(rig: Rig, provider: Upstream, case: Case, direction: str, api: str) -> str | None:
    if direction == "same":
        return await same(rig, provider, case)
    return await (answer if direction == "answer" else question)(rig, provider, case, api)
