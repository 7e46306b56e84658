"""Accepts an answer whose words the model was sure of, by its own token probabilities.

Of each token: the entropy in bits over the alternatives that the provider reports, what is missing to 1 counted as
one more alternative; and its log probability (natural). Thresholds are of one task and one model: what is sure in one
is not in another, so measure before you set them (docs/how-to/gates.md). Where the provider gives no probabilities
the named fallback decides.
"""

import math
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from polyroute.stages.validation.inquiry import AnyGate, Inquiry, judged
from polyroute.types.response import Response, TokenLogprob
from polyroute.types.routing import Verdict


class Sureness(Struct, frozen=True, kw_only=True):
    """Of one answer."""

    bits: float  # mean entropy of a token
    max_bits: float  # of the least sure token
    mean_logprob: float
    min_logprob: float


class Entropy(Struct, frozen=True, kw_only=True):
    name: ClassVar[str] = "entropy"
    weighs_doubt: ClassVar[bool] = True
    top_logprobs: ClassVar[int] = 5

    max_bits: float | None = None  # mean entropy of a token
    max_token_bits: float | None = None  # of the least sure token
    min_mean_logprob: float | None = None
    min_logprob: float | None = None
    fallback: AnyGate | Literal["accept", "reject"] = "reject"

    def helpers(self, model: str) -> tuple[str, ...]:
        return ()  # the fallback's are not expected

    async def inquire(self, inquiry: Inquiry) -> Verdict:
        found = sureness(inquiry.response)
        if found is None:
            return await self._unsure(inquiry)
        return self._held_against(found)

    async def _unsure(self, inquiry: Inquiry) -> Verdict:
        fallback, told = self.fallback, "the provider gave no token probabilities"
        if isinstance(fallback, str):
            accepted = fallback == "accept"
            return Verdict(gate=self.name, accepted=accepted, reasons=(f"{told}; fallback: {fallback}",))
        verdict = await judged(fallback, inquiry)
        reasons = (f"{told}; fallback: {verdict.gate}", *verdict.reasons)
        return Verdict(gate=self.name, accepted=verdict.accepted, score=verdict.score, reasons=reasons)

    def _held_against(self, found: Sureness) -> Verdict:
        reasons = []
        for limit, value, sign, what in (
            (self.max_bits, found.bits, 1, "bits a token"),
            (self.max_token_bits, found.max_bits, 1, "bits at the least sure token"),
            (self.min_mean_logprob, found.mean_logprob, -1, "mean log probability"),
            (self.min_logprob, found.min_logprob, -1, "log probability of the least sure token"),
        ):
            if limit is not None and (value - limit) * sign > 0:
                reasons.append(f"{value:.4g} {what} {'>' if sign > 0 else '<'} {limit:g}")
        score = math.exp(found.mean_logprob)  # the geometric mean of the tokens' probabilities
        return Verdict(gate=self.name, accepted=not reasons, score=round(min(1.0, score), 6), reasons=tuple(reasons))

    def problem(self) -> str | None:
        limits = (self.max_bits, self.max_token_bits, self.min_mean_logprob, self.min_logprob)
        if all(limit is None for limit in limits):
            return "says nothing: give `max_bits`, `max_token_bits`, `min_mean_logprob` or `min_logprob`"
        if any(limit is not None and limit > 0 for limit in limits[2:]):
            return "no log probability is above 0: nothing could be accepted"
        return None


def sureness(response: Response) -> Sureness | None:
    """None where the first choice came without probabilities."""
    tokens = response.choices[0].logprobs if response.choices else None
    if not tokens:
        return None
    bits = [_bits(token) for token in tokens]
    logprobs = [token.logprob for token in tokens]
    return Sureness(
        bits=sum(bits) / len(bits),
        max_bits=max(bits),
        mean_logprob=sum(logprobs) / len(logprobs),
        min_logprob=min(logprobs),
    )


def _bits(token: TokenLogprob) -> float:
    known = [math.exp(min(0.0, other.logprob)) for other in token.top or (token,)]
    rest = 1.0 - sum(known)
    return sum(-p * math.log2(p) for p in (*known, rest) if p > 1e-12)


def wants_logprobs(gate: object) -> bool:
    inner = getattr(gate, "gates", ())
    return isinstance(gate, Entropy) or any(map(wants_logprobs, inner))


def without_logprobs(response: Response) -> Response:
    """As a caller gets it who did not ask for them."""
    return replace(response, choices=tuple(replace(choice, logprobs=None) for choice in response.choices))
