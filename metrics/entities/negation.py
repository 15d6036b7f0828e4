"""Find mentions that a sentence negates ("no fever", "denies chest pain", "rash is absent").

After NegEx (Chapman et al. 2001, A simple algorithm for identifying negated findings and diseases in discharge
summaries) and ConText (Harkema et al. 2009): cues with a direction and a scope that other words end, and phrases that
only look like cues ("no increase in", "not only"). The lists and the scope rules are our own, for answers to medical
questions as well as notes. Statements that are only uncertain ("may have", "to rule out"), or conditional ("if not
treated"), are not negated. Works on text and character offsets, so it is the same for every pipeline.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import normalize
from .vocabulary import terms

WINDOW = 7  # maximum words in a scope without a comma, "or" or "and"

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_STOP = re.compile(r"[.!?](?=\s|$)|[;:](?=\s|$)|\n")


def _whole(word: str) -> tuple[str, ...]:
    """Return "is", "not" for "isn't"."""
    if word in ("cannot", "can't"):
        return "can", "not"
    if word == "won't":
        return "will", "not"
    return (word.removesuffix("n't"), "not") if word.endswith("n't") else (word,)


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    """Return the phrases of a comma-separated list. a/b/c stands for each of the alternatives."""
    found: set[tuple[str, ...]] = set()
    for line in " ".join(text.split()).split(","):
        ways: list[tuple[str, ...]] = [()]
        for word in line.split():
            ways = [(*way, *_whole(each)) for way in ways for each in word.split("/")]
        found.update(way for way in ways if way)
    return frozenset(found)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# These negate what follows.
BEFORE = _phrases(
    """
    no, without, denies/denied/deny/denying, not, never, neither, nor, absence of, free of/from, clear of, negative
    for, was/were/is/are/been negative for, no longer, unlikely to be/have/cause, is/are/was/were unlikely to
    be/have/cause, rather than, as opposed to, ruled out, rules out, excludes/excluded, none
    had/have/has/developed/experienced/reported/showed, none of the/these/those/them/our, nothing to suggest/indicate,
    failed to show/reveal/demonstrate/detect/develop/produce/cause/find/grow/identify/induce, fails to
    show/reveal/demonstrate/detect/develop/produce/cause/find/identify, with no, not with/from, not associated with,
    not due/related/attributed/attributable/lead/led to, not caused by, not result/resulted in, not
    consistent/compatible with, not suggestive/indicative/diagnostic of, not suffer/suffering from, not
    complain/complaining of, not at risk of/for, not raise/increase/increases your/the/her/his risk of/for, not
    allergic to, never lead/leads/led to, never result/results/resulted in, no link/connection/association/relationship
    between/with/to, no one in the/our/this/that, no longer has/have/had, no reports/cases of, not
    linked/connected/tied to, very/highly/most/extremely unlikely to be/have/cause, not interact with, not known to
    have/cause/be, not thought/believed/considered/expected/shown/proven/likely/found to be/have/cause, never been
    shown/proven/found/known/linked/associated to/with, no reason to suspect/think/believe/fear/expect, no
    suspicion/concern/sign/signs/trace/hint of, far from causing/being/having/giving, instead of, in place of, not
    worried/concerned about, nothing to do with, no role in, not/never for, not expect/suspect/anticipate, nobody/no-one
    had/has/developed/got, no one had/has/developed/experienced/reported/got, not associated/linked/related with/to,
    not raise/increase/increases the/a risk of/for
    """
)
# These negate what comes before.
AFTER = _phrases(
    """
    was/were/is/are/been/be/being ruled/excluded out, was/were/is/are/been excluded, was/were/is/are/been ruled out,
    is/are/was/were absent, is/are/was/were negative, is/are/was/were/been not
    present/seen/found/detected/observed/noted/noticed/reported/identified/evident/visible, was/were/is/are/been
    denied, is/was/seems/seem/appears/are/were unlikely/improbable/doubtful, is/are/was/were very/highly/most unlikely,
    has/have/had resolved, has/have/had disappeared, has/have/had not occurred/developed/recurred, is/are/was/were a
    myth/misconception, is/are/was/were untrue/false, was/were/is/are both/all denied/absent/negative/excluded,
    was/were/is/are both/all ruled out, very/highly/extremely/most unlikely/improbable, makes/made/make unlikely,
    was/were/is/are/been/be safely/largely/definitively/reliably/effectively ruled/excluded out, never
    accompanies/accompany, never occurs/occur/happens/happen/arises/arise, is/are/was/were not a concern/worry, is/are
    not expected/likely/typical, is/are/was/were not among/part, is/are/was/were no longer present/seen/found/detected,
    does/do/did not occur/happen/arise/recur/accompany/develop
    """
)
# These look like cues but are not.
NEITHER = _phrases(
    """
    no increase/increased/decrease/change/changes/difference/differences/improvement/effect/effects/benefit/response,
    no significant/clear/statistically/other/major change/changes/difference/differences/effect/increase/decrease, no
    cure/treatment/treatments/therapy/therapies/medicine/medicines/medication/drug/drugs/vaccine/test/tests/way, no
    single/specific/one/doubt/matter/wonder/consensus/proven, nobody, no reason/need/data/studies/study/research, not
    only/just/merely/simply/solely/all/always/every/everyone/everybody/necessarily/necessary/really/mean/sure/until,
    not treating/taking/getting/stopping/controlling/managing/finishing/completing, not
    known/know/clear/certain/understood/yet/fully/well/properly/completely/entirely/adequately/enough/sufficient, not
    yet known/clear/understood, not been well/fully/properly, not
    treated/controlled/managed/diagnosed/recognized/recognized/corrected/addressed/checked/caught/removed/monitored,
    not be treated/controlled/cured/reversed/prevented/managed/confused/ignored/excluded/mistaken, is/are/was/were not
    seen/present/found in every/all, not the same/only, not
    exclude/rule/help/treat/cure/prevent/stop/relieve/improve/affect/work/respond/reduce/protect, not be ruled out, not
    excluded, no surprise/question, no more/less than, no reason to ignore/delay/stop/avoid/panic/worry, not to be
    ignored/missed, cannot exclude/prevent/cure/treat/rule/help, not to say/mention/worry, not
    uncommon/unusual/unlikely/infrequent/rare/unheard, not uncommonly, not infrequently, without
    treatment/therapy/treating/delay/medical/proper/prompt/help, never stop/ignore/delay/skip/forget, not
    stop/skip/delay/ignore/forget, no sooner, non, if not, whether or not, not be
    ruled/excluded/cured/prevented/treated/ignored, not seen/present/found in every/all, not know/mean
    """
)
# These end every scope.
_END = _words(
    """but however yet although though whereas while except besides because since unless despite therefore thus so
    which who whom whose if when whenever where instead apart aside"""
)
# These end a scope of nouns (all scopes except that of "denies"): a verb or a preposition starts something new.
_OPEN = _words(
    """is are was were be been has have had do does did can could may might will would should must that there it he
    she they we you i in on for with to at by after before during against from between among as than into over under
    about following causes caused cause leads led means occurs occur remains makes"""
)
# After a comma, a noun and one of these start a new clause: "no fever, sepsis is possible".
_VERBS = _words(
    """is are was were has have had does do did can could may might will would should must causes caused leads means
    occurs occur occurred remains remain remained"""
)
# After "and", these tell something else of the subject: "no known allergies and takes lisinopril".
_DOES = _VERBS | _words(
    """found showed revealed diagnosed confirmed started began gave received reported developed feels complains takes
    took uses used needs wants now later then"""
)
_NO_SUBJECT = _words("that it he she they we you i with")  # a noun followed by such a verb does not extend over these
_CONDITION = _words("if when")
_OPENERS = _words("far instead rather")
_FIRST = _words("had has have been be a an any the that cause causes by to known lead leads")
# "no sign of X": the preposition after one of these does not end the scope.
_EVIDENCE = _words(
    """evidence sign signs symptom symptoms history indication indications suggestion finding findings complaint
    complaints presence case cases trace report reports allergy allergies allergic episode episodes feature features
    development recurrence occurrence incidence risk onset diagnosis manifestations stigmata problem problems
    issues trouble experience"""
)
_BE = _words("is are was were be been")
_SIGNS = _words(
    "symptom symptoms sign signs feature features complication complications manifestation effect among effects"
)
_EITHER = _words("develop developed")  # with a noun after them ("did not develop X") they deny that
_PRONOUNS = _words("it this that these those they")  # "these are not a symptom of a tumor": the tumor is denied
_ADVERBS = _words(
    "usually typically generally normally commonly ordinarily directly actually itself themselves ever also even likely"
)
_LINKS = _phrases("due/linked/related/attributed to, caused/triggered by, because/result of, in fact, by itself")
_AUXILIARIES = _words(
    "can could has have had therefore essentially effectively usually almost practically now by itself alone"
)
_EITHER_SIDE = _phrases("ruled out, excluded")  # of what follows if a noun does, else of what comes before
_NAME = 6  # words of a term, at most, in which cues are looked for
_LIST = frozenset([",", "or", "and", "nor", "/"])
_DENIES = frozenset(["denies", "denied", "deny", "denying"])
_CUES = frozenset(phrase[0] for phrase in BEFORE if len(phrase) == 1) - {"nor"}  # one cue's scope ends at the next
_LONGEST = max(map(len, BEFORE | AFTER | NEITHER))


class _Word(NamedTuple):
    text: str  # lowercase
    start: int
    end: int


def negated(text: str, spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Return, for each character span, whether the text negates it."""
    scopes = list(denied(text)) if spans else []
    return [any(start < high and low < end for low, high in scopes) for start, end in spans]


