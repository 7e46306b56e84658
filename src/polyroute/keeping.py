"""What providers keep between requests: whose it is, who may go on with it, and what it took in the end.

An answer goes out with ids under which its provider keeps it; from then on they belong to who asked. A request that
names one goes to the provider that holds it, and nowhere else; what another has made is answered as what nobody made.
An answer that its provider goes on with by itself is booked at its most when it goes out. Whoever asks for it after
its end learns what it took, and so do the books: once, in place of the estimate, before the caller is told.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from polyroute.authorisation import Action, Resource, allowed
from polyroute.deciding import Deciding
from polyroute.errors import InvalidRequest, PlanExhausted, ProviderError, UnknownModel, UnknownObject, Unsupported
from polyroute.journey import Parts
from polyroute.ports import KeepsAnswers, Recall, TellsLater
from polyroute.stages.assembly.savings import saving
from polyroute.stages.execution import costs
from polyroute.stages.route import Route
from polyroute.state.owners import Owner
from polyroute.types.access import Caller
from polyroute.types.cards import Deadlines
from polyroute.types.money import ZERO_USD
from polyroute.types.receipt import Amended, Attempt, Receipt, Spent
from polyroute.types.request import Reference, Request
from polyroute.types.response import Ended, Usage, WireBytes

_DEADLINES = Deadlines(first_token_s=600.0, between_tokens_s=600.0)  # an answer may be long in the making
_WRITTEN_S = 2.0  # how long an answer that goes on waits for its note: nobody could ask for it otherwise
_ACTIONS: dict[str, Action] = {
    "read": "answers:read",
    "input": "answers:read",
    "delete": "answers:write",
    "cancel": "answers:write",
}


class Kept(Struct, frozen=True, kw_only=True):
    """An answer that its caller may ask for, and what is asked."""

    owner: Owner
    act: str
    recall: Recall
    door: str  # the dialect it was made in
    dialect: TellsLater
    provider: KeepsAnswers


class Keeping:
    def __init__(self, parts: Parts, deciding: Deciding) -> None:
        self._parts = parts
        self._deciding = deciding

    async def note(self, ids: Sequence[str], request: Request, receipt: Receipt, *, goes_on: bool) -> None:
        """An answer goes out with `ids`."""
        owners = self._parts.owners
        answered = next((a for a in reversed(receipt.attempts) if a.status == "succeeded" and a.purpose is None), None)
        if owners is None or answered is None or request.extensions.get("store") is False:
            return
        caller = receipt.caller
        owner = Owner(
            tenant=caller.tenant,
            team=caller.team,
            user=caller.user,
            provider=answered.provider,
            deployment=answered.deployment,
            answer_id=ids[0],
            request_id=receipt.request_id,
            is_estimated=goes_on,
        )
        owners.note(owner, ids)
        if goes_on:
            await owners.until_written(_WRITTEN_S)

    async def holder(self, caller: Caller, references: Sequence[Reference]) -> str | None:
        """The provider that keeps what a request refers to; None where nobody here knows it.

        Raises InvalidRequest for what the caller may not name: nobody's, or another's.
        """
        found = await self._find(caller, [reference.id for reference in references], "answers:read")
        held: dict[str, Reference] = {}
        for reference in references:
            owner = found.get(reference.id)
            if owner is not None:
                held[owner.provider] = reference
            elif not self._parts.takes_strangers():
                raise InvalidRequest(
                    f"`{reference.field}` names `{reference.id[:80]}`, which was not found: send what it stands for",
                    field=reference.field,
                    code="previous_response_not_found" if reference.field == "previous_response_id" else "not_found",
                )
        if len(held) > 1:
            field = next(iter(held.values())).field
            raise InvalidRequest(
                f"what the request refers to is kept at several providers ({', '.join(sorted(held))})",
                field=field,
                code="kept_apart",
            )
        return next(iter(held), None)

    async def find(self, caller: Caller, door: str, answer_id: str, act: str, query: Sequence[tuple[str, str]]) -> Kept:
        """An answer, to be asked for. Raises UnknownObject where the caller has none such."""
        parts = self._parts
        dialect: object = parts.dialects[door]
        assert isinstance(dialect, TellsLater)  # its paths are offered
        recall = dialect.recall(answer_id, act, query)
        owner = (await self._find(caller, [answer_id], _ACTIONS[act])).get(answer_id)
        if owner is None or owner.answer_id != answer_id:
            raise UnknownObject(f"there is no answer `{answer_id[:80]}`")
        provider: object = parts.around.providers.get(owner.provider)
        if not isinstance(provider, KeepsAnswers):
            raise Unsupported(f"`{owner.provider}`, which keeps this answer, cannot be asked for it any more")
        parts.accounts.leave(await parts.accounts.enter(caller, 0, parts.around.monotonic()))
        return Kept(owner=owner, act=act, recall=recall, door=door, dialect=dialect, provider=provider)

    async def ask(self, kept: Kept) -> bytes:
        """What its provider says. Raises PlanExhausted."""
        owners, owner = self._parts.owners, kept.owner
        assert owners is not None  # who has an owner has them
        try:
            body = await kept.provider.recall(kept.recall, kept.door, _DEADLINES)
        except ProviderError as exc:
            raise _failed(owner, exc) from exc
        if kept.act == "delete":
            await owners.drop(owner)
        elif owner.is_estimated and kept.act != "input" and (usage := kept.dialect.final_usage(body)) is not None:
            await self._settle(owner, usage)
        return body

    async def follow(self, kept: Kept) -> AsyncGenerator[bytes, None]:
        """Its events as they come; the last leaves when the books have what it took. Raises PlanExhausted."""
        owner = kept.owner
        try:
            async with aclosing(kept.provider.follow(kept.recall, kept.door, _DEADLINES)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, WireBytes):
                        yield chunk.data
                    elif isinstance(chunk, Ended):
                        if owner.is_estimated and chunk.usage is not None:
                            await self._settle(owner, chunk.usage)
                        yield chunk.wire or b""
        except ProviderError as exc:
            raise _failed(owner, exc) from exc

    async def _find(self, caller: Caller, ids: Sequence[str], action: Action) -> dict[str, Owner]:
        owners = self._parts.owners
        if owners is None:
            return {}
        found = await owners.find(caller.tenant, list(dict.fromkeys(ids)))
        return {
            name: owner
            for name, owner in found.items()
            if allowed(caller, action, Resource(tenant=owner.tenant, team=owner.team, user=owner.user))
        }

    async def _settle(self, owner: Owner, usage: Usage) -> None:
        """The true figures, in place of the estimate. Raises StoreError where they cannot be written down."""
        parts = self._parts
        assert parts.owners is not None  # who has an owner has them
        amended = await parts.ledger.amend(owner.request_id, lambda receipt: self._corrected(receipt, owner, usage))
        if amended is not None:
            now = parts.utc_now()
            for line in differences(amended):
                parts.accounts.amend(line, amended.after.time, now)
        await parts.owners.settled(owner)

    def _corrected(self, receipt: Receipt, owner: Owner, usage: Usage) -> Receipt | None:
        try:
            route = self._deciding.view_of(receipt.caller).routes.find(receipt.route)
        except UnknownModel:
            return None
        return corrected(receipt, owner, usage, route)


def _failed(owner: Owner, error: ProviderError) -> PlanExhausted:
    return PlanExhausted(f"{owner.provider}: {error.message}", (), error)


def corrected(receipt: Receipt, owner: Owner, usage: Usage, route: Route) -> Receipt | None:
    """With `usage` as what the answer took, at the prices of its day; None where there is nothing to correct."""
    day = receipt.time.date()
    attempt = next((a for a in reversed(receipt.attempts) if a.deployment == owner.deployment and not a.purpose), None)
    deployment = next((d for d in route.deployments if d.id == owner.deployment), None)
    if attempt is None or deployment is None or attempt.usage is None or not attempt.usage.estimated:
        return None
    true = replace(attempt, usage=usage, cost_usd=costs.cost_of(usage, deployment, day))
    attempts = tuple(true if one is attempt else one for one in receipt.attempts)
    cost_usd = sum((one.cost_usd for one in attempts if one.cost_usd is not None), ZERO_USD)
    complete = all(one.cost_usd is not None for one in attempts)
    is_answer = receipt.usage is not None
    told = replace(
        receipt, attempts=attempts, cost_usd=cost_usd, cost_complete=complete, usage=usage if is_answer else None
    )
    return _resaved(told, route, day) if is_answer else told


def _resaved(receipt: Receipt, route: Route, day: date) -> Receipt:
    baseline, usage = route.baseline, receipt.usage
    if receipt.baseline is None or baseline is None or usage is None or not receipt.cost_complete:
        return receipt
    saved = saving(usage, receipt.cost_usd, baseline, day)
    if saved is None:
        return replace(receipt, baseline=None, baseline_usd=None, saved_usd=None)
    return replace(receipt, baseline=saved.baseline, baseline_usd=saved.baseline_usd, saved_usd=saved.saved_usd)


def differences(amended: Amended) -> list[Spent]:
    """What was spent beyond what was settled, or less: a line for each attempt that cost something else."""
    before = {attempt.id: attempt for attempt in amended.before.attempts}
    return [
        _line(amended.after, attempt, before[attempt.id])
        for attempt in amended.after.attempts
        if attempt.cost_usd != before[attempt.id].cost_usd
    ]


def _line(receipt: Receipt, attempt: Attempt, before: Attempt) -> Spent:
    caller = receipt.caller
    return Spent(
        tenant=caller.tenant,
        team=caller.team,
        user=caller.user,
        key_id=caller.key_id,
        model=attempt.model,
        deployment=attempt.deployment,
        provider=attempt.provider,
        cost_usd=(attempt.cost_usd or ZERO_USD) - (before.cost_usd or ZERO_USD),
    )
