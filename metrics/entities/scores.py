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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...core.types import Figure, Item, MetricDefaults, Record, Score
from ..figures import failed, mean_figure, unfinished, unscored
from . import mentions, pipelines
from .mentions import Analysis, FoundMention
from .negation import negated

VERSION = "3"

NO_ENTITY = "no entity in the reference"
NONE_ASSERTED = "no entity in the answer"


@dataclass(frozen=True)
class Mention:
    """One mention of a text, with `start` and `end` in characters. Mentions with the same `key` are one concept."""

    text: str
    start: int
    end: int
    label: str
    key: str
    negated: bool


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
    texts = _resolved(_texts(record), mentions.analyse(found, _texts(record)))
    said = texts[answer]
    concepts = _sets(texts, answer, item)
    best, reference = max(
        enumerate(item.references), key=lambda each: _closeness(concepts, each[0]), default=(None, "")
    )
    wanted = frozenset() if best is None else concepts.references[best]
    elsewhere = concepts.brought_up.union(*concepts.references)
    asserted = [mention for mention in said if not mention.negated]
    expected = [mention for mention in texts.get(reference, ()) if not mention.negated]
    return EntityComparison(
        found.name,
        answer,
        reference,
        supported=tuple(m for m in asserted if m.key in wanted),
        allowed=tuple(m for m in asserted if m.key in elsewhere - wanted),
        invented=tuple(m for m in asserted if m.key in concepts.invented),
        denied=tuple(m for m in said if m.negated),
        recalled=tuple(m for m in expected if m.key in concepts.answer),
        missed=tuple(m for m in expected if m.key not in concepts.answer),
        reference_denied=tuple(m for m in texts.get(reference, ()) if m.negated),
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
    return _sets(_resolved(_texts(record), read), record.output.text or "", record.item)


def _sets(texts: Mapping[str, Sequence[Mention]], answer: str, item: Item) -> Concepts:
    def asserted(text: str) -> frozenset[str]:
        return frozenset(mention.key for mention in texts[text] if not mention.negated)

    brought_up = frozenset(mention.key for text in (item.question, item.context) for mention in texts[text])
    return Concepts(asserted(answer), tuple(map(asserted, item.references)), brought_up)


def _resolved(texts: Sequence[str], read: Mapping[str, Analysis]) -> dict[str, tuple[Mention, ...]]:
    """Return the mentions of an item's texts. Those of one concept share a key: the longest of its forms."""
    shared: dict[str, str] = {}
    for text in texts:
        shared = dict(read[text].abbreviations) | shared
    long = {text: shared | dict(read[text].abbreviations) for text in texts}
    mentioned = {text: _written_out(read[text].found, text, long[text]) for text in texts}
    if shared:
        every = sorted((each for found in mentioned.values() for each in found), key=lambda each: len(each.text))
        labels = {each.forms[0]: each.label for each in every}  # the long form's own label is the most reliable
        mentioned = {text: _with_short_forms(text, found, long[text], labels) for text, found in mentioned.items()}
    key = _merged(each.forms for found in mentioned.values() for each in found)
    return {
        text: tuple(Mention(f.text, f.start, f.end, f.label, key[f.forms[0]], f.negated) for f in found)
        for text, found in mentioned.items()
    }


def _with_short_forms(
    text: str, found: Sequence[FoundMention], long: Mapping[str, str], labels: Mapping[str, str]
) -> list[FoundMention]:
    """Return the mentions of a text plus those that the pipeline missed.

    The added ones are abbreviations whose long form is an entity (`labels`, by form) in any of the item's texts.
    """
    places: list[tuple[int, int, str]] = []
    for short, whole in long.items():
        form = mentions.normalized(whole)
        for match in re.finditer(rf"(?<!\w){re.escape(short)}s?(?!\w)", text) if form in labels else ():
            if all(match.end() <= each.start or each.end <= match.start() for each in found):
                places.append((*match.span(), form))
    denied = negated(text, [(start, end) for start, end, _ in places])
    more = (
        FoundMention(text[start:end], start, end, labels[form], (form,), no)
        for (start, end, form), no in zip(places, denied)
    )
    return sorted([*found, *more], key=lambda each: each.start)


def _written_out(found: Sequence[FoundMention], text: str, long: Mapping[str, str]) -> list[FoundMention]:
    """Return a text's mentions with their abbreviations expanded.

    A long form that a mention ends is one mention, whichever parts the pipeline found ("type 2" and "diabetes
    mellitus", or the latter alone).
    """
    whole = [_stretched(each, text, long) for each in found]
    spans = [(long_form.start, long_form.end) for each, long_form in zip(found, whole) if long_form is not each]
    kept = [
        each
        for each in whole
        if (each.start, each.end) in spans or not any(low <= each.start and each.end <= high for low, high in spans)
    ]
    return [replace(each, forms=_forms(each, long)) for each in kept]


def _stretched(found: FoundMention, text: str, long: Mapping[str, str]) -> FoundMention:
    """Return a mention that ends a long form, extended to the whole long form."""
    for whole in sorted(set(long.values()), key=len, reverse=True):
        start = found.end - len(whole)
        if 0 <= start < found.start and text[start : found.end].lower() == whole.lower():
            forms = (mentions.normalized(whole), *_ids(found))
            return replace(found, text=text[start : found.end], start=start, forms=forms)
    return found


def _forms(found: FoundMention, long: Mapping[str, str]) -> tuple[str, ...]:
    """Return a mention's forms, with abbreviations replaced by their long forms.

    The short form is then not one of its forms: elsewhere the same letters may mean something else.
    """
    if found.text in long:
        return (mentions.normalized(long[found.text]), *_ids(found))
    words = found.text.split()
    bare = [word.strip("()[],.;:") for word in words]
    full = [long.get(each) or long.get(each.removesuffix("s")) or word for each, word in zip(bare, words)]
    return found.forms if full == words else (mentions.normalized(" ".join(full)), *_ids(found))


def _ids(found: FoundMention) -> Iterable[str]:
    return (form for form in found.forms if form.startswith("kb:"))


def _merged(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return one key for all forms that are connected by mentions (union-find)."""
    above: dict[str, str] = {}

    def top(form: str) -> str:
        while (higher := above.setdefault(form, form)) != form:
            form = higher
        return form

    for forms in groups:
        first = top(forms[0])
        for form in forms[1:]:
            above[top(form)] = first
    together: dict[str, list[str]] = {}
    for form in above:
        together.setdefault(top(form), []).append(form)
    names = {
        head: max(forms, key=lambda form: (not form.startswith("kb:"), len(form), form))
        for head, forms in together.items()
    }
    return {form: names[top(form)] for form in above}


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
