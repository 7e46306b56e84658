"""What cost may weigh against quality: found on predictions of rows not seen, for a loss that the user accepts.

The model chosen is the one of the largest predicted score less `weight` times its cost, relative to the dearest's. The
largest weight is taken whose loss, at the upper end of its interval, still is within what was accepted: to take the
mean instead misses the target by up to eight points on new prompts (docs/decisions/0012).
"""

from collections.abc import Sequence

import numpy as np

from polyroute.learning.fitting import Matrix
from polyroute.stages.selection.router import Trade

LOSSES = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
_WEIGHTS = np.concatenate([[0.0], np.geomspace(1e-3, 3.0, 160)])
_Z = 1.64  # one-sided 95 %


def pruned(models: Sequence[str], scores: Matrix, usd: Matrix) -> dict[str, str]:
    """The models that another beats: at least as good, no dearer, and better in one of the two. And why."""
    quality, cost = scores.mean(0), usd.mean(0)
    found = {}
    for at, name in enumerate(models):
        for other, better in enumerate(models):
            if quality[other] >= quality[at] and cost[other] <= cost[at] and (
                quality[other] > quality[at] or cost[other] < cost[at]
            ):  # fmt: skip
                found[name] = (
                    f"{better} scored {quality[other]:.3f} for {cost[other]:.6f} USD a request, "
                    f"{name} {quality[at]:.3f} for {cost[at]:.6f}"
                )
                break
    return found


def trades(scores: Matrix, usd: Matrix, predicted: Matrix) -> tuple[Trade, ...]:
    """By accepted loss, relative to the best model's mean score, the weight of cost."""
    usable = [at for at in range(scores.shape[1]) if at not in _pruned_places(scores, usd)]
    scores, predicted = scores[:, usable], predicted[:, usable]
    relative = usd[:, usable] / np.maximum(usd[:, usable].max(1, keepdims=True), 1e-12)
    best = scores[:, int(np.argmax(scores.mean(0)))]
    rows = np.arange(len(best))
    upper = []
    for weight in _WEIGHTS:
        lost = best - scores[rows, np.argmax(predicted - weight * relative, axis=1)]
        upper.append((lost.mean() + _Z * lost.std() / np.sqrt(len(lost))) / max(best.mean(), 1e-12))
    found = []
    for loss in LOSSES:
        # Up to the first that is over: a larger one that happens to be within would be picked for its luck.
        over = next((at for at, bound in enumerate(upper) if bound > loss), len(upper))
        if over:
            found.append(Trade(quality_loss=loss, weight=float(_WEIGHTS[over - 1])))
    return tuple(found)


def _pruned_places(scores: Matrix, usd: Matrix) -> set[int]:
    names = [str(at) for at in range(scores.shape[1])]
    return {int(name) for name in pruned(names, scores, usd)}
