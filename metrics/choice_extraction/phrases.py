"""How people state an answer, as patterns. Patterns for statements end where an option must be named."""

from __future__ import annotations

import re
import unicodedata


def _any(words: str) -> str:
    return "(?:" + "|".join(word.replace("_", r"\s+") for word in words.split()) + ")"


_RIGHT = _any("correct right best proper appropriate accurate")
_LIKELY = rf"(?:most\s+{_any('likely appropriate probable accurate suitable plausible consistent')}|best)"
_ADVERB = _any(
    "therefore thus then hence clearly definitely certainly probably likely simply indeed actually still now"
)
_IS = _any("is are was would_be should_be must_be will_be has_to_be appears_to_be seems_to_be")
_THUS = _any(
    "therefore thus hence so consequently accordingly finally ultimately overall in_conclusion in_short in_summary"
)
_IT_IS = rf"(?:it's|that's|{_any('it_is it_must_be it_has_to_be it_would_be that_is this_is')})"

_QUALITY = rf"(?:final|{_RIGHT}|{_LIKELY}|single|my|our|likely|chosen|selected|preferred|revised|corrected|updated)"
# "the correct answer", "my choice"; ends with COPULA: "… to this question is", ":", "=". An option, choice or letter
# is a statement only if it is called correct or chosen: "Option A, aspirin, is wrong", "evaluate each option:".
NOUN = re.compile(
    rf"""(?<![-\w])(?:{_QUALITY}\s+){{0,3}}
    (?: (?:answers?|ans|response)\b(?:\s+(?:choice|option|letter|key)\b)?
      | (?:(?<=my\s)|(?<=our\s)|(?<=correct\s)|(?<=right\s)|(?<=best\s)|(?<=final\s)|(?<=chosen\s)|(?<=selected\s)
        |(?<=appropriate\s)|(?<=proper\s)|(?<=accurate\s)|(?<=suitable\s)|(?<=likely\s)|(?<=single\s)|(?<=preferred\s))
        (?:choice|option|statement|selection|letter|pick|decision|alternative|one)\b
      | (?:(?<=\n)|(?<=\A)|(?<=\n[->\[(])|(?<=\n[->]\s))
        (?:choice|option|selection|selected(?:\s+(?:option|answer|choice))|decision|verdict|conclusion|prediction|judge?ment
        |result|bottom\s+line|short\s+answer|in\s+short|tl;?dr|pick|solution|output|recommended|recommendation|final|letter|key|correct)\b(?=\s?[:=\]])
      | (?:choice|selection|decision|verdict|conclusion|prediction|judge?ment|final)\b(?=\s?[:=])
      | the\s+(?:choice|selection|verdict)\b )""",
    re.I | re.X,
)
_SAID_RIGHT = (
    r"(?:m[áa]s\s+(?:adecuad[ao]|probable|apropiad[ao])|la\s+plus\s+(?:probable|appropriée|adaptée)"
    r"|mais\s+(?:provável|adequada|apropriada)|correct[aoe]?|correta|corrett[ao]|korrekte?|exacte?|finale?|juste|richtige?|esatta|giusta|juist|poprawna"
    r"|правильный|верный)"
)
# The same in other languages.
FOREIGN_NOUN = re.compile(
    unicodedata.normalize(
        "NFKC",
        rf"""(?:
      \b(?:r[ée]ponse|respuesta|antwort|l[öo]sung|resposta|risposta|antwoord|odpowied[źz]|odpov[ěe][dď]|ответ|відповідь
        |svar(?:et)?|vastaus|cevap|yanıt|jawaban|đáp\s+án|απάντηση|resposta|răspuns(?:ul)?|одговор|отговор)\b
        (?:\s+{_SAID_RIGHT})?
      | \b(?:opci[óo]n|opção|opcao|opzione|alternativa|option|choix)\s+{_SAID_RIGHT}\b
      | 最(?:佳|好|合适|適合|可能|适当|恰当)的?[^\s.,:。]{{0,8}}?(?=是|为|為)
      | (?:正确|正確|最终|最終|最佳)?(?:答案|答え|正解|正答|回答|解答|选项|選項|答)(?:应该|應該|应|應)?
      | (?:최종\s?|올바른\s?)?(?:정답|답변|답)
      | (?:الإجابة|الاجابة|الجواب|پاسخ|جواب)(?:\s+(?:الصحيحة|النهائية|الصحيح|هي|صحیح|نهایی))?
      | (?:सही\s+)?(?:उत्तर|जवाब) | คำตอบ(?:ที่ถูกต้อง)? | תשובה | התשובה
    )""",
    ),
    re.I | re.X,
)
FOREIGN_COPULA = re.compile(
    r"""\s?(?::|=|\b(?:est|es|ist|lautet|é|è|is|jest|är|er|on|là|adalah|είναι|este|je|это|является)\b|[–—]|\s-\s
       |是|为|為|は|은|는|هي|هو|है|คือ|היא|:)\s?:?\s?
       (?:(?:donc|also|daher|somit|folglich|quindi|portanto|entonces|por\s+(?:lo\s+)?tanto)\s+)?
       (?:(?:la|le|l'|el|a|o|il|die|der|das|de)\s)?
       (?:(?:lettre|letra|lettera|buchstabe|option|opción|opción|opção|opzione|alternativa|antwort|вариант|选项|選項
            |الخيار|حرف|विकल्प|ข้อ|보기)\s?)?""",
    re.I | re.X,
)
FOREIGN_CHOOSING = re.compile(
    r"(?:(?:故|本题|本題|题|题目|应|應|我|因此|所以|则|答|请|，|,|。|\.|\A|\n)\s?(?:应|應|该|我)?(?:选择|選擇|选|選)(?:项|項)?\s?:?\s?)|\b(?:elijo|je\s+choisis|ich\s+w[äa]hle|escolho|scelgo)"
    r"\s+(?:(?:la|le|el|a|die|l')\s+)?(?:opci[óo]n|option|opção|lettre|letra|antwort|r[ée]ponse)?\s?",
    re.I,
)
COPULA = re.compile(
    rf"""(?:\b{_IS}\b|[:=→]|[–—]|\s-\s|->)
    (?:\s*[,:])?(?:\s*{_ADVERB}\b,?|\s*most\s+likely\b|\s*:|\s*given\s+as\b|\s*indeed\b){{0,3}}
    (?:\s*not\s+[^\n]{{1,60}}?,?\s*but(?:\s+rather)?\b)?""",
    re.I | re.X,
)
GAP_UNDONE = re.compile(
    r"\b(?:not|never|neither|nor|without|unless|except|than|if|(?<!to\s)(?<!of\s)whether|depends?|choices|options|candidates|explanations?"
    r"|rationale|analysis|format|above|below|among|between|could|might|may)\b|n't\b",
    re.I,
)
FOREIGN_GAP_UNDONE = re.compile(
    r"\b(?:no|ne|nicht|non|não|nie|не|pas|nem|inte|ikke|değil)\b|n'|不|ليست|아니|ではな", re.I
)

