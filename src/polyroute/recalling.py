"""Between selection and execution: an answer of before, or a call that is under way, in place of a call of its own.

A hit is answered without execution: it counts towards rates of requests and costs nothing. Who joins a call pays its
share of it, and holds half of the worst case meanwhile, which no share is more than. Where a call that was joined fails
or is given up, whoever joined it calls for itself: after a second such failure, alone. A further tier (by likeness)
asks in `_found`, after the exact one.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from polyroute.errors import MalformedReply, PolyrouteError, ProviderError, StoreError
from polyroute.flights import Flight, Heard
from polyroute.joining import Joining, Ticket, told_again
from polyroute.journey import Answer, Entry, LiveAnswer, Parts, Prepared
from polyroute.live import Relayed, Restored, Told
from polyroute.ports import TellsLater
from polyroute.stages.assembly.gathered import WHOLE, gathered, is_good
from polyroute.stages.selection.sameness import Asked, may_be_kept, place_of
from polyroute.stages.selection.wishes import wish_of
from polyroute.types.caching import CachedAnswer, CacheStanding, CacheWish, Found, Place, Purge
from polyroute.types.receipt import Receipt, RequestState
from polyroute.types.request import Request
from polyroute.types.response import Chunk, Ended, Reply, Response, Resumed, StopReason, WireBytes

_log = logging.getLogger(__name__)
_MOST_JOINED = 2  # calls that may fail under a request before it calls alone


class Ways(Struct, frozen=True, kw_only=True):
    """Execution, as the path has it. What was taken out of a request is put back into whole answers, and not yet into
    streams.
    """

    whole: Callable[[Prepared], Awaitable[Answer]]
    live: Callable[[Prepared], Awaitable[LiveAnswer]]
    read: Callable[[Request, Reply], Response]


class _Search(Struct, frozen=True, kw_only=True):
    """Where a request's answer is looked for, and what its caller said of that."""

    place: Place
    wish: CacheWish
    purges: int  # so far: what was asked before a purge is not kept after it


