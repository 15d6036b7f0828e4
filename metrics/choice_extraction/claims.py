"""Find the one option that a reply claims in some sentence: "The mechanism is X", "this fits Y", "Z is the safest"."""

from __future__ import annotations

import re
from bisect import bisect_left

from . import phrases
from .closing import affirmed_only, counts, is_common, meant, sentences
from .doubt import left_open
from .names import Name, Options
from .prose import Prose

_IS = (
    r"(?:is|are|would\s+be|must\s+be|should\s+be|has\s+to\s+be|will\s+be|remains|seems|appears|(?:works|comes)\s+out\s+to|comes\s+to"
    r"|amounts\s+to|boils\s+down\s+to)"
)
_ADVERBS = (
    r"(?:\s+(?:therefore|thus|then|hence|clearly|now|still|almost\s+certainly|most\s+likely|most\s+consistent\s+with"
    r"|likely|probably|simply|usually|generally|consistent\s+with|compatible\s+with))*"
)
_TO = (
    r"(?:\s+(?:to|via|by|through|called|known\s+as|termed|with|in|the\s+(?:one|mechanism|answer)\s+(?:in|under|listed\s+as"
    r"|(?:given|described|shown)\s+(?:in|by|as))))?"
)
_ARTICLE = r"(?:\s+(?:an?|the|his|her|immediate|urgent|prompt))?"
# Up to four words before the option: "an acute …", "exposure to …".
_GAP = (
    r"(?:\s+(?!(?:not?|nor|than|less|more|also|often|sometimes|another|one|rarely|due|treated|avoided|contraindicated"
    r"|neither|either|both|without|instead|rather|other|over|already|taking|allergic|known|risk|candidate|history"
    r"|receiving|treated|started|on)\b)[\w'-]+){0,4}?"
)
_EXAMPLE = r"(?:[^,;:.]{0,60}?,?\s(?:such\s+as|namely|specifically|i\.e\.,?|like))?"
_OPENING = r"\s*[\"'(\[]*(?:option\s)?\(?\Z"

