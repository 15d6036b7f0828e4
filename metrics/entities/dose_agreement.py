"""Whether an answer gives the doses of the reference: the same amount of the same drug, as often.

Drugs are those that a pipeline and the vocabulary find, so that "Tylenol 1 g" agrees with "paracetamol 1000 mg".
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from ...core.types import Figure, Record, Score
from ..figures import mean_figure, unfinished, unscored
from . import mentions, pipelines, vocabulary
from .assertion import Scope, why_not
from .concepts import forms
from .doses import SENTENCE, Dose, Drug, Range, doses, without_amount
from .items import BROADER, Placed, in_prose
from .layout import prose
from .mentions import Analysis
from .pipeline_metric import PipelineMetric, texts_of

NO_DOSE = "no dose in the reference"
DISEASE = "DISEASE"  # the label of what is no drug
SHOWN = 3  # contradicting doses named in a score
SHOWN_LENGTH = 80  # characters of each
NEAR = 60  # characters between a dose and its drug
HEADING = 5  # words of a sentence that is a heading
UNSAID = 0.001  # the likeness of a group and of a dose for nobody in particular


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


# Groups of patients

EVERY_AGE, EVERY_WEIGHT = Range(0.0, 120.0), Range(0.0, 500.0)  # years, kg


@dataclass(frozen=True, slots=True)
class Group:
    """The patients that a dose is for: ages in years, weights in kg, and conditions."""

    ages: Range = EVERY_AGE
    weights: Range = EVERY_WEIGHT
    tags: frozenset[str] = frozenset()

    def both(self, other: Group) -> Group:
        return Group(_common(self.ages, other.ages), _common(self.weights, other.weights), self.tags | other.tags)

    def either(self, other: Group) -> Group:
        return Group(_hull(self.ages, other.ages), _hull(self.weights, other.weights), self.tags | other.tags)


class GroupDose(NamedTuple):
    dose: Dose
    group: Group | None


def alike(one: Group | None, other: Group | None) -> float:
    """Return how far two groups are the same patients, 0..1."""
    if one is None or other is None:
        return 1.0 if one is other else UNSAID
    tags = len(one.tags & other.tags) / len(one.tags | other.tags) if one.tags or other.tags else 1.0
    return tags * _overlap(one.ages, other.ages) * _overlap(one.weights, other.weights)


def _overlap(one: Range, other: Range) -> float:
    common, hull = min(one.high, other.high) - max(one.low, other.low), _hull(one, other)
    return max(common, 0.0) / (hull.high - hull.low) if hull.high > hull.low else 1.0


def _common(one: Range, other: Range) -> Range:
    low, high = max(one.low, other.low), min(one.high, other.high)
    return Range(low, high) if low < high else other


def _hull(one: Range, other: Range) -> Range:
    return Range(min(one.low, other.low), max(one.high, other.high))


_AGES = {
    "infant": Range(0, 1), "toddler": Range(1, 4), "child": Range(0, 18), "teen": Range(12, 18),
    "elder": Range(65, 120), "adult": Range(18, 120),
}  # fmt: skip
_N = r"\d+(?:\.\d+)?"
_UNITS = r"[ -]?(?P<{}>years?|months?|kg)\b(?P<{}>[ ]of[ ]age|[ ]old)?"
_GROUP = re.compile(
    rf"""\b(?:(?P<infant>infants?|neonates?|newborns?|bab(?:y|ies))|(?P<toddler>toddlers?)
    |(?P<child>child(?:ren)?|kids?|pa?ediatric|boys?|girls?)|(?P<teen>adolescents?|teen(?:ager)?s?)
    |(?P<elder>elderly|(?:older|geriatric)[ ](?:adult|people|person|patient)s?|seniors?)|(?P<adult>adults?)
    |(?P<pregnant>pregnan(?:t|cy))|(?P<nursing>breast-?feeding|lactating)
    |(?P<female>wom[ae]n|females?)|(?P<male>m[ae]n|males?)
    |(?<!normal[ ])(?P<kidney>(?:kidney|renal)[ ](?:impairment|disease|failure|insufficiency|dysfunction|function)
        |dialysis|crcl|egfr|creatinine[ ]clearance)
    |(?P<liver>(?:liver|hepatic)[ ](?:impairment|disease|failure|insufficiency|dysfunction)|cirrhosis))\b
    |(?<![\w.])(?<!for[ ])(?P<low>{_N})[ ]?(?:years?|months?)?[ ]?(?:-|–|to|and)[ ]?
        (?P<high>{_N}){_UNITS.format("unit", "old")}
    |(?<![\w.])(?P<than>{_N}){_UNITS.format("unit_than", "old_than")}[ ](?:and|or)[ ]
        (?:(?P<up>over|older|above|up|more|heavier)|younger|under|less|lighter)\b
    |(?<!for[ ])(?:(?P<less>under|below|(?:younger|less)[ ]than|up[ ]to|<|≤)
        |over|above|(?:older|more)[ ]than|at[ ]least|>|≥)[ ]?
        (?P<age>(?:the[ ])?ages?[ ](?:of[ ])?)?(?P<limit>{_N})
        (?:{_UNITS.format("unit_limit", "old_limit")}|(?![\w.,]|[ ]?[a-zµ%/]))""",
    re.I | re.X,
)
_SAME = re.compile(
    r"[ ,(]*(?:\b(?:who|are|is|aged?|ages?|of|with|weighing|if|and|the|patients?|people)\b[ ,(]*)*", re.I
)
_NAMES = (*_AGES, "pregnant", "nursing", "female", "male", "kidney", "liver")
_EITHER = re.compile(r"\s?(?:,|/|\band\b|\bor\b|, (?:and|or))\s?", re.I)


def patient_groups(text: str, found: Sequence[Dose]) -> list[Group | None]:
    """Return for whom each dose is: "10 mg for adults", "adults 10 mg", as the dose before it, or as a heading says."""
    named = list(_groups(text))
    starts = [start for start, _, _ in named]
    stops = [0, *(match.end() for match in SENTENCE.finditer(text)), len(text) + 1]
    groups: dict[int, Group | None] = {}
    group: Group | None = None
    sentence, used = -1, 0  # `used`: where the last group that has its dose ends
    for place, next_ in pairwise([*sorted({dose.start for dose in found}), len(text) + 1]):
        last, sentence = sentence, bisect_right(stops, place) - 1
        if sentence != last:
            used = stops[sentence]
            low = stops[sentence - 1] if sentence else 0
            above = named[bisect_left(starts, low) : bisect_left(starts, used)]
            alone = len(above) == 1 and len(text[low:used].split()) <= HEADING
            group = above[0][2] if alone else None
        end = min(next_, stops[sentence + 1])
        before = named[bisect_left(starts, used) : bisect_left(starts, place)]
        after = named[bisect_left(starts, place) : bisect_left(starts, end)]
        if before:
            group, used = before[-1][2], place
        elif after and _is_of(text[place : after[0][0]], text[after[0][1] : end] if end == next_ < len(text) else ""):
            group, used = after[0][2], after[0][1]
        groups[place] = group
    return [groups[dose.start] for dose in found]


_BEFORE_GROUP = re.compile(
    r"(?P<join>,|\b(?:and|or|but)\b)?\s*(?:(?:\b(?:for|in|if|with|to|when|among|during)\b|\()\s*)+"
    r"(?:\b(?:the|most|all|other|patients?|people|those|with|who|are|is|an?|weight|aged?|ages?|reduced|of)\b\s*)*$",
    re.I,
)
_JOIN = re.compile(r"[,;]|\b(?:and|or|but)\b", re.I)


def _is_of(between: str, to_next: str) -> bool:
    """Return whether a group after a dose is of it, not of the next one ("5 mg, and for children 10 mg")."""
    match = None if ";" in between else _BEFORE_GROUP.search(between[-NEAR:])
    return match is not None and not (match["join"] and to_next and not _JOIN.search(to_next))


def _groups(text: str) -> Iterator[tuple[int, int, Group]]:
    """Yield the groups of a text with their places: "adults and children over 12 years" is one."""
    start = end = -1
    group: Group | None = None
    for match in _GROUP.finditer(text):
        own = _group(match, group is not None and not text[end : match.start()].strip())
        if own is None:
            continue
        between = text[end : match.start()]
        if group and _EITHER.fullmatch(between):
            group, end = group.either(own), match.end()
        elif group and _SAME.fullmatch(between):
            group, end = group.both(own), match.end()
        else:
            if group:
                yield start, end, group
            start, end, group = match.start(), match.end(), own
    if group:
        yield start, end, group


def _group(match: re.Match[str], after_another: bool) -> Group | None:
    name = next((each for each in _NAMES if match[each]), "")
    if name:
        return Group(_AGES[name]) if name in _AGES else Group(tags=frozenset([name]))
    unit = (match["unit"] or match["unit_than"] or match["unit_limit"] or "").lower()
    if match["limit"]:
        old = bool(match["old_limit"] or match["age"] or after_another)
        if (not unit and not old) or (unit.startswith("m") and not (old or match["less"])):
            return None  # "over 3 months" is how long
        low, high = (None, match["limit"]) if match["less"] else (match["limit"], None)
    elif match["than"]:
        low, high = (match["than"], None) if match["up"] else (None, match["than"])
    else:
        low, high = match["low"], match["high"]
    part = 1 / 12 if unit.startswith("m") else 1.0
    every = EVERY_WEIGHT if unit == "kg" else EVERY_AGE
    limits = Range(float(low) * part if low else every.low, float(high) * part if high else every.high)
    return Group(weights=limits) if unit == "kg" else Group(limits)


DOSES = DoseMetric(
    "dose_agreement",
    "Doses of the reference in the answer. Amount, unit and frequency of the same drug, within rounding; "
    "unscored if the reference has no dose.",
)
