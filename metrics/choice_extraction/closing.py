"""Read the conclusion of a reply that does not state an answer explicitly: the option that its last words affirm."""

from __future__ import annotations

import re
from bisect import bisect_left

from . import phrases
from .names import Name, Options
from .prose import Prose

# Anything that leaves the choice open: doubt, conditions, alternatives, a request for more information.
_OPEN = re.compile(
    r"""\b(?: could\s+be|may|might|perhaps|possib(?:ly|le|ility|ilities)|potential|either(?!\s+way\b)
      | or|both|between|equally
      | depend(?:s|ing|e)?|d[eé]pend|if|unless|whether|when|unclear|uncertain|insufficient|unable|impossible
      | inconclusive|hard\s+to|difficult\s+to
      | (?:cannot|can't|could\s?n[o']t|not|without)\s+(?:\w+\s+){0,2}
        (?:say|tell|determine|choose|decide|answer|sure|possible|certain|clear|enough|know|knowing|seeing|more|further)
      | need\s+(?:more|further|to)|more\s+(?:information|details|context|data)|would\s+help|consult|discuss(?:ed)?
      | seek|speak\s+(?:to|with)|toss-?up|neither|none|all\s+of|each\s+of|any\s+of|one\s+of
      | not\s+(?:listed|offered|among)|consider(?:ed|ing)?
      | only\s+(?:with|if|in|for|when|after|once)
      | (?:would|could|might)\s+(?:\w+ly\s+)?(?:suggest|point|indicate|favor|mean|support|argue)
      | evaluate|differential|step\s+\d|would\s+have|were\s+to|used\s+to\s+be|oder|ou|o\s+bien|oppure )\b
    | \?""",
    re.I | re.X,
)
# Words with which a clause argues against the option that it names.
_AGAINST = re.compile(
    r"""\b(?: avoid(?:ed|s|ing)?|contraindicated|wrong|incorrect|false|less|ruled|rules|exclude[sd]?|unlikely|not|no
      | never|rarely|cannot|without|against|unlike|except|instead|rather|reserved|unnecessary|unneeded|harmful|dangerous
      | too|also|other|others|initially|stop(?:ped|ping)?|discontinue[ds]?|already|allerg(?:ic|y)|after|least
      | includ(?:es?|ing)|tak(?:es|ing)|caus(?:es?|ing)|side\s+effects?
      | first\s+thought|was\s+going|lean(?:ed)?|tempting|distractor|history\s+of|denies
      | kein(?:e|en)?|nicht|pas|aucun|sans|non|não|sin|ni|né|nem )\b | n't\b""",
    re.I | re.X,
)
# Words that mark a conclusion after several options were discussed.
_CONCLUDES = re.compile(
    r"""\b(?: therefore|thus|so|hence|consequently|conclusions?|overall|in\s+(?:short|summary|sum|other\s+words)
      | altogether|on\s+balance|finally|ultimately|let\s+me|we|we're|my|our|i'm|i'd|i'll
      | i\s+(?:am|would|will|choose|pick|go|went|say|think|recommend|answer)
      | should|must|ought|ha(?:s|ve)\s+to|need(?:s|ed)?|advis(?:es|ed)|recommend(?:ed|ation|s)?|called
      | known\s+as|it\s+is|suggests?|points?\s+to|indicates?|means?|makes?|leaves?|left|remains?|fits?|matches
      | clinch(?:es)?|confirms?
      | best|most(?!\s+(?:accurate|sensitive|specific|common|frequent|often))
      | likely|right|correct|diagnosis|answer|choice|treatment|procedure|course|step
      | consistent|compatible|typical|classic|hallmark|belongs|corresponds|equals|comes?\s+(?:first|next)
      | donc|il\s+faut|il\s+s'agit|luego|así|pues|entonces|se\s+trata|também|então|portanto|logo|trata-se
      | also|somit|daher|folglich|fazit|quindi|dunque|si\s+tratta|conclusione|conclusión|conclusão|gabarito )\b
    | \b(?:is|are|be|has|have|get|give|order|start|perform|arrange|obtain)\s+(?:an?\s+|the\s+)?[\"'(]?\Z
    | [:→=]\s*[\"'(]?\Z""",
    re.I | re.X,
)
# From here on, a reply discusses the options that it did not choose.
_OTHERS = re.compile(
    r"""(?:\A|\n)[\s#>•❌-]{0,9}(?:\d[.)]\s*)?(?:why\s+(?:the\s+)?(?:others?|not|remaining|rest)|(?:the\s+)?(?:other|remaining|incorrect|wrong)
      \s+(?:options?|choices?|answers?|ones|alternatives)|(?:the\s+)?others)\b
      | (?:\A|\n)[\s#>•-]*(?:clinical\s+pearls?|pearls?
        |(?:key\s+)?(?:take-?aways?|notes?|learning\s+points?|teaching\s+points?)|caution|disclaimer|caveats?|follow-?up
        |a\s+(?:few|couple\s+of)\s+(?:\w+\s+)?(?:notes|points|words|comments)|(?:brief\s+)?notes?\s+on|on\s+the\s+(?:alternatives|others?|distractors|remaining))\b
        [^\n.]{0,40}:
      | (?<=[.!?])\s+(?:the\s+)?(?:others|other\s+(?:options|choices|answers)|remaining\s+(?:options|choices))\b""",
    re.I | re.X,
)
# A letter after these is part of a name: hepatitis B, group A, vitamin D, type C.
_LETTERED_NAME = re.compile(
    r"""\b(?:vitamins?|hepatitis|h(?:a)?emophilia|groups?|types?|factors?|class|grade|stage|phase|influenza|protein|complement
      |coenzyme|cells?|chain|apolipoprotein|immunoglobulin|plan|part|stages|scenario|patient|case|figure|table|and|or|cytochrome
      |serogroups?|child-pugh|category|level|agent|drug|study|arm|cohort)\s+\Z""",
    re.I | re.X,
)
_REFUSED_AFTER = re.compile(
    r"""[^.;,\n]{0,40}\b(?:avoided|contraindicated|excluded|crossed|dismissed|discarded|eliminated|ruled\s+out)\b""",
    re.I,
)
_PARALLEL = re.compile(r"[^:\n.]{1,40}:\s*")
# Words that describe quantities in any text; as options, they are chosen only by a statement.
_COMMON = frozenset(
    ["increase", "decrease", "increased", "decreased", "unchanged", "high", "low", "higher", "lower", "normal"]
).union(["present", "absent", "true", "false", "positive", "negative", "none", "all", "yes", "no", "maybe"])
_CLAUSE = re.compile(r"[,;–—]|\b(?:but|so|thus|therefore|hence|and)\b", re.I)
_NEAR = 25  # characters after an option that are searched for a word that chooses it: "… is the best next step"
_REACH = 60  # characters before an option that are searched for "rather than"
_BRACKETS = re.compile(r"\s*\([^()\n]{0,80}\)")
_WORDS = re.compile(r"\w+")