# "The most appropriate drug for this patient is …".
_THE_IS = re.compile(
    rf"""(?:\A\W*|[,;:–—(]\s*|\b(?:so|therefore|thus|hence|and|that|means|because|since|then|now|but)\s+|(?=\bth(?:e|is)\s+(?:patient|child|man|woman|infant|boy|girl)\b))
    (?P<subject>(?:(?:the|this|these|those|his|her|their|its|it|what|a\s+\w+\s+\w*\s*of\s+choice)\b|(?:next|first)\s+step\b)
      [^;:?]{{0,170}}?)
    (?:\b{_IS}|(?<=it)'s|(?<=that)'s|(?<=this)'s){_ADVERBS}{_EXAMPLE}{_TO}{_ARTICLE}{_GAP}{_OPENING}""",
    re.I | re.X,
)
# "These findings suggest exposure to …".
_INDICATES = re.compile(
    rf"""(?<!would\s)(?<!could\s)(?<!might\s)(?<!may\s)(?<!can\s)(?<!to\s)(?<!not\s)
    (?:\b|(?=[\u3040-\u9fff]))(?: (?:(?:strongly|clearly|all|most|thus|therefore|directly|highly)\s+)*
          (?:suggests?|indicates?|points?\s+(?:strongly\s+|clearly\s+|directly\s+)?(?:to|towards?)|confirms?|fits?(?:\s+with)?|matches
            |corresponds?\s+to|represents?|reflects?|establish(?:es)?|supports?|warrants?|calls?\s+for|favors?|describes?|argues?\s+for
            |clinch(?:es)?|equals?|means?|locali[sz]es?(?:\s+the\s+\w+)?\s+to)
        | (?:is|are)\s+(?:\w+ly\s+)?(?:most\s+)?(?:consistent|compatible|in\s+keeping)\s+with
        | (?:is|are)\s+(?:\w+ly\s+)?(?:most\s+|very\s+|highly\s+)?
          (?:(?:characteristic|diagnostic|typical|suggestive|indicative|pathognomonic)
            \s+(?:of|for)
            |explained\s+by|called|known\s+as|termed|(?:due|attributable|secondary)\s+to|caused\s+by)
        | (?:signs?|features?|hallmarks?|triad|picture|presentation|pattern|findings?)\s+of
        | (?:making|makes|leaves|leaving)\s+(?:this|it|us\s+with|only)
        | plac(?:es|ing)\s+(?:him|her|(?:the|this)\s+patient)\s+in
        | in\s+other\s+words | i\.e | priority\s+is
        | (?:es|est)\s+(?:muy\s+|très\s+)?(?:caracter[íi]stic[oa]s?|caractéristique|compatibles?|sugerentes?|típic[oa])
          \s+(?:de|con|du|avec)
        | sugieren?|indican?|indicam?|indicano|indiquent|orientan?\s+(?:a|hacia)|évoquent?|en\s+faveur
        | sprechen\s+für|spricht\s+für|passen\s+zu|passt\s+zu
        | suggeriscono|suggerisce|sugerem|sugere
        | 符合|提示|考虑为|诊断为|支持|考える|示唆する
      )(?:\b|(?=\s))\.?[,:]?
    (?:\s+(?:de|d'|la|el|un|una|une|le|du|eine?[nr]?|die|der|das))*
    {_ADVERBS}{_ARTICLE}{_GAP}{_OPENING}""",
    re.I | re.X,
)
# "Go straight to …", "→ start …", "Antidote: …".
_DIRECTS = re.compile(
    rf"""(?:\A|[→:]\s*|\b(?:so|then|therefore|thus)\s+)[\s>•-]*
    (?: (?:immediately\s+|first,?\s+|just\s+)?(?:start|give|order|obtain|perform|administer|begin|initiate|prescribe
        |use|proceed|go|switch|get|do|treat|schedule|arrange)
        (?:\s+(?:straight|directly|immediately|right))?(?:\s+(?:to|with|for))? ){_ARTICLE}{_OPENING}
    | \A[\s>•-]*(?:(?:final|most\s+likely|best|next|likely|correct|bottom|short|overall|suspected|leading|first
          |definitive|preferred|recommended)\s+)*
      (?:diagnosis|antidote|treatment|next\s+step|step|drug|organism|pathogen|culprit|mechanism|line|cause|test|vessel|nerve|deficiency
          |tl;dr|therapy|management|impression|pick|choice):{_ARTICLE}{_OPENING}""",
    re.I | re.X,
)
# "Die wahrscheinlichste Diagnose ist …", "Le traitement de choix est …".
_FOREIGN_IS = re.compile(
    r"""(?:\A|[,;:]\s)\W*(?:por\s+(?:lo\s+)?tanto,?\s+|donc,?\s+|somit\s+|also\s+)?(?:el|la|le|l'|der|die|das|il|o|a)\b
    (?:(?!\b(?:no|ne|pas|nicht|kein\w*|non|não|si|wenn|ou|o|oder)\b)[^;:?]){3,120}?\b(?:es|est|ist|è|é)(?:\s+(?:la|le|el|un|una|une|l'|die|der|das|eine?))*\s*["'(]*\Z
    | (?:,|\b(?:ist|est|es))\s+(?:also|donc|somit|daher|quindi|portanto|por\s+tanto)\s+["'(]*\Z""",
    re.I | re.X,
)
_FOREIGN_BEST = re.compile(
    r"""\)?(?:\s*\([^()]{0,30}\))?(?:\s+(?:es|est|ist|è|é))?\s+(?:el|le|la|das|die|der|il|o|a)\s+(?:\w+\s+)?(?:de\s+elección|de\s+choix|der\s+Wahl|di\s+(?:prima\s+)?scelta|de\s+escolha
      |\w+\s+der\s+(?:ersten\s+)?Wahl|de\s+primera\s+línea|de\s+première\s+intention|di\s+prima\s+linea|de\s+primeira\s+linha|más\s+(?:probable|adecuad[oa])|plus\s+(?:probable|adapté)|wahrscheinlichste|più\s+probabile|mais\s+provável)\b""",
    re.I | re.X,
)
# "Sodium 112 and a seizure → hypertonic saline (C)."
_ARROW = re.compile(r"(?:→|[=-]>)\s*(?:\w+\s+)?[\"'(]*\Z")
# "… is the safest initial analgesic".
_IS_BEST = re.compile(
    rf"""[\"')\]]*(?:\s*\([^()]{{0,80}}\))?(?:,\s[^,.;:]{{0,80}},)?\s+{_IS}{_ADVERBS}
    \s+(?:(?:the|this\s+patient's|his|her|our|your)\s+)?(?:single\s+|clear\s+)?
    (?:safest|best|most\s+(?:likely|appropriate|suitable|plausible|effective|useful|important)|first-line|preferred
      |next|correct|right|appropriate|ideal|optimal|\w+\s+of\s+choice|gold\s+standard|diagnosis|culprit|recommended|indicated
      |one\s+to\s+(?:choose|pick|select)|only\s+(?:option|choice|drug|one|agent|test|answer))\b
    (?!(?:\s+\w+){{0,2}}?\s+(?:common|when|if|among|only\s+if|(?:in|with|for)\s+(?:an?|patients|those|women|men|children|adults|people)\b))""",
    re.I | re.X,
)
# "The crystals make gout the most likely diagnosis".
_MAKES = re.compile(r"\bmakes?(?:\s+(?:an?|the))?\s*\Z", re.I)
_MOST_LIKELY = re.compile(
    r"(?:\s*\([A-J]\))?\s+(?:by\s+far\s+)?the\s+(?:most\s+(?:likely|appropriate)|best|correct|clear)\b", re.I
)
_UNTIL = re.compile(r"\s+until\s+proven\s+otherwise\b", re.I)
# "All of these are risk factors except …".
_EXCEPT = re.compile(
    rf"\A\W*all\b[^;:?]{{0,120}}?\b(?:except(?:\s+for)?|other\s+than|but)(?:\s+the|\s+an?)?{_OPENING}", re.I
)
# "B. Excisional biopsy: … This is the recommended approach."
_ITEM_IS_BEST = re.compile(
    r"✅|\b(?:this|it)\s+is\s+(?:therefore\s+|thus\s+|clearly\s+)?the\s+(?:recommended|best|correct|right|most\s+(?:likely|appropriate)|preferred|treatment|drug"
    r"|diagnosis|answer|next\s+(?:best\s+)?step|standard)\b|\bis\s+the\s+(?:correct|best|right)\s+(?:answer|choice|option)\b",
    re.I,
)
# "Jaundice is no criterion, making it the correct choice", "The one that does not is a low sodium diet".
_ODD_AFTER = re.compile(
    r"[^.;:?]{0,80},?\s(?:making|which\s+makes)\s+(?:it|this|that)\s+the\s+(?:correct|right|best)\s+(?:answer|choice|option)\b",
    re.I,
)
_ODD_BEFORE = re.compile(
    rf"(?:\A|,)\W*(?:the|so\s+the)\s+(?:only\s+)?(?:one|exception|option|odd\s+one|outlier|finding|factor|drug)\b"
    rf"(?:\s+(?:that|which)\s+(?:is\s+not|isn't|doesn't|does\s+not)[^,;:?]{{0,60}}?)?\s{_IS}{_ADVERBS}{_ARTICLE}{_OPENING}",
    re.I,
)
# "Worst headache of his life, blood in the cisterns: subarachnoid."
_FINDINGS = re.compile(
    r"(?!\W*(?:if|in|for|when|with)\b)\W*(?:\S+\s+){2,}?\S*[,+](?:\s+\S+){2,}?\s?[:–—=]\s*(?:an?\s+|the\s+)?\Z", re.I
)
# "= 10 patients": the end of a calculation.
_EQUALS = re.compile(r"[=≈]\s*(?:about\s|approximately\s|roughly\s)?\s*\Z")
_RESULT = re.compile(r"\s?(?:[%a-zµ²/]+\d?\s?){0,3}(?:[(.;,]|\s*\Z|\s*\n)", re.I)
# Subjects of sentences that are not about the answer.
_ASIDE = re.compile(
    r"""\b(?:not?|never|n't|cannot|if|when|unless|whether|other|another|alternatives?|second|exceptions?|differentials?
      |adverse|side|complications?|risks?|distractors?|pitfalls?|mistakes?|concern|mimics?|contraindications?|least|rare|rarest
      |would\s+have|could|may|might|common(?:est|ly)?|previous(?:ly)?|initial\s+thought|unlike|only\s+other|option\s+[a-j]|choice\s+[a-j]
      |example|examples|history|temptation|tempting|wrong|incorrect|eventual(?:ly)?|later|backup|adjunct|question|such)\b""",
    re.I | re.X,
)
_OPEN = re.compile(
    r"\b(?:either(?!\s+way\b)|or|both|depend(?:s|ing)?|if|unless|whether|unclear|uncertain|equally|perhaps|possib(?:ly|le)|neither"
    r"|could\s+be|may\s+be|might\s+be|may\s+(?:suggest|indicate)|not\s+(?:listed|offered|among)|some\s+(?:may|might|would))\b|\?",
    re.I,
)
_LONGEST = 800  # maximum characters of a sentence


