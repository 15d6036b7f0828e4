"""Whether an answer gives the doses of the reference: the same amount of the same drug, as often.

Drugs are those that a pipeline and the vocabulary find, so that "Tylenol 1 g" agrees with "paracetamol 1000 mg".
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...core.types import Figure, Record, Score
from ..figures import mean_figure, unfinished, unscored
from . import mentions, pipelines, vocabulary
from .assertion import Scope, why_not
from .concepts import forms
from .dose_groups import Group, GroupDose, alike, patient_groups
from .doses import Dose, Drug, doses, without_amount
from .items import BROADER, Placed, in_prose
from .layout import prose
from .mentions import Analysis
from .pipeline_metric import PipelineMetric, texts_of

NO_DOSE = "no dose in the reference"
DISEASE = "DISEASE"  # the label of what is no drug
SHOWN = 3  # contradicting doses named in a score
SHOWN_LENGTH = 80  # characters of each
NEAR = 60  # characters between a dose and its drug


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
    asked = {key for text in (item.question, item.context) for found, key, _ in placed[text] if found.label != DISEASE}
    default = next(iter(asked)) if len(asked) == 1 else ""
    keys = {form: key for own in placed.values() for found, key, _ in own for form in found.forms}
    said, *wanted = (
        list(_doses(text, placed[text], read[text].scopes, keys, default)) for text in (answer, *item.references)
    )
    compared = [_compared(answer, said, text, own) for text, own in zip(item.references, wanted)]
    return max((each for each in compared if each.wanted), key=lambda each: each.share, default=None)


def _doses(
    text: str, placed: Sequence[Placed], scopes: Sequence[Scope], keys: Mapping[str, str], default: str
) -> Iterator[GroupDose]:
    """Yield the doses that a text recommends, each once: not those of a drug that it denies at this place."""
    running = prose(text).text
    named = sorted(
        ((_named(running, each, keys), each.why_not) for each in placed if each.found.label != DISEASE),
        key=lambda each: each[0].start,
    )
    starts = [drug.start for drug, _ in named]
    found = list(doses(running, [drug for drug, _ in named], default))
    seen: set[object] = set()
    for dose, group in zip(found, patient_groups(running, found), strict=True):
        around = named[bisect_right(starts, dose.start - NEAR) : bisect_left(starts, dose.start + NEAR)]
        near = [why for drug, why in around if drug.key in (dose.drug, dose.whole)]
        denied = bool(near) and all(why == "denied" for why in near)
        same = (dose.drug, dose.amount, dose.unit, dose.per_day, dose.total, dose.most, group)
        if same in seen or (denied and not dose.most and why_not(scopes, dose.start, dose.end, True) == "denied"):
            continue
        seen.add(same)
        yield GroupDose(dose, group)


def _named(text: str, placed: Placed, keys: Mapping[str, str]) -> Drug:
    """Return a drug without an amount that the pipeline took for a part of its name ("penicillin G 2.4 million")."""
    found, key, _ = placed
    start, end = without_amount(text, found.start, found.end)
    written = text[start:end]
    if written != found.text:
        key = _key(written, keys)
    parts = _AND.split(written)
    in_order = len(parts) > 1 and any(map(_known_drug, parts))
    made_of = parts if in_order else _made_of(key.split())
    return Drug(key, start, end, tuple(_key(each, keys) for each in made_of), in_order)


_AND = re.compile(r"\s?(?:[/+&-]|\b(?:and|with|plus)\b)\s?")


def _key(written: str, keys: Mapping[str, str]) -> str:
    own = forms(written)
    return next((keys[form] for form in own if form in keys), max(own, key=lambda form: (len(form), form)))


def _known_drug(written: str) -> bool:
    terms = vocabulary.terms()
    return any(form in terms and terms[form].label == "CHEMICAL" for form in forms(written))


def _made_of(name: Sequence[str]) -> list[str]:
    """Return the drugs whose names one after the other are a combination's name; empty if it is not made of such."""
    for cut in range(1, len(name)):
        if _known_drug(" ".join(name[:cut])):
            return [" ".join(name[:cut]), *(_made_of(name[cut:]) or [" ".join(name[cut:])])]
    return []


def _compared(answer: str, said: Sequence[GroupDose], reference: str, wanted: Sequence[GroupDose]) -> DoseComparison:
    beside = list(zip(said, _beside(said, wanted)))
    right = [(dose, each) for (dose, _), own in beside for each in own if dose.agrees(wanted[each].dose)]
    equal = {each for _, each in right}
    agreeing = {dose for dose, _ in right}
    together = {(dose.start, each) for dose, each in right if dose.whole}  # "875/125 mg"
    wrong: list[Dose] = []
    against: set[int] = set()
    for (dose, _), own in beside:
        others = {each for each in own if (dose.start, each) not in together}
        if others and dose not in agreeing:
            wrong.append(dose)
            against |= others
    rest = [index for index in range(len(wanted)) if index not in equal]
    return DoseComparison(
        tuple(_mention(reference, wanted[each].dose) for each in sorted(equal)),
        tuple(_mention(reference, wanted[each].dose) for each in rest if each in against),
        tuple(_mention(reference, wanted[each].dose) for each in rest if each not in against),
        tuple(_mention(answer, dose) for dose in wrong),
    )


def _beside(said: Sequence[GroupDose], wanted: Sequence[GroupDose]) -> Iterator[list[int]]:
    """Yield the doses of a reference that each of the answer is compared with: those for the same group of patients, if
    both texts say for whom every dose of the drug is, or both have doses for different groups.
    """
    kinds = [(d.drug, d.whole, d.parts, d.unit, d.most, bool(d.tablets)) for d, _ in said]
    alone = {kind: dose.dose for kind, dose in zip(kinds, said)}
    own = {kind: [i for i, each in enumerate(wanted) if dose.comparable(each.dose)] for kind, dose in alone.items()}
    among: dict[int, set[Group | None]] = {i: set() for i in range(len(wanted))}
    for kind, dose in zip(kinds, said):
        for each in own[kind]:
            among[each].add(dose.group)
    for kind, dose in zip(kinds, said):
        groups = {wanted[each].group for each in own[kind]}
        theirs = set[Group | None]().union(*(among[each] for each in own[kind]))
        if max(len(groups), len(theirs)) < 2 or (None in groups | theirs and min(len(groups), len(theirs)) < 2):
            yield own[kind]
        else:
            likeness = [alike(dose.group, wanted[each].group) for each in own[kind]]
            yield [each for each, how in zip(own[kind], likeness) if how == max(likeness) > 0]


def _mention(text: str, dose: Dose) -> DoseMention:
    as_prose = prose(text)
    start, end = as_prose.original(dose.start, dose.end)
    return DoseMention(as_prose.text[dose.start : dose.end], start, end, dose.drug)


DOSES = DoseMetric(
    "dose_agreement",
    "Doses of the reference in the answer. Amount, unit and frequency of the same drug, within rounding; "
    "unscored if the reference has no dose.",
)