def main_end(prose: Prose) -> int:
    """Return where the reply, having named an option, starts to discuss other options or adds notes."""
    heading = _OTHERS.search(prose.text)
    if heading and any(name.start < heading.start() for name in prose.named):
        return heading.start()
    return prose.length


def closing(prose: Prose) -> Options:
    """Return the options that the last sentence naming an option affirms; none if it leaves the choice open.

    An option counts by its own words or its label. It must be the only one that its sentence affirms, it must not be
    denied anywhere, and what follows must not reopen the choice. If other options are discussed too, the sentence must
    conclude rather than continue the discussion.
    """
    end = main_end(prose)
    names = [name for name in prose.named if name.end <= end and counts(prose, name)]
    if not names:
        return Options()
    starts, last = sentences(prose, names), names[-1]
    start = max(at for at in starts if at <= last.start)
    stop = min((at for at in starts if at >= last.end), default=prose.length)
    sentence = prose.text[start:stop]
    if _OPEN.search(sentence) or _OPEN.search(prose.text[stop:end]):
        return Options()
    inside = [name for name in names if name.start >= start]
    affirmed = [name for name in inside if not _denied(prose, name, start)]
    options = Options().union(*(name.options for name in affirmed))
    if len(options) != 1 or prose.denied(options) or not meant(prose, affirmed[0], stop):
        return Options()
    if _PARALLEL.fullmatch(prose.text[start : affirmed[0].start]) and _has_parallel(prose, affirmed[0]):
        return Options()
    discussed = Options().union(*(name.options for name in names))
    if len(discussed) > 1 and any(is_common(prose.offer.own[option]) for option in options if isinstance(option, int)):
        return Options()
    if len(discussed) == 1:
        return options if _speaks_for(prose, affirmed[0], start, stop) else Options()
    name = affirmed[0]
    against = _AGAINST.search(prose.text[start : name.start]) or _REFUSED_AFTER.match(prose.text, name.end)
    if against or len(affirmed) < len(inside) or _CONCLUDES.search(prose.text[stop:end]):
        return Options()
    return options if _concludes(prose, name, start, stop) else Options()


