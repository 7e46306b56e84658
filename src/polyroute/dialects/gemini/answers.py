"""A whole answer: Gemini's body to a Response or a skimmed Reply, and a Response to Gemini's body.

A prompt that its filter stopped has no candidate: it is an answer without content, ended by the filter.
Source: ai.google.dev, API reference "GenerateContentResponse".
"""

from typing import NoReturn

import msgspec
import orjson

from polyroute.dialects.gemini.calls import CallIds
from polyroute.dialects.gemini.citations import read_citations, write_grounding
from polyroute.dialects.gemini.failures import classify_event
from polyroute.dialects.gemini.logprobs import read_logprobs, write_logprobs
from polyroute.dialects.gemini.names import Block
from polyroute.dialects.gemini.read_content import read_part
from polyroute.dialects.gemini.stops import BROKEN, read_stop, stop_word, write_stop
from polyroute.dialects.gemini.usage import read_usage, write_usage
from polyroute.dialects.gemini.write_content import UNSIGNED, write_part
from polyroute.dialects.json_text import UNREADABLE
from polyroute.errors import InvalidRequest, MalformedReply
from polyroute.types.content import Part, Text, ToolCall
from polyroute.types.response import Choice, Reply, Response, StopReason


class _SkimmedCandidate(msgspec.Struct, rename="camel"):
    finish_reason: object = None
    content: msgspec.Raw = msgspec.Raw()


class _Skimmed(msgspec.Struct, rename="camel"):
    """Only what the books need; the content is passed over."""

    model_version: str = ""
    candidates: list[_SkimmedCandidate] | None = None
    prompt_feedback: object = None
    usage_metadata: object = None
    error: object = None


_SKIM = msgspec.json.Decoder(_Skimmed)


def skim_response(body: bytes) -> Reply:
    try:
        answer = _SKIM.decode(body)
    except UNREADABLE as exc:
        _raise_failure(body, exc)
    if answer.error is not None:
        raise classify_event({"error": answer.error})
    if answer.candidates:
        first = answer.candidates[0]
        stop = read_stop(stop_word(first.finish_reason), calls_tools=b'"functionCall"' in bytes(first.content))
    elif is_blocked(answer.prompt_feedback):
        stop = StopReason.CONTENT_FILTER
    else:
        raise MalformedReply("the provider's answer has no candidates")
    return Reply(usage=read_usage(answer.usage_metadata), model=answer.model_version, stop=stop, wire=body)


def parse_response(body: bytes) -> Response:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is no JSON: {exc}") from exc
    if not isinstance(answer, dict) or answer.get("error") is not None:
        _raise_failure(body, "it is no JSON object")
    answer_id, feedback, candidates = text_in(answer, "responseId"), answer.get("promptFeedback"), objects_in(answer)
    if candidates:
        calls = CallIds(answer_id)
        choices = tuple([_choice(candidate, place, calls) for place, candidate in enumerate(candidates)])
    elif is_blocked(feedback):
        choices = (Choice(parts=(), stop=StopReason.CONTENT_FILTER, raw_stop=block_reason(feedback)),)
    else:
        raise MalformedReply("the provider's answer has no candidates")
    return Response(
        id=answer_id,
        model=text_in(answer, "modelVersion"),
        choices=choices,
        usage=read_usage(answer.get("usageMetadata")),
    )


def write_response(response: Response) -> bytes:
    body: Block = {"candidates": [_candidate(choice) for choice in response.choices]}
    if response.usage is not None:
        body["usageMetadata"] = write_usage(response.usage)
    body["modelVersion"] = response.model
    if response.id:
        body["responseId"] = response.id
    return orjson.dumps(body)


def parts_of(content: Block, calls: CallIds) -> list[Part]:
    """The parts of a candidate's content. Raises MalformedReply."""
    given = content.get("parts")
    if not isinstance(given, list):
        return []
    try:
        return [read_part(part, f"parts[{index}]", calls) for index, part in enumerate(given)]
    except InvalidRequest as exc:
        raise MalformedReply(f"the provider's answer: {exc.message}") from exc


def says_nothing(part: Part) -> bool:
    return isinstance(part, Text) and not part.text and part.thought_signature is None


def signed_parts(parts: list[Block]) -> list[Block]:
    """The first call of another model's answer gets the mark with which Gemini takes it in the turn after."""
    for block in parts:
        if "functionCall" in block:
            block.setdefault("thoughtSignature", UNSIGNED)
            break
    return parts


def objects_in(answer: Block) -> list[Block]:
    """The candidates."""
    candidates = answer.get("candidates")
    return [item for item in candidates if isinstance(item, dict)] if isinstance(candidates, list) else []


def text_in(holder: Block, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def is_blocked(feedback: object) -> bool:
    return isinstance(feedback, dict) and bool(feedback.get("blockReason"))


def block_reason(feedback: object) -> str | None:
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return reason if isinstance(reason, str) else None


def _choice(candidate: Block, place: int, calls: CallIds) -> Choice:
    content, index = candidate.get("content"), candidate.get("index")
    parts = [part for part in parts_of(content if isinstance(content, dict) else {}, calls) if not says_nothing(part)]
    word = stop_word(candidate.get("finishReason"))
    if word in BROKEN and not parts:
        raise MalformedReply(f"the model's answer cannot be used: {word}", code=word)
    citations = read_citations(candidate, "".join([part.text for part in parts if isinstance(part, Text)]))
    if citations:
        last = next((at for at in range(len(parts) - 1, -1, -1) if isinstance(parts[at], Text)), None)
        if last is None:
            parts.append(Text(text="", citations=citations))
        elif isinstance(cited := parts[last], Text):
            parts[last] = msgspec.structs.replace(cited, citations=citations)
    return Choice(
        index=index if type(index) is int else place,
        parts=tuple(parts),
        stop=read_stop(word, calls_tools=any(isinstance(part, ToolCall) for part in parts)),
        raw_stop=word,
        logprobs=read_logprobs(candidate),
    )


def _candidate(choice: Choice) -> Block:
    blocks = [block for part in choice.parts if (block := write_part(part, [])) is not None]
    candidate: Block = {
        "content": {"parts": signed_parts(blocks), "role": "model"},
        "finishReason": write_stop(choice.stop, choice.raw_stop),
        "index": choice.index,
    }
    if (grounding := write_grounding(choice.parts)) is not None:
        candidate["groundingMetadata"] = grounding
    if choice.logprobs is not None:
        candidate["logprobsResult"] = write_logprobs(choice.logprobs)
    return candidate


def _raise_failure(body: bytes, why: object) -> NoReturn:
    """What in place of an answer came: Google's error, also in an array, or something that is none of its answers."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is no JSON: {exc}") from exc
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict) and found.get("error") is not None:
        raise classify_event(found)
    raise MalformedReply(f"the provider's answer is none of this dialect: {why}")