CHOOSING = re.compile(
    rf"""\b(?:i|we)(?:'d|'ll|\s+{_any("would will must should can")})?(?:\s+{_ADVERB})?
    \s+(?:{_any("choose chose select pick answer go_with going_with opt_for settle_on vote_for arrive_at")}
        |{_any("lean_towards lean_toward conclude choosing selecting leaning_towards leaning_toward")})\b
        (?:\s+(?:that\s+)?(?:the\s+answer\s+)?is|\s+one(?=:))?\s?:?
    | \bi(?:'m|\s+am)\s+(?:going|sticking)\s+with\b
    | \b(?:doctor|physician|clinician|provider|examinee|you)\s+{_any("would should will must")}
      (?:\s+most\s+likely|\s+{_ADVERB})?      \s+{_any("choose select pick recommend answer")}\b
    | \b(?:leaves|leaving)\s+(?:us\s+with\s+|only\s+)?
    | (?:\A|\n|[.;]\s)(?:choose|select|pick|go\s+with|selecting|choosing|going\s+with)\b\s?:?
    | \bi(?:'d|\s+would)(?:\s+{_ADVERB})?\s+(?:recommend|prescribe|give|suggest|favor|use|start|administer)\b""",
    re.I | re.X,
)
CONCLUDING = re.compile(
    rf"""\b(?: it\s+(?:appears|seems)\s+that | {_THUS}(?:\s?,)?(?:\s+(?:{_IT_IS}|{_ADVERB}))?
           | (?:{_IT_IS}|(?:i|others)\s+{_any("think believe guess say would_say would_think")}|i'd\s+say
             |i\s+would\s+say)(?:\s+(?:that\s+)?(?:{_IT_IS}|{_ADVERB}))?
           | not\s+(?!only\b|just\b)[^.?!\n]{{1,40}}?,?\s+but\b(?:\s+rather)?(?!\s+also)
           | {_any("probably likely definitely clearly certainly perhaps possibly")}
           | {_LIKELY}\b[^.?!\n:;]{{0,80}}?\b(?:is|would\s+be)\b
           | the\s+(?:safest|likeliest|ideal|preferred|optimal|most\s+(?:effective|specific|useful|important))\b
             [^.?!\n:;]{{0,60}}?\b(?:is|would\s+be)\b
           | (?:\A|(?<=\n)){_LIKELY}\b[^.?!\n:;]{{0,60}}?(?=:)
           | (?:\A|(?<=\n))(?:final\s+)?(?:diagnosis|treatment|next\s+step|management|drug|agent|organism|impression
               |medication)(?=:)
    )\s?:?\s+""",
    re.I | re.X,
)

