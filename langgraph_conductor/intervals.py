"""How sure a measured share is."""

import math
from statistics import NormalDist
from typing import Final

Z: Final = NormalDist().inv_cdf(0.975)
"""Standard errors to either side of a 95 % interval, and of a two-sided test at 5 %."""


def wilson(successes: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share, which holds for few items and shares near 0 and 1.

    Source: Wilson 1927, Journal of the American Statistical Association 22(158), 209-212.

    Args:
        successes: How many of `n`; both may be fractions, as effective sizes are.
        n: How many there were; for 0 the interval is everything.

    Raises:
        ValueError: If `successes` is not from 0 to `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"the successes must be from 0 to {n}, not {successes}")
    if not n:
        return 0.0, 1.0
    share, weight = successes / n, Z**2 / n
    middle = (share + weight / 2) / (1 + weight)
    half = Z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    # At the ends Wilson's formula gives exactly 0 and 1; rounding would miss them.
    return (0.0 if not successes else middle - half), (1.0 if successes == n else middle + half)
