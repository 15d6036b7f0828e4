"""Which items of a benchmark are in training data, in three ways, and when training is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from medbench.benchmarks import liveqa, medquad
from medbench.benchmarks.leaks import COMMON, Leaks, find
from medbench.benchmarks.sources.files import Source
from medbench.core.types import Item
from medbench.training.example import Example
from medbench.training.leak_refusal import refusal, report

# Sixteen words, so that there are four runs of thirteen.
VIGNETTE = "A man of 61 years has had a dry cough, night sweats and fever since early spring."
ANSWER = "Gout is caused by crystals of uric acid that settle in joints and make them swell."  # sixteen words


def example(question: str = "Why?", answer: str = "Because.", prompt: str | None = None, name: str = "1") -> Example:
    return Example(f"set/{name}", question, answer, f"Question: {question}\nAnswer:" if prompt is None else prompt)


def opened(question: str, *references: str) -> Item:
    return Item("i", question, references=references or ("None of this is known.",))


def lettered(question: str, right: str, wrong: str = "something else") -> Item:
    return Item("i", question, options=(wrong, right), labels=("A", "B"), gold=1)


def kinds(item: Item, *examples: Example) -> str:
    """The kinds by which one item leaks: "exact near"."""
    found = dataclasses.asdict(find(examples, {"bench": [item]})["bench"])
    return " ".join(kind for kind, ids in found.items() if ids)


# --- exact ------------------------------------------------------------------------------------------------------------


def test_a_question_that_is_trained_on_leaks_whatever_its_case_and_punctuation() -> None:
    assert kinds(opened("What is (are) Gout ?"), example("what is are gout")) == "exact near"
    assert kinds(opened("What is gout ?"), example("Which kinds of gout are there ?")) == ""


def test_a_question_of_eight_words_leaks_where_it_stands_inside_another_text() -> None:
    eight = "Is surgery of any use against stage-two gout?"  # "stage" and "two" are two words, so eight are nine
    assert kinds(opened(eight), example(prompt=f"Hello doctor. {eight} Many thanks!")) == "exact"
    assert kinds(opened(eight), example(answer=f"You asked: {eight}")) == "exact"
    assert kinds(opened(eight), example(prompt=eight.replace("any", "some"))) == ""
    seven = "Is surgery of any use against gout?"
    assert kinds(opened(seven), example(prompt=f"{seven[:-1]} of the knee?")) == ""


def test_a_question_is_found_at_the_very_end_of_a_text_and_not_in_the_middle_of_a_word() -> None:
    eight = "Is surgery of any use against acute gout"
    assert kinds(opened(eight), example(answer=f"So: {eight}")) == "exact"
    assert kinds(opened(eight), example(answer=f"So: {eight}y knees")) == ""


def test_a_reference_of_thirteen_words_leaks_where_a_training_answer_holds_it_whole() -> None:
    assert kinds(opened("Why gout?", ANSWER), example(answer=f"Dear Sir, {ANSWER} Regards")) == "exact"
    assert kinds(opened("Why gout?", "Short.", ANSWER), example(answer=ANSWER)) == "exact"  # any of the references
    assert kinds(opened("Why gout?", ANSWER), example(answer=ANSWER.replace("uric", "some"))) == ""
    short = "Drink water, rest and see a doctor."
    assert kinds(opened("Why gout?", short), example(answer=f"{short} Soon.")) == ""


# --- n-grams ----------------------------------------------------------------------------------------------------------


def test_thirteen_words_in_a_row_leak_and_twelve_do_not() -> None:
    words = VIGNETTE.split()
    assert kinds(opened(VIGNETTE), example(prompt=" ".join(words[2:15]))) == "ngram"
    assert kinds(opened(VIGNETTE), example(prompt=" ".join(words[2:14]))) == ""
    assert kinds(opened(VIGNETTE), example(prompt=" ".join([*words[2:9], "very", *words[9:15]]))) == ""


def test_a_context_leaks_as_a_question_does() -> None:
    item = Item("i", "Is it TB?", context=f"Aim. {VIGNETTE}", options=("yes", "no"), gold=0)
    assert kinds(item, example(answer=f"… {VIGNETTE} …")) == "ngram"


def test_what_more_than_ten_training_documents_hold_is_boilerplate() -> None:
    some = [example(answer=" ".join(VIGNETTE.split()[:13]), name=str(n)) for n in range(COMMON + 1)]
    assert kinds(opened(VIGNETTE), *some) == ""
    assert kinds(opened(VIGNETTE), *some[1:]) == "ngram"
    one_document = [dataclasses.replace(e, document="book") for e in some]
    assert kinds(opened(VIGNETTE), *one_document) == "ngram"


def test_boilerplate_that_is_the_whole_question_is_exact_all_the_same() -> None:
    asked = [example(VIGNETTE, name=str(n)) for n in range(COMMON + 1)]
    assert kinds(opened(VIGNETTE), *asked) == "exact near"


# --- near-duplicates, and questions that may be any -------------------------------------------------------------------


def test_the_same_words_put_differently_are_near() -> None:
    assert kinds(opened("What is (are) Paget's disease ?"), example("Paget disease: what is it? ")) == ""
    assert kinds(opened("What is (are) Paget's disease ?"), example("What is Paget disease?")) == "near"


def test_a_short_lettered_question_leaks_only_with_its_right_option() -> None:
    which = "Which of the following is true?"
    other = example(which, "C", prompt=f"{which}\nA. fever\nB. cough\nC. rash")
    assert kinds(lettered(which, "Gout is hereditary"), other) == ""
    same = example(which, "A", prompt=f"{which}\nA. Gout is hereditary\nB. cough\nC. rash")
    assert kinds(lettered(which, "gout is hereditary."), same) == "exact near"
    assert kinds(lettered(VIGNETTE, "Tuberculosis"), example(VIGNETTE)) == "exact ngram near"


# --- items of the scored split itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "answer", "trained"),
    [
        (opened("Why gout?", "Uric acid."), "uric acid", True),
        (opened("Why gout?", "Uric acid.", "Too much meat."), "Too much meat", True),
        (opened("Why gout?", "Uric acid."), "Nobody knows.", False),
        (opened("Why gout?", "Uric acid."), "Uric acid, mostly.", False),  # another data set's answer
        (Item("i", "Why gout?", options=("yes", "no"), gold=1), "no", True),
        (Item("i", "Why gout?", options=("yes", "no"), gold=1), "No. It was never shown.", True),
        (Item("i", "Why gout?", options=("yes", "no"), gold=1), "yes", False),
        (lettered(VIGNETTE, "Tuberculosis"), "B", True),
        (lettered(VIGNETTE, "Tuberculosis"), "B: Tuberculosis", True),
        (lettered(VIGNETTE, "Tuberculosis"), "He has been abroad, so: tuberculosis.", True),
        (lettered(VIGNETTE, "Tuberculosis"), "A", False),
    ],
)
def test_question_and_answer_make_an_item(item: Item, answer: str, trained: bool) -> None:
    found = find([example(item.question, answer)], {"bench": [item]})["bench"]
    assert found.exact == ("i",)
    assert found.items == (("i",) if trained else ())


def test_question_and_answer_of_two_examples_make_none() -> None:
    item = opened("Why gout?", "Uric acid.")
    assert kinds(item, example("Why gout?", "No idea.", name="1"), example("Why rain?", "Uric acid.", name="2")) == (
        "exact near"
    )


def test_training_is_refused_on_items_unless_their_benchmark_is_allowed() -> None:
    many = Leaks(exact=tuple("abcdefg"), items=tuple("abcdefg"))
    one = Leaks(exact=("x", "y"), near=("y",), items=("x",))
    harmless = Leaks(exact=("z",), ngram=("z",), near=("z",))
    leaks = {"medquad": many, "liveqa": harmless, "medqa": one}
    assert refusal(leaks, []) == (
        "the training data contain scored items, question and answer: 7 of medquad (a, b, c, d, e, …); "
        "1 of medqa (x).\n"
        "To train without them: --leave-out-leaks. To train on them: --allow-leak medquad --allow-leak medqa; "
        "the leaderboard then shows those scores without these items too."
    )
    assert "medqa" in refusal(leaks, ["medquad"])
    assert "medquad" not in refusal(leaks, ["medquad"])
    assert refusal(leaks, ["medquad", "medqa"]) == ""
    assert refusal({"liveqa": harmless}, []) == ""


# --- several benchmarks, and their order ------------------------------------------------------------------------------


def test_ids_come_by_benchmark_in_its_order_and_each_once() -> None:
    def item(name: str, question: str) -> Item:
        return Item(name, question, references=("none",))

    sets = {
        "one": [item("b", VIGNETTE), item("c", "Unasked?"), item("a", "Why gout?")],
        "two": [item("a", "Unasked too?"), item("b", "Why gout?")],
        "none": [item("a", "Nobody asks?")],
    }
    found = find([example("Why gout ?"), example(VIGNETTE, name="2")], sets)
    assert found == {
        "one": Leaks(exact=("b", "a"), ngram=("b",), near=("b", "a")),
        "two": Leaks(exact=("b",), near=("b",)),
        "none": Leaks(),
    }
    assert found["one"].all == ("b", "a")
    stored = json.loads(json.dumps(dataclasses.asdict(found["one"])))
    assert stored == {"exact": ["b", "a"], "ngram": ["b"], "near": ["b", "a"], "items": []}


def test_nothing_to_find_and_nothing_to_find_it_in() -> None:
    assert find([], {"bench": [opened("Why gout?")]}) == {"bench": Leaks()}
    assert find([example()], {}) == {}
    empty = Example("set/1", "", "", "")
    assert find([empty], {"bench": [opened("What is it?")]}) == {"bench": Leaks()}


# --- the real releases ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_medquads_own_train_split_against_what_is_scored(real_data: Path) -> None:
    source = Source(real_data)
    train = [example(i.question, i.references[0], name=i.id) for i in medquad.load_split(source, "train")]
    sets = {"medquad": medquad.load(source).items, "liveqa": liveqa.load(source).items}
    found = find(train, sets)
    counts = {name: [len(ids) for ids in dataclasses.astuple(leaks)] for name, leaks in found.items()}
    # The 267 are the near-duplicates that the benchmark's notes name. LiveQA's editors took answers from pages that
    # MedQuAD holds. No item of the test split is one of the train split, which is what the split is for.
    assert counts == {"medquad": [270, 1, 267, 0], "liveqa": [7, 0, 0, 0]}


def test_none_is_said_of_what_was_checked_and_of_nothing_else() -> None:
    """Eight benchmarks without data once read as "none"."""
    shown = "and runs on them will say so. Which, and why: medbench adapters show m@t"
    assert report("m@t", {"medquad": 0, "pubmedqa": 0}, 2) == [
        "Scored items in the training texts: none of medquad, pubmedqa (2 of 4 benchmarks checked).",
        f"Not checked: 2 of 4 benchmarks, {shown}",
    ]
    assert report("m@t", {"medquad": 1200, "pubmedqa": 0}, 0) == [
        "Scored items in the training texts: 1,200 of medquad; none of pubmedqa (2 of 2 benchmarks checked).",
    ]
    assert report("m@t", {}, 1) == [
        "Scored items in the training texts: unknown, because no benchmark could be checked.",
        f"Not checked: 1 of 1 benchmarks, {shown}",
    ]