# These come after an option.
_IS_THE = rf"\s?,?\s*{_IS}\s+(?:{_ADVERB}\s+)?(?:(?:the|your|my)\s+)?"
IS_THE_ANSWER = re.compile(
    rf"""{_IS_THE}(?:only\s+|single\s+|one\s+)?
    (?: (?:{_RIGHT}|{_LIKELY}|final|true|false|inaccurate)\s+(?:answer|option|choice|one|response|statement)\b
      | answer\b(?!\s+to\s+(?:a\s+different|another))
      | (?:only\s+)?(?:remaining|reasonable)\s+(?:answer|option|choice|possibility|one)\b
      | (?:one|option|statement|choice|answer)\s+to\s+(?:choose|pick|select|go\s+with)\b )
    | \s?(?:가|이|번이)\s?(?:정답|답)""",
    re.I | re.X,
)
_THING = _any(
    "diagnosis treatment therapy drug step test management agent organism intervention explanation medication action"
)
IS_CORRECT = re.compile(
    rf"""{_IS_THE}(?:only\s+|single\s+|one\s+)?
    (?: (?:{_RIGHT}|{_LIKELY})\s+(?:answer|option|choice|one|response|statement)\b
      | answer\b
      | (?:correct|right)(?=\s*(?:[.,;:!)\n]|\Z|because\b|since\b|as\b|and\b|here\b)) )
    | {_IS_THE}{_any("correct best proper appropriate")}\s+(?:\w+\s+)?{_THING}\b
    | \s+(?:ist\s+|est\s+|es\s+|é\s+|è\s+)?(?:korrekt|richtig|correcte|correcta|correto|correta|corretta|juste)\b
    | \s?(?:项|項)?\s?(?:是)?(?:正确|正確|正しい)""",
    re.I | re.X,
)
IS_LIKELIEST = re.compile(
    rf"""{_IS_THE}(?:{_LIKELY}(?!(?<=accurate)\s+(?:test|method))
        |{_any("preferred recommended")}\s+{_any("choice option answer treatment drug agent therapy")}
        |\w+\s+of\s+choice|recommended|indicated|preferred)\b
    | \s+should\s+be\s+{_any("given used started administered prescribed performed chosen")}\b
    | \s+(?:fits?|matches|explains\s+(?:this|these|the\s+\w+)|works)\s+best\b
    | \s+best\s+{_any("fits matches explains describes accounts_for")}\b""",
    re.I | re.X,
)

