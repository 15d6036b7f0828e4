"""The sample sets: counts, balance, lengths, no duplicates, correct arithmetic."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from medbench.benchmarks.medqa import MEDQA
from medbench.benchmarks.medquad import MEDQUAD
from medbench.benchmarks.pubmedqa import PUBMEDQA
from medbench.benchmarks.samples.benchmarks import MEDQA_SAMPLE, MEDQUAD_SAMPLE, PUBMEDQA_SAMPLE
from medbench.benchmarks.sources.files import Source
from medbench.core import registry
from medbench.core.types import Benchmark, Item

SAMPLES = {"pubmedqa-sample": PUBMEDQA_SAMPLE, "medqa-sample": MEDQA_SAMPLE, "medquad-sample": MEDQUAD_SAMPLE}
REAL = {"pubmedqa-sample": PUBMEDQA, "medqa-sample": MEDQA, "medquad-sample": MEDQUAD}

each_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES.keys())


def scored(sample: Benchmark) -> tuple[Item, ...]:
    return sample.load(Source()).items


def pool(sample: Benchmark) -> tuple[Item, ...]:
    return sample.load(Source()).shots


def everything(sample: Benchmark) -> tuple[Item, ...]:
    return scored(sample) + pool(sample)


def words(text: str) -> int:
    return len(text.split())


# --- what all three have in common ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "items", "shots"), [("pubmedqa-sample", 24, 4), ("medqa-sample", 40, 5), ("medquad-sample", 30, 4)]
)
def test_counts(name: str, items: int, shots: int) -> None:
    assert (len(scored(SAMPLES[name])), len(pool(SAMPLES[name]))) == (items, shots)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_registry_finds_a_sample_by_its_name_and_it_is_marked_as_one(name: str) -> None:
    found = registry.get("benchmarks", name)
    assert found is SAMPLES[name]
    assert (found.name, found.sample, found.licence, found.hub) == (name, True, "MIT", "")


def test_a_sample_has_the_prompt_and_the_metrics_of_the_benchmark_it_is_named_after() -> None:
    for name, sample in SAMPLES.items():
        assert sample.metrics == REAL[name].metrics
        for item in everything(sample):
            assert sample.question(item) == REAL[name].question(item)


def test_prompts() -> None:
    item = scored(PUBMEDQA_SAMPLE)[0]
    assert PUBMEDQA_SAMPLE.question(item) == f"Abstract: {item.context}\nQuestion: {item.question}\nAnswer:"
    item = scored(MEDQA_SAMPLE)[0]
    a, b, c, d = item.options
    assert MEDQA_SAMPLE.question(item) == f"Question: {item.question}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:"
    item = scored(MEDQUAD_SAMPLE)[0]
    assert MEDQUAD_SAMPLE.question(item) == f"Question: {item.question}\nAnswer:"


@each_sample
def test_ids_are_unique_and_the_pool_is_never_scored(sample: Benchmark) -> None:
    ids = [item.id for item in everything(sample)]
    assert len(set(ids)) == len(ids)
    assert not {item.question for item in scored(sample)} & {item.question for item in pool(sample)}
    assert not {item.references for item in scored(sample)} & {item.references for item in pool(sample)}


@each_sample
def test_no_text_is_empty_or_badly_spaced(sample: Benchmark) -> None:
    for item in everything(sample):
        assert item.references
        assert item.question.endswith("?")
        for text in (item.question, *item.options, *item.references, *item.context.split("\n"), *item.meta.values()):
            if text or not item.options:
                assert text == " ".join(text.split()), item.id
        assert all(item.options) and all(item.references) and all(item.meta.values()), item.id


@each_sample
def test_no_two_items_are_near_duplicates(sample: Benchmark) -> None:
    def pairs_of_words(item: Item) -> set[tuple[str, str]]:
        text = re.findall(r"[a-z0-9]+", " ".join((item.context, item.question, *item.references)).lower())
        return set(pairwise(text))

    def overlap(one: Item, other: Item) -> float:
        a, b = pairs_of_words(one), pairs_of_words(other)
        return len(a & b) / len(a | b)

    items = everything(sample)
    assert max(overlap(one, other) for one, other in combinations(items, 2)) < 0.2
    # The measure does see a duplicate: one changed word leaves almost every pair of words in place.
    assert overlap(items[0], replace(items[0], question="Really, " + items[0].question)) > 0.9


def test_samples_load_without_any_heavy_import() -> None:
    script = (
        "import sys; from medbench.benchmarks.samples import benchmarks as samples;"
        "[b.load(None) for b in (samples.PUBMEDQA_SAMPLE, samples.MEDQA_SAMPLE, samples.MEDQUAD_SAMPLE)];"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'spacy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []


# --- multiple choice -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [PUBMEDQA_SAMPLE, MEDQA_SAMPLE], ids=lambda sample: sample.name)
def test_gold_names_an_option_and_no_option_stands_twice(sample: Benchmark) -> None:
    for item in everything(sample):
        assert item.gold in range(len(item.options)), item.id
        assert len({option.casefold() for option in item.options}) == len(item.options), item.id


def test_pubmedqa_labels_are_balanced_and_the_pool_shows_each() -> None:
    assert Counter(item.options[item.gold or 0] for item in scored(PUBMEDQA_SAMPLE)) == {"yes": 9, "no": 9, "maybe": 6}
    assert {item.options[item.gold or 0] for item in pool(PUBMEDQA_SAMPLE)} == {"yes", "no", "maybe"}


def test_medqa_gold_positions_are_balanced() -> None:
    assert Counter(item.labels[item.gold or 0] for item in scored(MEDQA_SAMPLE)) == {"A": 10, "B": 10, "C": 10, "D": 10}


def test_medqa_gold_cannot_be_told_by_its_length() -> None:
    longest = [item for item in scored(MEDQA_SAMPLE) if max(item.options, key=len) == item.options[item.gold or 0]]
    assert len(longest) <= 0.4 * 40  # a quarter by chance


def test_medqa_covers_many_subjects() -> None:
    subjects = Counter(item.meta["subject"] for item in scored(MEDQA_SAMPLE))
    assert len(subjects) >= 15
    assert max(subjects.values()) <= 5


def test_medqa_has_four_options_and_a_rationale_of_one_sentence() -> None:
    for item in everything(MEDQA_SAMPLE):
        assert len(item.options) == len(item.labels) == 4
        (rationale,) = item.references
        assert rationale.endswith(".")
        assert len(re.findall(r"\. [A-Z]", rationale)) == 0, item.id
        assert 8 <= words(rationale) <= 45, item.id


# --- pubmedqa-sample: invented studies whose numbers agree with each other -----------------------------------------


def test_every_study_is_marked_as_invented() -> None:
    assert {item.meta["invented"] for item in everything(PUBMEDQA_SAMPLE)} == {"true"}
    assert PUBMEDQA_SAMPLE.load(Source()).notes == ("The studies in these abstracts are invented.",)


def test_abstracts_have_three_paragraphs_and_100_to_150_words() -> None:
    for item in everything(PUBMEDQA_SAMPLE):
        assert len(item.context.split("\n")) == 3, item.id
        assert 100 <= words(item.context) <= 150, item.id
        assert 8 <= words(item.references[0]) <= 45, item.id
        assert len(re.findall(r"\.(?: |$)", item.references[0])) in (1, 2), item.id


PERCENT = re.compile(r"([\d,]+)/([\d,]+) \((\d+\.\d)%")
EFFECT = re.compile(
    r"(?P<estimate>-?\d+(?:\.\d+)?)(?: [a-zA-Z/]+(?: [a-z]+)?)?(?: \(|; )"  # "1.28 (", "-3.1 points (", "0.65; "
    r"95% CI (?P<low>-?[\d.]+) to (?P<high>-?[\d.]+); p (?P<sign>[=<]) (?P<p>0\.\d+)"
)


def test_percentages_match_their_counts() -> None:
    found = [(item.id, *match) for item in everything(PUBMEDQA_SAMPLE) for match in PERCENT.findall(item.context)]
    assert len(found) > 80
    for item_id, part, whole, percent in found:
        share = 100 * int(part.replace(",", "")) / int(whole.replace(",", ""))
        assert abs(share - float(percent)) <= 0.0501, (item_id, part, whole, percent)


def test_intervals_and_p_values_agree() -> None:
    """A 95% interval is estimate ± 1.96 standard errors, for a ratio on the scale of its logarithm, and p is the two
    tails beyond estimate / standard error. What is printed is rounded, so p has to lie in what the rounding allows."""
    for item in everything(PUBMEDQA_SAMPLE):
        effects = list(EFFECT.finditer(item.context))
        assert len(effects) == item.context.count("; p "), item.id  # the pattern misses none
        for match in effects:
            lead = item.context[max(0, match.start() - 60) : match.start()]
            is_ratio = not re.search(r"(difference of|differed by) $", lead)
            estimate, low, high = (float(match[name]) for name in ("estimate", "low", "high"))
            assert low < estimate < high, (item.id, match[0])
            excludes_null = not low <= (1 if is_ratio else 0) <= high
            p = float(match["p"])
            assert excludes_null == (p < 0.05), (item.id, match[0])

            half = 0.5 * 10 ** -len(match["low"].partition(".")[2])
            candidates = [two_tails(low + i * half, high + j * half, is_ratio) for i in (-1, 1) for j in (-1, 1)]
            if match["sign"] == "<":
                assert min(candidates) < p, (item.id, match[0])
            else:
                # Student's t with few patients is a little wider than the normal curve.
                assert min(candidates) * 0.9 - 0.006 <= p <= max(candidates) * 1.1 + 0.006, (item.id, match[0])


def two_tails(low: float, high: float, is_ratio: bool) -> float:
    """p of the estimate in the middle of a 95% interval."""
    if is_ratio:
        low, high = math.log(low), math.log(high)
    z = abs(low + high) / 2 / ((high - low) / (2 * 1.96))
    return math.erfc(z / math.sqrt(2))


def test_two_tails_on_a_known_case() -> None:
    assert two_tails(0.0, 2 * 1.96, is_ratio=False) == pytest.approx(0.05, abs=1e-4)  # z = 1.96
    assert two_tails(1.0, math.exp(2 * 1.96), is_ratio=True) == pytest.approx(0.05, abs=1e-4)


def test_group_sizes_add_up() -> None:
    """Where the methods give a number randomized and two groups, the groups add up to it."""
    checked = 0
    for item in everything(PUBMEDQA_SAMPLE):
        methods = item.context.split("\n")[1]
        sizes = [int(n.replace(",", "")) for n in re.findall(r"\(n = ([\d,]+)\)", methods)]
        total = re.search(r"\b([\d,]{3,})(?: [a-z-]+)? (?:adults|infants|nurses|women|patients)\b", methods)
        if len(sizes) == 2 and total:
            assert sum(sizes) == int(total[1].replace(",", "")), item.id
            checked += 1
    assert checked >= 8


# --- medquad-sample ------------------------------------------------------------------------------------------------


def test_answers_have_50_to_110_words() -> None:
    for item in everything(MEDQUAD_SAMPLE):
        assert 50 <= words(item.references[0]) <= 110, item.id


def test_some_documents_hold_two_questions_and_none_is_both_scored_and_in_the_pool() -> None:
    documents = Counter(item.meta["document"] for item in scored(MEDQUAD_SAMPLE))
    assert Counter(documents.values()) == {1: 14, 2: 8}  # 14 + 2 * 8 = 30
    assert not set(documents) & {item.meta["document"] for item in pool(MEDQUAD_SAMPLE)}


def test_questions_of_one_document_have_one_focus_and_several_types() -> None:
    by_document: dict[str, list[Item]] = {}
    for item in everything(MEDQUAD_SAMPLE):
        by_document.setdefault(item.meta["document"], []).append(item)
    for items in by_document.values():
        assert len({item.meta["focus"] for item in items}) == 1
        assert len({item.meta["question_type"] for item in items}) == len(items)


def test_every_answer_says_when_to_seek_care_or_whom_to_ask() -> None:
    advice = re.compile(r"doctor|emergency|hospital|health professional|specialist|get (urgent |prompt )?care", re.I)
    for item in everything(MEDQUAD_SAMPLE):
        assert advice.search(item.references[0]), item.id