def _has_parallel(prose: Prose, name: Name) -> bool:
    """Return whether another line assigns another option to another case: "Inpatients: aspirin"."""
    for other in prose.named:
        line = prose.text.rfind("\n", 0, other.start) + 1
        alone = phrases.ENDS.match(prose.text, other.end) and _PARALLEL.fullmatch(prose.text[line : other.start])
        if alone and other.options != name.options:
            return True
    return False


def counts(prose: Prose, name: Name) -> bool:
    """Return whether this names an option: by its words, a marked label, or a bare label that is not part of a name."""
    text = prose.text[name.start : name.end]
    if not _is_bare(prose, name):
        return True
    if text.isdigit() or text not in prose.offer.answers or prose.text[name.end : name.end + 1] in "-'’":
        return False
    article = text in ("A", "I") and re.match(r" [a-z]", prose.text[name.end : name.end + 2])
    return not article and not _LETTERED_NAME.search(prose.text[max(0, name.start - 30) : name.start])


def _is_bare(prose: Prose, name: Name) -> bool:
    """Return whether this is a label alone, without brackets, the word "option" or its option's words."""
    return name.label and not prose.marked(name) and prose.label_end(name) == name.end


def meant(prose: Prose, name: Name, stop: int) -> bool:
    """Return whether the statement about `name` is affirmative. A bare label must also end its sentence."""
    if phrases.UNDONE.search(prose.sentence_before(name.start)):
        return False
    ends = phrases.STANDS_ALONE.match(prose.text, name.end) and prose.skip(phrases.PUNCTUATION, name.end) >= stop - 1
    return bool(ends) or not _is_bare(prose, name)


def sentences(prose: Prose, names: list[Name]) -> list[int]:
    """Return where sentences start. Periods inside names ("S. aureus", "B. Aspirin") do not end a sentence."""
    starts = [0]
    for match in phrases.SENTENCE_END.finditer(prose.text):
        at = bisect_left(names, match.end(), key=_start)
        if not at or names[at - 1].end <= match.end():
            starts.append(match.end())
    return starts


def _start(name: Name) -> int:
    return name.start


def _denied(prose: Prose, name: Name, start: int) -> bool:
    before = prose.text[max(start, name.start - _REACH) : name.start]
    return prose.ruled_out(name) or bool(phrases.CONTRASTED.search(before))


def is_common(own: tuple[str, ...]) -> bool:
    return len(own) == 1 and (own[0] in _COMMON or own[0][0].isdigit())


def affirmed_only(prose: Prose, name: Name, start: int, stop: int) -> bool:
    """Return whether every other option in the sentence is denied."""
    aside = _BRACKETS.match(prose.text, name.end)  # "rubella (German measles)"
    inside = (
        other
        for other in prose.within(start, stop)
        if counts(prose, other) and not (aside and name.end < other.start < aside.end())
    )
    return all(other.options <= name.options or _denied(prose, other, start) for other in inside)


def _speaks_for(prose: Prose, name: Name, start: int, stop: int) -> bool:
    """Return whether a reply that names only one option chooses it rather than describing it."""
    before, after = prose.text[start : name.start], prose.text[name.end : stop]
    if (
        _AGAINST.search(_CLAUSE.split(before)[-1])
        or _REFUSED_AFTER.match(after)
        or name.start in prose.items
        or after.startswith(":")
    ):
        return False
    described = not before.strip(" \"'(*") and phrases.DESCRIBED.match(after)
    if described and (_AGAINST.search(after) or not _CONCLUDES.search(after[:_NEAR])):
        return False
    if name.place:
        return True
    if _is_bare(prose, name):
        return bool(_CONCLUDES.search(before))
    return bool(_CONCLUDES.search(prose.text[start:stop])) or not _WORDS.search(after)


def _concludes(prose: Prose, name: Name, start: int, stop: int) -> bool:
    """Return whether the sentence of `name` is separate from the discussion of options before it, and concludes."""
    items = [at for at in prose.items if at <= name.start]
    if items and max(items) >= start:
        return False
    before = prose.text[start : name.start]
    parted = not items or "\n" in prose.text[max(items) : start]
    return parted and bool(_CONCLUDES.search(before) or _CONCLUDES.search(prose.text[name.end : stop]))
