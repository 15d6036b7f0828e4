"""BC5CDR's texts with different names, so that a model learns the context of a name.

A name is replaced everywhere in its text by the same other name with the same label: words by known names,
abbreviations and codes by random letters and digits.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Iterable, Sequence

from .corpus import Entity

Text = tuple[str, Sequence[Entity]]

REPLACED = {"CHEMICAL": 0.5, "DISEASE": 0.3}  # share of the words
DRAWN = 0.6  # share of the abbreviations
CODED = 0.4  # share of the chemicals with a digit in them: "SM-5887"
SHORT = (2, 6)  # characters of an abbreviation


def names(texts: Iterable[Text]) -> dict[str, list[str]]:
    """Return, by label, the names that occur twice or more in `texts`: at most four words, no abbreviations."""
    counted = Counter((text[start:end], label) for text, entities in texts for start, end, label in entities)
    found: dict[str, list[str]] = {label: [] for label in REPLACED}
    for (name, label), times in counted.items():
        if times > 1 and len(name) >= 5 and name.count(" ") < 4 and not name.isupper():
            found[label].append(name)
    return found


def swapped(text: str, entities: Sequence[Entity], known: dict[str, list[str]], rng: random.Random) -> Text:
    """Return the text with different names, and its entities moved accordingly."""
    others: dict[tuple[str, str], str] = {}
    made, found, at = "", list[Entity](), 0
    for start, end, label in entities:
        name = text[start:end]
        if (name, label) not in others:
            others[name, label] = _other(name, label, known, rng)
        made += text[at:start] + others[name, label]
        found.append((len(made) - len(others[name, label]), len(made), label))
        at = end
    return made + text[at:], found


def _other(name: str, label: str, known: dict[str, list[str]], rng: random.Random) -> str:
    if len(name) >= 4 and not name.isupper():
        coded = label == "CHEMICAL" and " " not in name and any(map(str.isdigit, name))
        if coded and rng.random() < CODED:
            return _drawn(name, rng)
        if rng.random() < REPLACED[label]:
            other = rng.choice(known[label])
            titled = name[0].isupper() and name[1:].islower()
            return other[0].upper() + other[1:] if titled else other
    elif SHORT[0] <= len(name) <= SHORT[1] and name.replace("-", "").isalnum() and rng.random() < DRAWN:
        return _drawn(name, rng)
    return name


def _drawn(name: str, rng: random.Random) -> str:
    """Return a name with different capital letters and digits."""
    kinds = ((str.isupper, string.ascii_uppercase), (str.isdigit, string.digits))
    return "".join(next((rng.choice(letters) for of_kind, letters in kinds if of_kind(each)), each) for each in name)
