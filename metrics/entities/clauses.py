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
_ADVERBS = listed(
    "very too so quite more extremely really a little bit unusually often also always alway getting slightly somewhat"
)
_VERBS: Mapping[str, Sequence[str]] = {
    "hurt": ("{} pain", "painful {}"),
    "ache": ("{} pain", "aching {}"),
    "swell": ("swollen {}", "{} swelling"),
    "itch": ("itchy {}", "{} itching"),
    "bleed": ("bleeding {}", "{} bleeding"),
    "burn": ("burning {}", "{} burning"),
    "run": ("runny {}",),
    "water": ("watery {}",),
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
        if word.form in _LINKING:
            last = _after(among, at)
            ways: Sequence[str] = (among[last].form + " {}",) if last else ()
        else:
            last, ways = at, _VERBS.get(word.form, ())
        if ways and (found := _said(among, at, ways)):
            yield found[0], last + 1, found[1]


def _after(among: Sequence[Word], at: int) -> int:
    """Return the place of the word that a linking verb leads to, adverbs left out; 0 if there is none."""
    while at + 1 < len(among) and not among[at].ends:
        at += 1
        if among[at].form not in _ADVERBS and among[at].form not in _LINKING:
            return at
    return 0


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
