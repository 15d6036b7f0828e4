"""Words that mean the same, from the lists beside this file: lay and clinical, brand and generic, abbreviations.

A concept's words are known in normal form (`normalize.normalized`), so that case, plural and spelling do not matter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from .normalize import listed, normalized, spelled

HERE = Path(__file__).parent
Use = Literal["always", "likely", "mentioned"]
_USES: Mapping[str, Use] = {"always": "always", "likely": "likely", "mentioned": "mentioned"}


class Term(NamedTuple):
    """What a phrase means: a concept, in normal form, and its label. `searched`: it is found without a pipeline."""

    concept: str
    label: str
    searched: bool


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """An undefined abbreviation: when it counts, and the concepts it can stand for, the usual one first."""

    use: Use
    meanings: tuple[str, ...]


def _rows(name: str) -> Iterator[Sequence[str]]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    yield from rows[1:]


# What people say of a part of the body, a substance or an action ("pain:knee"): all these ways mean the same.
# No "lower": "statins lower cholesterol" names no deficiency.
_HIGH, _LOW = ("high", "higher", "elevated", "raised", "increased", "excess"), ("low", "reduced", "decreased")
_AMOUNT = (
    "{how} {}", "{how} {} level", "{how} level of {}", "{how} blood {}", "{how} blood {} level", "{how} {} count",
    "{how} serum {}", "{how} {} in the blood", "{how} level of {} in the blood",
)  # fmt: skip
_TROUBLE = ("trouble", "difficulty", "problem")
_WAYS: Mapping[str, Sequence[str]] = {
    "high": [*(way.replace("{how}", how) for how in _HIGH for way in _AMOUNT),
             "too much {}", "too much {} in the blood"],
    "low": [*(way.replace("{how}", how) for how in _LOW for way in _AMOUNT),
            "too little {}", "not enough {}", "lack of {}", "shortage of {}", "{} deficiency", "deficiency of {}"],
    "pain": ["{} pain", "pain in the {}", "pain of the {}", "painful {}", "aching {}", "achy {}", "{} ache"],
    "inflamed": ["inflamed {}", "inflammation of the {}", "inflammation of {}", "inflammation in the {}",
                 "{} inflammation"],
    "infection": ["{} infection", "infection of the {}", "infection in the {}", "infected {}"],
    "swollen": ["swollen {}", "swelling of the {}", "swelling in the {}", "{} swelling", "puffy {}"],
    "enlarged": ["enlarged {}", "enlargement of the {}", "{} enlargement"],
    "narrow": ["narrowing of the {}", "narrowed {}", "{} narrowing", "stenosis of the {}", "{} stenosis"],
    "cancer": ["{} cancer", "cancer of the {}", "cancer in the {}", "{} carcinoma", "carcinoma of the {}"],
    "stone": ["{} stone", "stone in the {}"],
    "blood in": ["blood in the {}", "blood in {}", "bloody {}", "blood stained {}"],
    "trouble": [*(f"{noun}{link} {{}}" for noun in _TROUBLE for link in ("", " with", " in")),
                *(f"{{}} {noun}" for noun in _TROUBLE)],
}  # fmt: skip
_LINKS = (" ", " and ", " with ", " plus ")


def _written(phrase: str) -> Iterator[str]:
    """Yield the ways to write a phrase of the list: "pain:knee" is one of pain, "a+b" a combination of two drugs."""
    what, colon, of = phrase.partition(":")
    if colon:
        yield from (way.replace("{}", of) for way in _WAYS[what])
    elif "+" in phrase:
        first, second = phrase.split("+")
        yield from (link.join(pair) for pair in ((first, second), (second, first)) for link in _LINKS)
    else:
        yield phrase


@functools.cache
def terms() -> Mapping[str, Term]:
    """Return every known phrase, in normal form, as what it means. A phrase as written goes before one by rule."""
    found: dict[str, Term] = {}
    for by_rule in (False, True):
        for name, label, synonyms in _rows("vocabulary.tsv"):
            for phrase in filter(None, (name, *synonyms.split("|"))):
                if bool(re.search("[:+]", phrase)) == by_rule:
                    searched = not phrase.startswith("~")
                    for way in _written(phrase.removeprefix("~")):
                        found.setdefault(normalized(way), Term(normalized(name), label, searched))
    return found


@functools.cache
def abbreviations() -> Mapping[str, Abbreviation]:
    """Return the abbreviations by how they are written."""
    found: dict[str, Abbreviation] = {}
    for short, use, meanings in _rows("abbreviations.tsv"):
        found[short] = Abbreviation(_USES[use], tuple(concept(normalized(each)) for each in meanings.split("|")))
    return found


@functools.cache
def classes() -> Mapping[str, frozenset[str]]:
    """Return the concepts that a broader word names, by that word's concept: of "statin", atorvastatin and others."""
    return {
        concept(normalized(name)): frozenset(concept(normalized(each)) for each in members.split("|"))
        for name, members in _rows("classes.tsv")
    }


def concept(form: str) -> str:
    """Return the concept that a normal form names; the form itself if it is unknown."""
    known = terms().get(form)
    return known.concept if known else form


@functools.cache
def acronyms() -> frozenset[str]:
    """Return words that stay in capitals when a line in capitals is lowered."""
    also = listed(
        """
        DNA RNA MRI CT ECG EKG EEG BMI LDL HDL FDA CDC NIH NHS UK USA ICU PSA TSH INR IUD PET GI IV CPR CNS CSF GFR ATP
        """
    )
    english = listed("ALL AS ADD ED PAD SOB POTS TEN CAP HIT SAD ODD HAP ET CO MR GIST")
    return frozenset(short for short in abbreviations() if short.isupper()) - english | also


@functools.cache
def proper_names() -> frozenset[str]:
    """Return the names, in lowercase, that keep a capital inside a sentence."""
    lines = (HERE / "names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(spelled(word.lower()) for line in lines if not line.startswith("#") for word in line.split())
