"""Which medical entities an answer recalls, gets right, and invents, as found by a pipeline.

A text is treated as a set of concepts. Two mentions are the same concept if they share a form: normalized text, lemma
or knowledge-base id, with abbreviations expanded if any of the item's texts defines them. A concept that a text only
negates ("no fever") is not asserted; a concept that it asserts anywhere is asserted.

Let A be the concepts that the answer asserts and R those that the reference asserts. Recall is |A∩R|/|R|, precision
|A∩R|/|A|, and F1 2|A∩R|/(|A|+|R|), each with the best reference. Invented concepts are those of A that no reference
asserts and that neither the question nor the context mentions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...core.types import Figure, Item, Record, Score
from ..figures import mean_figure, unfinished, unscored
from . import mentions, pipelines
from .items import IMPLIED, Mention, resolved
from .mentions import Analysis
from .pipeline_metric import PipelineMetric, texts_of

MEANINGS = {  # of the groups of an EntityComparison, for readers: "an entity …"
    "recalled": "in the reference and in the answer",
    "missed": "in the reference but not in the answer",
    "allowed": "in the answer, and otherwise only in the question, the context or another reference",
    "invented": "in the answer, and not in any reference, the question or the context",
    "denied": "named but not asserted (as in: no fever, if you have a fever), so not scored",
    "reference_denied": "named but not asserted in the reference, so the answer does not have to contain it",
}
SHOWN_AS = {"denied": "not asserted", "reference_denied": "not expected"}  # groups with other names for readers
NO_ENTITY = "no entity in the reference"
NONE_ASSERTED = "no entity in the answer"


@dataclass(frozen=True)
class EntityComparison:
    """One answer compared with the reference that it matches best (by F1, then recall).

    Mentions of the answer are `supported` (the reference asserts them too), `allowed` (another reference asserts them,
    or the question or context mentions them), `invented`, or `denied` (the answer negates them; not scored). Mentions
    of the reference are `recalled`, `missed`, or `reference_denied`.
    """

    pipeline: str
    answer: str
    reference: str
    supported: tuple[Mention, ...] = ()
    allowed: tuple[Mention, ...] = ()
    invented: tuple[Mention, ...] = ()
    denied: tuple[Mention, ...] = ()
    recalled: tuple[Mention, ...] = ()
    missed: tuple[Mention, ...] = ()
    reference_denied: tuple[Mention, ...] = ()


@dataclass(frozen=True)
class Concepts:
    """The texts of one item as sets of concepts, from which every figure is computed."""

    answer: frozenset[str]  # asserted
    references: tuple[frozenset[str], ...]  # asserted, for each reference
    brought_up: frozenset[str]  # mentioned by question or context, or supposed by a reference: not invented

    @property
    def invented(self) -> frozenset[str]:
        return self.answer.difference(self.brought_up, *self.references)


Value = Callable[[Concepts], float | str]  # a number, or the reason why there is none


def recall(concepts: Concepts) -> float | str:
    return max(len(concepts.answer & wanted) / len(wanted) for wanted in concepts.references if wanted)


def precision(concepts: Concepts) -> float | str:
    said = concepts.answer
    return max(len(said & wanted) for wanted in concepts.references) / len(said) if said else NONE_ASSERTED


def f1(concepts: Concepts) -> float | str:
    said = concepts.answer
    return max(2 * len(said & wanted) / (len(said) + len(wanted)) for wanted in concepts.references if wanted)


def hallucinated(concepts: Concepts) -> float | str:
    return len(concepts.invented) / len(concepts.answer) if concepts.answer else NONE_ASSERTED


@dataclass(frozen=True)
class EntityMetric(PipelineMetric):
    """A share of concepts, 0..1, averaged over items. Unscored if no reference asserts an entity."""

    value: Value = recall
    by_label: bool = False  # whether it also has a figure for each label, e.g. `entity_recall[DISEASE]`

    def _score(self, record: Record, read: Mapping[str, Analysis]) -> Score:
        texts = resolved(texts_of(record), read)
        concepts = _sets(texts, record.output.text or "", record.item)
        if not any(concepts.references):
            return unscored(record, NO_ENTITY)
        value = self.value(concepts)
        why = unfinished(record)
        if isinstance(value, str):
            return unscored(record, why or value)
        parts = _by_label(texts, concepts) if self.by_label else ""
        return Score(record.item.id, value, why or parts or None)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the mean, and the mean of each label over the items that have it, if there are several labels."""
        return [
            *super().aggregate(records, scores),
            *(_label_figures(self.name, records, scores) if self.by_label else ()),
        ]


_PART = re.compile(r"(?P<label>\w+) (?P<recalled>\d+)/(?P<wanted>\d+)(?:, |$)")


