"""How people state an answer, as patterns for extraction.py. Each ends where an option has to be named."""

from __future__ import annotations

import re


def _any(words: str) -> str:
    return "(?:" + "|".join(word.replace("_", r"\s+") for word in words.split()) + ")"


_RIGHT = _any("correct right best proper appropriate accurate")
_LIKELY = rf"(?:most\s+{_any('likely appropriate probable accurate suitable plausible consistent')}|best)"
_ADVERB = _any(
    "therefore thus then hence clearly definitely certainly probably likely simply indeed actually still now"
)
_IS = _any("is are was would_be should_be must_be will_be appears_to_be seems_to_be")
_THUS = _any(
    "therefore thus hence so consequently accordingly finally ultimately overall in_conclusion in_short in_summary"
)
_IT_IS = rf"(?:it's|that's|{_any('it_is it_must_be it_would_be that_is this_is')})"

# "the correct answer", "my choice"; ended by COPULA: "… to this question is", ":", "="
NOUN = re.compile(
    rf"""(?<!-)\b(?:(?:final|{_RIGHT}|{_LIKELY}|my|our|likely)\s+){{0,3}}
    (?: (?:answers?|ans|response)\b(?:\s+(?:choice|option)\b)?
      | (?<=\s)(?:choice|option|statement|selection|letter)\b
      | (?:choice|option|selection|decision|verdict|conclusion|prediction|judge?ment)\b(?=\s*[:=]) )""",
    re.I | re.X,
)
COPULA = re.compile(
    rf"""(?:\b{_IS}\b|[:=→]|[–—]|\s-\s|->)
    (?:\s*[,:])?(?:\s*{_ADVERB}\b,?|\s*most\s+likely\b|\s*:){{0,3}}
    (?:\s*not\s+[^\n]{{1,60}}?,?\s*but(?:\s+rather)?\b)?""",
    re.I | re.X,
)
GAP_UNDONE = re.compile(r"\b(?:not|never|neither|nor|without|unless|except|than|if|whether|depends?)\b|n't\b", re.I)

CHOOSING = re.compile(
    rf"""\b(?:i|we)(?:'d|'ll|\s+{_any("would will must should can")})?(?:\s+{_ADVERB})?
    \s+{_any("choose chose select pick answer conclude go_with going_with opt_for settle_on vote_for")}\b\s?:?""",
    re.I | re.X,
)
CONCLUDING = re.compile(
    rf"""\b(?: {_THUS}(?:\s?,)?(?:\s+(?:{_IT_IS}|{_ADVERB}))?
           | (?:{_IT_IS}|i\s+{_any("think believe guess say")}|i'd\s+say|i\s+would\s+say)
             (?:\s+(?:that\s+)?(?:{_IT_IS}|{_ADVERB}))?
           | {_any("probably likely definitely clearly certainly perhaps possibly")}
           | {_LIKELY}\b[^.?!\n:;]{{0,80}}?\b(?:is|would\s+be)
    )\s?:?\s+""",
    re.I | re.X,
)

# These follow an option.
_IS_THE = rf"\s?,?\s*{_IS}\s+(?:{_ADVERB}\s+)?(?:the\s+)?"
IS_CORRECT = re.compile(
    rf"""{_IS_THE}(?:only\s+|single\s+|one\s+)?
    (?: (?:{_RIGHT}|{_LIKELY})\s+(?:answer|option|choice|one|response|statement)\b
      | answer\b
      | (?:correct|right)(?=\s*(?:[.,;:!)\n]|\Z|because\b|since\b|as\b|and\b|here\b)) )""",
    re.I | re.X,
)
IS_LIKELIEST = re.compile(rf"{_IS_THE}{_LIKELY}\b", re.I)

# What a label may stand behind, at the end of a clause's beginning: "I think B is correct", not "vitamin D is best".
CLAUSE_START = re.compile(
    rf"""(?:\A|[\n.!?:;,(\[\"'–—]|\b(?:option|choice|answer|letter|{_ADVERB}|
    {_any("that so think believe say means mean and but since because only is as")}))[\s\"'(\[]*\Z""",
    re.I | re.X,
)
# The sentence before a statement that takes it back: supposed, doubted, or said of a wrong answer.
UNDONE = re.compile(
    rf"""\b{_any("if unless whether suppose supposing assuming")}\b
    | (?:\b{_any("not never false wrong incorrect doubt doubtful deny disagree")}|n't)\b[^,;]*
      \b{_any("that think believe say mean agree")}\b[^,;]*\Z
    | \b{_any("wrong incorrect other another possible potential alternative previous not_the not_an not_a not_my")}\s+\Z
    | (?:\bnot|\bnever|n't)\s+(?:the\s+)?\Z""",
    re.I | re.X,
)
_DENIAL = rf"""(?: {{no}}\b{_any("not never neither nor cannot without against unlike unlikely")}
    |n't|\b(?:rul(?:e|es|ed|ing)\s+out|exclud\w+|eliminat\w+|incorrect\w*|wrong\w*)
    |\b{_any("instead_of rather_than absence_of lack_of other_than except")})\b
    [\s\"'(\[]*(?:\w+\s+){{{{0,3}}}}[\"'(\[]*\Z"""
DENIED_BEFORE = re.compile(_DENIAL.format(no=""), re.I | re.X)
DENIED_OR_NO_BEFORE = re.compile(_DENIAL.format(no=r"\bno|"), re.I | re.X)
_REFUSED = _any(
    "incorrect wrong false unlikely less_likely ruled_out excluded eliminated inappropriate contraindicated"
)
DENIED_AFTER = re.compile(
    rf"""[)\]\"']*\W{{0,3}}{_REFUSED}\b
    | [)\]\"':]*\s*(?:\([^()]*\)\s*)?
      (?: {_any("is are was were would_be can_be has_been seems seem")}\s+(?:\w+\s+){{0,2}}?(?:not|{_REFUSED})\b
        | (?:isn't|aren't|wasn't|cannot|can't|(?:does|would|could)(?:n't|\s+not))\b )""",
    re.I | re.X,
)

# Words that may follow an answer, and that never follow an article or the determiner "no".
_CONNECTOR = _any(
    "according although and as based because but due for from given hence however i in instead it not or per rather "
    "since so that the then there therefore these they this though we where whereas which while with"
)
# What comes after a word that stands alone. A full stop before a small letter abbreviates: "E. coli".
STANDS_ALONE = re.compile(
    rf"""\s*\Z | \s*\n
    | [^\S\n]*[)\]}}:;,!?"<>|/→=]
    | '(?!\w)
    | \.(?:\.|\s*\Z|\s*\n|\s+(?:[^a-z\s]|(?i:{_CONNECTOR})\b)|[)"'\]}}<]|[A-Z][a-z])
    | [^\S\n]*[–—] | [^\S\n]*-- | [^\S\n]+-\s
    | [^\S\n]+[(\[&+]
    | [^\S\n]+(?i:{_CONNECTOR})\b
    | \\ | \$""",
    re.X,
)
# Where a name ends a sentence or a bracket.
ENDS = re.compile(r"\s*\Z|\s*\n|\s*[.)\];!?]")
