"""Entity metrics compared with explicit arithmetic, over a pipeline that finds given entities (made_pipeline)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import made_pipeline
import negation
import pytest
import spacy
from medbench.core import registry
from medbench.core.errors import UsageError
from medbench.core.types import Item, Metric, Output, Record
from medbench.metrics.entities import items as read_together
from medbench.metrics.entities import mentions, pipelines
from medbench.metrics.entities import scores as entities
from medbench.metrics.entities.mentions import Analysis, FoundMention, abbreviations
from medbench.metrics.entities.negation import negated
from medbench.metrics.entities.normalize import normalized
from medbench.metrics.entities.scores import F1, HALLUCINATED, PRECISION, RECALL, compare

METRICS = (RECALL, PRECISION, F1, HALLUCINATED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(made_pipeline.save(tmp_path_factory.mktemp("pipeline") / "toy"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    mentions._MEMORY.clear()
    yield tmp_path / "cache"
    mentions._MEMORY.clear()


def record(answer: str | None, *references: str, question: str = "?", context: str = "", error: str = "") -> Record:
    item = Item("i", question, context=context, references=references)
    return Record(item, Output("i", text=answer, error=error or None))


def values(folder: str, *of: Record) -> dict[str, float | str | None]:
    """The value of each metric for one record, or why it has none."""
    found = {}
    for metric in METRICS:
        (score,) = metric.with_setting(folder).score(of)
        found[metric.name] = score.reason if score.value is None else score.value
    return found


def four(recall: float | str, precision: float | str, f1: float | str, rate: float | str) -> dict[str, float | str]:
    return dict(zip([metric.name for metric in METRICS], [recall, precision, f1, rate]))


def test_shares_of_sets_of_concepts(folder: str) -> None:
    # Reference: fever, cough, aspirin, insulin. Answer: fever (twice), aspirin, rash. Shared: fever, aspirin.
    one = record("Fever. A fever, so aspirin, and a rash.", "Fever and cough: aspirin, insulin.")
    assert values(folder, one) == four(2 / 4, 2 / 3, 2 * 2 / (3 + 4), 1 / 3)


def test_what_question_or_context_mention_is_not_invented(folder: str) -> None:
    answer, reference = "Fever, rash, aspirin and insulin.", "Fever."
    plain = values(folder, record(answer, reference))
    asked = values(folder, record(answer, reference, question="Is a rash bad?"))
    given = values(folder, record(answer, reference, question="Is a rash bad?", context="She takes aspirin."))
    assert [each["hallucinated_entity_rate"] for each in (plain, asked, given)] == [3 / 4, 2 / 4, 1 / 4]
    assert {each["entity_precision"] for each in (plain, asked, given)} == {1 / 4}  # precision asks the reference alone


def test_a_negated_mention_recalls_no_asserted_one_nor_the_other_way_round(folder: str) -> None:
    assert values(folder, record("No fever, but a cough.", "Fever and cough."))["entity_recall"] == 1 / 2
    # The reference asserts cough alone; the answer's fever is one that the reference denies.
    assert values(folder, record("Fever and cough.", "Cough, no fever.")) == four(1, 1 / 2, 2 / 3, 1 / 2)
    # What is denied is neither wanted nor counted against the answer.
    assert values(folder, record("Cough, no fever.", "Cough without fever.")) == four(1, 1, 1, 0)


def test_a_concept_asserted_anywhere_is_asserted(folder: str) -> None:
    assert values(folder, record("No fever today. Fever yesterday.", "Fever."))["entity_recall"] == 1


def test_a_mention_that_the_question_denies_may_be_talked_about(folder: str) -> None:
    asked = record("Fever is common.", "Rash.", question="I have no fever. Is that odd?")
    assert values(folder, asked)["hallucinated_entity_rate"] == 0


def test_the_best_reference_counts_and_all_of_them_support(folder: str) -> None:
    # Against the first: 1 of 1 recalled, 1 of 3 precise. Against the second: 2 of 4 recalled, 2 of 3 precise.
    one = record("Fever, cough, aspirin.", "Fever.", "Cough, aspirin, insulin, rash.")
    assert values(folder, one) == four(1, 2 / 3, 2 * 2 / (3 + 4), 0)


def test_an_answer_without_entities(folder: str) -> None:
    why = entities.NONE_ASSERTED
    assert values(folder, record("See a doctor.", "Fever.")) == four(0, why, 0, why)
    assert values(folder, record("", "Fever.")) == four(0, why, 0, why)
    assert values(folder, record("No fever.", "Fever.")) == four(0, why, 0, why)


@pytest.mark.parametrize(
    ("flawed", "why"),
    [
        (record("Fever.", "Nothing much."), entities.NO_ENTITY),
        (record("Fever.", "No fever."), entities.NO_ENTITY),
        (record("Fever."), "no reference answer"),
        (record("Fever.", "  "), "no reference answer"),
        (record(None, "Fever.", error="out of memory"), "error: out of memory"),
        (Record(Item("i", "?", options=("a", "b"), gold=0), Output("i", logprobs=(-1.0, -2.0))), "no generated answer"),
    ],
)
def test_unscored_is_never_zero(folder: str, flawed: Record, why: str) -> None:
    assert values(folder, flawed) == four(why, why, why, why)


def test_an_empty_reference_beside_a_real_one_changes_nothing(folder: str) -> None:
    assert values(folder, record("Fever.", "", "Fever and rash.")) == four(1 / 2, 1, 2 / 3, 0)


def test_abbreviations_match_where_a_text_defines_them(folder: str) -> None:
    long, short = "Type 2 diabetes mellitus", "T2DM"
    assert values(folder, record("TTDM is common.", f"{long}."))["entity_recall"] == 0  # nobody defines it
    assert values(folder, record(f"{short} is common.", f"{long}.")) == four(1, 1, 1, 0)  # by our list
    for one in (
        record(f"{long} ({short}). {short} is common.", f"{long}."),
        record(f"{short} is common.", f"{long} ({short}) is common."),
        record(f"{short} is common.", f"{long}.", question=f"What is {long.lower()} ({short})?"),
        record(f"{long}.", f"{short}.", context=f"In {long.lower()} ({short}), sugar is high."),
    ):
        assert values(folder, one) == four(1, 1, 1, 0), one


@pytest.mark.parametrize(
    ("mention", "kept"),
    [
        ("T2DM) damages nerves", "T2DM"),
        ("obesity (a disease", "obesity"),
        ("vitamin D (2)", "vitamin D (2)"),
        ("poly (ADP [ribose) polymerase", "poly"),
        (") of", ""),
    ],
)
def test_a_mention_ends_where_a_bracket_parts_it(mention: str, kept: str) -> None:
    doc = spacy.blank("en")(mention)
    assert mentions._whole(doc[:]).text == kept


def test_an_abbreviation_is_one_concept_with_its_long_form(folder: str) -> None:
    # Reference: type 2 diabetes mellitus = T2DM, and rash: two concepts, one of them recalled.
    one = record("T2DM.", "Type 2 diabetes mellitus (T2DM) with a rash. T2DM lasts.")
    assert values(folder, one) == four(1 / 2, 1, 2 / 3, 0)


def at(text: str, *parts: str) -> list[FoundMention]:
    """Mentions of a text, as a pipeline finds them."""
    starts = [text.index(part) for part in parts]
    return [FoundMention(p, start, start + len(p), "", (normalized(p),)) for p, start in zip(parts, starts)]


@pytest.mark.parametrize(
    ("parts", "mentions_left"),
    [
        (["mood disorder"], ["Cocaine-induced mood disorder"]),
        (["Cocaine", "mood disorder"], ["Cocaine-induced mood disorder"]),
        (["Cocaine"], ["Cocaine"]),  # none ends it: the pipeline does not hold the whole for an entity
        (["Cocaine", "rash"], ["Cocaine", "rash"]),
    ],
)
def test_a_long_form_is_one_mention_where_one_ends_it(parts: list[str], mentions_left: list[str]) -> None:
    text, long = "Cocaine-induced mood disorder and a rash.", {"CIMD": "cocaine-induced mood disorder"}
    left = read_together._written_out(Analysis(tuple(at(text, *parts)), long), text, {})
    assert [each.text for each in left] == mentions_left
    assert [each.forms[0] for each in left] == [normalized(each) for each in mentions_left]
    assert all(text[each.start : each.end] == each.text for each in left)


def test_the_parts_of_a_long_form_are_not_missed_where_its_abbreviation_recalls_it(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Some pipelines find "type 2" and "diabetes mellitus" in it."""
    question, answer, reference = "What is type 2 diabetes mellitus (T2DM)?", "T2DM.", "Type 2 diabetes mellitus."
    split = {
        question: at(question, "type 2", "diabetes mellitus", "T2DM"),
        answer: at(answer, "T2DM"),
        reference: at(reference, "Type 2", "diabetes mellitus"),
    }

    def read(pipeline: pipelines.Pipeline, texts: list[str]) -> Iterator[Analysis]:
        return (Analysis(tuple(split.get(text, ())), abbreviations(text)) for text in texts)

    monkeypatch.setattr(mentions, "_read", read)
    assert values(folder, record(answer, reference, question=question)) == four(1, 1, 1, 0)


