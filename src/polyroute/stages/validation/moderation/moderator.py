"""Settles each text as near as it can: on this machine, else by a moderation model, else by a large one.

A text that is settled goes no further: what the local stage is sure of never leaves the machine, also where other
texts of the same request do. A stage that cannot be asked, or does not answer in time, is passed over and named. What
nobody settled is flagged, unless the document says otherwise; `Ruling.stage` tells.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from polyroute.errors import CallerError, MalformedReply, ProviderError, RoutingError
from polyroute.ports import CallModel, Monotonic
from polyroute.stages.validation.coercion import Wrong
from polyroute.stages.validation.moderation.asking import (
    DEFAULT_POLICY,
    portions,
    question,
    questions,
    read_results,
    read_word,
)
from polyroute.stages.validation.moderation.lexicon import Lexicon
from polyroute.types.moderation import Moderation, Ruling

_INLINE_CHARS = 1_500  # scored in under a millisecond; more goes to a thread
MODEL, LLM = "moderation model", "moderation llm"  # what the calls are booked as
_FAULTS = (CallerError, ProviderError, RoutingError, TimeoutError)


class Doubt(Struct, frozen=True, kw_only=True):
    """Scores of the moderation model between these two are for the large model, where there is one."""

    low: float = 0.2
    high: float = 0.8


class Found(Struct, frozen=True, kw_only=True):
    rulings: tuple[Ruling, ...]  # in the order of the texts
    told: Moderation


class Moderator(Struct, frozen=True, kw_only=True):
    name: str  # its route
    local: Lexicon | None = None
    model: str | None = None  # by the document's name
    llm: str | None = None
    policy: str = DEFAULT_POLICY
    doubt: Doubt = Doubt()
    flags_unsettled: bool = True
    timeout_s: float = 10.0  # of each stage
    count: Callable[[str, Ruling], None] = lambda moderator, ruling: None  # told of each text

    @property
    def asks(self) -> tuple[str, ...]:
        """The models it may ask, in order."""
        return tuple(model for model in (self.model, self.llm) if model is not None)

    async def rule(self, texts: Sequence[str], call_model: CallModel, monotonic: Monotonic) -> Found:
        started_s = monotonic()
        found: dict[int, Ruling] = {}  # by the text's place
        guesses: dict[int, Ruling] = {}
        faults: list[str] = []
        if self.local is not None:
            await self._locally(self.local, texts, found, guesses)
        if self.model is not None and (left := _left(texts, found)):
            await self._by_model(self.model, texts, left, call_model, found, guesses, faults)
        if self.llm is not None and (left := _left(texts, found)):
            said = await asyncio.gather(*(self._by_llm(self.llm, texts[at], call_model, faults) for at in left))
            found |= {at: ruling for at, ruling in zip(left, said, strict=True) if ruling is not None}
        rulings = tuple(found.get(at) or self._unsettled(guesses.get(at)) for at in range(len(texts)))
        for ruling in rulings:
            self.count(self.name, ruling)
        told = Moderation(
            moderator=self.name,
            flagged=sum(ruling.flagged for ruling in rulings),
            stages=dict(Counter(ruling.stage for ruling in rulings)),
            faults=tuple(dict.fromkeys(faults)),
            elapsed_ms=round((monotonic() - started_s) * 1000, 3),
        )
        return Found(rulings=rulings, told=told)

    async def _locally(
        self, local: Lexicon, texts: Sequence[str], found: dict[int, Ruling], guesses: dict[int, Ruling]
    ) -> None:
        if sum(map(len, texts)) <= _INLINE_CHARS:
            ruled = [_ruled(local, text) for text in texts]
        else:
            ruled = await asyncio.to_thread(lambda: [_ruled(local, text) for text in texts])
        for at, (ruling, is_settled) in enumerate(ruled):
            (found if is_settled else guesses)[at] = ruling

    async def _by_model(
        self,
        model: str,
        texts: Sequence[str],
        left: list[int],
        call_model: CallModel,
        found: dict[int, Ruling],
        guesses: dict[int, Ruling],
        faults: list[str],
    ) -> None:
        try:
            asked = call_model(model, questions(model, [texts[at] for at in left]), purpose=MODEL)
            results = read_results(await asyncio.wait_for(asked, self.timeout_s), len(left))
        except _FAULTS as exc:
            faults.append(self._fault(model, exc))
            return
        for at, (ruling, has_scores) in zip(left, results, strict=True):
            is_doubtful = has_scores and self.doubt.low < ruling.score < self.doubt.high
            (guesses if is_doubtful and self.llm is not None else found)[at] = ruling

    async def _by_llm(self, model: str, text: str, call_model: CallModel, faults: list[str]) -> Ruling | None:
        """The first portion that is flagged decides."""
        ruling = None
        for portion in portions(text):
            try:
                asked = call_model(model, question(model, portion, self.policy), purpose=LLM)
                ruling = read_word((await asyncio.wait_for(asked, self.timeout_s)).text)
            except (*_FAULTS, Wrong) as exc:
                faults.append(self._fault(model, exc))
                return None
            if ruling.flagged:
                return ruling
        return ruling

    def _unsettled(self, guess: Ruling | None) -> Ruling:
        score, categories = (guess.score, guess.categories) if guess is not None else (0.5, {})
        return Ruling(flagged=self.flags_unsettled, score=score, stage="nobody", categories=categories)

    def _fault(self, model: str, exc: Exception) -> str:
        if isinstance(exc, MalformedReply | Wrong):
            return f"{model} did not decide: {exc}"
        if isinstance(exc, TimeoutError):
            return f"{model} said nothing within {self.timeout_s:g} s"
        return f"{model} could not be asked: {exc}"


def _ruled(local: Lexicon, text: str) -> tuple[Ruling, bool]:
    """What is allowed needs no category."""
    score = local.score(text)
    flagged = local.settled(score)
    categories = {} if flagged is False else local.categories(text)
    return Ruling(
        flagged=bool(flagged), score=round(score, 4), stage="local", categories=categories
    ), flagged is not None


def _left(texts: Sequence[str], found: dict[int, Ruling]) -> list[int]:
    return [at for at in range(len(texts)) if at not in found]
