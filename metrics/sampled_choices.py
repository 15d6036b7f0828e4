"""Several sampled answers to each multiple-choice question: majority vote, pass@K, agreement, and how well it warns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.types import Figure, Record, Score
from .confident_answers import ConfidentAnswers, confidence_figures
from .figures import mean_figure
from .repeated_samples import agreement, majority, pass_at
from .versions import ORDER, WORDING, has_versions


@dataclass(frozen=True)
class SampledItem:
    """One question with all its answers. An answer that could not be read is None."""

    record: Record  # of the first answer
    answers: tuple[str | None, ...]
    right: tuple[bool, ...]
    complete: bool  # as many answers as the others have, and each of them scored

    @property
    def majority_is_right(self) -> bool:
        gold = self.record.item.answers[self.record.item.gold or 0]
        return majority(self.answers) == gold


def sampled_items(records: Sequence[Record], scores: Sequence[Score]) -> list[SampledItem]:
    """Return the questions with their answers, in order of their first record."""
    found: dict[str, list[tuple[Record, Score]]] = {}
    for record, score in zip(records, scores, strict=True):
        found.setdefault(record.item.id, []).append((record, score))
    most = max(map(len, found.values()), default=0)
    return [
        SampledItem(
            record=pairs[0][0],
            answers=tuple(score.answer for _, score in pairs),
            right=tuple(score.value == 1.0 for _, score in pairs),
            complete=len(pairs) == most and all(score.value is not None for _, score in pairs),
        )
        for pairs in found.values()
    ]


def sample_figures(records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    """Return `majority@K`, `pass@K`, `agreement`, and `auroc` and `aurc` of the agreement; nothing for single answers.

    These are over items. An item that lacks one of its K answers, or has one that is unscored, is left out and shows in
    the coverage.
    """
    if has_versions(records, ORDER) or has_versions(records, WORDING):  # the answers are to different prompts
        return []
    items = sampled_items(records, scores)
    most = max((len(item.answers) for item in items), default=0)
    if most < 2:
        return []
    asked = [item.record for item in items]

    def figure(name: str, values: list[float], binary: bool) -> Figure:
        of_items = [
            Score(item.record.item.id, value if item.complete else None)
            for item, value in zip(items, values, strict=True)
        ]
        return mean_figure(name, asked, of_items, binary=binary, in_0_1=True)

    return [
        figure(f"majority@{most}", [float(item.majority_is_right) for item in items], True),
        figure(f"pass@{most}", [pass_at(len(item.right), item.right) for item in items], True),
        figure("agreement", [agreement(item.answers) for item in items], False),
        *confidence_figures(by_agreement(items), len(items)),
    ]


def by_agreement(items: Sequence[SampledItem]) -> ConfidentAnswers:
    """Return the majority's answers, with the share of samples that agree as confidence."""
    kept = [item for item in items if item.complete]
    return ConfidentAnswers(
        records=tuple(item.record for item in kept),
        confidence=tuple(agreement(item.answers) for item in kept),
        right=tuple(item.majority_is_right for item in kept),
    )