def claimed(prose: Prose) -> Options:
    """Return the one option that the reply claims; none if it claims several or leaves the choice open."""
    names = claims(prose)
    options = union(names)
    if len(options) != 1:
        return Options()
    last = names[-1]
    if left_open(prose, last.start, last.end, firm=False) or phrases.RETRACTED.search(prose.text, last.end):
        return Options()
    if prose.denied(options) and not _odd(prose, last):
        return Options()
    doubt = phrases.DOUBTED.search(prose.text, last.end)
    later = (name for name in prose.named if doubt and name.start > doubt.start() and counts(prose, name))
    return Options() if any(name.options != options and not prose.ruled_out(name) for name in later) else options


def union(names: list[Name]) -> Options:
    return Options().union(*(name.options for name in names))


def claims(prose: Prose) -> list[Name]:
    """Yield the options that the reply's sentences claim, each alone in its sentence."""
    starts, items = sentences(prose, prose.named), sorted(prose.items)
    ends = [*starts[1:], prose.length]
    found, number = [], 0
    for name in prose.named:
        while ends[number] <= name.start and number + 1 < len(ends):
            number += 1
        start, stop = starts[number], max(ends[number], name.end)
        if stop - start > _LONGEST or not counts(prose, name):
            continue
        item = bisect_left(items, name.start)
        if name.start in prose.items:
            end = items[item + 1] if item + 1 < len(items) else prose.length
            chosen = bool(_ITEM_IS_BEST.search(prose.text[name.end : end].split("\n")[0]))
        else:
            chosen = (item == 0 or items[item - 1] < start) and _claims(prose, name, start, stop)
        if chosen:
            found.append(name)
    whole = [name for name in prose.lone.values() if prose.by_both(name)]
    return found + [name for name in whole if not prose.lists_options and name not in found]


