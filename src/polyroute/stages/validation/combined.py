"""Several gates as one: all of them, any of them, or enough of them by weight.

`all` and `any` stop at the first gate that settles the matter; `weighted` asks every one.
"""

from typing import ClassVar

from msgspec import Struct

from polyroute.stages.validation.inquiry import AnyGate, AsksModels, Inquiry, judged, weighs_doubt
from polyroute.types.routing import Verdict


class Combined(Struct, frozen=True, kw_only=True):
    gates: tuple[AnyGate, ...]

    @property
    def weighs_doubt(self) -> bool:
        return any(map(weighs_doubt, self.gates))

    def helpers(self, model: str) -> tuple[str, ...]:
        return tuple(helper for gate in self.gates if isinstance(gate, AsksModels) for helper in gate.helpers(model))


class All(Combined, frozen=True):
    """Accepts what every gate accepts; the score is the least."""

    name: ClassVar[str] = "all"

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        least: float | None = None
        for gate in self.gates:
            verdict = await judged(gate, inquiry)
            if verdict.score is not None:
                least = verdict.score if least is None else min(least, verdict.score)
            if not verdict.accepted:
                return Verdict(gate=self.name, accepted=False, score=least, reasons=_told(verdict))
        return Verdict(gate=self.name, accepted=True, score=least)


class Any(Combined, frozen=True):
    """Accepts what one gate accepts; the score is the greatest."""

    name: ClassVar[str] = "any"

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        most: float | None = None
        reasons: tuple[str, ...] = ()
        for gate in self.gates:
            verdict = await judged(gate, inquiry)
            if verdict.score is not None:
                most = verdict.score if most is None else max(most, verdict.score)
            if verdict.accepted:
                return Verdict(gate=self.name, accepted=True, score=most)
            reasons += _told(verdict)
        return Verdict(gate=self.name, accepted=False, score=most, reasons=reasons)


class Weighted(Combined, frozen=True):
    """Accepts an answer whose gates' scores, weighted, reach `min_score`. A gate without a score counts as 1 or 0."""

    name: ClassVar[str] = "weighted"

    weights: tuple[float, ...] = ()  # of `gates`, in order; empty: all alike
    min_score: float = 0.5

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        weights = self.weights or (1.0,) * len(self.gates)
        total, reasons = 0.0, list[str]()
        for gate, weight in zip(self.gates, weights, strict=True):
            verdict = await judged(gate, inquiry)
            total += weight * (float(verdict.accepted) if verdict.score is None else verdict.score)
            if not verdict.accepted:
                reasons += _told(verdict)
        score = total / sum(weights)
        if score >= self.min_score:
            return Verdict(gate=self.name, accepted=True, score=score)
        return Verdict(
            gate=self.name, accepted=False, score=score, reasons=(f"{score:.3g} < {self.min_score:g}", *reasons)
        )

    def problem(self) -> str | None:
        if self.weights and len(self.weights) != len(self.gates):
            return f"{len(self.weights)} weights for {len(self.gates)} gates"
        if self.weights and (min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf")):
            return "weights are 0 or more, and not all of them 0"
        return None


def _told(verdict: Verdict) -> tuple[str, ...]:
    return tuple(f"{verdict.gate}: {reason}" for reason in verdict.reasons) or (f"{verdict.gate}: rejected",)
