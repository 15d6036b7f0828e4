"""Normalize words for comparison, ignoring case, accents, plurals and verb forms."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# A decimal number is one word, so that "5 mg" is not found in "0.5 mg"; signs that change a meaning are words too.
WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:'s\b)?|(?<!\w)-(?=\w)|[^\w\s.,;:!?\"'()\[\]{}\\|~$_*`#–—✅❌-]")
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "μ": "mu"}
# Verbs that options begin with. If the verb means to start something, a text may name only that ("decompression").
BEGINNING = frozenset(
    ["perform", "order", "obtain", "give", "administer", "start", "begin", "initiate", "provide", "prescribe"]
).union(["schedule", "arrange", "request", "recommend"])
VERBS = BEGINNING.union(
    ["reduce", "increase", "decrease", "stop", "discontinue", "continue", "add", "switch", "refer", "reassure"],
    ["observe", "treat", "measure", "check", "withhold", "lower", "raise", "repeat", "remove", "replace", "taper"],
    ["hold", "use", "place", "insert", "ask", "tell", "report", "admit", "discuss", "respect", "counsel", "educate"],
    ["call", "send", "get", "offer", "apply", "evaluate", "screen", "test", "contact", "encourage", "advise"],
)
_DOUBLED = {"stop": "stopping", "begin": "beginning", "refer": "referring", "get": "getting", "admit": "admitting"}


def words_of(text: str) -> tuple[str, ...]:
    return tuple(spelled(match[0]) for match in WORD.finditer(text))


@lru_cache(maxsize=20_000)
def spelled(word: str) -> str:
    """Return `word` in its comparison form: "Sjögren's" is "sjogren", "nerves" is "nerve", "anaemia" is "anemia"."""
    word = word.casefold().removesuffix("'s")
    if not word.isascii() and unicodedata.name(word[0], "").startswith("LATIN"):
        word = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return _GREEK.get(word, word.replace("ae", "e").replace("oe", "e") if len(word) > 5 else word)


def gerund(verb: str) -> str:
    return _DOUBLED.get(verb, f"{verb.removesuffix('e')}ing")
