"""Whether an answer gives the doses of the reference: the same amount of the same drug, as often.

Drugs are those that a pipeline and the vocabulary find, so that "Tylenol 1 g" agrees with "paracetamol 1000 mg".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...core.types import Figure, Record, Score
from ..figures import mean_figure, unfinished, unscored
from . import mentions, pipelines
from .doses import Dose, Drug, doses
from .items import BROADER, Placed, in_prose
from .layout import prose
from .mentions import Analysis
from .pipeline_metric import PipelineMetric, texts_of

NO_DOSE = "no dose in the reference"
SHOWN = 3  # contradicting doses named in a score
SHOWN_LENGTH = 80  # characters of each


@dataclass(frozen=True)
class DoseMention:
    """A dose as written, with its place in the original text, the drug's key, and what it is to the other text."""

    text: str
    start: int
    end: int
    drug: str

    @property
    def named(self) -> str:
        """The dose with its drug: "metformin 500 mg twice a day"."""
        return f"{self.drug} {self.text}"


@dataclass(frozen=True)
class DoseComparison:
    """The doses of one reference, and those of the answer that contradict it.

    A dose of the answer contradicts if it is of a drug for which the reference gives doses of the same kind, and equals
    none of them.
    """

    equal: tuple[DoseMention, ...] = ()
    contradicted: tuple[DoseMention, ...] = ()  # of the reference; the answer gives another dose of the drug
    missing: tuple[DoseMention, ...] = ()
    contradicting: tuple[DoseMention, ...] = ()  # of the answer

    @property
    def wanted(self) -> int:
        return len(self.equal) + len(self.contradicted) + len(self.missing)

    @property
    def share(self) -> float:
        return len(self.equal) / self.wanted


@dataclass(frozen=True)
class DoseMetric(PipelineMetric):
    """The share of the reference's doses that the answer gives equally, with the best reference."""

    def _score(self, record: Record, read: Mapping[str, Analysis]) -> Score:
        compared = _best(record, read)
        if compared is None:
            return unscored(record, NO_DOSE)
        return Score(record.item.id, compared.share, unfinished(record) or _words(compared) or None)

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        """Return the mean, and the share of answers with a contradicting dose (`[contradicting]`)."""
        wrong = [
            replace(score, value=None if score.value is None else float(CONTRADICTS in (score.reason or "")))
            for score in scores
        ]
        name = f"{self.name}[contradicting]"
        return [
            *super().aggregate(records, scores),
            mean_figure(name, records, wrong, binary=True, better="lower", headline=False),
        ]


CONTRADICTS = "contradicting: "


def compare_doses(record: Record, pipeline: str = "") -> DoseComparison | None:
    """Return the doses of an answer beside those of the reference that it matches best; None if none has a dose."""
    found = pipelines.find(pipeline or pipelines.EMBEDDED)
    return _best(record, mentions.analyse(found, texts_of(record)))


def _words(compared: DoseComparison) -> str:
    """Return what a score rests on, in words."""
    parts = [f"missing: {_shown(each)}" for each in compared.missing[:SHOWN]]
    if compared.contradicting:
        said = "; ".join(_shown(each) for each in compared.contradicting[:SHOWN])
        wanted = "; ".join(_shown(each) for each in compared.contradicted[:SHOWN])
        parts.insert(0, f"{CONTRADICTS}{said}" + (f" instead of {wanted}" if wanted else ""))
    return ", ".join(parts)


def _shown(dose: DoseMention) -> str:
    text = dose.named
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def _best(record: Record, read: Mapping[str, Analysis]) -> DoseComparison | None:
    item, answer = record.item, record.output.text or ""
    placed = {
        text: [each for each in own if each.why_not != BROADER]
        for text, own in in_prose(texts_of(record), read).items()
    }
    asked = {key for text in (item.question, item.context) for found, key, _ in placed[text] if _drug(found.label)}
    default = next(iter(asked)) if len(asked) == 1 else ""
    said = list(_doses(answer, placed[answer], default))
    compared = [_compared(answer, said, each, list(_doses(each, placed[each], default))) for each in item.references]
    return max((each for each in compared if each.wanted), key=lambda each: each.share, default=None)


def _drug(label: str) -> bool:
    return label != "DISEASE"


def _doses(text: str, placed: Sequence[Placed], default: str) -> Iterator[Dose]:
    """Yield the doses that a text recommends, each once: not those of a drug that it denies at this place."""
    drugs = sorted(
        (Drug(key, found.start, found.end) for found, key, why in placed if _drug(found.label)),
        key=lambda drug: drug.start,
    )
    denied = {(found.start, found.end) for found, _, why in placed if why == "denied"}
    starts = [drug.start for drug in drugs]
    seen: set[object] = set()
    for dose in doses(prose(text).text, drugs, default):
        around = drugs[bisect_right(starts, dose.start - NEAR) : bisect_left(starts, dose.start + NEAR)]
        near = [drug for drug in around if drug.key == dose.drug]
        same = (dose.drug, dose.amount, dose.unit, dose.per_day, dose.total, dose.most)
        if same in seen or (near and not dose.most and all((drug.start, drug.end) in denied for drug in near)):
            continue
        seen.add(same)
        yield dose


NEAR = 60  # characters between a dose and its drug


def _compared(answer: str, said: Sequence[Dose], reference: str, wanted: Sequence[Dose]) -> DoseComparison:
    equal = [each for each in wanted if any(dose.agrees(each) for dose in said)]
    wrong = [
        dose
        for dose in said
        if any(dose.comparable(each) for each in wanted) and not any(dose.agrees(each) for each in wanted)
    ]
    rest = [each for each in wanted if each not in equal]
    against = [each for each in rest if any(dose.comparable(each) for dose in wrong)]
    return DoseComparison(
        tuple(_mention(reference, each) for each in equal),
        tuple(_mention(reference, each) for each in against),
        tuple(_mention(reference, each) for each in rest if each not in against),
        tuple(_mention(answer, each) for each in wrong),
    )


def _mention(text: str, dose: Dose) -> DoseMention:
    as_prose = prose(text)
    start, end = as_prose.original(dose.start, dose.end)
    return DoseMention(as_prose.text[dose.start : dose.end], start, end, dose.drug)


DOSES = DoseMetric(
    "dose_agreement",
    "Doses of the reference in the answer. Amount, unit and frequency of the same drug, within rounding; "
    "unscored if the reference has no dose.",
)
