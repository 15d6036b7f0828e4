"""The split by components of documents that share an answer, and what counts as a near-duplicate question."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.benchmarks.sources.splits import near_duplicates, normalise, split_documents

SHARES = {"train": 80, "dev": 10, "test": 10}
PAIRS = st.lists(
    st.tuples(st.integers(0, 30).map("doc{}".format), st.integers(0, 60).map("Answer {}.".format)), max_size=60
)


@given(PAIRS, st.integers(0, 3))
def test_no_answer_and_no_document_is_in_two_splits(pairs, seed):
    splits = split_documents(pairs, SHARES, seed)
    assert len(splits) == len(pairs)
    assert set(splits) <= set(SHARES)
    for position in (0, 1):  # documents, then answers
        seen = defaultdict(set)
        for pair, split in zip(pairs, splits, strict=True):
            seen[pair[position]].add(split)
        assert all(len(found) == 1 for found in seen.values())


@given(PAIRS, st.integers(0, 3), st.randoms())
def test_the_order_of_the_pairs_does_not_matter(pairs, seed, shuffler):
    shuffled = pairs.copy()
    shuffler.shuffle(shuffled)
    before = dict(zip(pairs, split_documents(pairs, SHARES, seed), strict=True))
    after = dict(zip(shuffled, split_documents(shuffled, SHARES, seed), strict=True))
    assert before == after


def test_documents_chained_by_answers_are_one_component():
    # a-b share "x", b-c share "y", c-d share "z": all four go together, whatever the seed, though a and d share none.
    pairs = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z"), ("d", "z")]
    assert {len(set(split_documents(pairs, SHARES, seed))) for seed in range(20)} == {1}


def test_answers_that_differ_in_case_spacing_or_punctuation_are_shared():
    for seed in range(20):
        one, other = split_documents([("a", "Rest, and  drink."), ("b", "rest and drink")], {"x": 1, "y": 1}, seed)
        assert one == other


def test_sizes_are_the_shares_where_documents_are_single():
    splits = split_documents([(f"doc{n}", f"answer {n}") for n in range(1000)], SHARES, seed=0)
    assert Counter(splits) == {"train": 800, "dev": 100, "test": 100}


def test_a_boundary_is_off_by_at_most_half_the_largest_component():
    draw = random.Random(5)
    pairs = [(f"doc{n}", f"doc{n} says {k}") for n in range(200) for k in range(draw.randint(1, 9))]
    sizes = Counter(split_documents(pairs, SHARES, seed=0))
    assert abs(sizes["train"] - 0.8 * len(pairs)) <= 4.5  # 9 / 2
    assert abs(sizes["test"] - 0.1 * len(pairs)) <= 4.5


def test_the_seed_decides_who_goes_where():
    pairs = [(f"doc{n}", f"answer {n}") for n in range(100)]
    assert split_documents(pairs, SHARES, seed=0) == split_documents(pairs, SHARES, seed=0)
    assert split_documents(pairs, SHARES, seed=0) != split_documents(pairs, SHARES, seed=1)


def test_the_split_never_changes_between_versions():
    # By sha256 of "0\nd0", "0\nd1", … ten documents come in the order 4 1 3 8 2 5 7 0 6 9; the first eight are train.
    pairs = [(f"d{n}", f"answer {n}") for n in range(10)]
    splits = dict(zip((document for document, _ in pairs), split_documents(pairs, SHARES, seed=0), strict=True))
    assert [document for document, split in splits.items() if split == "dev"] == ["d6"]
    assert [document for document, split in splits.items() if split == "test"] == ["d9"]


def test_nothing_to_split():
    assert split_documents([], SHARES, seed=0) == []


def test_normalise_keeps_words_only_and_never_empties_a_text():
    assert normalise("  The “Heart”: a PUMP—of\nblood. ") == "the heart a pump of blood"
    assert normalise("???") == "???"


@pytest.mark.parametrize(
    "other",
    [
        "what is foo's disease of bone",  # case, punctuation
        "What is (are) Foo disease of the bone ?",  # possessive, article
        "What is Foo’s disease of bones?",  # typographic apostrophe, plural
        "Bone: what is Foo disease",  # order
    ],
)
def test_near_duplicates_are_the_same_words_put_differently(other):
    assert near_duplicates(["What is (are) Foo's Disease of Bone ?"], [other]) == [0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What are the symptoms of Foo disease ?", "What are the treatments for Foo disease ?"),
        ("What are the symptoms of Foo disease ?", "What are the symptoms of Bar disease ?"),
        ("What is (are) Foo disease type II ?", "What is (are) Foo disease type III ?"),
        ("What is (are) hepatitis A ?", "What is (are) hepatitis ?"),
        ("What is anemia with Foo ?", "What is anemia without Foo ?"),
        ("Is inherited Foo disease inherited ?", "What is inherited Foo disease ?"),
        ("What is (are) Foo ?", "What to do for Foo ?"),
    ],
)
def test_questions_that_differ_in_one_word_of_meaning_are_no_near_duplicates(one, other):
    assert near_duplicates([one], [other]) == []


def test_near_duplicates_gives_the_indices_of_the_questions():
    pool = ["What causes thalassemia ?", "How to prevent allergies ?"]
    assert near_duplicates(["What is gout ?", "What causes thalassemias ?", "how to prevent allergy"], pool) == [1, 2]
