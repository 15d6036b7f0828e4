"""The forms by which a mention is compared: mentions of one concept share a form."""

from __future__ import annotations

import functools
import re

from .normalize import listed, normalized
from .vocabulary import concept, terms

# Left out where two mentions are compared, unless the words are a concept as they are ("mild cognitive impairment").
_DEGREE = listed(
    """
    severe mild moderate slight intense sudden persistent frequent occasional bad terrible unexplained ongoing
    constant recurring worsening new newly significant excessive serious possible suspected common typical unusual
    extreme mildly severely dangerously dangerous very
    """
)
_ORGANS = {
    "renal": "kidney", "hepatic": "liver", "cardiac": "heart", "pulmonary": "lung", "cerebral": "brain",
    "gastric": "stomach", "ocular": "eye", "colonic": "colon", "prostatic": "prostate", "mammary": "breast",
    "ovarian": "ovary", "uterine": "uterus", "pancreatic": "pancreas", "esophageal": "esophagus", "dental": "tooth",
    "cutaneous": "skin", "dermal": "skin", "vaginal": "vagina", "testicular": "testicle", "bowel": "intestine",
    "intestinal": "intestine", "abdominal": "abdomen", "thoracic": "chest", "muscular": "muscle",
    "carcinoma": "cancer", "neoplasm": "tumor", "insufficiency": "failure",
}  # fmt: skip
_OF = re.compile(r"(?P<what>\w+(?: \w+)?) (?:of|in) (?:the |your |their |his |her )?(?P<where>\w+(?: \w+)?)$")


@functools.lru_cache(maxsize=1 << 14)
def forms(text: str) -> tuple[str, ...]:
    """Return what a mention can be matched by: its normal form first, then its meaning by vocabulary and rules."""
    first = normalized(text)
    found = [first]
    for form in (first, _without_degree(first)):
        for way in (form, _inverted(form), _organs(form), _organs(_inverted(form)), _tail(form)):
            found += [way, concept(way)]
    if " " in first:
        found.append(first.replace(" ", ""))
    return tuple(dict.fromkeys(found))


def _without_degree(form: str) -> str:
    words = form.split()
    while len(words) > 1 and words[0] in _DEGREE and " ".join(words) not in terms():
        words = words[1:]
    return " ".join(words)


def _inverted(form: str) -> str:
    """Return "breast cancer" for "cancer of the breast"."""
    match = _OF.fullmatch(form)
    return f"{match['where']} {match['what']}" if match else form


def _organs(form: str) -> str:
    words = form.split()
    return " ".join(_ORGANS.get(each, each) for each in words) if len(words) > 1 else form


def _tail(form: str) -> str:
    """Return "acute myocardial infarction" for "acute heart attack": the longest known end, as its concept."""
    words = form.split()
    for at in range(1, len(words) - 1):
        tail = " ".join(words[at:])
        if (meant := concept(tail)) != tail:
            return " ".join([*words[:at], meant])
    return form
