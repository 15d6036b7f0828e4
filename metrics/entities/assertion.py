"""The parts of a text that assert nothing: what it denies, says to be prevented, supposes, or tells of relatives.

After ConText (Harkema et al. 2009): trigger words with a scope. Negation has a module of its own. A list takes the
sense of the words that introduce it: under "It does not cause:" every item is denied.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from .claims import sentence_end, untrue
from .layout import Prose
from .negation import denied

Why = Literal["denied", "prevented", "condition", "family"]


class Scope(NamedTuple):
    """The characters `start` to `end` of a running text assert nothing, because of `why`."""

    start: int
    end: int
    why: str


def scopes(prose: Prose) -> Iterator[Scope]:
    """Yield the scopes of a text. They may overlap."""
    text = prose.text
    for scope in [*_denied(text), *_prevented(text), *_conditions(text), *_family(text)]:
        yield scope
        yield from _list_below(prose, scope)
    for lead in prose.leads:  # "Myths", "Ruled out"; "When to see a doctor"
        if _DENYING_LEAD.search(text[lead.start : lead.end]):
            yield Scope(lead.end, lead.list_end, "denied")
        elif _SEEKING_LEAD.search(text[lead.start : lead.end]):
            yield Scope(lead.end, lead.list_end, "condition")


def why_not(scoped: Sequence[Scope], start: int, end: int, drug: bool) -> str:
    """Return why a mention at these characters is not asserted; "" if it is. What is taken to prevent something is not
    itself prevented, so a `drug` can only be denied, supposed, or a relative's.
    """
    for low, high, why in scoped:
        if start < high and low < end and not (drug and why == "prevented"):
            return why
    return ""


def _sentence_start(text: str, at: int) -> int:
    starts = _sentence_starts(text)
    return starts[bisect_right(starts, at) - 1]


@lru_cache(maxsize=4)  # asked once per trigger word, of the same text
def _sentence_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(r"""[.!?;:]["')\]]*\s|\n""", text))]


# Denied


def _denied(text: str) -> Iterator[Scope]:
    for low, high in (*denied(text), *untrue(text)):
        yield Scope(low, high, "denied")


# Prevented


_PREVENTS = re.compile(
    r"\b(?:prevent(?:s|ing|ed)?|protect(?:s|ed|ing|ion|ive)? (?:\w+ ){0,3}?(?:against|from)|prevention of|avert(?:s|"
    r"ed|ing)?|"
    r"(?:to|and|helps?|can|you) avoid|stav(?:es?|ing) off|ward(?:s|ed|ing)? off|guard(?:s|ed|ing)? against|"
    r"prophylaxis (?:of|against|for)|immuni[sz](?:es?|ation|ing) against|"
    r"vaccin(?:es?|ation|ated) against|inoculation against)\b",
    re.I,
)
_PREVENTED_END = re.compile(
    r"\b(?:by|with|when|if|because|but|however|which|who|whose|while|although|unless|whereas|in (?:people|patients|"
    r"children|adults|those|men|women)|, and (?:[\w-]+ ){1,3}(?:can|may|is|are|was|has|have|should|will)|"
    r"and (?:can|may|is|are|has|treats?|helps?|reduces?|causes?|lowers?))\b|\.[\x22')\]]*\s|[;:!?\n]|\.$",
    re.I,
)
# "To prevent A, B and C, do D": up to the comma after the list, or the first comma.
_PURPOSE = re.compile(r"(?:[^,.;:]{1,40}, )+(?:and|or) [^,.;:]{1,40},|[^,.;:]*,")
_KEPT_AWAY = re.compile(r"\bkeep(?:s|ing)? (?P<what>(?:[\w-]+ ){1,3})(?:away|at bay)\b", re.I)


def _prevented(text: str) -> Iterator[Scope]:
    for match in _PREVENTS.finditer(text):
        before = text[_sentence_start(text, match.start()) : match.start()]
        passive = match[0].lower().endswith("ed") and re.search(
            r"\b(?:be|been|is|are|was|were|being)\s(?:\w+ ){0,1}$", before
        )
        if (
            passive
            or re.search(r"(?:\b(?:no|not|never|cannot|nothing)|n't) (?:\w+ ){0,2}$", before)
            or "evidence" in before
        ):
            continue
        stop = _PREVENTED_END.search(text, match.end())
        end = stop.start() if stop else len(text)
        if before.strip().lower() in ("to", "") and (purpose := _PURPOSE.match(text, match.end(), end)):
            end = purpose.end() - 1
        yield Scope(match.end(), end, "prevented")
    for match in _KEPT_AWAY.finditer(text):
        yield Scope(*match.span("what"), "prevented")


