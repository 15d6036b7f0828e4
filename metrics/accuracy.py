"""Accuracy of multiple choice, with macro-F1, F1 per answer, accuracy per subject and the share of unparsed answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.nominal_agreement import label_f1
from ..core.stats import bootstrap_counts, clusters_of, percentiles
from ..core.types import Figure, Item, MetricDefaults, Record, Score
from .choice_extraction import CUT_OFF, ChoiceReading, read_answer_field, read_choice
from .choice_extraction.text import plain
from .choice_extraction.words import words_of
from .figures import (
    UNFINISHED,
    UNPARSED,
    argmax,
    by_subject,
    ends,
    failed,
    flaw_in_choice,
    flaw_in_logprobs,
    mean_figure,
    scored,
    unfinished,
    unread_rate,
    unscored,
)
from .sampled_choices import sample_figures
from .versions import order_figures

MANY_CUT = 0.05  # share of truncated answers above which tables show a remark


@dataclass(frozen=True)
class Accuracy(MetricDefaults):
    """Share of items whose chosen option is the correct one.

    By log-probability, the choice is the likeliest option. A generated answer is read by choice_extraction. An answer
    that does not name exactly one option is wrong, keeps the reason, and counts in `unparsed_rate`. It also counts in
    `truncated_rate` if the token limit cut it off before it stated an answer. If reasoning used up the limit, it counts
    in `unfinished_rate` (metrics/unfinished.py) instead.
    """

    name: str = "accuracy"
    version: str = "3"
    binary: bool = True
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "share"
    summary: str = (
        "The chosen option is correct. A generated answer that does not name exactly one option is wrong and counts in "
        "unparsed_rate (truncated_rate if the token limit cut it off). Also reports macro_f1, the unweighted mean of "
        "the F1 of every answer and, of K samples per item, majority@K, pass@K and agreement."
    )
    figure_names: tuple[str, ...] = (
        "majority",
        "pass",
        "agreement",
        "consistency",
        "position_bias",
        "macro_f1",
        "f1",
        "unparsed_rate",
        "truncated_rate",
    )  # figures reported with it under their own names

    def score(self, records: Sequence[Record]) -> list[Score]:
        return [_score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return `accuracy`; `macro_f1` with `f1[…]` per answer; `accuracy[…]` per subject if there are several.

        Adds `unparsed_rate` and `truncated_rate` if answers were generated, and `sample_figures` or `order_figures` if
        items have several answers.
        """
        return [
            mean_figure(self.name, records, scores, binary=True),
            *sample_figures(records, scores),
            *order_figures(records, scores),
            *_f1(records, scores),
            *by_subject(self.name, records, scores),
            *_unread_rates(records, scores),
        ]

    def remark_on(self, scores: Sequence[Score]) -> str:
        """Return a remark for tables if many answers were cut off."""
        cut = sum(score.reason == UNPARSED + CUT_OFF for score in scores)
        if cut < MANY_CUT * len(scores) or not cut:
            return ""
        return f"{cut} of {len(scores)} answers cut off at the token limit: raise --max-new-tokens"


def _score(record: Record) -> Score:
    item, output = record.item, record.output
    reason = failed(record) or flaw_in_choice(item)
    if not reason and output.text is None:
        reason = flaw_in_logprobs(item, output)
    if reason:
        return unscored(record, reason)
    if output.text is None:
        assert output.logprobs is not None
        chosen = argmax(output.logprobs)
    elif why := unfinished(record):
        return Score(item.id, 0.0, why)
    else:
        reading = _read(item, output.text, cut=output.finish == "length")
        if reading.index is None:
            silent = output.reasoning and not output.text.strip()
            return Score(item.id, 0.0, UNPARSED + ("reasoning without an answer" if silent else reading.reason))
        chosen = reading.index
        if item.gold is not None and same_option(item.options[chosen], item.options[item.gold]):
            chosen = item.gold  # if a text is offered twice, either label is correct
    return Score(item.id, float(chosen == item.gold), answer=item.answers[chosen])


def _read(item: Item, text: str, cut: bool) -> ChoiceReading:
    if item.answer_field:
        return read_answer_field(text, item.answer_field, item.options, item.labels, cut)
    return read_choice(text, item.options, item.labels, cut)


def same_option(one: str, other: str) -> bool:
    return words_of(plain(one)) == words_of(plain(other)) != ()


def _f1(records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    """Return the F1 of each answer and their unweighted mean (macro-F1), as scikit-learn computes them.

    They cover the answers that occur as gold or as a choice. An unparsed answer is a miss for its gold answer and a
    false positive for none. macro-F1 is on the leaderboard for answers with a fixed meaning (yes, no, maybe: the same
    for every item). For lettered answers it is shown only with the details, and items with other answers have none.
    """
    used, kept = scored(records, scores)
    if not used:
        return []
    named = not any(record.item.labels for record in used) and len({record.item.options for record in used}) == 1
    if not named and not all(record.item.labels for record in used):
        return []
    answers = list(dict.fromkeys(answer for record in used for answer in record.item.answers))
    answers = answers if named else sorted(answers)
    number = {answer: index for index, answer in enumerate(answers)}
    k, n = len(answers), len(used)
    gold = [number[record.item.answers[record.item.gold or 0]] for record in used]
    chosen = [k if score.answer is None else number[score.answer] for score in kept]  # k: unparsed
    cells = [g * (k + 1) + c for g, c in zip(gold, chosen)]

    shape = (-1, k, k + 1)  # gold answer by chosen answer
    each = label_f1(np.bincount(cells, minlength=k * (k + 1)).reshape(shape))[0]
    resampled = label_f1(bootstrap_counts(cells, k * (k + 1), clusters_of(used)).reshape(shape))

    def figure(name: str, value: float, over_resamples: NDArray[np.float64], headline: bool) -> Figure:
        low, high = ends(percentiles(over_resamples))
        return Figure(name, float(value), n, len(records), low, high, headline=headline)

    macro = figure("macro_f1", np.nanmean(each), np.nanmean(resampled, axis=1), named)
    # If a resample lacks an answer, its F1 counts as 0, as in scikit-learn.
    per_answer = zip(answers, each, np.nan_to_num(resampled).T)
    return [macro, *(figure(f"f1[{a}]", f1, others, False) for a, f1, others in per_answer if not np.isnan(f1))]


def _unread_rates(records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    """Return the shares of generated answers without a readable option, and of those cut off before stating one."""
    if all(record.output.text is None for record in records):
        return []
    truncated = unread_rate("truncated_rate", records, scores, UNPARSED + CUT_OFF)
    unparsed = unread_rate("unparsed_rate", records, scores, UNPARSED, UNFINISHED)
    return [unparsed, replace(truncated, headline=bool(truncated.value))]


ACCURACY = Accuracy()
