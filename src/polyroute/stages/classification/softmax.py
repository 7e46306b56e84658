"""Multinomial logistic regression with an L2 penalty, by L-BFGS. Needs numpy; the same rows give the same weights.

Source: Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithms 7.4 and 7.5, with backtracking (3.1).
"""

from typing import Any

import numpy as np

Array = Any  # of numpy
_MEMORY = 10
_ARMIJO = 1e-4
_LEAST_STEP = 1e-6
_STILL = 1e-6  # of the loss, relative: no more is gained


def fit(rows: Array, classes: Array, count: int, *, penalty: float = 1.0, steps: int = 40) -> Array:
    """Weights of `count` classes: one row per feature, the last one for the constant, which is not penalised."""
    rows = with_constant(rows)
    wanted = np.zeros((len(rows), count), "f4")
    wanted[np.arange(len(rows)), classes] = 1
    shape = (rows.shape[1], count)
    held = np.full((shape[0], 1), penalty, "f4")
    held[-1] = 0

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        logits = rows @ weights
        logits -= logits.max(1, keepdims=True)
        grown = np.exp(logits)
        total = grown.sum(1, keepdims=True)
        missed = float((np.log(total[:, 0]) - logits[np.arange(len(rows)), classes]).sum(dtype="f8"))
        value = missed + 0.5 * float((held * weights * weights).sum(dtype="f8"))
        slope = rows.T @ (grown / total - wanted) + held * weights
        return value / len(rows), (slope / len(rows)).ravel()

    return _minimised(loss, np.zeros(shape[0] * count, "f4"), steps).reshape(shape)


def with_constant(rows: Array) -> Array:
    return np.hstack([rows, np.ones((len(rows), 1), "f4")]).astype("f4", copy=False)


def probabilities(logits: Array) -> Array:
    grown = np.exp(logits - logits.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


def _minimised(loss: Any, point: Array, steps: int) -> Array:
    value, slope = loss(point)
    moves: list[tuple[Array, Array, float]] = []  # steps, changes of slope, 1 / their product
    for _ in range(steps):
        direction = -_scaled(slope, moves)
        downhill, step = float(slope @ direction), 1.0
        while True:
            there = point + step * direction
            lower, turned = loss(there)
            if lower <= value + _ARMIJO * step * downhill or step < _LEAST_STEP:
                break
            step /= 2
        moved, changed = there - point, turned - slope
        if (product := float(moved @ changed)) > 0:
            moves = [*moves[1 - _MEMORY :], (moved, changed, 1 / product)]
        gained = abs(value - lower) / max(1.0, abs(value))
        point, value, slope = there, lower, turned
        if gained < _STILL:
            break
    return point


def _scaled(slope: Array, moves: list[tuple[Array, Array, float]]) -> Array:
    """The slope as the curvature seen so far would have it (the two-loop recursion)."""
    bent, shares = slope.copy(), []
    for moved, changed, scale in reversed(moves):
        shares.append(scale * float(moved @ bent))
        bent -= shares[-1] * changed
    if moves:
        moved, changed, scale = moves[-1]
        bent /= scale * float(changed @ changed)
    else:
        bent /= max(float(np.linalg.norm(bent)), 1e-12)
    for (moved, changed, scale), share in zip(moves, reversed(shares), strict=True):
        bent += moved * (share - scale * float(changed @ bent))
    return bent