# Conditions


_IF = re.compile(
    r"\b(?:if|unless|in case(?: of)?|in the (?:\w+ )?event (?:of|that)|as soon as|the moment|"
    r"(?:at|on) the (?:first|earliest|slightest) signs? of)\b",
    re.I,
)
_NO_CONDITION = re.compile(
    r"\s(?:needed|necessary|possible|so|present|any(?: (?:is|are|were))?\s?[,.;)]|desired|indicated|appropriate|"
    r"left\b|un\w+|not\b)",
    re.I,
)
# Only what may happen to someone is a condition; "if the tumor is small" tells of the tumor.
_SOMEONE = re.compile(
    r"\s*(?:also |ever |at any time )?(?:you|your (?:child|baby|partner|symptoms?)|he|she|they|i|we|someone|anyone|"
    r"anybody|"
    r"a person|the patient|patients?|(?:your|the|a|her|his) (?:child|baby|infant)|people|children|symptoms?|"
    r"there(?: is| are|'s)|any|it (?:causes?|gives?|leads|makes|triggers))\b"
    r"|[^,.;:]*\b(?:occurs?|develops?|appears?|happens?|persists?|worsens?|arises?|begins?|starts?|strikes?|"
    r"continues?|recurs?|returns?|runs|(?:comes?|came) back|sets? in|gets? worse)\b",
    re.I,
)
_UNTREATED = re.compile(
    r"(?:\b(?:not|never|without|left|goes|go|remains?)|n't)\s(?:\w+ ){0,2}?(?:treat\w*|control\w*|manag\w*|"
    r"diagnos\w*|correct\w*|"
    r"caught|recogni\w*|address\w*|monitor\w*)|\bun(?:treated|managed|controlled|diagnosed|recogni[sz]ed)\b",
    re.I,
)
_MAIN_CLAUSE = re.compile(
    r",\s(?:then |please |immediately |always |never |also )?(?:call|see|seek|go|stop|take|tell|contact|ask|talk|"
    r"speak|get|do|don't|"
    r"avoid|use|you|your|it|they|he|she|we|i|there|consult|visit|try|drink|rest|apply|give|let|keep|make|remove|"
    r"return|have|be|"
    r"this|that|these|the|a|an|doctors?|treatment|surgery|antibiotics?|his|her|their|some|most|many|symptoms?)\b"
    r"|,\s(?:\w+ ){1,4}?(?:is|are|was|were|may|might|can|could|should|will|would|must|has|have|does|do|needs?|"
    r"occurs?|causes?)\b"
    r"|\bthen\b",
    re.I,
)
# "If you have anemia you can develop pallor", but not "if you think you may have anemia"
_SECOND_CLAUSE = re.compile(
    r"(?<!\bthink)(?<!\bbelieve)(?<!\bsuspect)(?<!\bfeel)(?<!\bworry)(?<!\bworried)(?<!\bthat)(?<!\bsure)"
    r"(?<!\bafraid)(?<!\bor)(?<!\band)"
    r"\s(?:you|it|they|he|she|this|your \w+) (?:can|may|might|will|should|must|could|would)\b",
    re.I,
)
_AFTER_CLAUSE = re.compile(r"\b(?:because|but|since|although|whereas|so that)\b", re.I)
# "When to worry: blurred vision or confusion"
_WHEN_TO = re.compile(
    r"\bwhen to (?:call|see|seek|get|go|contact|visit|worry)\b[^.:!?]{0,40}:\s(?P<what>[^.!?\n]*)", re.I
)
_SHOULD = re.compile(
    r"(?:^|(?<=[.;,:!?\n] )|(?<=\n))should (?:\w+ ){1,5}?(?:occur|develop|appear|arise|happen|have|experience|get|"
    r"notice|persist|"
    r"worsen|start|become|suffer|show)\b"
    r"|(?:^|(?<=[.;,:!?\n] )|(?<=\n))(?:were|had) [^.;,:!?]{2,60}? to (?:occur|develop|appear|arise|happen|start|"
    r"begin|follow)\b"
    r"|(?<!when )(?<!how )(?<!why )(?<!what )\bshould (?:you|he|she|they|any|(?:your|the) \w+) (?:\w+ )?"
    r"(?:occur|develop|appear|arise|happen|have|experience|get|notice|persist|worsen|start|become|suffer|show)\b",
    re.I,
)
_ANYONE = re.compile(
    r"\b(?:anyone|anybody) (?:who|with)\b(?P<what>[^.;:!?]{0,150}?)\s(?:should|must|needs? to|ought)\b", re.I
)
_WHEN = re.compile(
    r"\b(?:when(?:ever)?|once) (?:\w+ ){1,4}?(?:occurs?|develops?|appears?|strikes?|happens?|worsens?|arises?)\b", re.I
)
_FEARED = re.compile(
    r"\b(?:return (?:to \w+ \w+ )?for|worried about|(?:tell|inform|alert|ask) (?:your|the|a) \w+ (?:about|of) any|"
    r"afraid of|(?:be|am|is|are|was|were) (?:concerned|anxious) about|in fear of)\b",
    re.I,
)


