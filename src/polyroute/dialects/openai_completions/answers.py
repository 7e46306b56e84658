"""Answers as legacy completions: read from a server of this shape, and written for callers of this door."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from polyroute.dialects.openai_chat.stops import read_stop, write_stop
from polyroute.dialects.openai_chat.usage import read_usage, write_usage
from polyroute.dialects.openai_chat.write_stream import EventWriter, with_report
from polyroute.dialects.openai_operation import decode, fail
from polyroute.dialects.sse import comment
from polyroute.types.content import Text
from polyroute.types.request import Request
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Reply,
    Response,
    Resumed,
    Started,
    TextDelta,
    TokenLogprob,
    WireBytes,
)


class _Choice(Struct):
    text: str
    index: int | None = None
    finish_reason: str | None = None


class _Answer(Struct):
    choices: list[_Choice]
    id: str = ""
    model: str | None = None
    created: int | float | None = None
    usage: Raw = Raw()
    system_fingerprint: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def skim_response(body: bytes) -> Reply:
    answer = _read(body)
    stop = read_stop(answer.choices[0].finish_reason)
    return Reply(usage=read_usage(answer.usage), model=answer.model or "", stop=stop, wire=body)


def parse_response(body: bytes) -> Response:
    answer = _read(body)
    return Response(
        id=answer.id,
        model=answer.model or "",
        choices=tuple(
            Choice(
                index=at if choice.index is None else choice.index,
                parts=(Text(text=choice.text),),
                stop=read_stop(choice.finish_reason),
                raw_stop=choice.finish_reason,
            )
            for at, choice in enumerate(answer.choices)
        ),
        usage=read_usage(answer.usage),
        created_s=None if answer.created is None else int(answer.created),
        system_fingerprint=answer.system_fingerprint,
    )


def _read(body: bytes) -> _Answer:
    answer = decode(_ANSWER, body)
    if not answer.choices:
        fail(body, "it has no choices")
    return answer


def render_response(response: Response, request: Request) -> bytes:
    body: dict[str, Any] = {
        "id": response.id,
        "object": "text_completion",
        "created": response.created_s or 0,
        "model": response.model,
        "choices": [
            _write_choice(
                choice.index,
                choice.text,
                finish=write_stop(choice.stop, refusal_shown=False, legacy_calls=False),
                logprobs=choice.logprobs,
            )
            for choice in response.choices
        ],
    }
    if response.usage is not None:
        body["usage"] = write_usage(response.usage)
    if response.system_fingerprint is not None:
        body["system_fingerprint"] = response.system_fingerprint
    return orjson.dumps(body)


def _write_choice(
    index: int,
    said: str,
    *,
    finish: str | None = None,
    logprobs: tuple[TokenLogprob, ...] | None = None,
    offset: int = 0,
) -> dict[str, Any]:
    told = None if logprobs is None else _write_logprobs(logprobs, offset)
    return {"text": said, "index": index, "logprobs": told, "finish_reason": finish}


def _write_logprobs(logprobs: tuple[TokenLogprob, ...], offset: int) -> dict[str, Any]:
    offsets = []
    for item in logprobs:
        offsets.append(offset)
        offset += len(item.token)
    return {
        "tokens": [item.token for item in logprobs],
        "token_logprobs": [item.logprob for item in logprobs],
        "top_logprobs": [{top.token: top.logprob for top in item.top} for item in logprobs],
        "text_offset": offsets,
    }


class CompletionWriter(EventWriter):
    """The provider's own stream as chat's writer passes it; any other in this form."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._shows = request.stream_usage
        self._first: dict[str, Any] = {"id": "", "object": "text_completion", "created": 0, "model": ""}
        self._lengths: dict[int, int] = {}
        self._ends: list[bytes] = []

    def write(self, chunk: Chunk) -> bytes:
        match chunk:
            case WireBytes():
                return super().write(chunk)
            case Started():
                self._first.update(id=chunk.id, created=chunk.created_s or 0, model=chunk.model)
            case Resumed():
                self._resumed = True
                self._first["model"] = chunk.model
                return comment(f"polyroute: {chunk.name} goes on")
            case TextDelta():
                return self._said(chunk.choice, chunk.text, chunk.logprobs)
            case PartAdded(content=Text() as part):
                return self._said(chunk.choice, part.text, None)
            case ChoiceEnded():
                finish = write_stop(chunk.stop, refusal_shown=False, legacy_calls=False)
                self._ends.append(self._chunk([_write_choice(chunk.choice, "", finish=finish)]))
            case _:
                pass  # thoughts and tool calls have no form here
        return b""

    def end(self, ended: Ended, report: Mapping[str, object]) -> bytes:
        if ended.wire is not None:
            return super().end(ended, report)
        if self._resumed and self._ends and not self._shows:
            self._ends[-1] = with_report(self._ends[-1], report)
        closing = b"".join(self._ends)
        if self._shows:
            usage = None if ended.usage is None else write_usage(ended.usage)
            closing += self._chunk([], usage=usage, polyroute=dict(report))
        return closing + b"data: [DONE]\n\n"

    def _said(self, choice: int, said: str, logprobs: tuple[TokenLogprob, ...] | None) -> bytes:
        offset = self._lengths.get(choice, 0)
        self._lengths[choice] = offset + len(said)
        return self._chunk([_write_choice(choice, said, logprobs=logprobs, offset=offset)])

    def _chunk(self, choices: list[dict[str, Any]], **more: object) -> bytes:
        return b"data: " + orjson.dumps({**self._first, "choices": choices, **more}) + b"\n\n"
