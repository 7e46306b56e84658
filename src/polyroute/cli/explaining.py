"""The verb `explain`: one past request, stage by stage, as its receipt tells it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import typer
from msgspec.structs import replace

from polyroute.cli.shell import ConfigOption, DebugOption, JsonOption, fail, print_json, say, told
from polyroute.cli.store import feedback_of, open_books, retention_of
from polyroute.config.document import kept_for
from polyroute.types.money import format_usd
from polyroute.types.receipt import Attempt, Receipt
from polyroute.types.response import Usage


def explain(
    request_id: Annotated[str | None, typer.Argument(metavar="ID", help="Without one: the latest request.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the six stages of a past request, with its attempts and its money."""
    with told(debug=debug), open_books(config) as books:
        receipt = books.receipt(request_id) if request_id else next(iter(books.recent(1)), None)
        if receipt is not None:
            receipt = replace(receipt, feedback=feedback_of(config, receipt.request_id))
    if receipt is None and request_id is None:
        fail("there is no request in the books yet")
    if receipt is None:
        fail(
            f"there is no receipt `{request_id}` in the books{kept_for(retention_of(config))};"
            " its id is in `x-polyroute-request-id`"
        )
    if as_json:
        print_json(receipt)
    else:
        say("\n".join(lines(receipt)))


def lines(receipt: Receipt) -> Iterator[str]:
    caller = receipt.caller
    yield f"{receipt.request_id}  {receipt.state}  {receipt.time:%Y-%m-%d %H:%M:%S} UTC"
    yield f"  {caller.user} of {caller.team}, by {receipt.door or 'unknown'}; asked for {receipt.requested_model}"
    yield f"  route {receipt.route or 'none'}, document {receipt.policy}"
    if receipt.client_request_id is not None:
        yield f"  the caller's own id: {receipt.client_request_id}"
    yield ""
    times = receipt.times
    yield from _stage(1, "classification", times.classification_ms, _classification(receipt))
    yield from _stage(2, "matching", times.matching_ms, _matching(receipt))
    yield from _stage(3, "selection", times.selection_ms, _selection(receipt))
    yield from _stage(4, "execution", times.execution_ms, _execution(receipt))
    yield from _stage(5, "validation", times.validation_ms, _validation(receipt))
    yield from _stage(6, "assembly", times.assembly_ms, _assembly(receipt))
    yield ""
    yield from _sums(receipt)
    yield from _feedback(receipt)


def _stage(number: int, name: str, ms: float, told_lines: Iterator[str]) -> Iterator[str]:
    yield f"{number} {name:<15} {ms:>10.3f} ms"
    for line in told_lines:
        yield f"    {line}"


def _classification(receipt: Receipt) -> Iterator[str]:
    seen = receipt.classification
    if seen is None:
        return
    yield f"{seen.label}, score {seen.score:.2f}, by {seen.classifier}" + (f"; task {seen.task}" if seen.task else "")
    for name, said in seen.classes.items():
        found = said.fault or f"{said.label or 'none of its classes'}, score {said.score:.2f}"
        yield f"class by {name}: {found} ({said.classifier}, {said.elapsed_ms:.1f} ms)"
    for item in seen.evidence:
        yield f"{item.weight:+.2f}  {item.feature}" + (f"  “{item.span}”" if item.span else "")


def _matching(receipt: Receipt) -> Iterator[str]:
    for note in receipt.candidates:
        yield f"{note.deployment}: expected {_usd(note.expected_usd)}, worst case {_usd(note.worst_usd)}"
    for excluded in receipt.exclusions:
        yield f"{excluded.deployment}: left out, {excluded.reason}"


def _selection(receipt: Receipt) -> Iterator[str]:
    if receipt.split is not None:
        yield f"trial {receipt.split.split}: arm {receipt.split.arm}"
    if receipt.strategy:
        yield f"{receipt.strategy}: {receipt.plan_reason}"
        yield f"plan: {' → '.join(receipt.plan) or 'nobody'}"