def denied(text: str) -> Iterator[tuple[int, int]]:
    """Yield the character spans that a cue negates."""
    start = 0
    for stop in [*(match.end() for match in _STOP.finditer(text)), len(text)]:
        words = [word for match in _WORD.finditer(text, start, stop) for word in _parted(match)]
        start = stop
        for first, last, ahead in _cues(words):
            low, high = _ahead(words, first, last) if ahead else _behind(words, first)
            if words[first].text in ("ruled", "excluded"):  # "chest clear, pneumonia ruled out"
                low = max([low, *(at + 1 for at in range(low, high - 1) if words[at].text == ",")])
            if low < high:
                yield words[low].start, words[high - 1].end


def _parted(match: re.Match[str]) -> Iterator[_Word]:
    """Yield a word, and "isn't" as "is" and "not"."""
    low = match[0].lower().replace("’", "'")
    verb, *rest = _whole(low)
    at = match.start() + min(len(verb), len(low) - 1)
    yield _Word(verb, match.start(), at if rest else match.end())
    if rest:
        yield _Word("not", at, match.end())


def _cues(words: Sequence[_Word]) -> Iterator[tuple[int, int, bool]]:
    """Yield (first word, word after the last, whether its scope is ahead) of each cue; the longest phrase wins."""
    place = 0
    while place < len(words):
        if after := _no_sign(words, place):
            about = (
                place > 0 and words[place - 1].text in _PRONOUNS and after < len(words) and words[after].text == "of"
            )
            yield place, after + about, about
            place = after
            continue
        if named := _named(words, place):
            place += named
            continue
        for length in range(min(_LONGEST, len(words) - place), 0, -1):
            phrase = tuple(word.text for word in words[place : place + length])
            if phrase in NEITHER:
                place += length
                break
            if phrase in AFTER:
                yield place, place + length, phrase[-1] in _EITHER and _has_object(words, place + length)
                place += length
                break
            if phrase in _EITHER_SIDE and not _has_object(words, place + length):
                yield place, place + length, False
                place += length
                break
            if phrase in BEFORE and not _no_denial(words, place, phrase):
                yield place, place + length, True
                place += length
                break
        else:
            place += 1