def test_an_abbreviation_that_the_pipeline_passes_over_is_a_mention(folder: str) -> None:
    # "HA" is no entity of the pipeline's own; the question makes it one.
    question = "Is a heart attack (HA) painful?"
    assert values(folder, record("HA hurts.", "A heart attack.", question=question)) == four(1, 1, 1, 0)
    assert values(folder, record("No HA, but fever.", "HAs and fever.", question=question))["entity_recall"] == 1 / 2
    # What is no entity in full is none in short.
    asked = "Is a magnetic resonance scan (MRS) needed?"
    assert values(folder, record("MRS. Fever.", "Fever.", question=asked)) == four(1, 1, 1, 0)


def test_plural_case_and_punctuation_do_not_matter(folder: str) -> None:
    assert values(folder, record("HEART ATTACKS", "A heart-attack? A heart attack."))["entity_recall"] == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Heart attacks", "heart attack"),
        ("Parkinson's disease", "Parkinson disease"),
        ("Crohn’s disease", "crohn disease"),
        ("the anti-inflammatory drugs", "anti inflammatory drug"),
        ("haemorrhages", "hemorrhage"),
        ("oedema", "edema"),
        ("Diarrhoea", "diarrhea"),
        ("anaemia", "anemia"),
        ("tumours", "tumor"),
        ("metastases", "metastasis"),
        ("thromboses", "thrombosis"),
        ("allergies", "allergy"),
        ("β-blockers", "beta blocker"),
        ("Sjögren's syndrome", "Sjogren syndrome"),
        ("NSAIDs", "NSAID"),
        ("viruses", "virus"),
        ("carcinomata", "carcinoma"),
        ("diseases", "disease"),
    ],
)
def test_forms_of_one_term_are_equal(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("type 1 diabetes", "type 2 diabetes"), ("AIDS", "aid"), ("virus", "viru"), ("hepatitis B", "hepatitis C")],
)
def test_different_terms_are_not(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


def test_abbreviations_are_those_that_the_text_defines() -> None:
    text = "Angiotensin-converting enzyme (ACE) inhibitors treat chronic heart failure (CHF). See above (p. 3)."
    assert abbreviations(text) == {"ACE": "Angiotensin-converting enzyme", "CHF": "chronic heart failure"}
    assert abbreviations("No brackets.") == {}


def test_lemmas_and_ids_join_what_words_do_not() -> None:
    def found(text: str, *forms: str) -> FoundMention:
        return FoundMention(text, 0, len(text), "", (text, *forms))

    def keys(*one_text_each: FoundMention) -> list[str]:
        read = {each.text: Analysis((each,)) for each in one_text_each}
        return [each[0].key for each in read_together.resolved(list(read), read).values()]

    same = keys(found("ran a fever", "run a fever"), found("runs a fever", "run a fever"))
    assert same[0] == same[1] == "runs a fever"  # the longest form is the key
    linked = keys(found("mi", "kb:C1"), found("heart attack", "kb:C1"), found("stroke", "kb:C2"))
    assert linked == ["heart attack", "heart attack", "stroke"]


def test_one_text_s_abbreviation_is_not_another_s() -> None:
    def analysis(long: str) -> Analysis:
        return Analysis((FoundMention("MS", 0, 2, "", ("ms",)),), {"MS": long})

    read = {"a": analysis("multiple sclerosis"), "b": analysis("mitral stenosis")}
    first, second = (each[0].key for each in read_together.resolved(["a", "b"], read).values())
    assert (first, second) == (normalized("multiple sclerosis"), normalized("mitral stenosis"))


def test_a_short_form_inside_a_mention_is_written_out() -> None:
    for text in ("acute MI", "acute MIs"):
        (found,) = at(text, text)
        written = read_together._expanded(found, {"MI": ("myocardial infarction",)})
        assert written.forms[0] == "acute myocardial infarction"


def test_compare_sorts_every_mention(folder: str) -> None:
    one = record(
        "Take aspirin for fever, not ibuprofen. A rash or asthma may follow.",
        "Nothing here.",
        "Aspirin lowers fever; no cough. Insulin does not matter.",
        "Asthma.",
        question="Aspirin or metformin for my rash?",
    )
    found = compare(one, folder)

    def texts(kind: tuple[entities.Mention, ...]) -> list[str]:
        return [mention.text for mention in kind]

    assert found.reference.startswith("Aspirin lowers fever")
    assert texts(found.supported) == ["aspirin", "fever"]
    assert texts(found.allowed) == ["rash", "asthma"]  # of the question; of another reference
    assert texts(found.invented) == []
    assert texts(found.denied) == ["ibuprofen"]
    assert texts(found.recalled) == ["Aspirin", "fever"]
    assert texts(found.missed) == ["Insulin"]
    assert texts(found.reference_denied) == ["cough"]
    for mention in found.supported + found.allowed + found.denied:
        assert found.answer[mention.start : mention.end] == mention.text
    for mention in found.recalled + found.missed:
        assert found.reference[mention.start : mention.end] == mention.text
    assert found.supported[0].label == "CHEMICAL"
    assert found.supported[0].key == found.recalled[0].key


def test_compare_counts_as_the_metrics_do(folder: str) -> None:
    one = record("Fever. A fever, so aspirin, and a rash.", "Fever and cough: aspirin, insulin.")
    found = compare(one, folder)
    said = {mention.key for mention in found.supported + found.allowed + found.invented}
    wanted = {mention.key for mention in found.recalled + found.missed}
    shared = {mention.key for mention in found.recalled}
    scores = values(folder, one)
    assert scores["entity_recall"] == len(shared) / len(wanted)
    assert scores["entity_precision"] == len(shared) / len(said)
    assert scores["hallucinated_entity_rate"] == len({mention.key for mention in found.invented}) / len(said)


@pytest.mark.parametrize("one", [record("Fever."), record(None, "Fever.", error="gone"), record("", "")])
def test_compare_shows_what_there_is(folder: str, one: Record) -> None:
    found = compare(one, folder)
    assert len(found.invented) == (one.output.text == "Fever.")
    assert len(found.missed) == (one.item.references == ("Fever.",))


# Names and versions


def test_the_pipeline_is_part_of_the_name(folder: str) -> None:
    for metric in METRICS:
        assert metric.canonical_name == f"{metric.name}:medbench_bc5cdr"
        assert entities.canonical(metric.name) == metric.canonical_name
        named = metric.with_setting(folder)
        assert named.name == named.canonical_name == f"{metric.name}:{folder}"
        assert named.with_setting(folder) == named
        # The path is in the name, so that a stored run can be scored again.
        assert metric.with_setting(named.name.partition(":")[2]) == named
        assert (named.better, named.dimension, named.unit) == (metric.better, "accuracy", "0..1")


def test_a_relative_folder_is_named_by_its_whole_path(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(folder).parent)
    pipelines.find.cache_clear()
    assert RECALL.with_setting("./toy").name == f"entity_recall:{folder}"


def test_an_unknown_pipeline_is_told_before_anything_runs() -> None:
    with pytest.raises(UsageError, match=r"no entity model is called 'en_core_scy'.*Did you mean en_core_sci_"):
        RECALL.with_setting("en_core_scy")


def test_the_version_tells_pipelines_apart(folder: str, tmp_path: Path) -> None:
    other = made_pipeline.save(tmp_path / "other")
    (other / "entity_ruler" / "patterns.jsonl").write_text('{"label":"DISEASE","pattern":"gout"}\n')
    versions = {RECALL.with_setting(folder).version, RECALL.with_setting(str(other)).version, RECALL.version}
    assert len(versions) == 3
    assert RECALL.with_setting(folder).version == F1.with_setting(folder).version


def test_they_are_plugins_and_metrics(folder: str) -> None:
    for metric in METRICS:
        assert registry.get("metrics", metric.name) is metric
        assert isinstance(metric, Metric)
        assert registry.get("metrics", f"{metric.name}:{folder}") == metric.with_setting(folder)


def test_the_figure_is_the_mean_over_what_is_scored(folder: str) -> None:
    records = [record("Fever.", "Fever."), record("Rash.", "Fever."), record("Fever.", "Nothing.")]
    metric = RECALL.with_setting(folder)
    scores = metric.score(records)
    assert [score.value for score in scores] == [1, 0, None]
    (figure,) = metric.aggregate(records, scores)
    assert (figure.name, figure.value, figure.n, figure.total) == (metric.name, 0.5, 2, 3)
    (rate,) = HALLUCINATED.with_setting(folder).aggregate([], [])
    assert (rate.better, rate.value) == ("lower", None)


# What was read before


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that a pipeline reads from now on."""
    read: list[str] = []
    real = mentions._read

    def counted(pipeline: pipelines.Pipeline, texts: list[str]) -> Iterator[Analysis]:
        read.extend(texts)
        return real(pipeline, texts)

    monkeypatch.setattr(mentions, "_read", counted)
    return read


def test_a_text_is_read_once(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reads(monkeypatch)
    records = [record(answer, "Fever and cough.", question="Why?") for answer in ("Fever.", "Rash.", "Fever.")]
    for metric in METRICS:
        metric.with_setting(folder).score(records)
    assert sorted(read) == ["", "Fever and cough.", "Fever.", "Rash.", "Why?"]


def test_the_next_process_reads_the_cache(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [record("T2DM, no fever.", "Type 2 diabetes mellitus (T2DM).")]
    before = values(folder, *records)
    mentions._MEMORY.clear()  # as a new process begins
    read = count_reads(monkeypatch)
    assert values(folder, *records) == before
    assert read == []


def test_another_pipeline_reads_for_itself(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = made_pipeline.save(tmp_path / "other")
    (other / "entity_ruler" / "patterns.jsonl").write_text('{"label":"DISEASE","pattern":"gout"}\n')
    values(folder, record("Fever.", "Fever."))
    read = count_reads(monkeypatch)
    assert values(str(other), record("Turmeric.", "Turmeric."))["entity_recall"] == entities.NO_ENTITY
    assert "Turmeric." in read


@pytest.mark.parametrize("broken", ["file", "rows", "folder"])
def test_a_broken_cache_is_done_without(folder: str, cache: Path, broken: str) -> None:
    records = [record("Fever.", "Fever.")]
    expected = values(folder, *records)
    mentions._MEMORY.clear()
    (path,) = (cache / "entities").iterdir()
    if broken == "file":
        path.write_bytes(b"not a database" * 100)
    elif broken == "rows":
        import sqlite3

        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE analyses SET found = '[[1]]'")
    else:
        path.unlink()
        path.parent.rmdir()
        path.parent.write_text("a file where the folder should be")
    assert values(folder, *records) == expected


# Negation


MARKED = re.compile(r"\[([^\]]*)\]|\{([^}]*)\}")


def parsed(line: str) -> tuple[str, list[tuple[int, int]], list[bool]]:
    """A marked sentence as (text, spans of its mentions, whether each is denied)."""
    text, spans, denied, done = "", [], [], 0
    for mark in MARKED.finditer(line):
        text += line[done : mark.start()]
        mention = mark[1] or mark[2]
        spans.append((len(text), len(text) + len(mention)))
        denied.append(mark[2] is not None)
        text, done = text + mention, mark.end()
    return text + line[done:], spans, denied


@pytest.mark.parametrize("line", negation.BUILT)
def test_negation_of_the_sentences_it_was_built_on(line: str) -> None:
    text, spans, denied = parsed(line)
    assert negated(text, spans) == denied


def test_negation_of_sentences_it_was_not_built_on() -> None:
    """The numbers that docs/measurements.md gives. A change of the detector that moves them has to say so there."""
    pairs = []
    for line in negation.MEASURED:
        text, spans, denied = parsed(line)
        pairs += zip(negated(text, spans), denied, strict=True)
    assert len(pairs) == 117
    assert sum(said == truth for said, truth in pairs) == 116
    assert sum(said and truth for said, truth in pairs) == 51  # of the 52 that are denied
    assert not any(said and not truth for said, truth in pairs)


@pytest.mark.parametrize(
    "line",
    [
        "If no {fever}, [sepsis] is still possible.",
        "If no {fever}, [sepsis] and [meningitis] remain possible.",
        "If there is no {fever}, think of [sepsis].",
        "If no {fever}, {chills} or {cough}, think of [sepsis].",
        "[Sepsis] is possible if no {fever}, {chills} or {cough} is there.",
        "No {fever}, [cough] is mild.",
        "No {fever}, {chills} or {cough}.",
        "No {fever}, {chills}, or {cough} was reported.",
        "He denies {fever}, {chills} and {cough}.",
        "He denies {fever}, [cough] was noted.",
        "No {fever}, {rash} that is itchy.",
    ],
)
def test_a_denial_ends_where_another_clause_begins(line: str) -> None:
    text, spans, denied = parsed(line)
    assert negated(text, spans) == denied


def test_negation_does_not_pass_the_sentence_s_end() -> None:
    text = "He has no fever.\nCough is bad; no rash. Dose 0.5 mg of aspirin."
    spans = [(text.index(word), text.index(word) + len(word)) for word in ("fever", "Cough", "rash", "aspirin")]
    assert negated(text, spans) == [True, False, True, False]
    assert negated(text, []) == []
    assert negated("", []) == []
