"""The groups of patients that the doses of a text are for ("10 mg for adults", "children over 12 years")."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .doses import SENTENCE, Dose, Range

NEAR = 60  # characters between a dose and its group
HEADING = 5  # words of a sentence that is a heading
UNSAID = 0.001  # the likeness of a group and of a dose for nobody in particular
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
