"""Which medical entities an answer recalls, gets right, and invents, as found by a pipeline.

A text is treated as a set of concepts. Two mentions are the same concept if they share a form: normalized text, lemma
or knowledge-base id, with abbreviations expanded if any of the item's texts defines them. A concept that a text only
negates ("no fever") is not asserted; a concept that it asserts anywhere is asserted.

Let A be the concepts that the answer asserts and R those that the reference asserts. Recall is |A∩R|/|R|, precision
|A∩R|/|A|, and F1 2|A∩R|/(|A|+|R|), each with the best reference. Invented concepts are those of A that no reference
asserts and that neither the question nor the context mentions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...core.types import Figure, Item, MetricDefaults, Record, Score
from ..figures import failed, mean_figure, unfinished, unscored
from . import mentions, pipelines
from .items import Mention, resolved
from .mentions import Analysis

VERSION = "4"

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
    brought_up: frozenset[str]  # mentioned by question or context, asserted or not

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
class EntityMetric(MetricDefaults):
    """A share of concepts, 0..1, averaged over items. Unscored if no reference asserts an entity."""

    name: str
    summary: str = field()
    value: Value
    pipeline: str = pipelines.EMBEDDED  # an argument of `pipelines.find`
    binary: bool = False
    mean: bool = True
    better: Literal["higher", "lower"] = "higher"
    dimension: str = "accuracy"
    unit: str = "0..1"

    takes_setting: bool = True

    @property
    def canonical_name(self) -> str:  # type: ignore[override]
        """The name including the pipeline, under which scores are stored."""
        return self.name if ":" in self.name else f"{self.name}:{self.pipeline}"

    @property
    def version(self) -> str:
        """The version of this code and of the pipeline: scores from another pipeline do not count as scores of this
        one.
        """
        found = pipelines.find(self.pipeline)
        return f"{VERSION}.{mentions.VERSION}+{found.version}+{found.digest}"

    def with_setting(self, pipeline: str) -> EntityMetric:
        """The same metric over another pipeline: a name or a folder, which is named by its whole path. Raises
        MedbenchError where there is none.
        """
        found = pipelines.find(pipeline or pipelines.EMBEDDED).name
        return replace(self, name=f"{self.name.partition(':')[0]}:{found}", pipeline=found)

    def score(self, records: Sequence[Record]) -> list[Score]:
        flaws = [_flaw(record) for record in records]
        texts = [text for record, flaw in zip(records, flaws) if not flaw for text in _texts(record)]
        read = mentions.analyse(pipelines.find(self.pipeline), texts) if texts else {}
        return [
            unscored(record, flaw) if flaw else self._score(record, read)
            for record, flaw in zip(records, flaws, strict=True)
        ]

    def _score(self, record: Record, read: Mapping[str, Analysis]) -> Score:
        concepts = _concepts(record, read)
        if not any(concepts.references):
            return unscored(record, NO_ENTITY)
        value = self.value(concepts)
        why = unfinished(record)
        if isinstance(value, str):
            return unscored(record, why or value)
        return Score(record.item.id, value, why or None)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, better=self.better, in_0_1=True)]


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
    texts = resolved(_texts(record), mentions.analyse(found, _texts(record)))
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
        denied=tuple(m for m in said if not m.asserted),
        recalled=tuple(m for m in expected if m.key in concepts.answer),
        missed=tuple(m for m in expected if m.key not in concepts.answer),
        reference_denied=tuple(m for m in texts.get(reference, ()) if not m.asserted),
    )


def _closeness(concepts: Concepts, index: int) -> tuple[float, float]:
    one = replace(concepts, references=(concepts.references[index],))
    return (float(f1(one)), float(recall(one))) if concepts.references[index] else (0.0, 0.0)


def _flaw(record: Record) -> str:
    """Return why an answer has no entities to count; "" if it has a text and a reference."""
    if reason := failed(record):
        return reason
    if record.output.text is None:
        return "no generated answer"
    return "" if any(map(str.strip, record.item.references)) else "no reference answer"


def _texts(record: Record) -> list[str]:
    """Return question, context, references and answer. If two define an abbreviation differently, the first counts."""
    item = record.item
    return [item.question, item.context, *item.references, record.output.text or ""]


def _concepts(record: Record, read: Mapping[str, Analysis]) -> Concepts:
    return _sets(resolved(_texts(record), read), record.output.text or "", record.item)


def _sets(texts: Mapping[str, Sequence[Mention]], answer: str, item: Item) -> Concepts:
    def asserted(text: str) -> frozenset[str]:
        return frozenset(mention.key for mention in texts[text] if mention.asserted)

    brought_up = frozenset(mention.key for text in (item.question, item.context) for mention in texts[text])
    return Concepts(asserted(answer), tuple(map(asserted, item.references)), brought_up)


RECALL = EntityMetric(
    "entity_recall",
    "Reference entities in the answer. Of those that the reference asserts, the share that the answer asserts; "
    "a negated entity is not asserted.",
    recall,
)
PRECISION = EntityMetric(
    "entity_precision",
    "Answer entities in the reference. Of those that the answer asserts, the share that the reference asserts.",
    precision,
)
F1 = EntityMetric(
    "entity_f1",
    "F1 of entity recall and precision. Computed per answer, then averaged.",
    f1,
)
HALLUCINATED = EntityMetric(
    "hallucinated_entity_rate",
    "Answer entities found nowhere else. Of those that it asserts, the share that neither a reference nor "
    "question or context mentions.",
    hallucinated,
    better="lower",
)