class Recalling:
    def __init__(self, parts: Parts, ways: Ways) -> None:
        self._parts = parts
        self._ways = ways
        self._joining = Joining(parts)
        self._storing = frozenset(n for n, dialect in parts.dialects.items() if isinstance(dialect, TellsLater))
        self._flights: dict[Place, Flight] = {}
        self._purges = 0

    async def purge(self, what: Purge) -> int | None:
        self._purges += 1
        return None if self._parts.answers is None else await self._parts.answers.purge(what)

    async def inspect(self, key: str) -> tuple[Place, Found] | None:
        return None if self._parts.answers is None else await self._parts.answers.inspect(key)

    async def standing(self) -> CacheStanding | None:
        return None if self._parts.answers is None else await self._parts.answers.standing()

    async def answer(self, prepared: Prepared, entry: Entry) -> Answer:
        search = self._search(prepared, entry)
        if search is None:
            return await self._ways.whole(prepared)
        found = await self._found(prepared, search)
        if found is not None:
            receipt = await self._hit(prepared, found)
            return _restored(Answer(reply=self._reply_of(found.answer), receipt=receipt), prepared)
        for _ in range(_MOST_JOINED):
            flight = self._flight(prepared, search)
            if flight is None:
                break
            ticket = await self._joining.board(prepared, flight)
            if await self._joining.landed(ticket):
                receipt = await self._joining.settle(ticket, "settled")
                assert flight.answer is not None  # it landed
                return _restored(Answer(reply=self._reply_of(flight.answer), receipt=receipt), prepared)
        return await self._lead(prepared, search)

    async def stream(self, prepared: Prepared, entry: Entry) -> LiveAnswer:
        search = self._search(prepared, entry)
        if search is None:
            return _put_back(await self._ways.live(prepared), prepared)
        found = await self._found(prepared, search)
        if found is not None:
            receipt = await self._hit(prepared, found)
            return _put_back(self._retold(found.answer, receipt, prepared.request), prepared)
        for _ in range(_MOST_JOINED):
            flight = self._flight(prepared, search)
            if flight is None:
                break
            ticket = await self._joining.board(prepared, flight)
            live = await self._joined(ticket, prepared)
            if live is not None:
                return _put_back(live, prepared)
        return _put_back(await self._lead_stream(prepared, search), prepared)

    # ── what was answered before ──────────────────────────────────────────────────────────────────────

    def _search(self, prepared: Prepared, entry: Entry) -> _Search | None:
        """None where this request is neither looked up nor shared. Raises InvalidRequest for what its caller says."""
        request, draft, guard = prepared.request, prepared.draft, prepared.guard
        wish = wish_of(entry.cache, entry.cache_control)
        is_open_text = guard is not None and bool(guard.private)  # what a guard left in it is kept nowhere
        if prepared.route.review is not None or is_open_text:
            return None
        if not may_be_kept(request, is_stored=draft.door in self._storing):
            return None
        wording = prepared.wording
        place = place_of(
            request,
            Asked(
                tenant=draft.caller.tenant,
                route=draft.route,
                policy=draft.policy,
                door=draft.door,
                namespace=wish.namespace,
                task=entry.task,
                request_class=entry.request_class,
                prompt=None if wording is None else wording.prompt_id,
                texts={} if wording is None else wording.texts,
            ),
        )
        draft.cache_key = place.key
        return _Search(place=place, wish=wish, purges=self._purges)

    async def _found(self, prepared: Prepared, search: _Search) -> Found | None:
        rule, answers, wish = prepared.route.recall, self._parts.answers, search.wish
        if rule is None or rule.exact_s is None or answers is None or not wish.reads:
            return None
        found = await answers.get(search.place)
        if found is None or (wish.max_age_s is not None and found.age_s > wish.max_age_s):
            return None
        return found

    async def _hit(self, prepared: Prepared, found: Found) -> Receipt:
        """Settled, durable: one request, no money. Raises RateLimited."""
        parts, draft, answer = self._parts, prepared.draft, found.answer
        now_s = parts.around.monotonic()
        draft.mark(now_s)
        admission = await parts.accounts.enter(draft.caller, 0, now_s, draft.arrived_s + prepared.route.timeout_s)
        try:
            receipt = draft.receipt("settled", (), parts.around.monotonic())
            receipt = told_again(receipt, answer, answer.stop.value, prepared)
            receipt = replace(receipt, cache="exact", cache_source=answer.request_id, cache_age_s=round(found.age_s, 3))
            await self._joining.book(prepared, receipt)
        finally:
            parts.accounts.leave(admission)
        return receipt

    def _reply_of(self, answer: CachedAnswer) -> Reply:
        return Reply(
            usage=answer.usage,
            model=answer.answered_model or "",
            stop=answer.stop,
            wire=answer.wire,
            response=answer.response if answer.wire is None else None,
            fingerprint=answer.fingerprint,
            media_type=answer.media_type,
        )

    def _retold(self, answer: CachedAnswer, receipt: Receipt, request: Request) -> LiveAnswer:
        if answer.events is not None:
            return Replayed(answer, receipt)
        return Told(self._ways.read(request, self._reply_of(answer)), receipt)

    async def _keep(self, prepared: Prepared, search: _Search, answer: CachedAnswer | None) -> None:
        rule, answers, wish = prepared.route.recall, self._parts.answers, search.wish
        if answer is None or rule is None or rule.exact_s is None or answers is None or not wish.stores:
            return
        if search.purges == self._purges:
            ttl_s = rule.exact_s if wish.ttl_s is None else min(wish.ttl_s, rule.exact_s)
            await answers.put(search.place, answer, ttl_s)

    # ── what is under way ─────────────────────────────────────────────────────────────────────────────

    def _flight(self, prepared: Prepared, search: _Search) -> Flight | None:
        """One to join."""
        if not (search.wish.reads and search.wish.stores):
            return None
        flight = self._flights.get(search.place)
        return flight if flight is not None and flight.is_open else None

    def _take_off(self, prepared: Prepared, search: _Search) -> tuple[Flight, Prepared]:
        flight, rule = Flight(prepared.draft.request_id), prepared.route.recall
        if rule is not None and rule.coalesce and search.wish.stores:
            self._flights[search.place] = flight
        return flight, replace(prepared, flight=flight)

    def _forget(self, flight: Flight, search: _Search) -> None:
        if self._flights.get(search.place) is flight:
            del self._flights[search.place]

    async def _lead(self, prepared: Prepared, search: _Search) -> Answer:
        flight, mine = self._take_off(prepared, search)
        flight.task = task = asyncio.create_task(self._call(mine, flight, search))
        task.add_done_callback(_ended)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await flight.leader_leaves()
            raise

    async def _call(self, prepared: Prepared, flight: Flight, search: _Search) -> Answer:
        error: BaseException | None = None
        answer: CachedAnswer | None = None
        try:
            got = await self._ways.whole(prepared)
            answer, is_fit = self._kept_of(prepared, got.reply, got.receipt)
            await self._keep(prepared, search, answer if is_fit else None)
            return got
        except PolyrouteError as exc:
            error = exc
            raise
        finally:
            self._forget(flight, search)
            flight.end(error, answer)

    async def _lead_stream(self, prepared: Prepared, search: _Search) -> LiveAnswer:
        flight, mine = self._take_off(prepared, search)
        flight.task = task = asyncio.create_task(self._relay(mine, flight, search))
        task.add_done_callback(_ended)
        led = Led(flight, task)
        try:
            await flight.begun_or_over()
        except BaseException:
            await led.aclose()
            raise
        if flight.has_begun:
            return led
        await task  # raises what it failed in
        raise AssertionError("a stream that did not begin has failed")

    async def _relay(self, prepared: Prepared, flight: Flight, search: _Search) -> None:
        """The call as it streams. What breaks it once it has begun is told to everybody who reads it."""
        error: BaseException | None = None
        answer: CachedAnswer | None = None
        try:
            live = await self._ways.live(prepared)
            told: list[Chunk] = []
            flight.begin(live.receipt)
            try:
                async with aclosing(live.chunks()) as chunks:
                    async for chunk in chunks:
                        told.append(chunk)
                        if isinstance(chunk, Ended):
                            flight.receipt = live.receipt
                            answer, is_fit = await self._streamed(prepared, told, live.receipt)
                            await self._keep(prepared, search, answer if is_fit else None)
                        await flight.add(chunk)
            finally:
                await live.aclose()
                flight.receipt = live.receipt
        except PolyrouteError as exc:
            error = exc
            if not flight.has_begun:
                raise
        finally:
            self._forget(flight, search)
            flight.end(error, answer)

    async def _joined(self, ticket: Ticket, prepared: Prepared) -> LiveAnswer | None:
        flight = ticket.flight
        if not await self._joining.begun_or_landed(ticket):
            return None
        if not flight.has_begun:
            receipt = await self._joining.settle(ticket, "settled")
            assert flight.answer is not None  # it landed
            return self._retold(flight.answer, receipt, prepared.request)
        heard = Heard(flight, prepared.draft.request_id)

        async def settle(state: RequestState, error: ProviderError | None) -> Receipt:
            return await self._joining.settle(ticket, state, error)

        async def settle_for_nobody(cause: BaseException) -> Receipt | None:
            with suppress(StoreError):
                return await self._joining.settle(ticket, "cancelled")
            return None

        return Relayed(heard, self._joining.receipt_so_far(ticket), settle, settle_for_nobody)

    # ── what is kept ──────────────────────────────────────────────────────────────────────────────────

    def _kept_of(self, prepared: Prepared, reply: Reply, receipt: Receipt) -> tuple[CachedAnswer | None, bool]:
        """The answer to share, before anything was put back, and whether it may be given again later."""
        flight = prepared.flight
        if flight is not None and flight.reply is not None:
            reply = flight.reply
        if receipt.clamped_to is not None:
            return None, False
        is_fit = reply.stop in WHOLE and not (reply.kept or reply.goes_on)
        if is_fit and prepared.request.operation == "chat":
            try:
                is_fit = is_good(self._ways.read(prepared.request, reply))
            except MalformedReply:
                is_fit = False
        kept = _answer_of(receipt, reply.stop)
        return replace(kept, wire=reply.wire, response=reply.response, media_type=reply.media_type), is_fit

    async def _streamed(
        self, prepared: Prepared, told: list[Chunk], receipt: Receipt
    ) -> tuple[CachedAnswer | None, bool]:
        ended = told[-1]
        assert isinstance(ended, Ended)  # whoever asks has seen it
        wire = [chunk for chunk in told if isinstance(chunk, WireBytes)]
        is_plain = bool(wire) and len(wire) == len(told) - 1
        if wire and not is_plain:
            return None, False
        if is_plain:
            events = b"".join(chunk.data for chunk in wire)
            response = await asyncio.to_thread(self._parsed, prepared, events, ended)
        else:
            events, response = b"", gathered(told)
        if response is None:
            return None, False
        stop = response.choices[0].stop if response.choices else StopReason.UNKNOWN
        kept = replace(_answer_of(receipt, stop), response=response)
        if is_plain:
            kept = replace(kept, events=events, tail=ended.wire)
        is_kept_there = bool(ended.kept) or any(chunk.kept for chunk in wire)
        is_fit = is_good(response) and receipt.clamped_to is None and not is_kept_there
        return kept, is_fit and not any(isinstance(chunk, Resumed) for chunk in told)

    def _parsed(self, prepared: Prepared, events: bytes, ended: Ended) -> Response | None:
        """In a thread: a stream that was only passed on, read. None where it cannot be."""
        reader = self._parts.dialects[prepared.draft.door].open_reader(same_dialect=False)
        try:
            chunks = [*reader.feed(events), *reader.feed(ended.wire or b""), *reader.close()]
        except ProviderError:
            return None
        return gathered(chunks)


