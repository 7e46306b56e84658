"""An upstream's whole answer: read in full for another dialect's door, skimmed for our own."""

from typing import Any, NoReturn

import orjson
from msgspec import Raw, Struct
from msgspec.json import Decoder

from polyroute.dialects.json_text import UNREADABLE, json_text
from polyroute.dialects.openai_chat.errors import error_in
from polyroute.dialects.openai_chat.names import NAME
from polyroute.dialects.openai_chat.read_messages import read_reasoning_details
from polyroute.dialects.openai_chat.shape import (
    ANSWER,
    WireAnswer,
    WireChoice,
    WireFunction,
    WireLogprob,
    WireLogprobs,
    WireMessage,
    created_in,
    usage_in,
)
from polyroute.dialects.openai_chat.stops import FAILED, read_stop, stop_of
from polyroute.dialects.openai_chat.think_tags import OPENING, split
from polyroute.dialects.openai_chat.usage import read_usage
from polyroute.errors import MalformedReply, Overloaded
from polyroute.types.content import Image, Inline, Link, Opaque, Part, Refusal, Text, Thinking, ToolCall
from polyroute.types.response import Choice, Reply, Response, StopReason, TokenLogprob


class _SkimmedMessage(Struct):
    content: str | list[Raw] | None = None
    refusal: str | None = None
    tool_calls: list[Raw] | None = None


class _SkimmedChoice(Struct):
    message: _SkimmedMessage
    finish_reason: str | None = None
    error: Any = None


class _Skimmed(Struct):
    choices: list[_SkimmedChoice]
    model: str | None = None
    usage: Raw = Raw()
    system_fingerprint: str | None = None


_SKIM = Decoder(_Skimmed)

Citations = tuple[dict[str, object], ...]


def skim_response(body: bytes) -> Reply:
    try:
        skimmed = _SKIM.decode(body)
    except UNREADABLE as exc:
        raise_failure(body, exc)
    if not skimmed.choices:
        raise_failure(body, "it has no choices")
    for choice in skimmed.choices:
        if choice.error is not None or choice.finish_reason in FAILED:
            raise_failed_choice(choice.error)
    first = skimmed.choices[0]
    return Reply(
        usage=read_usage(skimmed.usage),
        model=skimmed.model or "",
        stop=read_stop(
            first.finish_reason, calls_tools=bool(first.message.tool_calls), refuses=bool(first.message.refusal)
        ),
        wire=body,
        fingerprint=skimmed.system_fingerprint,
    )


def parse_response(body: bytes) -> Response:
    try:
        answer = ANSWER.decode(body)
    except UNREADABLE as exc:
        raise_failure(body, exc)
    if not answer.choices:
        raise_failure(body, "it has no choices")
    sources = sources_in(answer)
    return Response(
        id="" if answer.id is None else str(answer.id),
        model=answer.model or "",
        choices=tuple(_read_choice(choice, position, sources) for position, choice in enumerate(answer.choices)),
        usage=read_usage(usage_in(answer)),
        created_s=created_in(answer),
        system_fingerprint=answer.system_fingerprint,
        service_tier=answer.service_tier,
    )


