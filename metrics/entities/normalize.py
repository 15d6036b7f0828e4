"""Words in a normal form, in which case, accents, plural and British spelling make no difference.

The forms are only for comparison: it is enough that all ways of writing a word give the same one.
"""

from __future__ import annotations

import functools
import re
import unicodedata


def listed(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def normalized(text: str) -> str:
    """Return a text in lowercase, without accents, punctuation, possessives, determiners and plural endings.

    British spelling becomes American, and Greek letters are spelled out.
    """
    words = [word(each) for each in _WORDS.findall(_POSSESSIVE.sub("", plain(text)))]
    while len(words) > 1 and words[0] in _DETERMINERS:
        words = words[1:]
    return " ".join(words)


def plain(text: str) -> str:
    """Return a text without accents and with Greek letters spelled out."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", "".join(_GREEK.get(char, char) for char in text))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


@functools.lru_cache(maxsize=1 << 16)
def word(written: str) -> str:
    """Return one word's normal form. An acronym keeps its last S unless it is lowercase: SARS, but NSAIDs."""
    if len(written) > 2 and written[:-1].isupper() and written.endswith("s"):
        return written[:-1].lower()
    low = written.lower()
    if low in _POSSESSIVES:
        return "the"
    return spelled(low if written.isupper() and 1 < len(written) < 6 else _singular(low))


def _singular(low: str) -> str:
    if low in _IRREGULAR:
        return _IRREGULAR[low]
    if len(low) < 4 or low in _SAME:
        return low
    for ending, instead in _PLURALS:
        if low.endswith(ending) and len(low) > len(ending) + 1:
            return low[: len(low) - len(ending)] + instead
    return low


def spelled(low: str) -> str:
    """Return a lowercase word in American spelling."""
    for british, american in _BRITISH:
        if british in low:
            low = low.replace(british, american)
    for ending, instead in _BRITISH_ENDINGS:
        if low.endswith(ending) and len(low) > len(ending):
            return low[: len(low) - len(ending)] + instead
    return low


_WORDS = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b|(?<=s)['’](?=\s)")
_DETERMINERS = frozenset(
    ["a", "an", "the", "any", "some", "this", "that", "these", "those", "your", "his", "her", "their", "my", "our"]
)
_POSSESSIVES = frozenset(["your", "his", "her", "their", "my", "our", "its"])  # "pain in your knee": in the knee
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "ω": "omega", "µ": "mu", "μ": "mu"}
_SAME = listed(
    """
    diabetes herpes rabies scabies caries series species measles mumps lens pancreas biceps triceps rickets ascites
    shingles hives hiccups chills coli gas bias
    """
)
_IRREGULAR = {
    plural: singular
    for pair in listed(
        """
        emboli/embolus thrombi/thrombus viri/virus bacteria/bacterium fungi/fungus nuclei/nucleus bronchi/bronchus
        calculi/calculus bacilli/bacillus cocci/coccus staphylococci/staphylococcus streptococci/streptococcus
        stimuli/stimulus foci/focus alveoli/alveolus villi/villus nevi/nevus naevi/nevus naevus/nevus
        menisci/meniscus tophi/tophus uteri/uterus diverticula/diverticulum ova/ovum septa/septum atria/atrium
        sera/serum ganglia/ganglion phenomena/phenomenon criteria/criterion protozoa/protozoon
        spermatozoa/spermatozoon appendices/appendix cortices/cortex varices/varix indices/index cervices/cervix
        vertices/vertex matrices/matrix feet/foot teeth/tooth women/woman men/man children/child calories/calorie
        movies/movie diarrheas/diarrhea abuses/abuse causes/cause uses/use misuses/misuse excuses/excuse
        ovaries/ovary hordeola/hordeolum chalazia/chalazion labia/labium petechiae/petechia
        """
    )
    for plural, singular in [pair.split("/")]
}
# The first match applies. Greek and Latin plurals of medical terms; words in ss, us or is are not plurals.
_PLURALS = (
    ("gnoses", "gnosis"), ("cnoses", "cnosis"), ("tenoses", "tenosis"), ("roses", "rosis"), ("boses", "bosis"),
    ("moses", "mosis"), ("toses", "tosis"), ("rhoses", "rhosis"), ("loses", "losis"), ("phoses", "phosis"),
    ("lioses", "liosis"), ("broses", "brosis"), ("iases", "iasis"), ("idides", "idis"),
    ("coses", "cosis"), ("choses", "chosis"), ("ptoses", "ptosis"), ("cytoses", "cytosis"),
    ("doses", "dose"), ("stases", "stasis"), ("lyses", "lysis"), ("theses", "thesis"), ("crises", "crisis"),
    ("phyxes", "phyxis"), ("areses", "aresis"), ("mata", "ma"), ("itides", "itis"), ("aches", "ache"), ("ies", "y"),
    ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("uses", "us"), ("ae", "a"), ("ss", "ss"),
    ("us", "us"), ("is", "is"), ("s", ""),
)  # fmt: skip
_BRITISH = (
    ("aemi", "emi"), ("haem", "hem"), ("aemat", "emat"), ("oed", "ed"), ("oes", "es"), ("rrhoe", "rrhe"),
    ("pnoe", "pne"), ("paed", "ped"), ("coel", "cel"), ("caec", "cec"), ("caes", "ces"), ("faec", "fec"),
    ("gynaec", "gynec"), ("phaeo", "pheo"), ("praev", "prev"), ("lachrym", "lacrim"), ("cephal", "cefal"),
    ("cephr", "cefr"), ("amfet", "amphet"), ("flavour", "flavor"), ("humour", "humor"),
    ("foet", "fet"), ("anaes", "anes"), ("aesth", "esth"), ("aetiol", "etiol"), ("amoeb", "ameb"),
    ("homoe", "homeo"), ("homeoo", "homeo"), ("manoeuvre", "maneuver"), ("leuco", "leuko"), ("sulph", "sulf"),
    ("tumour", "tumor"), ("colour", "color"), ("odour", "odor"), ("labour", "labor"), ("iour", "ior"),
    ("vapour", "vapor"), ("isation", "ization"), ("alyse", "alyze"), ("alysing", "alyzing"), ("aluminium", "aluminum"),
    ("logical", "logic"), ("ageing", "aging"), ("programme", "program"), ("mould", "mold"), ("grey", "gray"),
)  # fmt: skip
_BRITISH_ENDINGS = (("itre", "iter"), ("etre", "eter"), ("entre", "enter"), ("ibre", "iber"), ("ised", "ized"))