class Led:
    """A stream, for the one whose call it is. Its books are settled by the call itself."""

    def __init__(self, flight: Flight, task: "asyncio.Task[None]") -> None:
        self._flight = flight
        self._task = task

    @property
    def receipt(self) -> Receipt:
        assert self._flight.receipt is not None  # it has begun
        return self._flight.receipt

    def chunks(self) -> AsyncGenerator[Chunk, None]:
        return self._flight.chunks(leads=True)

    async def aclose(self) -> None:
        await self._flight.leader_leaves()
        if not (self._flight.waiting or self._flight.told):
            await asyncio.wait({self._task})


class Replayed:
    """A stream of before, in its own bytes."""

    def __init__(self, answer: CachedAnswer, receipt: Receipt) -> None:
        self.receipt = receipt
        self._answer = answer

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        answer = self._answer
        yield WireBytes(data=answer.events or b"")
        yield Ended(
            usage=answer.usage,
            model=answer.answered_model or "",
            fingerprint=answer.fingerprint,
            wire=answer.tail,
        )

    async def aclose(self) -> None:
        """Nothing is due any more."""


def _ended(task: "asyncio.Task[Any]") -> None:
    """Its caller may be gone by then: what was decided is in the books, what broke is told here."""
    fault = None if task.cancelled() else task.exception()
    if fault is not None and not isinstance(fault, PolyrouteError):
        _log.error("a call for several requests failed inside the gateway", exc_info=fault)


def _answer_of(receipt: Receipt, stop: StopReason) -> CachedAnswer:
    return CachedAnswer(
        request_id=receipt.request_id,
        model=receipt.model,
        provider=receipt.provider,
        answered_model=receipt.answered_model,
        stop=stop,
        usage=receipt.usage,
        cost_usd=receipt.cost_usd,
        fingerprint=receipt.fingerprint,
    )


def _restored(answer: Answer, prepared: Prepared) -> Answer:
    guard = prepared.guard
    return answer if guard is None else replace(answer, reply=guard.restored_reply(answer.reply))


def _put_back(live: LiveAnswer, prepared: Prepared) -> LiveAnswer:
    guard = prepared.guard
    return live if guard is None or not guard.placeholders else Restored(live, guard)