# What may come before a label at the beginning of a clause: "I think B is correct", not "vitamin D is best".
CLAUSE_START = re.compile(
    rf"""(?:\A|[\n.!?:;,(\[\"'–—]|\b(?:option|choice|answer|letter|statement|{_ADVERB}|
    {_any("that so think believe say means mean and but since because only is as")}))[\s\"'(\[]*\Z""",
    re.I | re.X,
)
# What comes before a statement and cancels it: it is supposed, doubted, or about a wrong answer.
UNDONE = re.compile(
    rf"""\b(?:if(?!\s+(?:forced|pressed|i\s+(?:had|have|must)|one\s+(?:had|must)|we\s+(?:had|must)|asked|you\s+(?:need|want|insist))\b)
        |{_any("unless whether suppose supposing assuming otherwise")})\b
    | \A\W*(?:had|were|should)\s+{_any("she he it the they this there we you his her")}\b
    | (?:\b{_any("not never false wrong incorrect doubt doubtful deny disagree")}|n't)\b[^,;]*
      \b{_any("that think believe say mean agree")}\b[^,;]*\Z
    | \b{_any("wrong incorrect other another possible potential alternative previous tempting")}\s+\Z
    | \b{_any("not_the not_an not_a not_my least")}\s+\Z
    | (?:\bnot|\bnever|n't)\s+(?:the\s+)?\Z
    | \b(?:at\s+first\s+(?:glance|sight)|initially|my\s+first\s+(?:thought|guess|instinct)|one\s+might
        |might\s+(?:seem|think|say)|students?|commonly\s+(?:mis)?chosen|temptation|tempt(?:ing|ed)|distractor|some\s+(?:might|may|would)|could\s+argue
        |would\s+be\s+(?:the\s+)?(?:answer|correct)\s+if|looks?\s+like|many\s+(?:people|would))\b""",
    re.I | re.X,
)
BUT = re.compile(r",?\s\bbut\b(?!\s+not)|;|,\s+(?:yet|however)\b", re.I)
# An "if" after a statement: "the answer would be B if the patient were pregnant".
CONDITION_AFTER = re.compile(r"[\s()\].,]{0,3}(?:only\s+)?(?:if|unless|provided|assuming)\b", re.I)
_DENIAL = rf"""(?: {{no}}\b{_any("not never neither nor cannot against unlike unlikely")}
    |n't|\b(?:rul(?:e|es|ed|ing)\s+out|exclud\w+|eliminat\w+|incorrect\w*|wrong\w*)
    |\b{_any("instead_of rather_than other_than except")})\b
    [\s\"'(\[]*(?:\w+\s+){{{{0,3}}}}[\"'(\[]*\Z
    | \b{_any("without absence_of lack_of")}\b[\s\"'(\[]*
      (?:(?!contraindicat|establish|confirm|suggest|indicat|point|mak|argu|favor|support|mean)\w+\s+){{{{0,3}}}}[\"'(\[]*\Z
    | ❌\s*(?:option\s)?[(\[]?\Z"""
