"""How often the leaderboard marks a model that is as good as the best, and finds one that is worse. Prints a table.

    python tests/peers/marks.py            2,000 boards of each shape, some minutes on one core
    python tests/peers/marks.py 200

"chosen" is the procedure that looks natural: take the highest value, test the others against it, Holm over those tests.
"""

from __future__ import annotations

import sys
from statistics import NormalDist

import numpy as np
from medbench.core.paired_tests import holm, mcnemar_exact, paired_permutations
from medbench.results.marks import Compared, verdicts
from medbench.results.pairing import ALPHA

NORMAL = NormalDist()
# Kind, items, correlation of the items' difficulty, accuracies (of scores: shifts of the mean).
SHAPES = [
    ("binary", 200, 0.5, [0.6] * 12),
    ("binary", 50, 0.5, [0.6] * 12),
    ("binary", 1000, 0.5, [0.6] * 12),
    ("binary", 100, 0.0, [0.05] * 12),
    ("binary", 200, 0.9, [0.6] * 12),
    ("binary", 200, 0.5, [0.6] * 40),
    ("binary", 200, 0.5, [0.7] * 6 + [0.35] * 6),
    ("binary", 200, 0.5, [0.6] * 11 + [0.45]),
    ("binary", 200, 0.5, [0.6] * 3 + [0.5] * 9),
    ("binary", 200, 0.5, [0.6, 0.5]),
    ("scores", 60, 0.5, [0.0] * 12),
    ("scores", 60, 0.5, [0.0] * 11 + [-0.5]),
]


def board(random: np.random.Generator, kind: str, items: int, shared: float, level: list[float]) -> np.ndarray:
    difficulty = np.sqrt(shared) * random.normal(size=(items, 1))
    latent = difficulty + np.sqrt(1 - shared) * random.normal(size=(items, len(level)))
    return (
        (latent < [NORMAL.inv_cdf(p) for p in level]).astype(float) if kind == "binary" else np.exp(latent / 2) + level
    )


def all_pairs(values: np.ndarray, binary: bool) -> set[int]:
    rows = [dict(zip(map(str, range(len(values))), row)) for row in values.T.tolist()]
    ((found,), _) = verdicts([Compared([f"{r:03}" for r in range(len(rows))], rows, range(len(rows)), True, binary)])
    return {row for row, verdict in found.items() if verdict.p is not None and verdict.p < ALPHA}


def chosen(values: np.ndarray, binary: bool) -> set[int]:
    best = int(values.sum(axis=0).argmax())
    others = [row for row in range(values.shape[1]) if row != best]
    lead = [values[:, best] - values[:, row] for row in others]
    p = [mcnemar_exact(int((d > 0).sum()), int((d < 0).sum())) for d in lead] if binary else paired_permutations(lead)
    return {row for row, adjusted in zip(others, holm(p)) if adjusted < ALPHA}


def main(boards: int) -> None:
    print(
        "| board | false ▼ | false ▼, chosen | worse ones found | found, chosen |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for kind, items, shared, level in SHAPES:
        random = np.random.default_rng(0)
        best = {row for row, value in enumerate(level) if value == max(level)}
        wrong, right = np.zeros(2), np.zeros(2)
        for _ in range(boards):
            values = board(random, kind, items, shared, level)
            for at, marked in enumerate((all_pairs(values, kind == "binary"), chosen(values, kind == "binary"))):
                wrong[at] += bool(marked & best)
                right[at] += len(marked - best)
        found = right / boards / max(1, len(level) - len(best))
        of = " + ".join(f"{level.count(value)} of {value:g}" for value in dict.fromkeys(level))
        shares = [*(wrong / boards), *found] if len(best) < len(level) else wrong / boards
        cells = [f"{share:.3f}" for share in shares] + [""] * (4 - len(shares))
        print(f"| {kind}, {items} items, r {shared}: {of} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