def raise_failure(body: bytes, cause: object) -> NoReturn:
    """For a 200 that holds no answer: the error it reports, else what is wrong with it."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise MalformedReply(f"the provider's answer is not JSON ({exc.msg})") from exc
    if reports_error(found):
        raise error_in(found)
    raise MalformedReply(f"the provider's answer is not a chat completion: {cause}")


def reports_error(found: object) -> bool:
    return isinstance(found, dict) and (found.get("error") is not None or found.get("object") == "error")


def raise_failed_choice(error: object) -> NoReturn:
    if error is None:
        raise Overloaded("the provider gave up while answering")
    raise error_in({"error": error})


def _read_choice(choice: WireChoice, position: int, sources: Citations) -> Choice:
    if choice.error is not None or choice.finish_reason in FAILED:
        raise_failed_choice(choice.error)
    if choice.message is None:
        raise MalformedReply("the provider's answer has a choice without a message")
    finish = choice.finish_reason
    if finish is None and choice.finish_details is not None:
        finish = str(choice.finish_details.get("type"))
    parts = parts_of(choice.message, sources)
    stop = stop_of(finish, parts)
    sequence = choice.stop_reason if isinstance(choice.stop_reason, str) else None
    return Choice(
        index=position if choice.index is None else choice.index,
        parts=parts,
        stop=StopReason.STOP_SEQUENCE if sequence is not None and stop is StopReason.END else stop,
        stop_sequence=sequence,
        raw_stop=finish,
        logprobs=read_logprobs(choice.logprobs),
    )


def parts_of(message: WireMessage, sources: Citations = ()) -> tuple[Part, ...]:
    """`sources`: what the answer as a whole rests on, where its text does not say more."""
    parts: list[Part] = list(thinking_in(message))
    citations = tuple(message.annotations or ()) or sources
    for part in _untagged(content_in(message)):
        if isinstance(part, Text) and citations:
            part, citations = Text(text=part.text, citations=citations), ()
        parts.append(part)
    if citations:
        parts.append(Text(text="", citations=citations))
    parts += images_in(message)
    if message.refusal:
        parts.append(Refusal(text=message.refusal))
    if message.audio is not None:
        parts.append(Opaque(dialect=NAME, kind="audio", raw=message.audio))
    for position, call in enumerate(message.tool_calls or ()):
        call_id = f"call_{position}" if call.id in (None, "") else str(call.id)
        if call.function is not None:
            parts.append(ToolCall(id=call_id, name=call.function.name or "", arguments=arguments_of(call.function)))
        elif call.custom is not None:
            name, given = call.custom.get("name"), call.custom.get("input")
            parts.append(ToolCall(id=call_id, name=str(name or ""), arguments=str(given or ""), is_free=True))
    if message.function_call is not None:
        function = message.function_call
        parts.append(ToolCall(id="call_0", name=function.name or "", arguments=arguments_of(function)))
    return tuple(parts)


def sources_in(answer: WireAnswer) -> Citations:
    """Addresses beside the answer, with their titles where they have them."""
    found: list[dict[str, object]] = []
    for item in answer.search_results or answer.citations or ():
        source = {"url": item} if isinstance(item, str) else item
        if isinstance(source, dict) and isinstance(source.get("url"), str):
            cited = {"url": source["url"], "title": source.get("title")}
            found.append({"type": "url_citation", "url_citation": cited})
    return tuple(found)


def thinking_in(message: WireMessage) -> list[Thinking]:
    """Reasoning in whichever field it is; details say more than the plain text that goes with them."""
    details: list[Thinking] = []
    if message.reasoning_details:
        details = read_reasoning_details(message.reasoning_details)
    plain = message.reasoning_content or message.reasoning
    if plain and not any(part.text for part in details):
        return [Thinking(text=plain), *details]
    return details


def _untagged(content: list[Text | Thinking]) -> list[Text | Thinking]:
    """Thinking out of the tags in which it stands at the head of the text."""
    if not content or not isinstance(head := content[0], Text) or OPENING not in head.text:
        return content
    pieces = [Thinking(text=text) if is_thinking else Text(text=text) for is_thinking, text in split(head.text)]
    return [*pieces, *content[1:]]


def content_in(message: WireMessage) -> list[Text | Thinking]:
    content = message.content
    if isinstance(content, str):
        return [Text(text=content)] if content else []
    return [part for item in content or () if (part := _array_item(item)) is not None]


def _array_item(item: dict[str, Any]) -> Text | Thinking | None:
    """One item of Mistral's content array; kinds without text say nothing to another dialect."""
    if item.get("type") == "thinking":
        inner = item.get("thinking")
        if isinstance(inner, str):
            return Thinking(text=inner)
        shown = [part.get("text") for part in inner or () if isinstance(part, dict)]
        return Thinking(text="".join(text for text in shown if isinstance(text, str)))
    text = item.get("text")
    return Text(text=text) if isinstance(text, str) else None


def images_in(message: WireMessage) -> list[Image]:
    """Pictures the model made, as OpenRouter gives them: data URLs."""
    found = []
    for item in message.images or ():
        inner = item.get("image_url")
        url = inner.get("url") if isinstance(inner, dict) else inner
        if isinstance(url, str):
            head, comma, data = url.partition(";base64,")
            inline = comma and head.startswith("data:")
            found.append(Image(media=Inline(media_type=head[5:], data=data) if inline else Link(url=url)))
    return found


def arguments_of(function: WireFunction) -> str:
    arguments = function.arguments
    return json_text(arguments) if isinstance(arguments, dict) else arguments or ""


def read_logprobs(logprobs: WireLogprobs | float | None) -> tuple[TokenLogprob, ...] | None:
    """None also where a server gives numbers without the tokens they belong to."""
    if not isinstance(logprobs, WireLogprobs) or logprobs.content is None:
        return None
    return tuple(map(_read_logprob, logprobs.content))


def _read_logprob(item: WireLogprob) -> TokenLogprob:
    return TokenLogprob(
        token=item.token,
        logprob=-9999.0 if item.logprob is None else item.logprob,  # OpenAI's own figure for "very unlikely"
        bytes=None if item.bytes is None else tuple(item.bytes),
        top=tuple(map(_read_logprob, item.top_logprobs or ())),
    )