DENIED_BEFORE = re.compile(_DENIAL.format(no=""), re.I | re.X)
DENIED_OR_NO_BEFORE = re.compile(_DENIAL.format(no=r"\bno|"), re.I | re.X)
_REFUSED = _any(
    "incorrect wrong false unlikely less_likely ruled_out excluded eliminated inappropriate contraindicated "
    "less_appropriate less_suitable insufficient irrelevant not_indicated crossed_off crossed_out dismissed discarded"
)
DENIED_AFTER = re.compile(
    rf"""[)\]\"']*\W{{0,3}}{_REFUSED}\b | [)\]\"':.\s-]{{0,5}}❌
    | [)\]\"']*\s?(?:[:=–—]|-|->|→)\s?\(?(?:no|not|nope|{_REFUSED})\b
    | [)\]\"']*\.\s(?:this|that|it)\s(?:is|would\s+be)\s(?:not|{_REFUSED})\b
    | [)\]\"':,.]*\s*(?:\([^()]{{0,60}}\)\s*|\w+,\s*)?
      (?: {_any("is are was were would_be can_be has_been have_been seems seem could_be may_be")}
          \s+(?:\w+\s+){{0,2}}?(?:not|{_REFUSED})\b
        | (?:isn't|aren't|wasn't|cannot|can't|(?:does|do|would|could|should|did)(?:n't|\s+not))\b
        | (?:and|or)\s+[\w-]+\s+(?:are|were|(?:can|could|may)\s+be|have\s+been)\s+(?:both\s+)?(?:not|{_REFUSED})\b )""",
    re.I | re.X,
)
_VERDICT_RIGHT = r"(?:correct|right|true|yes|best|✅)"
AFFIRMED = re.compile(
    rf"✅|\.\scorrect\b|[:–—(\[→-]\s?(?:this\s+is\s+(?:the\s+)?)?{_VERDICT_RIGHT}\b|\bis\s+(?:the\s+)?{_VERDICT_RIGHT}\b",
    re.I,
)
REFUSED = re.compile(
    rf"❌|[:–—(\[→-]\s?(?:no|not)\b|\b(?:{_REFUSED})\b|\b(?:is|are|does|do|would|can|could|should)\s?(?:not|n't)\b|\b(?:isn|aren|doesn|wouldn)'t\b|\bcannot\b",
    re.I,
)
THUS = re.compile(rf"\b{_THUS}\b", re.I)
CONTRAST = re.compile(r"\b(?:however|but|instead|yet|nevertheless|although|in\s+this\s+(?:case|patient))\b", re.I)
# These retract an earlier statement.
RETRACTED = re.compile(
    r"""\b(?:correction|on\s+second\s+thought|scratch\s+that|i\s+(?:made\s+(?:a|an)\s+(?:mistake|error)|was\s+wrong|misread
      |need\s+to\s+correct|should\s+correct|take\s+(?:that|it)\s+back|apologi[sz]e|stand\s+corrected|change\s+my\s+(?:answer|mind)|must\s+correct)
      |let\s+me\s+(?:correct|revise|reconsider|rethink|re-?evaluate|fix|re-?check)|my\s+mistake|sorry|oops|revis(?:e|ed|ing)\s+my|upon\s+(?:reflection|review)
      |that(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+right|a\s+mistake)|actually)\b""",
    re.I | re.X,
)
# These may retract an earlier statement; on their own they do not say which answer is meant.
DOUBTED = re.compile(
    r"\b(?:wait(?=\W*(?:\Z|[,.:;!?…—–-]|(?:no|but|actually|is|the|that|if|what|let|i)\b))|hold\s+on|hmm+|however"
    r"|but\s+(?:let|then|wait|what|is|could)|alternatively|let's|although|or\s+(?:maybe|perhaps)"
    r"|let\s+me(?!\s+(?:know|explain|walk|break|go|outline|summari[sz]e|elaborate|show|justify|describe|clarify)\b)"
    r"|double[- ]check|are\s+we\s+sure|am\s+i\s+sure|not\s+(?:so\s+)?sure)\b",
    re.I,
)
TAKEN_BACK = re.compile(
    r"\b(?:(?:that|this|it)(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+(?:right|correct)|a\s+mistake)|i\s+was\s+wrong"
    r"|scratch\s+that|i\s+take\s+(?:that|it)\s+back|i\s+made\s+an?\s+(?:mistake|error))\b",
    re.I,
)

# --- how options are written ------------------------------------------------------------------------------------

