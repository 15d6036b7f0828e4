"""Words that mean the same, from the lists beside this file: lay and clinical, brand and generic, abbreviations.

A concept's words are known in normal form (`normalize.normalized`), so that case, plural and spelling do not matter.
"""

from __future__ import annotations

import functools
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


@functools.cache
def terms() -> Mapping[str, Term]:
    """Return every known phrase, in normal form, as what it means."""
    found: dict[str, Term] = {}
    for name, label, synonyms in _rows("vocabulary.tsv"):
        for phrase in filter(None, (name, *synonyms.split("|"))):
            searched = not phrase.startswith("~")
            found.setdefault(normalized(phrase.removeprefix("~")), Term(normalized(name), label, searched))
    return found


@functools.cache
def abbreviations() -> Mapping[str, Abbreviation]:
    """Return the abbreviations by how they are written."""
    found: dict[str, Abbreviation] = {}
    for short, use, meanings in _rows("abbreviations.tsv"):
        found[short] = Abbreviation(_USES[use], tuple(concept(normalized(each)) for each in meanings.split("|")))
    return found


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
    english = {"ALL", "AS", "ADD", "ED", "PAD", "SOB", "POTS"}
    return frozenset(short for short in abbreviations() if short.isupper()) - english | also


@functools.cache
def proper_names() -> frozenset[str]:
    """Return the names, in lowercase, that keep a capital inside a sentence."""
    lines = (HERE / "names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(spelled(word.lower()) for line in lines if not line.startswith("#") for word in line.split())
