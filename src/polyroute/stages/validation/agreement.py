"""Accepts an answer that other answers to the same question agree with.

Others are further samples of the model that answered, or one answer each of other models: two different models are
worth three to four samples of one. Asked one after another, it stops as soon as the outcome is certain.
Source: Wang et al. 2023, "Self-Consistency Improves Chain of Thought Reasoning" (arXiv 2203.11171).
"""

from array import array
from operator import mul
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from polyroute.ports import Embedder, Vectors
from polyroute.stages.validation.coercion import Wrong
from polyroute.stages.validation.inquiry import Inquiry
from polyroute.stages.validation.likeness import Likeness, alike, meaning
from polyroute.types.request import Request
from polyroute.types.routing import Verdict

_SHOWN = 60


class Agreement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ClassVar[str] = "agreement"
    weighs_doubt: ClassVar[bool] = True

    samples: int = 3  # the answer itself among them; of no effect with `models`
    models: tuple[str, ...] = ()  # asked once each, in place of further samples
    by: Likeness = "normalised"
    min_cosine: float = 0.85  # where they are compared by embedding
    embedder: Embedder | None = None  # for that
    field: str | None = None  # only this member of a JSON answer is compared
    at_least: int | None = None  # how many must say the same, the answer among them; None: all
    temperature: float | None = None  # of further samples; None: as the request says

    def helpers(self, model: str) -> tuple[str, ...]:
        return tuple(other for other in self.models if other != model) or (model,) * (self.samples - 1)

    def sample(self, request: Request) -> Request:
        """The same question anew: no seed, or every sample would be the same."""
        temperature = request.temperature if self.temperature is None else self.temperature
        return replace(request, wire=None, stream=False, stream_usage=False, seed=None, n=1, temperature=temperature)

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        try:
            wanted = meaning(inquiry.response.text, self.by, self.field)
        except Wrong as exc:
            return self._verdict(0, 1, f"nothing to compare: {exc}")
        others = self.helpers(inquiry.model)
        needed, agreed = self.at_least or len(others) + 1, 1
        question, reason = self.sample(inquiry.request), None
        for asked, other in enumerate(others, start=1):
            said = await inquiry.call_model(other, question, purpose=self.name)
            try:
                heard = meaning(said.text, self.by, self.field)
                if await self._alike(wanted, heard):
                    agreed += 1
                else:
                    reason = reason or f"{other} says {str(heard)[:_SHOWN]!r}, not {str(wanted)[:_SHOWN]!r}"
            except Wrong as exc:
                reason = reason or f"{other}: {exc}"
            if agreed >= needed or agreed + len(others) - asked < needed:
                return self._verdict(agreed, asked + 1, None if agreed >= needed else reason)
        return self._verdict(agreed, len(others) + 1, None if agreed >= needed else reason or f"{agreed} of {needed}")

    async def _alike(self, one: object, other: object) -> bool:
        if self.embedder is None:
            return alike(one, other)
        vectors = await self.embedder.embed([str(one), str(other)])
        return cosine(vectors) >= self.min_cosine

    def _verdict(self, agreed: int, heard: int, reason: str | None) -> Verdict:
        told = () if reason is None else (reason, f"{agreed} of {heard} agree")
        return Verdict(gate=self.name, accepted=reason is None, score=agreed / heard, reasons=told)

    def problem(self) -> str | None:
        most = len(dict.fromkeys(self.models)) + 1 if self.models else self.samples
        if most < 2:
            return "one answer agrees with itself: give `samples: 2` or more, or `models`"
        if self.at_least is not None and not 2 <= self.at_least <= most:
            return f"`at_least` {self.at_least} cannot be met: 2 to {most}"
        if len(set(self.models)) < len(self.models):
            return "`models` names a model twice"
        return None


def cosine(pair: Vectors) -> float:
    """Of two vectors of length 1."""
    numbers = array("f", pair.data)
    return float(sum(map(mul, numbers[: pair.dimensions], numbers[pair.dimensions :])))
