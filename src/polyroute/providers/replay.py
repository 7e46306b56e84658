"""Recorded real answers in place of a model. A prompt that was not recorded is a 404 of this provider.

The file holds JSON lines: `{"prompt" or "messages", "responses": {model: text}, "usage"?: {model: {…}}}`, plain or
gzipped. A request is found by its whole conversation, else by its newest user text, each exactly. Rows of labelled
data are recordings too: `input_tokens` and `output_tokens: {model: n}` count as usage. Where a row has none, usage is
the catalogue's estimate, and says so. `logprobs: {model: [[[token, logprob], …], …]}` holds each token's alternatives,
the one that was said first; they are told to whom asks for them.
"""

import gzip
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from msgspec import DecodeError, Struct, json

from polyroute.catalog import tokens
from polyroute.errors import ConfigError, Problem, Rejected, Remedy
from polyroute.providers.words import cut_at_stop, words
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Text, text_of
from polyroute.types.request import Request
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    TokenLogprob,
    Usage,
)


class _TextPart(Struct):
    text: str = ""


class _Message(Struct):
    role: str
    content: str | list[_TextPart] | None = None

    @property
    def text(self) -> str:
        content = self.content or ""
        return content if isinstance(content, str) else "".join(part.text for part in content)


class _Counts(Struct):
    """Usage by its canonical names, or by OpenAI's."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


class _Row(Struct):
    prompt: str | None = None
    messages: list[_Message] | None = None
    responses: dict[str, str] = {}
    usage: dict[str, _Counts] = {}
    input_tokens: int | None = None
    output_tokens: dict[str, int] | int | None = None
    logprobs: dict[str, list[list[tuple[str, float]]]] = {}


class _Recording(Struct, frozen=True, kw_only=True):
    text: str
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


_ROW = json.Decoder(_Row)


class Replay:
    def __init__(self, *, recordings: Path) -> None:
        """Reads the whole file. Raises ConfigError naming the line that cannot be used."""
        self._recordings: dict[bytes, dict[str, _Recording]] = {}
        number = 0
        try:
            for line in _lines(recordings):
                number += 1
                if line.strip():
                    self._add(_ROW.decode(line))
        except DecodeError as exc:
            raise _unusable(recordings, str(exc), line=number) from exc
        except (OSError, EOFError, zlib.error) as exc:
            raise _unusable(recordings, f"cannot be read: {exc}") from exc

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        if request.operation != "chat":
            return (f"no {request.operation} was recorded",)
        return (f"n={request.n}: one answer was recorded",) if request.n > 1 else ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        answer = self._answer(request, target, max_output_tokens)
        choice = Choice(
            parts=(Text(text=answer.text),),
            stop=answer.stop,
            stop_sequence=answer.stop_sequence,
            logprobs=answer.logprobs if request.logprobs else None,
        )
        response = Response(
            id=answer.id,
            model=target.upstream_model,
            choices=(choice,),
            usage=answer.usage,
            system_fingerprint="replay",
        )
        return Reply(usage=answer.usage, model=target.upstream_model, stop=answer.stop, response=response)

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        answer = self._answer(request, target, max_output_tokens)
        yield Started(id=answer.id, model=target.upstream_model)
        for word in words(answer.text):
            yield TextDelta(text=word)
        yield ChoiceEnded(stop=answer.stop, stop_sequence=answer.stop_sequence)
        yield Ended(usage=answer.usage, model=target.upstream_model)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _add(self, row: _Row) -> None:
        if row.messages is not None:
            key = _key((message.role, message.text) for message in row.messages)
        elif row.prompt is not None:
            key = _key([("prompt", row.prompt)])
        elif row.responses:
            raise DecodeError("a recording needs `prompt` or `messages`")
        else:
            return
        recorded = self._recordings.setdefault(key, {})
        for model, text in row.responses.items():
            counts = row.usage.get(model, _Counts())
            output_tokens = row.output_tokens.get(model) if isinstance(row.output_tokens, dict) else row.output_tokens
            recorded[model] = _Recording(
                text=text,
                input_tokens=_first(counts.input_tokens, counts.prompt_tokens, row.input_tokens),
                output_tokens=_first(counts.output_tokens, counts.completion_tokens, output_tokens),
                cached_input_tokens=counts.cached_input_tokens,
                reasoning_tokens=counts.reasoning_tokens,
                logprobs=_probabilities(row.logprobs.get(model)),
            )

    def _answer(self, request: Request, target: Deployment, max_output_tokens: int | None) -> "_Answer":
        conversation = _key((message.role, text_of(message.parts)) for message in request.messages)
        newest = _key([("prompt", request.last_user_text)])
        names = (target.upstream_model, target.model)
        found = (self._recordings.get(key, {}).get(name) for key in (conversation, newest) for name in names)
        recording = next((one for one in found if one is not None), None)
        if recording is None:
            error = Rejected(
                f"nothing was recorded of {target.upstream_model} for this prompt", http_status=404, code="not_recorded"
            )
            error.remedy = Remedy.SWITCH  # another model may have been recorded, or be real
            raise error
        caps = [cap for cap in (request.max_output_tokens, max_output_tokens) if cap is not None]
        return _cut(recording, request, min(caps, default=None), identity=f"replay-{conversation.hex()[:24]}")


class _Answer(Struct, frozen=True, kw_only=True):
    id: str  # of the conversation: the same question is the same answer
    text: str
    stop: StopReason
    stop_sequence: str | None
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] | None


def _cut(recording: _Recording, request: Request, max_tokens: int | None, *, identity: str) -> _Answer:
    """The recorded answer as far as the request lets it go."""
    text, sequence = cut_at_stop(recording.text, request.stop)
    stop = StopReason.END if sequence is None else StopReason.STOP_SEQUENCE
    output_tokens = recording.output_tokens
    if output_tokens is None or sequence is not None:
        output_tokens = tokens.estimate_text(text)
    if max_tokens is not None and output_tokens > max_tokens:
        said = words(text)
        text = "".join(said[: len(said) * max_tokens // output_tokens])
        stop, sequence, output_tokens = StopReason.MAX_TOKENS, None, max_tokens
    is_estimated = recording.input_tokens is None or recording.output_tokens is None
    input_tokens = tokens.estimate(request) if recording.input_tokens is None else recording.input_tokens
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=recording.cached_input_tokens,
        reasoning_tokens=recording.reasoning_tokens,
        estimated=is_estimated,
    )
    logprobs = recording.logprobs if text == recording.text else None  # of the whole answer only
    return _Answer(id=identity, text=text, stop=stop, stop_sequence=sequence, usage=usage, logprobs=logprobs)


def _probabilities(tokens: list[list[tuple[str, float]]] | None) -> tuple[TokenLogprob, ...] | None:
    return None if tokens is None else tuple(_told(alternatives) for alternatives in tokens if alternatives)


def _told(alternatives: list[tuple[str, float]]) -> TokenLogprob:
    every = tuple(TokenLogprob(token=token, logprob=logprob) for token, logprob in alternatives)
    return TokenLogprob(token=every[0].token, logprob=every[0].logprob, top=every)


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path) as packed:
            yield from packed
    else:
        with path.open("rb") as plain:
            yield from plain


def _key(conversation: Iterable[tuple[str, str]]) -> bytes:
    """One for each conversation. Developer messages are system messages by another name."""
    digest = sha256()
    for role, text in conversation:
        digest.update(json.encode(["system" if role == "developer" else role, text]))
    return digest.digest()


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def _unusable(path: Path, reason: str, *, line: int | None = None) -> ConfigError:
    problem = Problem(
        path="recordings",
        message=f"{path.name}: {reason}",
        fix='each line is {"prompt": text, "responses": {model: text}}',
        file=str(path),
        line=line,
    )
    return ConfigError([problem])
