"""The words and phrases that negate, that only look as if they did, and that end what is negated.

In a phrase, a/b/c stands for each of the alternatives.
"""

from __future__ import annotations


def whole(word: str) -> tuple[str, ...]:
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
            ways = [(*way, *whole(each)) for way in ways for each in word.split("/")]
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
    not due/related/attributed/attributable/lead/led to, not caused/accompanied/followed by, not result/resulted in, not
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
    not raise/increase/increases the/a risk of/for, zero risk/chance/likelihood of,
    unrelated to, hardly/scarcely ever, not need/have to worry about,
    no need to worry about,
    nor/neither is/are/was/were/does/do/did/can/will/has/have, nor does/do/did/can/will it/they/this/these/he/she
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
    does/do/did not occur/happen/arise/recur/accompany/develop/follow, is/are/was/were impossible, is/are/was/were out
    of the question, can/could be excluded, is/are/was/were not involved/implicated/responsible, has/have/had nothing to
    do with it/this/that, is/are/was/were not needed/necessary/required, is/are/was/were not the
    antidote/cause/culprit/reason/answer/cure/remedy/treatment/diagnosis/problem
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
END = _words(
    """but however yet although though whereas while except besides because since unless despite therefore thus so
    which who whom whose if when whenever where instead apart aside"""
)
# These end a scope of nouns (all scopes except that of "denies"): a verb or a preposition starts something new.
OPEN = _words(
    """is are was were be been has have had do does did can could may might will would should must that there it he
    she they we you i in on for with to at by after before during against from between among as than into over under
    about following causes caused cause leads led means occurs occur remains makes suggests suggest suggested
    indicates indicate indicated signals signal favors favor favours favour implies imply supports support supported
    precedes precede preceded reflects reflect represents represent requires require raises raise predicts predict
    makes make points point often usually should"""
)
# After a comma, a noun and one of these start a new clause: "no fever, sepsis is possible".
VERBS = _words(
    """is are was were has have had does do did can could may might will would should must causes caused leads means
    occurs occur occurred remains remain remained"""
)
# After "and", these tell something else of the subject: "no known allergies and takes lisinopril".
DOES = VERBS | _words(
    """found showed revealed diagnosed confirmed started began gave received reported developed feels complains takes
    took uses used needs wants now later then"""
)
NO_SUBJECT = _words("that it he she they we you i with")  # a noun followed by such a verb does not extend over these
CONDITION = _words("if when")
OPENERS = _words("far instead rather")
FIRST = _words(
    """had has have been be a an any the that it this these them cause causes by to known lead leads suggest indicate
    signal favor favour imply support reflect represent require raise predict make point often usually"""
)
# "no sign of X": the preposition after one of these does not end the scope.
EVIDENCE = _words(
    """evidence sign signs symptom symptoms history indication indications suggestion finding findings complaint
    complaints presence case cases trace report reports allergy allergies allergic episode episodes feature features
    development recurrence occurrence incidence risk onset diagnosis manifestations stigmata problem problems
    issues trouble experience association associations link links connection relationship correlation"""
)
BE = _words("is are was were be been")
SIGNS = _words(
    "symptom symptoms sign signs feature features complication complications manifestation effect among effects"
)
EITHER = _words("develop developed")  # with a noun after them ("did not develop X") they deny that
PRONOUNS = _words("it this that these those they")  # "these are not a symptom of a tumor": the tumor is denied
ADVERBS = _words(
    "usually typically generally normally commonly ordinarily directly actually itself themselves ever also even likely"
)
LINKS = _phrases("due/linked/related/attributed to, caused/triggered by, because/result of, in fact, by itself")
AUXILIARIES = _words(
    "can could has have had therefore essentially effectively usually almost practically now by itself alone"
)
EITHER_SIDE = _phrases("ruled out, excluded")  # of what follows if a noun does, else of what comes before
LIST = frozenset([",", "or", "and", "nor", "/"])
DENIES = frozenset(["denies", "denied", "deny", "denying"])
CUES = frozenset(phrase[0] for phrase in BEFORE if len(phrase) == 1) - {"nor"}  # one cue's scope ends at the next
LONGEST = max(map(len, BEFORE | AFTER | NEITHER))