def _third_word(text: str, at: int) -> int:
    words = re.compile(r"(?:\s+\S+){3}").match(text, at)
    return words.end() if words else len(text)


def _conditions(text: str) -> Iterator[Scope]:
    for match in _IF.finditer(text):
        end = sentence_end(text, match.end())
        colon = re.search(r":(?=\s|$)", text[match.end() : end])
        end = match.end() + colon.start() if colon else end
        start = _sentence_start(text, match.start())
        before = text[start : match.start()]
        opens = before.count(" ") < 2 or before.rstrip().endswith((",", "—", "–"))
        main = _MAIN_CLAUSE.search(text, match.end(), end)
        second = _SECOND_CLAUSE.search(text, _third_word(text, match.end()), end) if opens else None
        if second and not (main and main.start() < second.start()):
            end = second.start()
        elif main and (opens or main[0][0] != ","):
            end = main.start()
        elif (
            opens
            and (comma := text.find(",", match.end(), end)) >= 0
            and not re.search(r",\s+(?:or|and)\b", text[comma:end])
        ):
            end = comma
        elif after := _AFTER_CLAUSE.search(text, match.end(), end):
            end = after.start()
        if "sign" in match[0] and (verb := re.search(r"\s(?:can|may|is|could|will|should)\b", text[match.end() : end])):
            end = match.end() + verb.start()
        clause = text[match.end() : end]
        if match[0].lower() in ("if", "unless", "in case", "as soon as", "the moment") and not _SOMEONE.match(clause):
            continue
        if not (
            _NO_CONDITION.match(text, match.end())
            or _UNTREATED.search(clause)
            or text.endswith("as ", 0, match.start())
        ):
            yield Scope(match.end(), end, "condition")
    for pattern in (_SHOULD, _WHEN):
        for match in pattern.finditer(text):
            comma = text.find(",", match.end(), sentence_end(text, match.end()))
            yield Scope(
                match.start(),
                match.end() if pattern is _WHEN else comma if comma >= 0 else sentence_end(text, match.end()),
                "condition",
            )
    for pattern in (_ANYONE, _WHEN_TO):
        for match in pattern.finditer(text):
            yield Scope(*match.span("what"), "condition")
    for match in _FEARED.finditer(text):
        stop = re.search(r"[.;:!?](?=\s|$)|\n|,? (?:but|because|when|while|so|it|which)\b", text[match.end() :])
        yield Scope(match.end(), match.end() + stop.start() if stop else len(text), "condition")


# Relatives


