"""Models without a network: latency, speed, errors and answers by description. Every answer says that it is simulated.

- An output token is one word with the space after it; the input is counted by the catalogue's estimate.
- A tool is called only where the caller requires one: the named or first one, with the smallest arguments that fit.
- Structured output is the smallest value that fits, unless the answer is given or the echoed text is JSON already.
- Where its manner is given by difficulty, the request's `metadata.difficulty` says which one applies, and the prompt
  itself decides whether its answer is good: the same one on every run.
- Times are slept by the sleeper passed in; chance comes from one seeded source, in the order of calls.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from itertools import cycle, islice
from secrets import token_hex
from typing import Annotated, Literal

from msgspec import DecodeError, Meta, Struct, json
from msgspec.structs import replace

from polyroute.catalog import tokens
from polyroute.errors import (
    AuthRejected,
    ContentRefused,
    ContextTooLong,
    MalformedReply,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    Rejected,
    StreamInterrupted,
    Unreachable,
)
from polyroute.providers import simulated_operations
from polyroute.providers.sample import sample
from polyroute.providers.words import cut_at_stop, words
from polyroute.types.cards import Deadlines, Deployment
from polyroute.types.content import Part, Text, ToolCall
from polyroute.types.request import Request, Tool
from polyroute.types.response import (
    Choice,
    ChoiceEnded,
    Chunk,
    Ended,
    PartAdded,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

Sleep = Callable[[float], Awaitable[None]]
Failure = Literal[
    "timeout", "rate_limit", "server_error", "unreachable", "auth", "bad_request", "too_long", "refused", "malformed",
    "interrupted",
]  # fmt: skip

FINGERPRINT = "simulated"
_FILLER = ("and ", "so ", "on ")

_ERRORS: dict[Failure, Callable[[], ProviderError]] = {
    "rate_limit": lambda: Overloaded(
        "simulated: too many requests", http_status=429, retry_after_s=1.0, code="rate_limit_exceeded"
    ),
    "server_error": lambda: Overloaded("simulated: the server failed", http_status=500, code="server_error"),
    "unreachable": lambda: Unreachable("simulated: no connection"),
    "auth": lambda: AuthRejected("simulated: the key is refused", http_status=401, code="invalid_api_key"),
    "bad_request": lambda: Rejected("simulated: the request is wrong", http_status=400, code="invalid_request"),
    "too_long": lambda: ContextTooLong("simulated: too long", http_status=400, code="context_length_exceeded"),
    "refused": lambda: ContentRefused("simulated: filtered", http_status=400, code="content_filter"),
    "malformed": lambda: MalformedReply("simulated: the answer makes no sense"),
    "interrupted": lambda: StreamInterrupted("simulated: the stream broke"),
}


class Manner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model answers prompts of one difficulty."""

    quality: Annotated[float, Meta(ge=0, le=1)] = 1.0
    output_tokens: Annotated[int, Meta(ge=1)] | None = None


class SimulatedModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one deployment behaves."""

    latency_ms: Annotated[float, Meta(ge=0)] = 0.0  # to the first token
    tokens_per_s: Annotated[float, Meta(gt=0)] | None = None  # None: all at once
    error_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0  # share of calls that end in a server error
    answer: str | None = None  # "echo" repeats the newest user text; None: a sentence saying who speaks
    quality: Annotated[float, Meta(ge=0, le=1)] = 1.0  # share of unscripted answers (`answer: None`) that are good
    by_difficulty: dict[str, Manner] = {}
    fail: Failure | None = None
    fail_times: Annotated[int, Meta(ge=0)] | None = None  # the first so many calls only; None: all


class Simulated:
    def __init__(
        self,
        *,
        models: Mapping[str, SimulatedModel],
        seed: int = 0,
        sleep: Sleep = asyncio.sleep,
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        """`models` by deployment id; one that is not there answers at once and never fails."""
        self._models = models
        self._random = random.Random(seed)
        self._sleep = sleep
        self._utc_s = utc_s
        self._calls: dict[str, int] = {}

    def obstacles(self, request: Request, target: Deployment) -> tuple[str, ...]:
        return ()

    async def complete(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> Reply:
        model = self._models.get(target.id, SimulatedModel())
        failure, answer = self._decide(model, request, target, max_output_tokens)
        pace = _Pace(model, deadlines, self._sleep)
        await pace.first_token(failure)
        if failure is not None:
            raise _error(failure)
        if request.operation != "chat":
            return self._other(request, target)
        await pace.tokens(len(answer.words))
        usage = _usage(request, answer)
        response = Response(
            id=f"sim-{token_hex(12)}",
            model=target.upstream_model,
            choices=tuple(
                Choice(index=index, parts=answer.parts(), stop=answer.stop, stop_sequence=answer.stop_sequence)
                for index in range(request.n)
            ),
            usage=usage,
            created_s=int(self._utc_s()),
            system_fingerprint=FINGERPRINT,
        )
        return Reply(usage=usage, model=target.upstream_model, stop=answer.stop, response=response)

    async def stream(
        self, request: Request, target: Deployment, deadlines: Deadlines, max_output_tokens: int | None
    ) -> AsyncGenerator[Chunk, None]:
        model = self._models.get(target.id, SimulatedModel())
        failure, answer = self._decide(model, request, target, max_output_tokens)
        pace = _Pace(model, deadlines, self._sleep)
        await pace.first_token(failure)
        if failure is not None and failure != "interrupted":
            raise _error(failure)
        started = Started(id=f"sim-{token_hex(12)}", model=target.upstream_model, created_s=int(self._utc_s()))
        if request.operation != "chat":
            yield replace(started, media_type=simulated_operations.media_type_for(request))
            for made in simulated_operations.choices_for(request):
                for number, part in enumerate(made.parts):
                    if failure is not None:
                        raise _error(failure)
                    yield (
                        TextDelta(text=part.text, part=number, choice=made.index)
                        if isinstance(part, Text)
                        else PartAdded(content=part, part=number, choice=made.index)
                    )
                yield ChoiceEnded(stop=made.stop, choice=made.index)
            yield Ended(usage=simulated_operations.usage_for(request), model=target.upstream_model)
            return
        yield started
        for choice in range(request.n):
            if answer.tool is not None:
                yield ToolCallStarted(id=_call_id(), name=answer.tool, part=0, choice=choice)
            for at, word in enumerate(answer.words):
                if failure is not None and at >= len(answer.words) / 2:
                    raise _error(failure)
                if at:
                    await pace.tokens(1)
                if answer.tool is None:
                    yield TextDelta(text=word, choice=choice)
                else:
                    yield ToolCallDelta(arguments=word, part=0, choice=choice)
            if failure is not None:
                raise _error(failure)
            yield ChoiceEnded(stop=answer.stop, stop_sequence=answer.stop_sequence, choice=choice)
        yield Ended(usage=_usage(request, answer), model=target.upstream_model)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _other(self, request: Request, target: Deployment) -> Reply:
        usage = simulated_operations.usage_for(request)
        response = Response(
            id=f"sim-{token_hex(12)}",
            model=target.upstream_model,
            choices=simulated_operations.choices_for(request),
            usage=usage,
            created_s=int(self._utc_s()),
            system_fingerprint=FINGERPRINT,
        )
        return Reply(
            usage=usage,
            model=target.upstream_model,
            stop=StopReason.END,
            response=response,
            media_type=simulated_operations.media_type_for(request),
        )

    def _decide(
        self, model: SimulatedModel, request: Request, target: Deployment, max_output_tokens: int | None
    ) -> tuple[Failure | None, "_Answer"]:
        calls = self._calls[target.id] = self._calls.get(target.id, 0) + 1
        failure = model.fail if model.fail_times is None or calls <= model.fail_times else None
        if failure is None and self._random.random() < model.error_rate:
            failure = "server_error"
        is_good = self._random.random() < model.quality
        manner = model.by_difficulty.get(str(request.metadata.get("difficulty")))
        if manner is not None:
            is_good = random.Random(f"{target.id} {request.last_user_text}").random() < manner.quality
        caps = [cap for cap in (request.max_output_tokens, max_output_tokens) if cap is not None]
        length = manner.output_tokens if manner else None
        return failure, _answer(model, request, target, min(caps, default=None), is_good=is_good, length=length)


class _Answer(Struct, frozen=True, kw_only=True):
    words: tuple[str, ...]  # of the text, or of the tool's arguments
    tool: str | None = None
    stop: StopReason
    stop_sequence: str | None = None

    def parts(self) -> tuple[Part, ...]:
        said = "".join(self.words)
        if self.tool is not None:
            return (ToolCall(id=_call_id(), name=self.tool, arguments=said),)
        return (Text(text=said),) if said else ()


class _Pace:
    """Sleeps as the model would, as far as the deadlines allow. Counts what it slept; looks at no clock."""

    def __init__(self, model: SimulatedModel, deadlines: Deadlines, sleep: Sleep) -> None:
        self._model = model
        self._deadlines = deadlines
        self._sleep = sleep
        self._slept_s = 0.0

    async def first_token(self, failure: Failure | None) -> None:
        latency_s = float("inf") if failure == "timeout" else self._model.latency_ms / 1000
        await self._wait(latency_s, self._deadlines.first_token_s, "first_token")

    async def tokens(self, count: int) -> None:
        if self._model.tokens_per_s is not None:
            gap_s = 1 / self._model.tokens_per_s
            await self._wait(gap_s * count, self._deadlines.between_tokens_s * count, "between_tokens")

    async def _wait(self, seconds: float, limit_s: float, phase: Literal["first_token", "between_tokens"]) -> None:
        left_s = self._deadlines.total_s - self._slept_s
        allowed_s = min(limit_s, left_s)
        self._slept_s += min(seconds, allowed_s)
        if seconds:
            await self._sleep(min(seconds, allowed_s))
        if seconds > allowed_s:
            raise ProviderTimeout("simulated: too slow", phase="total" if left_s <= limit_s else phase)


def _answer(
    model: SimulatedModel,
    request: Request,
    target: Deployment,
    max_tokens: int | None,
    *,
    is_good: bool,
    length: int | None,
) -> _Answer:
    tool = _tool_to_call(request)
    if tool is not None:
        arguments = sample(tool.parameters) if tool.parameters else {}
        text, stop, sequence = json.encode(arguments).decode(), StopReason.TOOL_CALLS, None
    else:
        text, sequence = cut_at_stop(_text(model, request, target, is_good=is_good), request.stop)
        stop = StopReason.END if sequence is None else StopReason.STOP_SEQUENCE
    said = words(text)
    if length is not None and tool is None and model.answer is None and request.output is None and sequence is None:
        said = _lengthened(said, length)
    if max_tokens is not None and len(said) > max_tokens:
        said, stop, sequence = said[:max_tokens], StopReason.MAX_TOKENS, None
    return _Answer(words=said, tool=tool.name if tool else None, stop=stop, stop_sequence=sequence)


def _tool_to_call(request: Request) -> Tool | None:
    choice = request.tool_choice
    if choice is None or choice.mode not in {"required", "named"}:
        return None
    tools = [tool for tool in request.tools if isinstance(tool, Tool)]
    return next((tool for tool in tools if choice.mode == "required" or tool.name == choice.name), None)


def _text(model: SimulatedModel, request: Request, target: Deployment, *, is_good: bool) -> str:
    if model.answer is not None and model.answer != "echo":
        return model.answer
    if model.answer == "echo":
        text = request.last_user_text
    elif is_good:
        text = f"This is a simulated answer of {target.upstream_model}. No model was called."
    else:
        return f"This is a poor simulated answer of {target.upstream_model}."
    if request.output is None or _is_json(text):
        return text
    schema = request.output.schema
    return json.encode({"answer": text} if schema is None else sample(schema)).decode()


def _lengthened(said: tuple[str, ...], length: int) -> tuple[str, ...]:
    """At least `length` words: the answer, and then words that only stand for its length."""
    missing = length - len(said)
    if missing <= 0:
        return said
    return (*said[:-1], f"{said[-1]} ", *islice(cycle(_FILLER), missing - 1), "end.")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.decode(text), dict)
    except DecodeError:
        return False


def _usage(request: Request, answer: _Answer) -> Usage:
    return Usage(input_tokens=tokens.estimate(request), output_tokens=len(answer.words) * request.n)


def _error(failure: Failure) -> ProviderError:
    return _ERRORS[failure]()


def _call_id() -> str:
    return f"call_{token_hex(12)}"
