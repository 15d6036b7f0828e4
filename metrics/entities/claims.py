"""The parts of a text that say what is not so: myths, what no study shows, what something turned out not to be.

Negation of single phrases ("no fever") has a module of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(r"""[.!?]["')\]]*(?=\s|$)|;(?=\s)|\n|$""")
_CLAUSE = re.compile(r",? (?:but|however|although|though|whereas|while|because|so)\b|[;:!?]|\.[\x22')\]]*(?=\s|$)|\n|$")
_BUT = re.compile(r",? (?:but|however)\b")

_WRONG = "(?:wrongly|falsely|mistakenly|incorrectly)"
_WRONGLY = re.compile(rf"\b{_WRONG}\b", re.I)
# "It is a myth that", "Myth:", "many people think that"
_MYTH = re.compile(
    r"\b(?:myth|misconception|fallacy|false|untrue|not true|incorrect|wrong|mistaken|misbelief|rumou?rs?|"
    r"old wives' tale|(?:people|many|some|patients) (?:\w+ )?(?:think|believe|claim|assume)|"
    r"(?:used to be|once|long|was|were) (?:\w+ )?(?:thought|believed|assumed|claimed))\b[^.;!?]{0,30}?\bthat\b"
    r"|\bmyth(?: \w+)?\s?[:–—-](?=\s)|\b(?:ideas?|notion|beliefs?|claims?|myths?|rumou?rs?|theory) that\b"
    rf"|\b{_WRONG} (?:believed?|thought|think|assumed?|claim(?:ed)?)\b(?: that)?",
    re.I,
)
# These are only claims: they are false if the sentence says so.
_CLAIMED = re.compile(r"people|many|some|patients|idea|notion|belief|claim|theory|long|was|were", re.I)
_FALSE = re.compile(
    r"\b(?:that|this|it|which) (?:is|was)(?:n't| not)? (?:\w+ )?(?:un|in)?(?:true|false|correct|wrong|so|a myth)\b"
    r"|\b(?:is|are|was|were|has been|have been)(?:n't| not)? (?:\w+ ){0,2}?(?:a myth|untrue|false|incorrect|wrong|"
    r"unfounded|debunked|disproved|disproven|outdated|a misconception|baseless|discredited|mistaken)\b"
    r"|\bno (?:basis|truth)\b|(?:\bnot|n't) (?:true|correct|supported|so)\b",
    re.I,
)
_CAUSES = (
    r"caus(?:e|es|ed|ing)|leads? to|results? in|triggers?|gives? (?:you|people|children)?|brings? on|linked to|due to|"
    r"(?:increases?|raises?) the risk of|worsens?|(?:turns?|develops?) into|progress(?:es)? to"
)
_CAUSE = re.compile(rf"\b(?:{_CAUSES})\b", re.I)
_CLAIM = re.compile(rf"\b(?:{_CAUSES}|produces?|cures?|spreads?|catch(?:es)?|ha(?:ve|s)|gets?|means?)\b", re.I)

# "Nothing on the scan suggested a stroke", "no study has shown that"
_NO_EVIDENCE = re.compile(
    r"\bno (?:\w+ ){0,3}?(?:evidence|proof|indication)\b (?:that|to (?:show|say|suggest) that)", re.I
)
_NOTHING = re.compile(
    r"\b(?:nothing|no (?:\w+ )?(?:study|studies|evidence|data|research|findings?|tests?|results?))\b[^.;:!?,]{0,40}?\b"
    r"(?:suggest(?:s|ed|ing)?|indicat(?:es?|ed|ing)|points? to|pointed to|showed|shows?|shown|proves?|proved|proven|"
    r"found|demonstrate[sd]?)\b(?! (?:what|why|how|which|who|whether|where|when|to|no|an? (?:benefit|effect))\b)"
    r"(?: that)?",
    re.I,
)
# "Do vaccines cause autism? No."
_SHORT_QUESTION = re.compile(
    r"(?!(?:is|are|can|do|does|should|will|has|have|any|what|why|how|when) )\S+(?: \S+){0,3}", re.I
)
_QUESTION = re.compile(
    r"(?P<asked>[^.!?\n:]{4,200})\?[\s\n]+(?:No|Nope|Not at all|Absolutely not|Never|False|Myth|"
    r"(?:That|This|It) ?(?:is|'s) (?:a myth|not true|false|untrue))\b(?! one\b| (?:doubt|wonder)\b)"
)
# "What looked like melanoma turned out to be a wart"
_SEEMED = re.compile(
    r"\b(?:looks? like|looked like|feels? like|mimics?|seemed (?:to be|like)|appeared to be|"
    r"(?:thought|believed|suspected|assumed) to be)\b(?P<what>[^.;:!?]{2,80}?),?\s(?:(?:but |which |and )?"
    r"(?:later |actually |in fact |eventually |finally )?(?:turned out|proved)|"
    r"but (?:was|is|it|tests?|in fact|actually)|"
    r"(?:until|before) (?:\w+ ){0,3}(?:showed|revealed|found|proved))\b",
    re.I,
)
_MISTAKEN = re.compile(
    r"(?<!not be )(?<!not to be )\b(?:mistaken for|misdiagnosed as|misread as|confused with)\b", re.I
)
_MAIN_VERB = re.compile(r",\s(?:causes?|is|are|can|may|has|have|leads?|affects?|needs?|usually|often|mostly)\b")
# "Many blame dairy for acne, but it isn't the cause"
_BLAMED = re.compile(
    r"\bblam\w+\b[^.;:!?,]{1,50}?\bfor\b(?P<what>[^.;:!?,]{2,60}),[^.;!?]*?"
    r"(?:\b(?:not|false|wrong|myth|no (?:link|evidence|proof))\b|n't)",
    re.I,
)
# "Chest pain: none"
_NONE = re.compile(
    r"(?P<what>[^.;:,!?\n]{2,60})\s?[:–—]\s?(?:none|no|absent|negative|denied|not (?:present|seen|"
    r"found))(?=\s*[.,;\n]|\s*$)",
    re.I,
)
# A row of a table: "appendicitis, ruled out;"
_ROW = re.compile(
    r"(?:(?<=; )|^)(?P<what>[^.;:,!?\n]{2,60}), (?:absent|negative|excluded|ruled out|"
    r"not (?:present|seen|found|typical))(?=;|\s*$)",
    re.I | re.M,
)