RELATIVES = (
    r"(?:mother|father|parent|brother|sister|sibling|son|daughter|aunt|uncle|cousin|grand(?:mother|father|parent|ma|"
    r"pa)|mom|mum|dad|"
    r"niece|nephew|husband|wife|spouse|relative|family member)s?"
)
_HISTORY = re.compile(
    r"\b(?:(?:famil(?:y|ial)|maternal|paternal|parental) (?:medical )?(?:histor(?:y|ies)|hx)|fhx|fh(?=:))"
    r"(?: (?:is|was|are))?"
    r"(?: (?:of|includes?|included|positive for|"
    r"significant for|with|for)|:)?",
    re.I,
)
_DETERMINER = (
    r"(?:his|her|my|your|their|our|the patient's|an?|patient's|one's|whose|"
    r"(?:ha(?:s|ve|d)|and|with) (?:two|three|four|several))"
)
_RELATIVE = re.compile(
    rf"(?:\b{_DETERMINER}\s(?:[\w-]+ ){{0,2}}?{RELATIVES}"
    r"|(?:^|(?<=[.;:\n]\s))(?:mother|father|sister|brother)(?= (?:had|died|with)\b)"
    rf"|(?:^|(?<=[.;:\n]\s))(?:(?:maternal|paternal) )?{RELATIVES}(?=:\s))\b"
    rf"(?:,? (?:and|or) (?:{_DETERMINER} )?(?:\w+ )?{RELATIVES}\b)?(?:'s)?",
    re.I,
)
_PATIENT = re.compile(  # "your son has measles" is said to a parent
    r"your (?:\w+ )?(?:son|daughter)s?(?:,? (?:and|or) (?:your )?(?:\w+ )?(?:son|daughter)s?)?(?:'s)?$", re.I
)
_RUNS_IN = re.compile(
    r"\b(?:history of|there(?: is|'s| was))\s(?P<what>[^.;:!?]{2,60}?) in (?:his|her|my|your|their|the|our) (?:\w+ )?"
    rf"(?:family|{RELATIVES})\b"
    r"|(?:^|(?<=[.;:!?\n] ))(?P<runs>[^.;:!?,]{2,60}?) runs? in (?:his|her|my|your|their|our|the) family\b",
    re.I,
)
_OWN = re.compile(
    r"[.;!?](?=\s|$)|\n|,?\s(?:and|but|while|whereas|so)\s(?:now |also )?(?:i|he|she|they|you|we|the patient|now|"
    r"has|have|had|is|was|takes?)\b"
    r"|,\s(?:i|he|she|you|so|which|the patient)\b|,?\s(?:but|while|whereas) (?:my|his|her|your|their|our)\b"
    r"|\b(?:my|his|her|your|their|our) own\b|\bthe patient (?:himself|herself)\b",
    re.I,
)
_RUNS = re.compile(
    r"(?:,? who [^.,;!?]{2,40},)?\s?(?:\w+ )?(?:who )?"
    r"(?:had|has|have|having|with|died|dies|suffers?|suffered|was|is|were|are|got|developed|"
    r"diagnosed|takes?|took)\b",
    re.I,
)


def _family(text: str) -> Iterator[Scope]:
    for match in _RUNS_IN.finditer(text):
        yield Scope(*match.span("what" if match["what"] else "runs"), "family")
    for match in _HISTORY.finditer(text):
        stop = _OWN.search(text, match.end())
        yield Scope(match.end(), stop.start() if stop else len(text), "family")
    for match in _RELATIVE.finditer(text):
        if _PATIENT.match(match[0]):
            continue
        if match[0].endswith("'s") or text.startswith(":", match.end()) or _RUNS.match(text, match.end()):
            stop = _OWN.search(text, match.end())
            end = stop.start() if stop else len(text)
            if match[0].endswith("'s") and (
                verb := re.search(r"\s(?:does|do|is|was|can|may|will|has)\b", text[match.end() : end])
            ):
                end = match.end() + verb.start()
            yield Scope(match.end(), end, "family")


# Lists


_SIDE_EFFECTS = re.compile(r"side effect|do(?:es)? not go away|don't go away|persist|severe or", re.I)
_SEEKING_LEAD = re.compile(
    r"\bwhen (?:to|should (?:you|i)|you should) (?:call|see|seek|get|go|contact|visit|worry|ask|talk|consult)\b"
    r"|\b(?:call|see|contact|seek|go to|visit|tell|consult|ask)\b[^.:!?]{0,60}\b(?:for|if|when)\b\W{0,3}(?:any of )?"
    r"(?:these|the following)?\W*$"
    r"|^\W*red flags?\W*$",
    re.I,
)
_DENYING_LEAD = re.compile(
    r"\b(?:myths?|misconceptions?|ruled out|excluded|unlikely|not (?:a |an |the )?(?:present|seen|associated|related|"
    r"caused|due|typical|(?:\w+ )?(?:symptoms?|signs?|side effects|effects|causes|risks?|features?|complications?)|"
    r"expected|included)|absent|"
    r"unrelated|not related|(?:pertinent )?negatives?)\b(?:\W|\w+\W){0,5}$",
    re.I,
)


def _list_below(prose: Prose, scope: Scope) -> Iterator[Scope]:
    """Yield the list that follows a scope which reaches a colon, or the end of the words that introduce the list."""
    text = prose.text
    if scope.why == "prevented" and text[scope.start : scope.end].strip(" :"):
        return  # "To prevent scurvy:" is followed by how
    for lead in prose.leads:
        if scope.start < lead.end and scope.end <= lead.end + 1 and not text[scope.end : lead.end].strip(" :"):
            yield from _below(text, scope, lead.end, lead.list_end)
            return
    if text[scope.end : scope.end + 1] == ":":
        yield from _below(text, scope, scope.end, sentence_end(text, scope.end))


def _below(text: str, scope: Scope, start: int, end: int) -> Iterator[Scope]:
    said = text[max(0, scope.start - 200) : start]
    if scope.why != "condition" or not _SIDE_EFFECTS.search(said):
        yield Scope(start, end, scope.why)