def _named(words: Sequence[_Word], place: int) -> int:
    """Return how many words from here are a term of the vocabulary with a cue in it ("absence of periods"), 0 if none.

    In "no period pain" it is not "no period", because another term begins inside and ends later.
    """
    if normalize.word(words[place].text) not in _names_cues():
        return 0
    forms = [
        normalize.word(each.text) if each.text.isalpha() else each.text for each in words[place : place + 2 * _NAME]
    ]
    known = [n for n in range(2, min(_NAME, len(forms)) + 1) if " ".join(forms[:n]) in _names()]
    if not known:
        return 0
    end = known[-1]
    later = (" ".join(forms[at:to]) for at in range(1, end) for to in range(end + 1, min(at + _NAME, len(forms)) + 1))
    return 0 if any(form in terms() for form in later) else end


def _within(forms: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for at in range(len(forms)):
        for to in range(at + 1, len(forms) + 1):
            yield tuple(forms[at:to])


@functools.cache
def _names() -> frozenset[str]:
    """Return the terms that have a cue in them, "can't" as "can not"."""
    forms = {
        _NOT_JOINED.sub(lambda match: _VERB_OF.get(match[1], (match[1] or "").removesuffix("n")) + " not", form)
        for form in terms()
    }
    return frozenset(form for form in forms if any(phrase in BEFORE for phrase in _within(form.split())))


_NOT_JOINED = re.compile(r"\b(can|won|desn|(?:do|did|is|are|was|were|has|have|had|could|would|should)n) t\b|\bcannot\b")
_VERB_OF = {None: "can", "can": "can", "won": "will", "desn": "doe"}  # in normal form


@functools.cache
def _names_cues() -> frozenset[str]:
    return frozenset(form.split()[0] for form in _names())


def _no_sign(words: Sequence[_Word], place: int) -> int:
    """Return the place after "is not a symptom" or the like, which denies what comes before; 0 if it is not here."""
    said = words[place].text
    if said in _BE and place + 1 < len(words) and words[place + 1].text in ("not", "never"):
        first = place + 2
    else:
        return 0
    for at in range(first, min(first + 5, len(words))):
        if words[at].text in _SIGNS:
            return at + 1
        if not words[at].text.isalpha() or words[at].text in _END:
            return 0
    return 0


def _has_object(words: Sequence[_Word], place: int) -> bool:
    """Return whether a noun follows a verb: "did not develop pneumonia", but not "the rash did not develop"."""
    after = words[place].text if place < len(words) else ""
    return after[:1].isalpha() and after not in _OPEN and after not in _END and after not in _LIST


def _no_denial(words: Sequence[_Word], place: int, phrase: tuple[str, ...]) -> bool:
    """Return whether the cue is no negation: "Without X, …" is a condition, and the "No" of "No, X …" is an answer."""
    after = words[place + 1].text if place + 1 < len(words) else ""
    return place == 0 and (phrase == ("without",) or (phrase == ("no",) and after in (",", "–", "—", "-")))


def _ahead(words: Sequence[_Word], first: int, last: int) -> tuple[int, int]:
    """Return the range of words after a cue that it negates."""
    denies = words[first].text in _DENIES
    last = _linked(words, last)
    left, main = WINDOW, _main_clause(words, first)
    for place in range(last, len(words)):
        word, before = words[place].text, words[place - 1].text
        left = WINDOW if word in _LIST else left - 1
        next_cue = place > last and word in _CUES
        if word == "," and place > last and (place == main or _clause(words, place + 1) or _only(words, place + 1)):
            return last, place
        if denies:  # "denies that the child had fever": the scope includes verbs and prepositions, until a new clause
            opens = word in _OPEN and before in _LIST
        else:
            evidence = before in _EVIDENCE and word not in _VERBS
            evidence = evidence or (before in ("or", "nor") and word == "cause") or (before == "lead" and word == "to")
            evidence = evidence or (words[first].text == "none" and word in ("had", "has", "have"))
            opens = word in _OPEN and not evidence and not (place == last and word in _FIRST)
        if word in ("and", "but") and place + 1 < len(words) and words[place + 1].text in _DOES:
            return last, place
        if word in _END or opens or next_cue or left < 0:
            return last, place
        if word == "of" and place > last and before not in _EVIDENCE:
            left = min(left, 3)
    return last, len(words)


def _linked(words: Sequence[_Word], place: int) -> int:
    """Return the place after words that only link a cue with what it negates: "not usually", "not be due to"."""
    while place < len(words):
        if words[place].text in _ADVERBS:
            place += 1
        elif tuple(word.text for word in words[place : place + 2]) in _LINKS:
            place += 2
        else:
            break
    return place


def _clause(words: Sequence[_Word], place: int) -> bool:
    """Return whether a new clause begins here: words that cannot continue a list, then a verb."""
    for at in range(place, min(place + WINDOW, len(words))):
        word = words[at].text
        if word in _VERBS:
            return at > place
        if word in _LIST or word in _END or word in _NO_SUBJECT or word in _CUES:
            return False
    return False


def _only(words: Sequence[_Word], place: int) -> bool:
    """Return whether what follows is said instead: "no tumor, only a cyst"."""
    return place < len(words) and words[place].text in ("only", "just", "merely", "simply")


def _main_clause(words: Sequence[_Word], cue: int) -> int | None:
    """Return the comma before the main clause of a sentence that opens with "if" and a cue, or with "instead of" or
    the like; None in others.

    It is the last comma: earlier ones are part of a list.
    """
    opening = [word.text for word in words[:cue]]
    if cue and ("," in opening or not _CONDITION.intersection(opening[:2])):
        return None
    if not cue and words[0].text not in _OPENERS:
        return None
    return max((at for at in range(cue, len(words)) if words[at].text == ","), default=None)


def _behind(words: Sequence[_Word], first: int) -> tuple[int, int]:
    """Return the range of words before a cue that it negates."""
    left = WINDOW
    while first > 0 and words[first - 1].text in _AUXILIARIES:
        first -= 1
    for place in range(first - 1, -1, -1):
        word = words[place].text
        left = WINDOW if word in _LIST else left - 1
        if word in _END or left < 0 or (word in _OPEN and word not in ("in", "has", "have", "had", "at", "of")):
            return place + 1, first
    return 0, first