def _by_label(texts: Mapping[str, Sequence[Mention]], concepts: Concepts) -> str:
    """Return how many concepts of the best reference are recalled, by label: "CHEMICAL 1/2, DISEASE 3/4"."""
    wanted = max(
        (each for each in concepts.references if each), key=lambda each: len(concepts.answer & each) / len(each)
    )
    labels = {mention.key: mention.label for mentions_ in texts.values() for mention in mentions_}
    of_label: dict[str, list[str]] = {}
    for key in wanted:
        of_label.setdefault(labels[key], []).append(key)
    return ", ".join(
        f"{label} {len(concepts.answer.intersection(keys))}/{len(keys)}" for label, keys in sorted(of_label.items())
    )


def _label_figures(name: str, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
    parts = [
        {m["label"]: int(m["recalled"]) / int(m["wanted"]) for m in _PART.finditer(s.reason or "")} for s in scores
    ]
    labels = sorted({label for each in parts for label in each})
    if len(labels) < 2:
        return []
    return [
        mean_figure(
            f"{name}[{label}]",
            records,
            [replace(score, value=each.get(label)) for score, each in zip(scores, parts, strict=True)],
            binary=False,
            headline=False,
            in_0_1=True,
        )
        for label in labels
    ]


def canonical(name: str) -> str:
    """Return a metric's name including its pipeline: "entity_f1" is "entity_f1:medbench_bc5cdr"."""
    metric, _, pipeline = name.partition(":")
    return f"{metric}:{pipelines.find(pipeline or pipelines.EMBEDDED).name}"


def compare(record: Record, pipeline: str = "") -> EntityComparison:
    """Return every mention of an answer and of its best reference, grouped by how the metrics count it.

    Without an answer or a reference, only the other is returned.
    """
    found = pipelines.find(pipeline or pipelines.EMBEDDED)
    item, answer = record.item, record.output.text or ""
    texts = resolved(texts_of(record), mentions.analyse(found, texts_of(record)))
    said = texts[answer]
    concepts = _sets(texts, answer, item)
    best, reference = max(
        enumerate(item.references), key=lambda each: _closeness(concepts, each[0]), default=(None, "")
    )
    wanted = frozenset() if best is None else concepts.references[best]
    elsewhere = concepts.brought_up.union(*concepts.references)
    asserted = [mention for mention in said if mention.asserted]
    expected = [mention for mention in texts.get(reference, ()) if mention.asserted]
    return EntityComparison(
        found.name,
        answer,
        reference,
        supported=tuple(m for m in asserted if m.key in wanted),
        allowed=tuple(m for m in asserted if m.key in elsewhere - wanted),
        invented=tuple(m for m in asserted if m.key in concepts.invented),
        denied=tuple(m for m in said if m.why_not not in ("", *IMPLIED)),
        recalled=tuple(m for m in expected if m.key in concepts.answer),
        missed=tuple(m for m in expected if m.key not in concepts.answer),
        reference_denied=tuple(m for m in texts.get(reference, ()) if m.why_not not in ("", *IMPLIED)),
    )


def _closeness(concepts: Concepts, index: int) -> tuple[float, float]:
    one = replace(concepts, references=(concepts.references[index],))
    return (float(f1(one)), float(recall(one))) if concepts.references[index] else (0.0, 0.0)


def _sets(texts: Mapping[str, Sequence[Mention]], answer: str, item: Item) -> Concepts:
    def asserted(text: str) -> frozenset[str]:
        return frozenset(mention.key for mention in texts[text] if mention.asserted)

    brought_up = frozenset(mention.key for text in (item.question, item.context) for mention in texts[text])
    brought_up |= {mention.key for own in texts.values() for mention in own if mention.why_not in IMPLIED}
    # A reference that says how to prevent something, or what to do about it, brings it up; one that denies it does not.
    supposed = (mention for text in item.references for mention in texts[text] if mention.why_not not in ("", "denied"))
    brought_up |= {mention.key for mention in supposed}
    return Concepts(asserted(answer), tuple(map(asserted, item.references)), brought_up)


RECALL = EntityMetric(
    "entity_recall",
    "Reference entities in the answer. Of those that the reference asserts, the share that the answer asserts; "
    "a negated entity is not asserted.",
    value=recall,
    by_label=True,
)
PRECISION = EntityMetric(
    "entity_precision",
    "Answer entities in the reference. Of those that the answer asserts, the share that the reference asserts.",
    value=precision,
)
F1 = EntityMetric(
    "entity_f1",
    "F1 of entity recall and precision. Computed per answer, then averaged.",
    value=f1,
)
HALLUCINATED = EntityMetric(
    "hallucinated_entity_rate",
    "Answer entities found nowhere else. Of those that it asserts, the share that neither a reference nor "
    "question or context mentions.",
    value=hallucinated,
    better="lower",
)
