"""Doses in a running text: amounts with a unit, how often, and of which drug."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

ROUNDING = 0.02  # relative difference of equal amounts


class Range(NamedTuple):
    low: float
    high: float

    def within(self, other: Range) -> bool:
        """Return whether all of this range is in the other one, within rounding."""
        return other.low * (1 - ROUNDING) <= self.low and self.high <= other.high * (1 + ROUNDING)


@dataclass(frozen=True, slots=True)
class Dose:
    """One amount of one drug. `start` and `end` are characters of the text in which it was found.

    `unit` is the base unit of `amount` (mg, ml, iu, tablet, …), with "/kg" if it is per body weight. `per_day` is how
    often it is taken, None if the text does not say. `total`: the amount is for a whole day. `most`: it is a limit.
    """

    drug: str
    amount: Range
    unit: str
    per_day: Range | None
    total: bool
    most: bool
    start: int
    end: int

    def agrees(self, reference: Dose) -> bool:
        """Return whether this says the same as a dose of a reference, or something inside its range.

        A frequency that only one of them gives is no disagreement. A daily total is compared with amount times
        frequency.
        """
        if not self.comparable(reference):
            return False
        if self.total != reference.total:
            whole, single = (self, reference) if self.total else (reference, self)
            if single.per_day is not None:
                mine = Range(single.amount.low * single.per_day.low, single.amount.high * single.per_day.high)
                day = whole.amount
                return mine.within(day) or day.within(mine)
        often = self.per_day is None or reference.per_day is None or self.per_day.within(reference.per_day)
        return often and self.amount.within(reference.amount)

    def comparable(self, reference: Dose) -> bool:
        return (self.drug, self.unit, self.most) == (reference.drug, reference.unit, reference.most)


class Drug(NamedTuple):
    """A drug mentioned in a text, by the key of its concept."""

    key: str
    start: int
    end: int


_NUMBER = (
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
    r"|(?:one|two|three|four|five|six|eight|ten)\b|half[ ](?:a|an)\b|½)"
)
_WORDS = {
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "four": 4.0,
    "five": 5.0,
    "six": 6.0,
    "eight": 8.0,
    "ten": 10.0,
    "½": 0.5,
}
_FACTORS = {
    "mg": ("mg", 1.0), "milligram": ("mg", 1.0), "g": ("mg", 1000.0), "gm": ("mg", 1000.0), "gram": ("mg", 1000.0),
    "mcg": ("mg", 0.001), "µg": ("mg", 0.001), "μg": ("mg", 0.001), "ug": ("mg", 0.001), "microgram": ("mg", 0.001),
    "ng": ("mg", 1e-6), "nanogram": ("mg", 1e-6), "ml": ("ml", 1.0), "milliliter": ("ml", 1.0),
    "millilitre": ("ml", 1.0), "cc": ("ml", 1.0), "l": ("ml", 1000.0), "liter": ("ml", 1000.0), "litre": ("ml", 1000.0),
    "iu": ("iu", 1.0), "unit": ("iu", 1.0), "international unit": ("iu", 1.0),
    "meq": ("meq", 1.0), "mmol": ("mmol", 1.0),
    "tablet": ("tablet", 1.0), "pill": ("tablet", 1.0), "capsule": ("tablet", 1.0), "caplet": ("tablet", 1.0),
    "puff": ("puff", 1.0), "inhalation": ("puff", 1.0), "drop": ("drop", 1.0), "%": ("%", 1.0), "percent": ("%", 1.0),
    "teaspoon": ("ml", 5.0), "tablespoon": ("ml", 15.0),
}  # fmt: skip
_UNIT = "|".join(
    sorted((rf"{re.escape(unit)}{'' if unit == '%' else 's?'}" for unit in _FACTORS), key=len, reverse=True)
)
_DOSE = re.compile(
    rf"""(?<![\w.,/])(?P<low>{_NUMBER})(?:[ -]?(?P<unit_low>{_UNIT}))?
    (?:\s?(?:-|–|to|(?(unit_low)(?!)|(?:or|and)))\s?(?P<high>{_NUMBER}))?[ -]?(?P<unit>{_UNIT})(?!\w)
    (?P<per>(?:\s?(?:/|per)\s?
        (?:kg|kilogram|dl|l|ml|min(?:ute)?|hr?|hour|day|d|dose|m2|m²|5[ ]?ml|10[ ]?ml)\b){{0,2}})""",
    re.I | re.X,
)
_LABORATORY = re.compile(r"/\s?(?:dl|l|ml)\b|per (?:dl|l|ml)\b", re.I)
_PER_WEIGHT = re.compile(r"(?: of [\w-]+)? (?:per|for (?:each|every)) (?:kg|kilo(?:gram)?s?)\b", re.I)
_MOST = re.compile(
    r"\b(?:maximum|max\.?|at most|up to|no more than|not more than|(?:not|never|n't) exceed(?:ing)?|limit|less than|"
    r"exceed|more than|over|above)\b[^.;]{0,35}$",
    re.I,
)
_A_DAY = re.compile(r"(?:/|per|a|each|in|in a|in any|within)\s?(?:day|24[ -]?(?:hours?|h)|d)\b", re.I)
_DIVIDED = re.compile(
    r"\b(?:in|into)\s(?:(?P<n>two|three|four|2|3|4)\s)?(?:equally )?divided doses|\b(?:total|divided)\b", re.I
)
_TIMES = {"once": 1.0, "twice": 2.0, "thrice": 3.0} | _WORDS
_OFTEN = re.compile(
    r"""\b(?P<times>once|twice|thrice|
        (?:one|two|three|four|five|six|\d)(?:\s?(?:-|–|to|or)\s?(?P<times_high>three|four|five|six|\d))?[ ]?
        (?:times|x))\s?
        (?:daily|(?:a|per|each|every|/)\s?(?P<period>day|week|month|year)|(?P<periodly>weekly|monthly|yearly))
    |\bevery\s(?P<other>other|second)\s(?:day|(?P<other_week>week))
    |\b(?:every|each|q\.?)\s?(?P<every>\d+(?:\.\d+)?|two|three|four|six|eight|twelve)
        (?:\s?(?:-|–|to)\s?(?P<every_high>\d+(?:\.\d+)?|six|eight|twelve))?\s?
        (?P<unit>hours?|hrs?|h|days?|d|weeks?|wk|months?)\b
    |\b(?P<latin>bid|b\.i\.d\.|tid|t\.i\.d\.|qid|q\.i\.d\.|bd|tds|qds|od|qd|q\.d\.|nocte|qhs|nightly|
        at[ ]bedtime|at[ ]night)(?!\w)
    |\b(?P<simple>daily|weekly|monthly|(?:every|each|a|per|once[ ]a|once)[ ](?:day|week|month|weekly)|
        (?:each|every|in[ ]the)[ ]morning|every[ ]night)\b""",
    re.I | re.X,
)
_LATIN = {"b": 2.0, "t": 3.0}
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.0, "year": 365.0}
_SENTENCE = re.compile(r"[.!?](?=\s|$)|\n")
_BESIDE = re.compile(
    r"[\s-]*(?:(?:of|oral|iv|tablets?|capsules?|dose|doses|extended|release|plain|liquid)[\s-]+)*", re.I
)


def doses(text: str, drugs: Sequence[Drug], default: str = "") -> Iterator[Dose]:
    """Yield the doses of a text. One without a drug in its sentence is of the one named last before it, else of
    `default`; it is left out if that is empty.
    """
    matches = [match for match in _DOSE.finditer(text) if not _LABORATORY.search(match["per"] or "")]
    stops = [0, *(match.end() for match in _SENTENCE.finditer(text)), len(text)]
    named = _Named(drugs)
    for index, match in enumerate(matches):
        at = bisect_right(stops, match.start()) - 1
        start, end = stops[at], stops[max(at, bisect_left(stops, match.end()))]
        after = min(end, matches[index + 1].start()) if index + 1 < len(matches) else end
        before = max(start, matches[index - 1].end()) if index else start
        if drug := named.beside(match, start, end) or default:
            yield _dose(drug, match, text[before : match.start()], text[match.end() : after])


class _Named:
    """The drugs of a text, in order."""

    def __init__(self, drugs: Sequence[Drug]) -> None:
        self.drugs = sorted(drugs, key=lambda drug: (drug.start, drug.end))
        self.starts = [drug.start for drug in self.drugs]
        self.ends = list(accumulate((drug.end for drug in self.drugs), max))  # mentions may overlap

    def beside(self, match: re.Match[str], start: int, end: int) -> str:
        """Return the drug next to an amount: the one right after it ("5 mg of X"), else the last one before it.

        `start` and `end` are of the amount's sentence. An earlier sentence counts only if this one names no drug.
        """
        after = bisect_left(self.starts, match.end())
        following = self.drugs[after] if after < len(self.drugs) and self.starts[after] < end else None
        if following and _BESIDE.fullmatch(match.string, match.end(), following.start):
            return following.key
        before = bisect_right(self.ends, match.start()) - 1
        last = self.drugs[before] if before >= 0 else None
        if last and last.start >= start:
            return last.key
        if following:
            return following.key
        return last.key if last else ""


def _dose(drug: str, match: re.Match[str], before: str, after: str) -> Dose:
    unit, factor = _base(match["unit"])
    low = _number(match["low"]) * (_base(match["unit_low"])[1] if match["unit_low"] else factor)
    high = _number(match["high"]) * factor if match["high"] else low
    amount = Range(min(low, high), max(low, high))
    if re.search(r"kg|kilogram", match["per"], re.I) or _PER_WEIGHT.match(after):
        unit += "/kg"
    if rate := re.search(r"(?:/|per)\s?(m(?:in)|h)", match["per"], re.I):
        unit += f"/{rate[1].lower()}"
    most = bool(_MOST.search(before))
    divided = _DIVIDED.search(after) or _DIVIDED.search(before[-20:])
    often = _OFTEN.search(after)
    start, end = match.start(), match.end() + (often.end() if often and often.start() < NEAR else 0)
    if divided and divided["n"]:
        times = _count(divided["n"])
        each = Range(amount.low / times, amount.high / times)
        return Dose(drug, each, unit, Range(times, times), False, most, start, end)
    whole = bool(often and often["simple"] and _A_DAY.fullmatch(often["simple"]))  # "2 g per day" in how many parts?
    total = bool(_A_DAY.search(match["per"]) or divided or whole or (most and _A_DAY.search(after)))
    return Dose(drug, amount, unit, None if total or not often else _per_day(often), total, most, start, end)


NEAR = 30  # characters between an amount and how often it is taken, which are shown together


def _base(unit: str) -> tuple[str, float]:
    low = unit.lower()
    return _FACTORS.get(low) or _FACTORS[low.removesuffix("s")]


def _number(text: str) -> float:
    low = text.lower()
    return 0.5 if low.startswith("half") else _WORDS.get(low) or float(low.replace(",", ""))


def _per_day(match: re.Match[str]) -> Range:
    if match["times"]:
        first = _times(match["times"])
        last = _times(match["times_high"]) if match["times_high"] else first
        days = _DAYS[(match["period"] or (match["periodly"] or "dayly").removesuffix("ly")).lower()]
        return Range(first / days, last / days)
    if match["other"]:
        return Range(1 / 14, 1 / 14) if match["other_week"] else Range(0.5, 0.5)
    if match["every"]:
        hours = {"h": 1.0, "d": 24.0, "w": 168.0, "m": 720.0}[match["unit"][0].lower()]
        low = 24 / (hours * _count(match["every_high"] or match["every"]))
        return Range(low, 24 / (hours * _count(match["every"])))
    if match["latin"]:
        word = match["latin"].lower()
        often = 4.0 if word.startswith(("qid", "q.i", "qds")) else _LATIN.get(word[0], 1.0)
        return Range(often, often)
    simple = match["simple"].lower()
    days = 7.0 if "week" in simple else 30.0 if "month" in simple else 1.0
    return Range(1 / days, 1 / days)


def _times(text: str) -> float:
    word = re.split(r"\D" if text[0].isdigit() else r"\W", text.lower())[0]
    return _TIMES.get(word) or float(word)


def _count(text: str) -> float:
    return {"twelve": 12.0, "eight": 8.0}.get(text.lower()) or _TIMES.get(text.lower()) or float(text)