QUOTED = re.compile(r"[\s\"'(\[]{0,9}")
MARKS = re.compile(r"[\s\"'(\[{$\\<>#•✅→|:-]{0,20}(?:\d{1,2}[.)]\s+)?[\s\"'(\[{$\\<>]{0,9}")
OPENING = re.compile(
    r"""[\s\"'(\[{$\\<>\#•✅→|:-]{0,20}(?:(?:either|both|only|just|clearly|again)\s+)?
    (?:(?:the\s+|la\s+|le\s+|el\s+|a\s+|die\s+|l')?
      (?:answer\s+)?(?:option|opt\.?|choice|letter|alternative|opci[óo]n|opção|opzione|lettre|letra|вариант|选项|選項|선택지|الخيار|विकल्प|ข้อ|item|number|statement)\b
      (?:\s+letter\b)?[\s\"'(\[{:\#]{0,9})?""",
    re.I | re.X,
)
LETTERED = re.compile(r"[(\[]?[A-Ja-j1-9](?:[)\].:]\s*[\"'(]?|\s\()")  # "(A) yes" if the answers have no labels
BESIDE = re.compile(r"[\s.:)\](\[\"'–—=|,-]{0,8}(?:(?:option|choice|answer|letter)\s)?[\s(\[\"']{0,4}", re.I)
CLOSING = re.compile(r"\s?[)\]\"']")
AND = re.compile(
    r"[()\[\]\"'\s]{0,6}(?:,\s*(?:and/or|and|or)\b|[,;/&+]|\b(?:and/or|and|or|und|et|y|ou|oder|和|或|と)\b)\s*(?:(?:maybe|perhaps|possibly)\s)?",
    re.I,
)
ARE = re.compile(r"\s+(?:are|were|both|seem|remain|stay|look|fit|apply|would\s+both|could\s+both)\b", re.I)
PLURAL = re.compile(r"\s+(?:are|were|both|would|could|can|may|might|seem|remain|stay|look|fit|apply|have|do)\b", re.I)
BOTH_BEFORE = re.compile(r"\b(?:both|either|neither)\s+(?:the\s+|options?\s+)?[(\[]?\Z", re.I)
OPENED = re.compile(r"\s*(?:\Z|\n|[.,;:!)(—–✅]|-\s|because\b|since\b|as\b|is\b|rather\s+than\b|instead\s+of\b)")
BRACKETED_END = re.compile(r"\((?:option\s|answer\s|choice\s)?([A-Za-z0-9])\)[\s.]*\Z", re.I)
# "Yes for men, no for women."
QUALIFIED = re.compile(r"\s+(?:for|in|if|when|among|with|at|after)\b")
SEVERAL = re.compile(r"\W{0,9}(?:both|either|neither)\b", re.I)
ARROW = re.compile(r"(?:→|[=-]>|∴)\s?")
# "Vitamin B12, not vitamin D", "ibuprofen rather than aspirin".
CONTRASTED = re.compile(
    r"(?:\b(?:rather\s+than|instead\s+of)|[,;(–—]\s?(?:and\s+)?not)\s+(?:the\s+|an?\s+|option\s+)?[(\[]?\Z", re.I
)
TAKEN = re.compile(
    r"""(?:\b(?:give|start|prescribe|use|administer|needs?|receive|supports|recommend|order|perform|begin|initiate|choose|favors?|try|should|must|answer|has|is|says?
      |that|suggests?|indicates?|confirms?|means|likely|probably|consistent\s+with|points?\s+to|due\s+to|called|deficiency\s+of|must\s+be
      |would\s+be|i\.e\.)|=)
    ,?\s*:?\s?(?:(?:her|him|them|the\s+patient|this\s+patient)\s+)?(?:with\s+)?
    (?:(?:the|an?|oral|iv|intravenous|acute|chronic|blood\s+type)\s+)?[(\[\"']?\Z""",
    re.I | re.X,
)
# "Nitrofurantoin 100 mg twice daily for 5 days."
DOSED = re.compile(
    r"(?:\s+(?:IV|IM|PO|oral|orally))?\s+\d[\d.,–-]*\s?(?:mg|g|mcg|µg|ml|units?|iu|meq|%)\b"
    r"(?:(?!\b(?:is|are|was|were|has|have|can|may|causes?|should|would|or|not)\b)[^.;:!?\n]){0,80}(?:[.(]|\Z|\n)",
    re.I,
)
DOSE = re.compile(r"\s\d")
MAYBE_ADVERB = re.compile(r"maybe\s+(?!not\b)\w", re.I)
QUALIFIED_BY = re.compile(r"\A\W*(?:but|or|and|unless|if|though)\b", re.I)
# Another answer that is also called correct.
ALSO_RIGHT = re.compile(r"\b(?:also|equally)\s+(?:be\s+)?(?:correct|right|valid|appropriate|acceptable)\b", re.I)
# A paragraph with a new question and its own options, with which small models continue.
NEW_ITEM = re.compile(r"^[^\n]{40,}\?[ \t]*\n+[ \t]*[(\[]?A[).:]\s", re.M)
JOINED = re.compile(r"[)\]\"'\s]{0,4}(?:and/or|and|or)\s+(?:option\s+)?[(\[\"']{0,2}", re.I)
OPTION_BEFORE = re.compile(r"\b(?:option|choice|letter|statement)s?[\s:(\[\"']*\Z", re.I)
BRACKET_BEFORE = re.compile(r"[(\[\"']\s*\Z")
BRACKET_AFTER = re.compile(r"\s*[)\]\"']")
LISTED_AFTER = re.compile(r"\s*[).:\]]")
VERB_AFTER = re.compile(r"\s+(?:is|was|are|would|can|cannot|does|has|seems|isn't)\b")
SENTENCE_END = re.compile(r"[.!?;](?=\s|\Z)|\n")
SENTENCE_START = re.compile(r"(?:\A|\n|[.!?;]\s)[\s\"'(\[•✅❌→-]*\Z")
PUNCTUATION = re.compile(r"[\s.,;:!?)\]}\"'$\\|>✅-]{0,30}")