def _execution(receipt: Receipt) -> Iterator[str]:
    if receipt.cache == "coalesced":
        yield f"shared the call of {receipt.cache_source}"
    elif receipt.cache_source is not None:
        age_s = receipt.cache_age_s or 0.0
        yield f"nobody was called: the answer of {receipt.cache_source}, {age_s:.1f} s old, again ({receipt.cache})"
    for attempt in receipt.attempts:
        role = "" if attempt.role is None else f" ({attempt.role})"
        yield f"at {attempt.started_ms:.1f} ms  {attempt.deployment}{role}: {_how(attempt)}"
        if attempt.message:
            yield f"    {attempt.message}"
        if attempt.variant is not None:
            yield f"    read the prompt {receipt.prompt} in its words for {attempt.variant}"
        if attempt.dropped:
            yield f"    could not be said to it: {', '.join(attempt.dropped)}"


def _how(attempt: Attempt) -> str:
    parts: list[str] = [attempt.status]
    if attempt.error is not None:
        parts.append(attempt.error + (f" {attempt.http_status}" if attempt.http_status else ""))
    if attempt.remedy is not None:
        parts.append(f"remedy {attempt.remedy}")
    parts.append(f"{attempt.duration_ms:.1f} ms")
    if attempt.first_token_ms is not None:
        parts.append(f"first token after {attempt.first_token_ms:.1f} ms")
    if attempt.usage is not None:
        parts.append(_tokens(attempt.usage))
    return ", ".join((*parts, _usd(attempt.cost_usd)))


def _tokens(usage: Usage) -> str:
    estimate = " (an estimate)" if usage.estimated else ""
    said = f"{usage.total_input_tokens} tokens in, {usage.total_tokens - usage.total_input_tokens} out"
    units = usage.units
    if units is None:
        return said + estimate
    beside = (
        (units.images, f"{units.images} images {units.image_kind}".rstrip()),
        (units.audio_ms, f"{units.audio_ms / 1000:g} s of audio"),
        (units.characters, f"{units.characters} characters"),
        (units.searches, f"{units.searches} searches"),
    )
    told = [text for count, text in beside if count]
    return ", ".join([said, *told] if usage.total_tokens else told) + estimate


def _validation(receipt: Receipt) -> Iterator[str]:
    judged = [(attempt, verdict) for attempt in receipt.attempts for verdict in attempt.verdicts]
    for attempt, verdict in judged:
        finding = "accepted" if verdict.accepted else "rejected"
        told = verdict.reasons or verdict.changes
        why = f": {'; '.join(told)}" if told else ""
        yield f"{attempt.deployment}: {finding} by {verdict.gate}{why}"
    if not judged:
        yield "no gates"


def _assembly(receipt: Receipt) -> Iterator[str]:
    if receipt.model is not None:
        answered = f" (calls itself {receipt.answered_model})" if receipt.answered_model else ""
        yield f"{receipt.model} at {receipt.provider} answered{answered}; stop: {receipt.stop or 'not told'}"
    if receipt.fallback_reason is not None:
        took = "" if receipt.fallback_ms is None else f"; the fallback took {receipt.fallback_ms:.1f} ms"
        yield f"the primary did not: {receipt.fallback_reason}{took}"
    if receipt.error is not None:
        yield f"the caller was told {receipt.error}: {receipt.error_message}"
    unpriced = "" if receipt.cost_complete else ", and an attempt whose price is not known"
    yield f"cost {_usd(receipt.cost_usd)}{unpriced}"
    if receipt.saved_usd is not None:
        yield (
            f"baseline {receipt.baseline}: {_usd(receipt.baseline_usd)}; "
            f"{'saved' if receipt.saved_usd >= 0 else 'lost'} {_usd(abs(receipt.saved_usd))}"
        )


def _feedback(receipt: Receipt) -> Iterator[str]:
    for said in receipt.feedback:
        words = f": {said.comment}" if said.comment else ""
        yield f"feedback {said.score:g} by {said.user} of {said.team}, {said.at:%Y-%m-%d %H:%M} UTC{words}"


def _sums(receipt: Receipt) -> Iterator[str]:
    times = receipt.times
    total = (
        times.classification_ms
        + times.matching_ms
        + times.selection_ms
        + times.execution_ms
        + times.validation_ms
        + times.assembly_ms
    )
    yield f"sum of stages     {total:>10.3f} ms"
    yield f"whole request     {receipt.total_ms:>10.3f} ms  ({receipt.total_ms - total:+.3f} ms beside the stages)"
    yield f"waiting for models{receipt.upstream_ms:>10.3f} ms"
    yield f"gateway's overhead{receipt.overhead_ms:>10.3f} ms"


def _usd(amount: Decimal | None) -> str:
    return "price unknown" if amount is None else f"${format_usd(amount)}"