# "Fever (+), rash (-)", "rash negative"
_SIGNED = re.compile(
    r"(?:(?<=[.;,:!?\n] )|(?<=\n)|^)(?P<what>[^.;:,!?\n]{2,50}?)(?<! be)(?<! not)"
    r"(?: (?:negative|absent|-ve)|\s?\(-(?:ve)?\))(?=\s*[.;,\n]|\s*$)",
    re.I,
)
_NO_RISK = re.compile(
    r"\b(?:risk|chance|odds|likelihood|danger) of (?P<what>[^.;,!?\n]{2,60}?) "
    r"(?:is|are|was) (?:nil|zero|none|non-?existent)\b",
    re.I,
)
# "Fever is typical, rash is not"
_ELLIPSIS = re.compile(
    r"\b(?:typical|common|usual|expected|likely|present|seen|found|reported|symptoms?|signs?|side effects?|features?|"
    r"complications?|causes?)\b[^.;!?\n]{0,20}[.;,] (?:but |while |whereas |and )?(?P<what>[^.;!?\n]{2,80}?) "
    r"(?:is|are|was|were)(?:n't| not)(?: either)?(?=\s*[.;!?\n]|\s*$)",
    re.I,
)
# "Narcan reverses it, flumazenil does not"
_DOES_NOT = re.compile(
    r"\b(?:causes?|treats?|reverses?|helps?|works?|prevents?|relieves?|cures?|leads?|occurs?|improves?|responds?)\b"
    r"[^.;!?\n]{0,40}[.;,] (?:but |while |whereas |and )?(?P<what>[^.;!?,\n]{2,60}?) (?:does|do|did)"
    r"(?:n't| not)(?: either)?(?=\s*[.;!?\n]|\s*$)",
    re.I,
)
# "Malaria was once thought to be the cause, but this has been disproved"
_ONCE = re.compile(
    r"(?:(?<=[.;:!?\n] )|^)(?P<what>[^.;,:!?\n]{2,50}?) (?:was|were) (?:\w+ )?(?:thought|believed|assumed|suspected|"
    r"claimed) to (?:be (?:an?|one|the|its|their) (?:\w+ )?(?:cause|reason|culprit|trigger|source)|"
    r"cause|trigger|lead|contribute)\b"
    r"[^.;!?\n]*?\b(?:disprov\w+|debunked|refuted|discredited|not (?:the case|true|so)|no longer)\b",
    re.I | re.M,
)


def untrue(text: str) -> Iterator[tuple[int, int]]:
    """Yield the characters that name what the text says is not so."""
    for match in _MYTH.finditer(text):
        end = sentence_end(text, match.end())
        if _CLAIMED.match(match[0]) and not _WRONGLY.search(match[0]) and not _FALSE.search(text, match.start(), end):
            continue
        if claim := _CLAIM.search(text, match.end(), end):
            stop = _BUT.search(text, claim.end(), end)
            yield claim.end(), stop.start() if stop else end
    for match in _NOTHING.finditer(text):
        end = _clause_end(text, match.end())
        cause = _CAUSE.search(text, match.end(), end) if match[0].endswith("that") else None
        yield cause.end() if cause else match.end(), end
    for match in _NO_EVIDENCE.finditer(text):
        end = _clause_end(text, match.end())
        if cause := _CAUSE.search(text, match.end(), end):
            yield cause.end(), end
    for match in _QUESTION.finditer(text):
        if cause := _CAUSE.search(match["asked"]):
            yield match.start() + cause.end(), match.end("asked")
        elif _SHORT_QUESTION.fullmatch(match["asked"].strip()):  # "Cancer? Not at all."
            yield match.span("asked")
    for match in _MISTAKEN.finditer(text):
        end = _clause_end(text, match.end())
        verb = _MAIN_VERB.search(text, match.end(), end)
        yield match.end(), verb.start() if verb else end
    for pattern in (_SEEMED, _ONCE, _BLAMED, _NONE, _ROW, _SIGNED, _NO_RISK, _ELLIPSIS, _DOES_NOT):
        for match in pattern.finditer(text):
            yield match.span("what")


def sentence_end(text: str, at: int) -> int:
    match = _END.search(text, at)
    return match.start() if match else len(text)


def _clause_end(text: str, at: int) -> int:
    match = _CLAUSE.search(text, at)
    return match.start() if match else len(text)
