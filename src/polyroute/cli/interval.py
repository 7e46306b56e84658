"""How sure a share is. Pure."""

from math import sqrt

_Z = 1.959964  # 95 %, two-sided, of the standard normal distribution


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share. Wilson, "Probable Inference …", JASA 22 (1927). (0, 1) of nothing."""
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, _Z * _Z
    centre = share + square / (2 * trials)
    spread = _Z * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
