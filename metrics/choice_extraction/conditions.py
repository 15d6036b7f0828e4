"""Detect text after a statement that limits it to a condition, or to one of several cases."""

from __future__ import annotations

import re

from . import phrases
from .names import Named, Options

_NEAR = 200  # characters after a statement that are searched for the end of its sentence
# "… is the best choice if she is pregnant"; not "if tolerated", nor "to see if there is bleeding".
_IF = re.compile(
    r"""(?:(?!\b(?:because|since|as|see|determine|check|know|find|assess|tell|ask|even)\b)[^,;:–—]){0,60}?
    \b(?:if|unless|provided\s+that|assuming)\b
    (?!\s+(?:needed|necessary|tolerated|possible|available|untreated|not|any|present|indicated|required|there|feasible))""",
    re.I | re.X,
)
# "… would be right had she been pregnant", "… in a pregnant patient".
_OTHER_CASE = re.compile(
    r"""[^,;:–—]{0,40}?\b(?:had|were)\s+(?:she|he|the|they|it|there|this|his|her|we)\b
    | \s*(?:answer|choice|option|one|drug|test|diagnosis|treatment)?\s*(?:only\s+|instead\s+)?(?:in|for|with|among)\s+
      (?:an?|patients|women|men|children|adults|neonates|infants|pregnan\w+|those|someone|people|anyone)\b
    | \s*(?:only|later|once|until|after)\b""",
    re.I | re.X,
)
_LATER_ONLY = re.compile(r"\s*(?:only\s+(?:after|once|when|if|in|for)|once|until)\b", re.I)
# "For men the answer is A, for women B".
_OTHERWISE = re.compile(
    r"[^.?!\n]{0,80}?[,;]\s*(?:(?:and|but|while|whereas|or)\s+)?(?:for|in|if|when|with|among|otherwise|else)\b", re.I
)
_WOULD = re.compile(r"\b(?:would|could|might)\b", re.I)
# "… with diabetes, metoprolol after infarction": each of several options has its own case.
_CASE = re.compile(
    r"""\s+(?:[\w-]+\s+){0,2}?(?:with|in|for|after|during|when|if|among)\b[^.;?!\n]{0,80}?[,;]
    \s*(?:and\s+|while\s+|whereas\s+)?""",
    re.I | re.X,
)
_PREPOSITION = re.compile(
    r"\s+(?!only\b)(?:(?:is|are)\s+)?(?:[\w-]+\s+)?(?:with|in|for|after|during|when|if|among|otherwise)\b", re.I
)
_BUT_NOT = re.compile(r"[^.,;:–—?!\n]{0,80},?\s+but\s+(?:is\s+)?(?:contraindicated|harmful|dangerous)\b", re.I)


def conditional(text: str, start: int, end: int) -> bool:
    """Return whether the statement in start..end holds only under a condition that follows it."""
    if phrases.CONDITION_AFTER.match(text, end):
        return True
    stop = phrases.SENTENCE_END.search(text, end, end + _NEAR)
    rest = text[end : stop.start() if stop else end + _NEAR]
    if _IF.match(rest) or _LATER_ONLY.match(rest) or _BUT_NOT.match(rest):
        return True
    return bool(_WOULD.search(text[start:end]) and _OTHER_CASE.match(rest))


def other_cases(named: Named, end: int) -> Options:
    """Return the options that the sentence, after its statement, assigns to other cases."""
    if case := _CASE.match(named.text, end):
        for name in named.within(case.end(), case.end() + 8):
            if _PREPOSITION.match(named.text, name.end) and not named.ruled_out_after(name):
                return name.options
    if not _OTHERWISE.match(named.text, end):
        return Options()
    stop = re.compile(r"[.?!](?=\s|\Z)|\n").search(named.text, end)
    inside = named.within(end, stop.start() if stop else named.length)
    ending = (name for name in inside if phrases.ENDS.match(named.text, name.end) and not named.ruled_out_after(name))
    return Options().union(*(name.options for name in ending))
