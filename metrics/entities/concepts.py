"""The forms by which a mention is compared: mentions of one concept share a form."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from .normalize import listed, normalized, spelled
from .vocabulary import concept, terms

# Left out where two mentions are compared, unless the words are a concept as they are ("mild cognitive impairment").
_DEGREE = listed(
    """
    severe mild moderate slight intense sudden persistent frequent occasional bad terrible unexplained ongoing
    constant recurring worsening new newly significant excessive serious possible suspected common typical unusual
    extreme mildly severely dangerously dangerous very crushing stabbing sharp dull throbbing strong unbearable nagging
    recurrent unusually frequently easily marked profound pronounced
    """
)
_ORGANS = {
    "renal": "kidney", "hepatic": "liver", "cardiac": "heart", "pulmonary": "lung", "cerebral": "brain",
    "gastric": "stomach", "ocular": "eye", "colonic": "colon", "prostatic": "prostate", "mammary": "breast",
    "ovarian": "ovary", "uterine": "uterus", "pancreatic": "pancreas", "esophageal": "esophagus", "dental": "tooth",
    "cutaneous": "skin", "dermal": "skin", "vaginal": "vagina", "testicular": "testicle", "bowel": "intestine",
    "intestinal": "intestine", "abdominal": "abdomen", "thoracic": "chest", "muscular": "muscle",
    "endometrial": "endometrium", "gingival": "gum", "gingiva": "gum", "rectal": "rectum", "retinal": "retina",
    "corneal": "cornea", "nasal": "nose", "oral": "mouth", "splenic": "spleen", "facial": "face", "pelvic": "pelvis",
    "arterial": "artery", "venous": "vein", "laryngeal": "larynx", "pharyngeal": "throat", "pharynx": "throat",
    "penile": "penis", "scrotal": "scrotum", "anal": "anus", "duodenal": "duodenum", "articular": "joint",
    "bony": "bone", "osseous": "bone", "spinal": "spine", "vertebral": "vertebra", "tracheal": "trachea",
    "bronchial": "bronchus", "thyroidal": "thyroid", "adrenal": "adrenal gland", "womb": "uterus",
    "gullet": "esophagus", "windpipe": "trachea", "tummy": "abdomen", "belly": "abdomen", "overgrowth": "hyperplasia",
    "swelling": "edema", "bleeding": "hemorrhage", "narrowing": "stenosis", "blockage": "obstruction",
    "carcinoma": "cancer", "calculus": "stone", "ache": "pain", "ulceration": "ulcer", "rupture": "tear",
    "neoplasm": "tumor", "insufficiency": "failure",
}  # fmt: skip
_OF = re.compile(r"(?P<what>\w+(?: \w+)?) (?:of|in) (?:the |your |their |his |her )?(?P<where>\w+(?: \w+)?)$")


@functools.lru_cache(maxsize=1 << 14)
def forms(text: str) -> tuple[str, ...]:
    """Return what a mention can be matched by: its normal form first, then its meaning by vocabulary and rules."""
    first = normalized(text)
    found = [first]
    for form in dict.fromkeys((first, _without_degree(first), _bare_drug(first))):
        for way in (form, _inverted(form), _organs(form), _organs(_inverted(form)), _tail(form)):
            found += [way, concept(way)]
    if " " in first:
        joined = spelled(first.replace(" ", ""))
        found += [joined, concept(joined)]
    return tuple(dict.fromkeys(found))


def turned(form: str) -> Iterator[str]:
    """Yield other ways to write "testicular torsion": "torsion of the testicle", "torsion of testicle", …"""
    *about, head = form.split()
    if 0 < len(about) < 3 and "of" not in about:
        noun = " ".join(_ORGANS.get(each, each) for each in about)
        yield from (f"{head} of the {noun}", f"{head} of {noun}", f"{head} in the {noun}", f"{noun} {head}")


def _without_degree(form: str) -> str:
    words = form.split()
    while len(words) > 1 and words[0] in _DEGREE and " ".join(words) not in terms():
        words = words[1:]
    return " ".join(words)


# Salts, and ways to give a drug: the same drug for a reader ("metoprolol succinate", "hydrocortisone cream").
_SALTS = listed(
    """
    hydrochloride hcl sodium potassium calcium magnesium sulfate succinate tartrate besylate mesylate maleate fumarate
    citrate acetate phosphate bromide hydrobromide nitrate furoate propionate valerate disodium dihydrate monohydrate
    xr er sr cr xl ir la dr cd xt tablet pill capsule cream ointment gel lotion patch drop inhaler injection syrup spray
    suppository nebulizer therapy treatment
    """
)
_ROUTES = listed(
    "oral topical inhaled intravenous iv nasal injectable generic intranasal systemic rectal vaginal nebulized"
)


def _bare_drug(form: str) -> str:
    """Return "metoprolol" for "oral metoprolol succinate", if that is a drug of the list."""
    words = form.split()
    while len(words) > 1 and words[-1] in _SALTS and " ".join(words) not in terms():
        words = words[:-1]
    while len(words) > 1 and words[0] in _ROUTES:
        words = words[1:]
    bare = " ".join(words)
    known = terms().get(bare)
    return bare if known and known.label == "CHEMICAL" else form


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