_CARDINALS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_SUFFIXED = ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th"]
_ROMAN = {"ii": 2, "iii": 3, "iv": 4, "vi": 6, "vii": 7, "viii": 8}
NUMBERS = {
    **{word: n for words in (_CARDINALS, _ORDINALS, _SUFFIXED) for n, word in enumerate(words, 1)},
    **{str(n): n for n in range(1, 27)},
    **_ROMAN,
}
PLACE = re.compile(
    rf"""\b(?P<ordinal>{"|".join((*_ORDINALS, *_SUFFIXED, "last"))})
      \s+(?:(?:answer\s+)?(?:option|choice|answer|alternative|statement)\b|of\s+the(?:se)?\b(?:\s+\w+)?\s+options\b|of\s+these\b
        |(?:one|\w+)(?=\s+(?:listed|on\s+the\s+list)\b)|(?<=\bthe\slast\s)one(?=\W*\Z)|(?<=\bthe\sfirst\s)one(?=\W*\Z))
    | (?:\b(?:option|choice|alternative|answer)\s+(?:number\s+|no\.?\s*|\#\s?)?|\bnumber\s+|(?<!\w)\#)
      (?P<cardinal>{"|".join((*_CARDINALS, *_ROMAN))}|[1-9]|1\d|2[0-6])
      (?![\w%]|[.,]\d|\s?(?:mg|ml|g|of|days?|weeks?|hours?|years?|months?)\b)""",
    re.I | re.X,
)
ALL_ABOVE = re.compile(
    r"\s*all\s+(?:of\s+)?(?:the|these)\s+(?:above|options|others?)\s*\.?\s*|\s*all\s+of\s+these\s*\.?\s*", re.I
)
COMBINATION = re.compile(r"\s*(?:both\s+)?(?:options\s+)?(.+?)(?:\s+only|\s+are\s+(?:true|correct))?\s*\.?\s*", re.I)

