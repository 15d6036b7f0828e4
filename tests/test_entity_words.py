"""Answers worded otherwise than the reference, over the shipped model and lists: concepts, assertion, exclusions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import assertions
import entity_pairs
import pytest
import specialty_assertions
import specialty_pairs
import synonyms
from entity_pairs import Pair
from medbench.core.types import Item, Output, Record
from medbench.metrics.entities import mentions, vocabulary
from medbench.metrics.entities.assertion import scopes, why_not
from medbench.metrics.entities.concepts import forms
from medbench.metrics.entities.exclusions import organizations
from medbench.metrics.entities.layout import prose
from medbench.metrics.entities.normalize import normalized
from medbench.metrics.entities.scores import RECALL, compare
from said import SAID


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        mentions._MEMORY.clear()
        yield
        mentions._MEMORY.clear()


def record(answer: str, reference: str, question: str = "?") -> Record:
    return Record(Item("i", question, references=(reference,)), Output("i", text=answer))


# Pairs


def measured(pair: Pair) -> tuple[Fraction | str, set[str]]:
    """Return recall and the invented words of a pair."""
    one = record(pair.answer, pair.reference, pair.question)
    value = RECALL.score([one])[0].value
    recall = "unscored" if value is None else Fraction(value).limit_denominator(50)
    return recall, {mention.text for mention in compare(one).invented}


def wanted(pair: Pair) -> tuple[Fraction | str, set[str]]:
    return ("unscored" if pair.recall == "unscored" else Fraction(pair.recall)), set(pair.invented)


@pytest.mark.parametrize("pair", entity_pairs.BUILT, ids=lambda pair: pair.answer[:40])
def test_pairs_it_was_built_on(pair: Pair) -> None:
    assert measured(pair) == wanted(pair)


@pytest.mark.parametrize(
    ("pairs", "right"),
    [
        (entity_pairs.MEASURED, 24),
        (entity_pairs.FRESH, 19),
        (specialty_pairs.FIRST, 29),
        (specialty_pairs.SECOND, 30),
        (specialty_pairs.LATER, 27),
        (specialty_pairs.LAST, 19),
    ],
)
def test_other_pairs(pairs: tuple[Pair, ...], right: int) -> None:
    """The numbers that docs/measurements.md gives."""
    assert sum(measured(pair) == wanted(pair) for pair in pairs) == right


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("A", 44),
        ("B", 44),
        ("C", 44),
        ("D", 44),
        ("E", 43),
        ("F", 42),
        ("G", 44),
        ("H", 42),
        ("I", 43),
        ("J", 53),
        ("K", 56),
    ],
)
def test_pairs_by_writers_who_saw_neither_rules_nor_lists(written: str, right: int) -> None:
    """The last column of the table in docs/measurements.md, which also gives the first score of each set."""
    lines = (Path(__file__).parent / "blind_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines if (row := json.loads(line))["set"] == written]
    pairs = [
        Pair(row["reference"], row["answer"], row["recall"], tuple(row["invented"]), row["question"]) for row in rows
    ]
    assert len(pairs) == (60 if written in "JK" else 44)
    assert sum(measured(pair) == wanted(pair) for pair in pairs) == right


# Words that mean the same


@pytest.mark.parametrize(
    ("said", "reference", "answer"),
    [
        *(
            (line, "Common findings are {} and fever.", "You may notice fever as well as {}.")
            for line in synonyms.SAME_DISEASE
        ),
        *((line, "Patients with {} need care.", "- **{}**: needs care") for line in synonyms.SAME_DISEASE),
        *((line, "{} and warfarin are used.", "Take Coumadin together with {}.") for line in synonyms.SAME_DRUG),
    ],
)
def test_a_synonym_is_recalled_and_not_invented(said: str, reference: str, answer: str) -> None:
    first, second = said.split("|")
    pair = Pair(reference.format(first), answer.format(second), "1")
    assert measured(pair) == wanted(pair)


@pytest.mark.parametrize("said", synonyms.DIFFERENT)
def test_words_that_only_look_alike_are_two_concepts(said: str) -> None:
    first, second = said.split("|")
    assert not set(forms(first)).intersection(forms(second))


def test_a_broader_word_for_what_the_reference_names_is_not_invented() -> None:
    reference = "Furosemide helps in rheumatoid arthritis."
    for answer in ("Lasix is a water pill.", "Lasix, a diuretic, helps this kind of arthritis."):
        assert not compare(record(answer, reference)).invented
    (invented,) = compare(record("Lasix is a statin.", reference)).invented
    assert invented.text == "statin"
    (invented,) = compare(record("Arthritis.", "No rheumatoid arthritis, but fever.")).invented
    assert invented.text == "Arthritis"


@pytest.mark.parametrize(
    ("reference", "answer", "recall", "invented"),
    [
        # A verb or "and" that the pipeline took along belongs to no mention.
        ("Benzoyl peroxide is used for acne vulgaris.", "Benzoyl peroxide clears acne.", "2/2", set()),
        ("Pertussis causes cyanosis and apnoea.", "Whooping cough: blue lips and apnea.", "3/3", set()),
        # Two drugs count as two, unless another text of the item names their combination.
        ("Paracetamol and codeine relieve gout.", "Tylenol relieves gout.", "2/3", set()),
        ("Paracetamol and codeine relieve gout.", "Co-codamol relieves gout.", "2/2", set()),
        ("Amoxicillin and clavulanate.", "Augmentin.", "1/1", set()),
        # The same words are one mention, however the pipeline cuts them in each text.
        ("It causes numbness and tingling in the fingers.", "It causes tingling in the fingers.", "1/2", set()),
        ("Melena needs care.", "Black, tarry stools need care.", "1/1", set()),
        ("FHx: father had gout. She has asthma.", "Asthma.", "1/1", set()),
        ("Mother had breast cancer. Asthma since 2010.", "Asthma.", "1/1", set()),
        ("Measles.", "Your daughter has measles.", "1/1", set()),
        # A clause says what a phrase says.
        (
            "It causes xerosis, epistaxis and bone pain.",
            "Skin may get dry, the nose keeps bleeding, bones hurt.",
            "3/3",
            set(),
        ),
        ("It causes hypercalcemia.", "Your blood calcium may be too high.", "1/1", set()),
        ("Gout.", "Gout. Dry and itchy: how the skin feels.", "1/1", {"itchy"}),
        ("Liver failure.", "The most common problem is liver failure.", "1/1", set()),
        ("Gout.", "Gout. My pain is back.", "1/1", {"pain"}),
        ("Gout.", "Gout. The tongue is red, eyes are normal.", "1/1", set()),
        ("Atorvastatin.", "Atorvastatin can lower cholesterol.", "1/1", {"cholesterol"}),
        ("Asthma.", "There is no evidence that people who have asthma should avoid milk.", "1/1", set()),
        ("It causes hypercalcemia.", "Your blood calcium is not high.", "0/1", set()),
        # A name with a word of negation in it denies nothing, and a denied name with one is denied.
        ("It causes amenorrhea and gout.", "It leads to absence of periods and gout.", "2/2", set()),
        ("It causes insomnia.", "You can't sleep.", "1/1", set()),
        ("It causes constipation.", "You can't poop.", "1/1", set()),
        ("It causes dysmenorrhea.", "There is no period pain.", "0/1", set()),
        ("Pneumonia.", "Lungs clear, pneumonia ruled out.", "0/1", set()),
        ("Pneumonia.", "There is no good evidence that it causes pneumonia.", "0/1", set()),
        ("Lupus causes flushing.", "Rosacea, often mistaken for lupus, causes flushing.", "1/2", {"Rosacea"}),
        ("Acute pancreatitis.", "Acute inflammation of the pancreas.", "1/1", set()),
        ("Croup.", "Croup. Sats 97% on RA.", "1/1", set()),
    ],
)
def test_what_is_one_mention(reference: str, answer: str, recall: str, invented: set[str]) -> None:
    assert measured(Pair(reference, answer, recall)) == (Fraction(recall), invented)


def test_a_diet_is_no_deficiency() -> None:
    reference = "Hypertension."
    for said, invented in (("eat a low sodium diet", ["sodium"]), ("low sodium, too", ["low sodium"])):
        assert [each.text for each in compare(record(f"Hypertension: {said}.", reference)).invented] == invented


def test_every_member_of_a_class_is_a_concept_of_the_vocabulary() -> None:
    for members in vocabulary.classes().values():
        assert members <= set(vocabulary.terms())


# Assertion


MARK = re.compile(r"\[([^\]]*)\]|\{([^}|]*)\|(\w)\}")


def parsed(line: str) -> tuple[str, list[tuple[int, int]], list[bool]]:
    """Return a marked sentence as text, places of its mentions, and whether each is not asserted."""
    line, text, spans, unsaid, done = line.replace("/", "\n"), "", [], [], 0
    for mark in MARK.finditer(line):
        text += line[done : mark.start()]
        words = mark[1] or mark[2]
        spans.append((len(text), len(text) + len(words)))
        unsaid.append(bool(mark[3]))
        text, done = text + words, mark.end()
    return text + line[done:], spans, unsaid


def found(text: str, spans: list[tuple[int, int]]) -> list[bool]:
    read = prose(text)
    scoped = list(scopes(read))
    places = [read.here(*span) or (0, 0) for span in spans]
    return [bool(why_not(scoped, start, end, drug=False)) for start, end in places]


@pytest.mark.parametrize(
    ("lines", "right", "all_"),
    [
        (assertions.BUILT, 60, 62),
        (assertions.MEASURED, 62, 63),
        (assertions.FRESH, 37, 38),
        (specialty_assertions.BUILT, 140, 146),
        (specialty_assertions.FIRST, 50, 50),
        (specialty_assertions.SECOND, 53, 55),
        (specialty_assertions.LATER, 48, 48),
        (specialty_assertions.LAST, 36, 36),
    ],
)
def test_what_sentences_assert(lines: list[str], right: int, all_: int) -> None:
    """The numbers that docs/measurements.md gives."""
    pairs = []
    for line in lines:
        text, spans, unsaid = parsed(line)
        pairs += zip(found(text, spans), unsaid, strict=True)
    assert (sum(said == truth for said, truth in pairs), len(pairs)) == (right, all_)


@pytest.mark.parametrize(
    ("text", "asserted", "unsaid"), SAID, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_what_short_texts_assert(text: str, asserted: tuple[str, ...], unsaid: tuple[str, ...]) -> None:
    said = " / ".join(mention.text.lower() for mention in compare(record(text, "Rest.")).invented)
    assert [word for word in asserted if word not in said] == [] and [word for word in unsaid if word in said] == []


def test_each_mention_tells_why_it_is_not_asserted() -> None:
    said = (
        "No fever. Call if you develop a rash. Vaccines prevent measles. Her mother had gout. "
        "It does not cause:\n- asthma\n- stroke"
    )
    found_ = {mention.text: mention.why_not for mention in compare(record(said, "Nausea.")).denied}
    assert found_ == {
        "fever": "denied",
        "rash": "condition",
        "measles": "prevented",
        "gout": "family",
        "asthma": "denied",
        "stroke": "denied",
    }


def test_a_condition_supposes_what_the_question_gives() -> None:
    answer, reference = "If you have gout, drink water.", "Gout is painful."
    assert RECALL.score([record(answer, reference)])[0].value == 0
    assert RECALL.score([record(answer, reference, "What helps with gout?")])[0].value == 1


def test_a_question_about_a_relative_is_about_them() -> None:
    answer, reference = "Your mother has gout.", "Gout."
    assert RECALL.score([record(answer, reference)])[0].value == 0
    assert RECALL.score([record(answer, reference, "What is wrong with my mother's toe?")])[0].value == 1


# Concepts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("headaches", "headache"), ("apnoea", "apnea"), ("goitre", "goiter"), ("oesophagitis", "esophagitis"),
        ("leukaemia", "leukemia"), ("foetal distress", "fetal distress"), ("paralyses", "paralysis"),
        ("diverticula", "diverticulum"), ("bullae", "bulla"), ("appendices", "appendix"), ("causes", "cause"),
        ("hospitalisation", "hospitalization"), ("aetiology", "etiology"), ("diagnoses", "diagnosis"),
        ("calculi", "calculus"), ("dyspnoeas", "dyspnea"), ("haemorrhages", "hemorrhage"), ("fibres", "fiber"),
    ],
)  # fmt: skip
def test_spelling_and_plurals(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("heart attack", "myocardial infarction"), ("acute heart attack", "acute myocardial infarction"),
        ("cancer of the breast", "breast cancer"), ("renal failure", "kidney failure"),
        ("Tylenol", "paracetamol"), ("severe headache", "headache"), ("anti-inflammatory", "antiinflammatory"),
    ],
)  # fmt: skip
def test_words_of_one_concept_share_a_form(one: str, other: str) -> None:
    assert set(forms(one)) & set(forms(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hypertension", "hypotension"), ("hyperglycemia", "hypoglycemia"), ("type 1 diabetes", "type 2 diabetes"),
        ("breast cancer", "lung cancer"), ("heart attack", "heart failure"), ("ibuprofen", "naproxen"),
        ("heat stroke", "stroke"), ("mild cognitive impairment", "cognitive impairment after stroke"),
    ],
)  # fmt: skip
def test_different_concepts_share_none(one: str, other: str) -> None:
    assert not set(forms(one)) & set(forms(other))


def test_no_phrase_of_the_vocabulary_names_two_concepts() -> None:
    seen: dict[str, str] = {}
    for name, _, others in vocabulary._rows("vocabulary.tsv"):
        for phrase in filter(None, (name, *others.split("|"))):
            form = normalized(phrase.removeprefix("~"))
            assert seen.setdefault(form, name) == name, phrase
    assert len(seen) > 4000


def test_an_ambiguous_abbreviation_is_what_the_item_speaks_of() -> None:
    def recall(answer: str, reference: str) -> float | None:
        return RECALL.score([record(answer, reference)])[0].value

    assert recall("MS.", "Multiple sclerosis.") == 1
    assert recall("MS.", "Mitral stenosis.") == 1
    assert recall("ED.", "Erectile dysfunction.") == 1
    assert recall("Go to the ED. Gout.", "Gout.") == 1
    assert compare(record("Go to the ED. Gout.", "Gout.")).invented == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The American Heart Association says so.", "The American Heart Association"),
        ("See the National Cancer Institute.", "See the National Cancer Institute"),
        ("Centers for Disease Control and Prevention data", "Centers for Disease Control and Prevention"),
        ("National Institute of Diabetes and Kidney Diseases.", "National Institute of Diabetes and Kidney Diseases"),
    ],
)  # fmt: skip
def test_organizations_are_no_diseases(text: str, name: str) -> None:
    ((start, end),) = organizations(text)
    assert text[start:end] == name


def test_the_heart_disease_clinic_word_alone_is_no_organization() -> None:
    assert list(organizations("Heart disease needs a clinic. The Group had asthma.")) == []


def test_recall_is_also_shown_by_label() -> None:
    records = [
        record("Fever, aspirin.", "Fever, cough, aspirin."),
        record("Asthma.", "Asthma."),
    ]
    scores = RECALL.score(records)
    assert [score.reason for score in scores] == ["CHEMICAL 1/1, DISEASE 1/2", "DISEASE 1/1"]
    figures = {figure.name: (figure.value, figure.n) for figure in RECALL.aggregate(records, scores)}
    assert figures == {
        "entity_recall": (pytest.approx((2 / 3 + 1) / 2), 2),
        "entity_recall[CHEMICAL]": (1, 1),
        "entity_recall[DISEASE]": (0.75, 2),
    }
