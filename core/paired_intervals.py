"""Confidence intervals of a paired difference that agree with its test: 0 is inside exactly when p is above 5%."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .paired_tests import all_patterns, kept_sums, mcnemar_exact, paired_permutations
from .stats import UNKNOWN, unit_totals

ALPHA = 0.05
SLICES = 500  # quantiles that approximate a Beta distribution
GRID = 4001  # points at which its density is evaluated
TIGHT = 1 / (2 * math.erfc(1))  # 3.1787 = 1 / (4 P(Z >= √2)), the least constant of `sign_flip_bound`


def sign_flip_bound(sums: NDArray[np.float64]) -> float:
    """Return an upper bound of the exact two-sided p-value of `paired_permutation`, from differences per unit.

    A weighted sum of random signs exceeds t standard deviations at most 3.18 times as often as a normal variable
    (Bentkus & Dzindzalieta 2015). Sampled patterns cannot show a p-value below one over their number; this bound can.
    """
    spread = math.sqrt(float((sums**2).sum()))
    if not spread:
        return 1.0
    tail = math.erfc(abs(float(sums.sum())) / spread / math.sqrt(2))  # of both sides
    return min(1.0, TIGHT * tail)


def discordant_interval(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two proportions on the same `n` items: A's minus B's.

    The method is melding (Fay & Lumbard 2021, Statistics in Medicine 40:1147): the share of discordant items times A's
    wins minus losses among them, each with the distribution that gives its Clopper-Pearson bound. The interval excludes
    0 exactly when `mcnemar_exact` is below 5%, and is not empty when no item is discordant. The Wald, Newcombe and
    Tango intervals do not agree with the exact test: 5 against 0 has p = 0.0625.
    """
    if min(only_a, only_b) < 0 or only_a + only_b > n or n < 1:
        raise ValueError(f"not counts of {n} items: {only_a}, {only_b}")
    low, high = -_upper(only_b, only_a, n), _upper(only_a, only_b, n)
    # The quantiles have about four correct digits, but the exact test says on which side of 0 they are.
    if mcnemar_exact(only_a, only_b) > ALPHA:
        return min(low, 0.0), max(high, 0.0)
    tiny = math.ulp(0.0)
    return (max(low, tiny), high) if only_a > only_b else (low, min(high, -tiny))


def permutation_interval(
    differences: ArrayLike, clusters: Sequence[str] | None = None, seed: int = 0, permutations: int = 10000
) -> tuple[float, float]:
    """Return the 95% interval of a mean difference: all values that `paired_permutation` does not reject at 5%.

    A sign pattern is as extreme as the observed one for all values between the mean of the units that it keeps and the
    mean of those that it flips (Hartigan 1969), so the ends are order statistics of these means. Returns UNKNOWN with
    fewer than six units, for which no sign pattern reaches 5%, and if all units differ equally, because they show no
    variance.
    """
    sums, sizes = unit_totals(differences, clusters)
    if len(sums) < 2:
        return UNKNOWN
    # Units that differ come first, so that the random patterns give them the same signs as in the test.
    order = np.argsort(sums == 0, kind="stable")
    table = np.stack([sums, sizes], axis=1)[order].astype(np.float64)
    if len(table) <= math.log2(permutations):
        kept = all_patterns(len(table)) @ table
    else:
        kept = np.concatenate([table.sum(axis=0)[None], *kept_sums(table, seed, permutations)])
    flipped = table.sum(axis=0) - kept
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.stack([kept[:, 0] / kept[:, 1], flipped[:, 0] / flipped[:, 1]])
    one_sided = (kept[:, 1] == 0) | (flipped[:, 1] == 0)  # all kept or all flipped: as extreme for every value
    lows = np.sort(np.where(one_sided, -np.inf, means.min(axis=0)))
    highs = np.sort(np.where(one_sided, np.inf, means.max(axis=0)))[::-1]
    rejected = math.floor(ALPHA * len(kept))
    low, high = float(lows[rejected]), float(highs[rejected])
    if not math.isfinite(low) or high - low <= 1e-12 * max(abs(low), abs(high)):
        return UNKNOWN
    # With few units the test enumerates their patterns, and rounding may break ties.
    if paired_permutations([sums], seed, permutations)[0] > ALPHA:
        return min(low, 0.0), max(high, 0.0)
    if low <= 0 <= high:
        return (float(lows[lows > 0].min()), high) if sums.sum() > 0 else (low, float(highs[highs < 0].max()))
    return low, high


def _upper(wins: int, losses: int, n: int) -> float:
    """Return the upper 97.5% limit of (wins - losses) / n."""
    discordant = wins + losses
    share = 2 * _beta(wins + 1, losses) - 1
    limits = []
    # With a negative balance fewer discordant items make the limit higher, with a positive one more of them.
    for rate in (_beta(discordant, n - discordant + 1), _beta(discordant + 1, n - discordant)):
        limits.append(float(np.quantile(np.multiply.outer(share, rate), 1 - ALPHA / 2, method="hazen")))
    return max(limits)


def _beta(a: int, b: int) -> NDArray[np.float64]:
    """Return quantiles of Beta(a, b) at the middle of equal slices; all 0 if a is 0, all 1 if b is 0."""
    if a == 0 or b == 0:
        return np.full(1, 0.0 if a == 0 else 1.0)
    # On the logit scale the density has one peak, and tails that fall as exp(-a |y|) and exp(-b y).
    peak, spread = math.log(a / b), 9 * math.sqrt(1 / a + 1 / b)
    y = np.linspace(peak - spread - 20 / a, peak + spread + 20 / b, GRID)
    log_density = a * y - (a + b) * np.logaddexp(0.0, y)
    density = np.exp(log_density - log_density.max())
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    quantiles = np.interp((np.arange(SLICES) + 0.5) / SLICES, mass / mass[-1], y)
    values: NDArray[np.float64] = 1 / (1 + np.exp(-quantiles))
    return values