def _claims(prose: Prose, name: Name, start: int, stop: int) -> bool:
    """Return whether the sentence in start..stop claims the option `name`, which does not begin a list item."""
    option = next(iter(name.options))
    if len(name.options) != 1 or not isinstance(option, int) or prose.text[name.end : name.end + 1] in {"-", "'"}:
        return False
    before, after = prose.text[start : name.start], prose.text[name.end : stop]
    if _EQUALS.search(before) and _RESULT.match(after) and "=" not in after:
        return True
    if not name.label and prose.offer.own[option] and is_common(prose.offer.own[option]):
        return False
    if _odd(prose, name):
        return True
    if _OPEN.search(phrases.BUT.split(before)[-1]) or _OPEN.search(after[:120]):
        return False
    if prose.ruled_out(name) or not affirmed_only(prose, name, start, stop):
        return False
    if not meant(prose, name, stop):
        return False
    if _asked(prose, start) and not before.strip(" \"'(") and phrases.STANDS_ALONE.match(prose.text, name.end):
        return True
    if _UNTIL.match(after) and re.search(rf"\b{_IS}{_ARTICLE}\s*\Z", before, re.I):
        return True
    if _leads(before) or _ARROW.search(before):
        return True
    if _FINDINGS.match(before) and phrases.ENDS.match(prose.text, name.end):
        return True
    if _MAKES.search(before) and _MOST_LIKELY.match(after):
        return True
    best = _IS_BEST.match(after)
    return bool(best and not re.search(r"\b(?:but|although|however|not)\b", after)) or bool(_FOREIGN_BEST.match(after))


def _asked(prose: Prose, start: int) -> bool:
    """Return whether the previous sentence asks for the answer: "Which drug is unsafe here?"."""
    question = prose.sentence_before(start - 1) if prose.text[:start].rstrip()[-1:] == "?" else ""
    return bool(re.match(r"\W*(?:so\W+)?(?:which|what|who)\b(?:\W+\w+){3}", question, re.I))


def _odd(prose: Prose, name: Name) -> bool:
    """Return whether an option lacks what the others have, and is the answer for that reason."""
    before = prose.sentence_before(name.start)
    return bool(_EXCEPT.search(before) or _ODD_BEFORE.search(before) or _ODD_AFTER.match(prose.text, name.end))


def _leads(before: str) -> bool:
    """Return whether the words from the start of the sentence to an option say that it is the answer."""
    the = _THE_IS.search(before)
    if the and not _ASIDE.search(the["subject"]):
        return True
    indicates = _INDICATES.search(before)
    if indicates and not _ASIDE.search(re.split(r"[,;:–—]", before[: indicates.start()])[-1]):
        return True
    return bool(_DIRECTS.search(before) or _FOREIGN_IS.search(before))
