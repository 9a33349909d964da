"""Bits of one rate-quality curve against another, at equal quality.

Takes curves as points (rate, quality) in any order. Gives the Bjontegaard difference over the
qualities that both reach, and the ratio of bits at one quality. Nothing is extrapolated; curves
without a common quality are reported as such. Curves are interpolated in the logarithm of the rate
by monotone piecewise cubics (PCHIP with Fritsch and Butland's slopes).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Points = Iterable[tuple[float, float]]


class Curve:
    """The logarithm of the rate as a function of quality, between the first and the last point.

    Points that another point beats in both rate and quality are dropped, and so are those of
    infinite quality. Raises ValueError if no point is left.
    """

    def __init__(self, points: Points) -> None:
        front: list[tuple[float, float]] = []
        least = math.inf
        for quality, rate in sorted(((q, r) for r, q in points), key=lambda p: (-p[0], p[1])):
            if rate < least and math.isfinite(quality):
                least = rate
                front.append((quality, math.log(rate)))
        if not front:
            raise ValueError("a curve needs a point of finite quality")
        self.qualities, self._values = np.array(front[::-1]).T
        self._slopes = _slopes(self.qualities, self._values)

    @property
    def low(self) -> float:
        """The least quality."""
        return float(self.qualities[0])

    @property
    def high(self) -> float:
        """The greatest quality."""
        return float(self.qualities[-1])

    def log_rate(self, quality: float) -> float:
        """Logarithm of the rate at a quality in low..high."""
        x, y, d = self.qualities, self._values, self._slopes
        if not self.low <= quality <= self.high:
            raise ValueError(f"{quality} is not in {self.low}..{self.high}")
        if x.size == 1:
            return float(y[0])
        k = min(int(np.searchsorted(x, quality, side="right")) - 1, x.size - 2)
        h = x[k + 1] - x[k]
        t = (quality - x[k]) / h
        return float(
            y[k] * (1 + 2 * t) * (1 - t) ** 2
            + y[k + 1] * t * t * (3 - 2 * t)
            + h * (d[k] * t * (1 - t) ** 2 - d[k + 1] * t * t * (1 - t))
        )


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.size == 1:
        return np.zeros(1)
    h, s = np.diff(x), np.diff(y) / np.diff(x)
    if x.size == 2:
        return np.array([s[0], s[0]])
    slopes = np.zeros(x.size)
    left, right = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    # Values increase, so secants are positive.
    slopes[1:-1] = (left + right) / (left / s[:-1] + right / s[1:])
    slopes[0] = _end_slope(h[0], h[1], s[0], s[1])
    slopes[-1] = _end_slope(h[-1], h[-2], s[-1], s[-2])
    return slopes


def _end_slope(h0: float, h1: float, s0: float, s1: float) -> float:
    """Three-point slope at an end, clipped so that the curve stays monotone."""
    return float(np.clip(((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1), 0.0, 3 * s0))


@dataclass(frozen=True)
class Comparison:
    """A curve against an anchor.

    low, high: range of qualities that both reach; None when there is none.
    bd_rate: mean difference in bits from the anchor over low..high, in percent; negative means
        fewer bits. None when low..high is not a range.
    ratio: bits of the curve over those of the anchor, at `high`. Without a common quality, of the
        two points nearest to each other in quality.
    bound: "" when the ratio is at equal quality. Otherwise the ratio at equal quality is "at least"
        or "at most" this ratio.
    quality, anchor_quality: the qualities at which the ratio was taken.
    """

    low: float | None
    high: float | None
    bd_rate: float | None
    ratio: float
    bound: str
    quality: float
    anchor_quality: float


def compare(anchor: Points, test: Points) -> Comparison:
    """Compare `test` with `anchor`; ValueError for a curve without points."""
    a, t = Curve(anchor), Curve(test)
    low, high = max(a.low, t.low), min(a.high, t.high)
    if low > high:
        # One curve lies entirely above the other in quality.
        below = t.high < a.low
        quality, other = (t.high, a.low) if below else (t.low, a.high)
        ratio = math.exp(t.log_rate(quality) - a.log_rate(other))
        bound = "at least" if below else "at most"
        return Comparison(None, None, None, ratio, bound, quality, other)
    ratio = math.exp(t.log_rate(high) - a.log_rate(high))
    difference = None
    if low < high:
        difference = 100 * math.expm1(_mean_difference(a, t, low, high))
    return Comparison(low, high, difference, ratio, "", high, high)


def _mean_difference(a: Curve, t: Curve, low: float, high: float) -> float:
    """Mean of log_rate of t minus that of a: exact, by two Gauss points for each cubic piece."""
    knots = np.concatenate([a.qualities, t.qualities, [low, high]])
    knots = np.unique(knots[(knots >= low) & (knots <= high)])
    total = 0.0
    for begin, end in pairwise(knots):
        middle, reach = (begin + end) / 2, (end - begin) / 2 / math.sqrt(3)
        for q in (middle - reach, middle + reach):
            total += (end - begin) / 2 * (t.log_rate(q) - a.log_rate(q))
    return float(total / (high - low))
