"""Terms of the vocabulary said as a clause: "your skin may get dry" is dry skin, and "bones hurt" is bone pain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .normalize import listed
from .phrases import Word
from .vocabulary import terms

# All in normal form.
_LINKING = listed(
    """
    be is are was were been being get got become became feel felt look turn turned stay stayed keep kept start begin
    seem
    """
)
_MODALS = listed("may might can could will would also often sometime usually then suddenly have has had")
_ADVERBS = listed("very too so quite more extremely really unusually often also always alway slightly somewhat")
_LOOKS = listed(
    """
    dry itchy sore stiff swollen red pale yellow blurry blurred numb weak painful tender runny stuffy blocked bleeding
    running watering hurting pounding racing fluttering burning tingling twitching shaking trembling drooping peeling
    puffy watery cloudy foamy bloody dark black tarry loose hard high low elevated raised increased decreased reduced
    irregular fast rapid slow heavy late missed inflamed infected enlarged cracked scaly flaky bulging droopy tight
    clogged ringing itching aching throbbing swelling bruised cold clammy sweaty brittle dilated sunken shaky
    """
)
# What may follow: otherwise the word belongs to a longer phrase ("the problem is high blood pressure").
_NEXT = listed(
    """
    and or but in on at for when after before with during because so if all most every than from to as while too again
    easily then which that even
    """
)
_VERBS: Mapping[str, Sequence[str]] = {
    "hurt": ("{} pain", "painful {}"),
    "ache": ("{} pain", "aching {}"),
    "swell": ("swollen {}", "{} swelling"),
    "itch": ("itchy {}", "{} itching"),
    "bleed": ("bleeding {}", "{} bleeding"),
    "burn": ("burning {}", "{} burning"),
    "tingle": ("tingling {}", "{} tingling"),
    "twitch": ("twitching {}", "{} twitching"),
    "cramp": ("{} cramp",),
    "shake": ("shaky {}", "shaking {}", "{} tremor"),
    "tremble": ("trembling {}", "{} tremor"),
    "droop": ("drooping {}", "droopy {}"),
    "peel": ("peeling {}", "{} peeling"),
    "pound": ("pounding {}",),
    "race": ("racing {}",),
    "stiffen": ("stiff {}",),
}


def clauses(among: Sequence[Word]) -> Iterator[tuple[int, int, str]]:
    """Yield (first word, word after the last, term in normal form) of every clause that says a term."""
    for at, word in enumerate(among):
        linking = word.form in _LINKING
        last = _after(among, at) if linking else at
        if linking:
            ways: Sequence[str] = (among[last].form + " {}",) if last and among[last].form in _LOOKS else ()
        else:
            ways = _VERBS.get(word.form, ())
        ends = last + 1 == len(among) or among[last].ends or among[last + 1].form in _NEXT
        if ways and ends and (found := _said(among, at, ways)) and (linking or _is_subject(among, found[0], at)):
            yield found[0], last + 1, found[1]


def _after(among: Sequence[Word], at: int) -> int:
    """Return the place of the word that a linking verb leads to, adverbs left out; 0 if there is none."""
    while at + 1 < len(among) and not among[at].ends:
        at += 1
        if among[at].form not in _ADVERBS and among[at].form not in _LINKING:
            return at
    return 0


def _is_subject(among: Sequence[Word], first: int, verb: int) -> bool:
    """Return whether the words before a verb are its subject, and not part of a noun: "your hands shake"."""
    nouns = [each.written for each in among[first:verb] if each.form not in _MODALS]
    the = first > 0 and among[first - 1].form == "the"
    return the or len(nouns) < verb - first or nouns[-1].lower().endswith("s") or nouns[-1].lower() in ("feet", "teeth")


def _said(among: Sequence[Word], verb: int, ways: Sequence[str]) -> tuple[int, str] | None:
    """Return where the noun before a verb begins, and the term that both say."""
    end = verb
    while end and among[end - 1].form in _MODALS and not among[end - 1].ends:
        end -= 1
    for length in (3, 2, 1):
        first = end - length
        if first < 0 or any(each.ends for each in among[first:end]):
            continue
        noun = " ".join(each.form for each in among[first:end])
        for way in ways:
            form = way.format(noun)
            if form in terms() and terms()[form].searched:
                return first, form
    return None