# A bare mention is not a choice in the presence of these: doubt, a comparison, a list, a story.
UNDECIDED = re.compile(
    r"\b(?:might|may|could|can|consider(?:ed|ing)?|both|options|choices|either|better|worse|than|following|which|whether|was|were"
    r"|had|history|report(?:ed)?|case|study|studies|patients|compared|versus|vs|then|first|select|choose|depends?|if|or)\b",
    re.I,
)
# These describe an option rather than choosing it.
DESCRIBED = re.compile(
    r"(?:\s\([^()]{0,40}\))?,?\s+(?:(?:is|are|was|were)\s+(?:an?|the|one|used|known|caused|characterized|associated|often|commonly|found|not)\b"
    r"|(?:causes?|inhibits?|has|have|can|may|might|could|does|do|works?|increases?|decreases?|reduces?|acts?|blocks?|occurs?|presents?)\b)",
    re.I,
)

# --- lists, copies and continuations ----------------------------------------------------------------------------

# A line that begins another question, with which base models continue after their answer.
QUESTION_LINE = re.compile(
    r"^\s?(?:\d{1,3}[.)]\s*)?(?:(?:next|new|another|follow-?up|example|practice|multiple\s+choice)\s+)?(?:question|q|problem|human|user|instruction|input|exercise|case|passage|abstract|context)"
    r"(?:\s*#?\s?\d{1,4})?\s?[:.)]\s*",
    re.I | re.M,
)
EXPLANATION_LINE = re.compile(
    r"^\s?(?:explanations?|rationale|reasoning|why|here(?:'s|\s+is)\s+(?:why|the|an?)|justification|analysis|discussion|details|incorrect|other\s+options|why\s+not)\b[^\n]{0,60}$|\bexplanation\b\s?:",
    re.I | re.M,
)
YES_NO_QUESTION = re.compile(
    r"\b(?:yes|no)(?:\s?/\s?|\s+or\s+|-or-|\s+and\s+)(?:a\s+)?(?:no|yes)(?:(?:\s?/\s?|,?\s+or\s+)maybe)?[\"']?(?=[\s-]+(?:answer|question|response|format|reply|conclusion|decision|terms|type|basis)s?\b)",
    re.I,
)
# The letters of a list that the reply itself contains: "A) yes".
LIST_LETTER = r"(?:(?<=\s)|(?<=\A)|(?<=[(\[]))([A-J])[)\].:]\s*[\"']?"

# Words that may follow an answer but never follow an article or the determiner "no".
_CONNECTOR = _any(
    "according although and as based because but due for from given hence however i in instead it not or per rather "
    "since so that the then there therefore these they this though we where whereas which while with my your final "
    "best here over among porque car parce weil da"
)
# What comes after a word that stands alone. A period before a lowercase letter is an abbreviation: "E. coli".
STANDS_ALONE = re.compile(
    rf"""\s*\Z | \s*\n
    | [^\S\n]*[)\]}}:;,!?"<>|/→=]
    | '(?!\w)
    | \.(?:\.|\s*\Z|\s*\n|\s+(?:[^a-z\s]|(?i:{_CONNECTOR})\b)|[)"'\]}}<]|[A-Z][a-z])
    | [^\S\n]*[–—] | [^\S\n]*-- | [^\S\n]+-\s
    | [^\S\n]+[(\[&+]
    | [^\S\n]+(?i:{_CONNECTOR})\b
    | \\ | \$ | [^\S\n]*[✅❌→]
    | [^\S\n]*(?:है|입니다|이다|이에요|번|가|이\s|은|는|를|을|로|라고|です|だ|である|が|は|で
      |选项|选|项|項|是|因|正确|为|والسبب|لأن)""",
    re.X,
)
# A name at the end of a sentence or bracket.
ENDS = re.compile(r"\s*\Z|\s*\n|\s*[.)\];!?]")


def listed_item(label: str) -> re.Pattern[str]:
    """Return the pattern of a label that begins a list item anywhere: "b) "."""
    return re.compile(rf"(?<!\w){re.escape(label)}[).:]\s", re.I)
