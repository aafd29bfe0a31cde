"""When a data plan runs out, as far as its use so far tells, and how sure that is.

**Model.** Use is taken as a Brownian motion with drift: what is used in s seconds has the mean v·s and the variance
w·s, and stretches that do not overlap are independent. Then the time until a limit is reached follows an inverse
Gaussian distribution (J. L. Folks and R. S. Chhikara, "The Inverse Gaussian Distribution and Its Statistical
Application - A Review", Journal of the Royal Statistical Society B 40, 1978).

**Estimates.** Of t seconds with the total x: v = x / t. The total is known at the instants at which thresholds were
crossed, too; with the stretches (dt, dx) between them, w is the sum of (dx - v·dt)² / dt over their number less one.
Totals of earlier periods are stretches around a drift of their own, and count in the same sum.

**Interval.** After s more seconds the total is x + v·s, give or take q · sqrt(w · s · (1 + s / t)): the second term is
the uncertainty of v itself. q is that of Student's t for 80 percent, with as many degrees of freedom as w has. The plan
runs out when the middle reaches the limit, at the earliest when the upper end does, at the latest when the lower does.

It knows neither nights nor weekends, and of a plan that has just begun little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

CONFIDENCE = 0.8
# Student's t, 90 percent quantiles, by degrees of freedom from 1 on; then the normal distribution's.
_T = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341)
_NORMAL = 1.282
_HALVINGS = 60


class Stretch(NamedTuple):
    """So many bytes in so many seconds."""

    seconds: float
    used: float


@dataclass(frozen=True)
class Projection:
    """What is expected of the rest of a period.

    Attributes:
        runs_out_s: seconds from now until the limit is reached; None if that is not expected within the period.
        earliest_s, latest_s: the interval around it; None outside of the period, or where nothing tells how even the
            use is: no threshold was crossed, and no period was before.
        total: expected at the period's end.
        least, most: the interval around that; None where nothing tells it.
    """

    runs_out_s: float | None
    earliest_s: float | None
    latest_s: float | None
    total: int
    least: int | None
    most: int | None


def project(
    stretches: Sequence[Stretch], earlier: Sequence[Stretch], *, limit: int, left_s: float
) -> Projection | None:
    """The projection; None where nothing was used, or no time has passed.

    Args:
        stretches: of this period, from its start until now.
        earlier: earlier periods, each a stretch.
        left_s: seconds until the period ends.
    """
    passed, used = (sum(values) for values in zip(*stretches, strict=True)) if stretches else (0.0, 0.0)
    if passed <= 0 or used <= 0:
        return None
    drift = used / passed
    width = _width(stretches, earlier, passed)

    def when(bound: Callable[[float], float]) -> float | None:
        return _first(lambda s: used + bound(s) >= limit, left_s)

    middle = when(lambda s: drift * s)
    total = round(used + drift * left_s)
    if width is None:
        return Projection(middle, None, None, total, None, None)
    least = max(used, used + drift * left_s - width(left_s))
    return Projection(
        middle,
        when(lambda s: drift * s + width(s)),
        when(lambda s: drift * s - width(s)),
        total,
        round(least),
        round(used + drift * left_s + width(left_s)),
    )


def _width(stretches: Sequence[Stretch], earlier: Sequence[Stretch], passed: float) -> Callable[[float], float] | None:
    """Half of the interval after so many seconds; None without degrees of freedom."""
    freedom = max(len(stretches) - 1, 0) + max(len(earlier) - 1, 0)
    if not freedom:
        return None
    variance = (_squares(stretches) + _squares(earlier)) / freedom
    quantile = _T[freedom - 1] if freedom <= len(_T) else _NORMAL
    return lambda s: quantile * sqrt(variance * s * (1 + s / passed))


def _squares(stretches: Sequence[Stretch]) -> float:
    seconds = sum(stretch.seconds for stretch in stretches)
    drift = sum(stretch.used for stretch in stretches) / seconds if seconds else 0.0
    return sum((stretch.used - drift * stretch.seconds) ** 2 / stretch.seconds for stretch in stretches)


def _first(reached: Callable[[float], bool], end: float) -> float | None:
    """The seconds after which a limit is reached; None if it is not by the end."""
    if not reached(end):
        return None
    low, high = 0.0, end
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
