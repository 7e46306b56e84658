"""The strategy `learned`: the cheapest model that a trained router expects to be good enough."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from polyroute.ports import Choice, Selection
from polyroute.stages.selection.router import Prediction, Router
from polyroute.stages.selection.strategies import Models, Options
from polyroute.types.money import ZERO_USD
from polyroute.types.routing import Candidate


class Learned(Options, frozen=True):
    """Expected quality less what cost weighs, where the router knows prompts like this one; else the best model.

    What cost weighs was calibrated for `quality_loss`, a share of the best model's mean quality.
    """

    models: Models
    router: Router
    quality_loss: float

    @property
    def pool(self) -> Models:
        return self.models

    def choose(self, selection: Selection) -> Choice:
        predicted = self.router.predict(selection.request.last_user_text)
        ranked = sorted(self._worth(predicted, selection.candidates).items(), key=lambda item: -item[1])
        models = tuple(model for model, _ in ranked)
        told = ", ".join(f"{model} {predicted.scores[model]:.2f}" for model in models)
        reason = f"learned: expected quality {told}; {self.quality_loss:.1%} may be lost"
        if predicted.strange is not None:
            reason = f"learned: abstains, {predicted.strange}; the best known goes first"
        return Choice(models=models, reason=reason, scores=predicted.scores, abstained=predicted.strange is not None)

    def _worth(self, predicted: Prediction, candidates: tuple[Candidate, ...]) -> Mapping[str, float]:
        """By model that can serve the request; a model that another beats in all comes after every other."""
        facts = {facts.name: facts for facts in self.router.artifact.models}
        costs = dict(_costs(candidates, frozenset(self.models)))
        dearest = float(max(costs.values(), default=ZERO_USD)) or 1.0
        weight = self.router.weight_for(self.quality_loss)
        worth = {}
        for model, usd in costs.items():
            if predicted.strange is not None:
                worth[model] = facts[model].quality
            else:
                worth[model] = predicted.scores[model] - weight * float(usd) / dearest
            if facts[model].pruned is not None:
                worth[model] -= 10.0  # under the worth of any that is not: a cost weighs 3 at most
        return worth


def _costs(candidates: tuple[Candidate, ...], wanted: frozenset[str]) -> Iterator[tuple[str, Decimal]]:
    """By model, its first candidate's expected cost; one without a price counts as free."""
    seen: set[str] = set()
    for candidate in candidates:
        model = candidate.deployment.model
        if model in wanted and model not in seen:
            seen.add(model)
            yield model, candidate.expected_usd or ZERO_USD
