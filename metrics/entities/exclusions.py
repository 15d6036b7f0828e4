"""Words that pipelines mark although they name no disease and no drug: organizations, dosing, lifestyle, bare nouns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .normalize import listed

_HEADS = (
    "Academy|Administration|Agency|Alliance|Associations?|Authority|Board|Bureau|Cent(?:er|re)s?|Charity|Clinics?|"
    "Coalition|Colleges?|Commission|Committee|Consortium|Council|Departments?|Federation|Foundation|Fund|Groups?|"
    "Guidelines?|Hospitals?|Initiative|Institut(?:e|ion)s?|Journal|League|Library|Ministry|Network|Offices?|"
    "Organi[sz]ations?|Programme|Project|Registry|Research UK|Service|Societ(?:y|ies)|Task Force|Trust|"
    "Universit(?:y|ies)|"
    "Annals|Archives|Hotline|Helpline|Lifeline"
)
# Capitalized words up to the head ("American Heart Association") and after it ("Institute of Diabetes and …").
_ORGANIZATION = re.compile(
    rf"\b(?:[A-Z][\w'’&-]*(?:,? (?:of|for|on|and|the|&))*,? )*(?:{_HEADS})\b(?:,? (?:of|for|on|and|the|in|&|"
    rf"[A-Z][\w'’-]*))*"
)
_SENTENCE_OPENERS = frozenset(["The", "A", "An", "According", "See", "Visit", "From", "By"])


def organizations(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of names of organizations."""
    for match in _ORGANIZATION.finditer(text):
        words = [each for each in match[0].split() if each[0].isupper() and each not in _SENTENCE_OPENERS]
        if len(words) > 1:
            end = match.end()
            while last := re.search(r",? (?:of|for|on|and|the|in|&)$", text[match.start() : end]):
                end = match.start() + last.start()
            yield match.start(), end


_ROOM_AIR = re.compile(r"(?<=% (?:on|in) )RA\b")


def outside(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans in which nothing is an entity: organizations, and the room air of "97% on RA"."""
    yield from organizations(text)
    yield from (match.span() for match in _ROOM_AIR.finditer(text))


# In normal form.
NO_ENTITIES = listed(
    """
    nil rumor rumour
    bd bid tds tid qid qds od qd qod prn po iv im sc sl pr stat qhs mane nocte hs ac pc q4h q6h q8h q12h ml mg mcg
    iu smoking smoke tobacco exercise diet walking sleep pregnancy breastfeeding lactation menopause aging age
    surgery lifestyle sex death mortality life stress-free healthy balanced drinking eating fasting travel work
    disease disorder syndrome condition illness sickness infirmity symptom sign complication problem side toxicity
    abnormality defect lesion damage discomfort bacteria virus poisoning hotline anger gas drug medication medicine
    medicament chemical substance agent compound treatment therapy dose tablet pill capsule water food air patient
    people person doctor er icu cdc nih who fda nhs nci aha acs uk us usa md gp mri ct ecg ekg eeg cbc bmi bp hr rr
    lab dna rna otc tto tta sats rupture helpline lifeline website leaflet black red blue yellow white brown
    """
) | {
    *("side effect", "adverse effect", "medical condition", "health problem", "medical problem", "physical activity"),
    *("underlying condition", "adverse reaction", "adverse event", "drug interaction", "physical exercise"),
    *("healthy diet", "balanced diet", "alcohol use", "tobacco use", "cigarette smoking", "smoking cessation"),
    *(
        "quitting smoking",
        "chronic disease",
        "chronic condition",
        "rare disease",
        "genetic disorder",
        "genetic disease",
    ),
    *("the disease", "disease process", "serious disease", "serious illness", "underlying disease"),
}
