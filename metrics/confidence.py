"""How well a confidence tells right answers from wrong ones: AUROC, and risk at each coverage.

Pure functions over pairs of a confidence and whether the answer was right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def auroc(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the chance that a right answer has more confidence than a wrong one, ties counting half.

    It is the area under the ROC curve (Hanley & McNeil 1982): 1 at best, 0.5 for a confidence that says nothing. None
    if all answers are right or all are wrong.
    """
    values = np.asarray(confidence, dtype=np.float64)
    is_right = np.asarray(right, dtype=bool)
    n_right, n_wrong = int(is_right.sum()), int((~is_right).sum())
    if not n_right or not n_wrong:
        return None
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2
    ranks = mid_ranks[place][is_right].sum()
    return float((ranks - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """Return the curve of (coverage, risk), from the most confident answers to all of them.

    Coverage is the share of answers that are kept, risk the share of wrong ones among these (El-Yaniv & Wiener 2010).
    Answers with equal confidence are kept or dropped together, so the curve has a point per distinct confidence.
    """
    values = np.asarray(confidence, dtype=np.float64)
    wrong = ~np.asarray(right, dtype=bool)
    order = np.argsort(-values, kind="stable")
    values, errors = values[order], np.cumsum(wrong[order])
    ends: NDArray[np.int_] = np.flatnonzero(np.append(np.diff(values) != 0, True)) if len(values) else np.array([], int)
    return [(float((end + 1) / len(values)), float(errors[end] / (end + 1))) for end in ends]


def aurc(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the mean risk over all coverages (area under the risk-coverage curve; Geifman et al. 2019).

    0 at best. A confidence that says nothing gives the share of wrong answers. Answers with equal confidence are
    expected in random order, so each of them has the risk at the end of their group, interpolated from its beginning.
    None without answers.
    """
    n = len(confidence)
    if not n:
        return None
    total = 0.0
    kept = wrong_before = 0
    for coverage, risk in risk_coverage(confidence, right):
        size = round(coverage * n) - kept
        wrong = risk * (kept + size) - wrong_before
        for step in range(1, size + 1):
            total += (wrong_before + wrong * step / size) / (kept + step)
        kept, wrong_before = kept + size, round(wrong_before + wrong)
    return total / n
