"""Detect what leaves the choice open after an option was named: two that fit, a question that cannot be answered."""

from __future__ import annotations

import re
from itertools import pairwise

from . import phrases
from .prose import Prose

# These retract even a plain statement that comes before.
_UNDECIDABLE = re.compile(
    r"""\b(?: (?:can't|cannot|could\s?n[o']t
          |unable\s+to|not\s+able\s+to|not\s+possible\s+to|impossible\s+to|won't|will\s+not)
        \s+(?:\w+\s+)?(?:decide|choose|pick|say\s+which|tell\s+which|determine\s+which|commit|settle|narrow|guess)
      | (?:can't|cannot)\s+be\s+(?:answered|determined|decided|said|told|known|estimated)
      | i\s+(?:don't|do\s+not)\s+know(?=\W*(?:\Z|\n|[.;,]|which))
      | both\s+(?:(?:options?|answers?|choices?)\s+)?\(?\w\)?\s+and\s+(?:option\s+)?\(?\w\)?
          \s+(?:are|seem|remain|stay)\s+(?:equally\s+)?(?:right|correct|possible|acceptable|appropriate|plausible|valid|defensible)
      | both\s+(?:fit|apply|(?:are|seem|remain|stay|look|would\s+be|could\s+be)\s+(?:equally\s+)?
          (?:right|correct|possible|acceptable|reasonable|appropriate|plausible|valid|defensible))
      | (?:are|is)\s+(?:all|each|both)\s+(?:correct|right|true|valid)
      | (?:correct|right|true|valid|appropriate)\s+as\s+well
      | (?:and|nor)\s+so\s+(?:is|are)\s+(?:option|statement|choice|answer)s?
      | flag\s+(?:this|the|it) )\b""",
    re.I | re.X,
)
# Anywhere in a reply without a plain statement: the question has no answer, or several.
_FLAWED = re.compile(
    r"""\b(?: (?:question|item|stem|vignette)\s+(?:is|seems|appears|looks)\s+(?:to\s+be\s+|to\s+have\s+been\s+)?
        (?:flawed|defective|ambiguous|incomplete|invalid|wrong|faulty|poorly|cut\s+off|truncated)
      | something\s+is\s+wrong | no\s+(?:single|one)\s+(?:best\s+|right\s+|correct\s+)?(?:answer|option|choice)
      | more\s+than\s+one\s+(?:answer|option|choice)
      | (?:not\s+comfortable|uncomfortable)\s+(?:with\s+)?(?:picking|choosing|naming)
      | (?:no|any)\s+(?:clue|way)\s+(?:\w+\s+){0,2}(?:which|choose|know|tell|decide)
      | (?:is|are)\s+(?:just\s+)?as\s+(?:likely|justifiable|good|valid|plausible|reasonable)
      | (?:choice|decision|answer|selection|order
        |which\s+(?:one|drug|test|is\s+\w+))\s+(?:here\s+)?(?:\w+\s+){0,2}depends?
      | (?:leave|left)\s+(?:the\s+|this\s+)?(?:choice|decision)\s+(?:to|up)
      | a\s+different\s+question
      | none\s+of\s+(?:the|these)\s+(?:\w+\s+)?(?:options|choices|answers)
        \s+(?:is|are|fits?|match(?:es)?|works?|would|appl(?:y|ies)) )\b""",
    re.I | re.X,
)
# After a mere conclusion: a request for missing information.
_NOT_GIVEN = re.compile(
    r"""\b(?:(?:is|are|was|were|does|do)(?:n't|\s+not)\s+(?:given|stated|specified|mentioned|say|state|specify|mention|allow
        |clear\s+from\s+the)
      |need\s+(?:more|further)\s+(?:information|details|data))\b""",
    re.I | re.X,
)
_BETWEEN = re.compile(
    r"""\b(?: (?:choice|decision|choosing|deciding|decide|toss-?up|torn|selection)\s+(?:\w+\s+)?between
      | depend(?:s|ing)?\s+on
      | both\b[^.]{0,60}\b(?:remain|stay|are|seem)s?\s+
        (?:possible|plausible|open|acceptable|reasonable|appropriate|correct|right|valid)
      | equally\s+(?:appropriate|acceptable|valid|likely|plausible|correct|reasonable|good|effective)
      | either\b[^.]{0,80}\bor )\b""",
    re.I | re.X,
)
# "That is the negative predictive value, and it isn't listed"; not "another drug would be X, though it isn't listed".
_NOT_LISTED = re.compile(
    r"""(?:\b(?:is|are|was)(?:n't|\s+not)\s+(?:(?:an?|one)\s+)?(?:\w+\s+){0,2}?
      (?:listed|offered|included|among|of\s+the|options?|choices?|available\s+as)\b
      | \bdoes(?:n't|\s+not)\s+match\s+any\b)""",
    re.I | re.X,
)
_THE_ANSWER = re.compile(
    r"\b(?:best|correct|right|answer|diagnosis|treatment|next|result|choice\s+would|that\s+is|consistent)\b", re.I
)
_BESIDES = re.compile(
    r"\b(?:also|another|alternative(?:ly)?|worth|too|other|criteria|criterion|among\s+the\s+(?:causes|features|risk))\b",
    re.I,
)


def left_open(prose: Prose, start: int, position: int, firm: bool) -> bool:
    """Return whether the text reopens the choice that it makes in start..position.

    A `firm` statement stands unless what follows says that the question cannot be decided.
    """
    if _UNDECIDABLE.search(prose.text, position if firm else start):
        return True
    if firm:
        return False
    if _FLAWED.search(prose.text) or _NOT_GIVEN.search(prose.text, position):
        return True
    ends = [match.end() for match in phrases.SENTENCE_END.finditer(prose.text, position)]
    for begin, stop in pairwise([position, *ends, prose.length]):
        named = prose.within(begin, stop) if _BETWEEN.search(prose.text, begin, stop) else []
        if len({name.options for name in named}) > 1:
            return True
    return any(_not_listed(prose, match) for match in _NOT_LISTED.finditer(prose.text))


def _not_listed(prose: Prose, match: re.Match[str]) -> bool:
    """Return whether a sentence says that the answer itself is not among the options."""
    before = prose.sentence_before(match.start())
    if len(before.split()) < 6:  # "This isn't among the choices."
        earlier = prose.sentence_before(max(0, match.start() - len(before) - 1))
        before = f"{earlier} {before}"
    named = any(name.start >= match.start() - len(before) for name in prose.named[-50:] if name.end <= match.start())
    return bool(_THE_ANSWER.search(before)) and not _BESIDES.search(before) and not named
