"""Which items are asked, with which examples, and what determines the name of the run."""

from __future__ import annotations

import dataclasses
from typing import Any

import fakes
import pytest
from fakes import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from medbench.core.checked import checked
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.hashing import fingerprint
from medbench.core.types import Benchmark, Item, ItemSet, ModelSpec
from medbench.evaluation.plan import Plan, plan
from medbench.evaluation.settings import EngineFacts, Settings
from medbench.results.identity import ModelIdentity

FIFTY = ItemSet(fakes.items(50), "here")
WITH_POOL = ItemSet(fakes.items(50), "here", shots=fakes.items(20, "shot"))


def made(
    item_set: ItemSet = FIFTY, benchmark: Benchmark | None = None, spec: ModelSpec | None = None, **asked: Any
) -> Plan:
    return fakes.plan(benchmark or fakes.benchmark(item_set), item_set, FakeEngine(spec), Settings(**asked))


def ids(planned: Plan) -> list[str]:
    return [item.id for item in planned.items]


def test_a_limit_draws_the_same_items_for_every_model_and_keeps_their_order() -> None:
    one = made(limit=10)
    other = made(limit=10, spec=ModelSpec("another", "elsewhere", "2"))
    assert len(one.items) == 10
    assert ids(one) == ids(other)
    assert ids(one) == [item.id for item in FIFTY.items if item.id in set(ids(one))]


def test_a_limit_does_not_depend_on_the_order_of_the_release() -> None:
    turned = ItemSet(tuple(reversed(FIFTY.items)), "here")
    assert set(ids(made(limit=10))) == set(ids(made(turned, limit=10)))


def test_another_seed_draws_other_items() -> None:
    assert ids(made(limit=10)) != ids(made(limit=10, seed=1))


@given(st.integers(1, 80))
def test_a_limit_is_a_limit(limit: int) -> None:
    assert len(made(limit=limit).items) == min(limit, 50)


def test_named_items_are_the_ones_asked_in_the_benchmarks_order() -> None:
    assert ids(made(items=("i7", "i3"))) == ["i3", "i7"]


def test_a_named_item_that_does_not_exist_is_an_error_that_shows_what_ids_look_like() -> None:
    with pytest.raises(UsageError, match=r"an id that fake-bench does not score.*i99(.|\n)*look like i0"):
        made(items=("i3", "i99"))


@pytest.mark.parametrize("asked", [{"limit": 0}, {"shots": -1}, {"shots": 50}])
def test_what_cannot_be_asked_is_a_usage_error(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        made(**asked)


def test_examples_come_from_the_pool_and_are_the_same_for_every_item() -> None:
    planned = made(WITH_POOL, shots=3)
    assert ids(planned) == [item.id for item in WITH_POOL.items]
    (examples,) = {planned.prompts[item.id].shots for item in planned.items}
    assert len(examples) == 3
    assert all(question.startswith("Question: question shot") for question, _ in examples)
    assert {answer for _, answer in examples} <= {"yes", "no", "maybe"}


def test_without_a_pool_examples_are_held_out_and_not_scored() -> None:
    planned = made(shots=4)
    asked = {planned.prompts[item.id].question for item in planned.items}
    assert len(planned.items) == 46
    assert planned.variant == "4 held out as examples"
    for item in planned.items:
        assert asked.isdisjoint(question for question, _ in planned.prompts[item.id].shots)


def test_examples_are_of_the_items_own_subject_where_the_pool_has_enough() -> None:
    def about(subject: str, count: int, prefix: str) -> list[Item]:
        return [dataclasses.replace(item, meta={"subject": subject}) for item in fakes.items(count, prefix)]

    item_set = ItemSet(
        (*about("anatomy", 3, "a"), *about("genetics", 3, "g")),
        "here",
        shots=(*about("anatomy", 5, "poola"), *about("genetics", 5, "poolg")),
    )
    planned = made(item_set, shots=2)
    for item in planned.items:
        assert all(f"pool{item.id[0]}" in question for question, _ in planned.prompts[item.id].shots)


def test_a_plain_prompt_is_instruction_examples_and_question_with_blank_lines_between() -> None:
    bench = fakes.benchmark(WITH_POOL, instruction=lambda item: "Answer yes, no or maybe.")
    planned = made(WITH_POOL, bench, shots=1)
    prompt = planned.prompts["i0"]
    ((question, answer),) = prompt.shots
    assert prompt.plain == f"Answer yes, no or maybe.\n\n{question} {answer}\n\nQuestion: question i0?\nAnswer:"


BASE = made(limit=10)
OPEN = ItemSet((Item("o1", "what?", references=("this",)),), "here")


@pytest.mark.parametrize(
    ("other", "same_identity", "same_column"),
    [
        (made(limit=10), True, True),
        (made(limit=10, metrics=("ece",), latency_items=0), True, True),
        (made(limit=10, spec=ModelSpec("fake", "elsewhere", "1", engine="fake", dtype="float32")), True, True),
        (made(limit=10, spec=ModelSpec("fake", "nowhere", "2", engine="fake", dtype="float32")), False, True),
        (made(limit=10, spec=ModelSpec("fake", "nowhere", "1", engine="fake", dtype="bfloat16")), False, True),
        (made(limit=11), False, False),
        (made(limit=10, seed=1), False, False),
        (made(WITH_POOL, limit=10, shots=1), False, False),
        (made(limit=10, choice="generate"), False, False),
        (made(benchmark=fakes.benchmark(FIFTY, version="2"), limit=10), False, False),
        (made(benchmark=fakes.benchmark(FIFTY, question=lambda item: "Q:"), limit=10), False, False),
    ],
)
def test_identity_is_what_changes_an_answer_and_a_column_what_may_be_compared(
    other: Plan, same_identity: bool, same_column: bool
) -> None:
    assert (other.identity == BASE.identity) is same_identity
    assert (other.comparable == BASE.comparable) is same_column


def test_generation_settings_are_part_of_a_generated_runs_identity_only() -> None:
    assert "generation" not in BASE.identity.as_json()
    assert made(OPEN).identity.generation == {"max_new_tokens": 256, "stop": ["\nQuestion:"]}
    assert made(OPEN, max_new_tokens=5).identity != made(OPEN).identity


def test_another_limit_on_the_answer_is_another_column() -> None:
    assert made(OPEN, max_new_tokens=5).variant == "at most 5 new tokens"
    assert made(OPEN, max_new_tokens=256).variant == "", "the benchmark's own limit"
    assert made(FIFTY, max_new_tokens=5).comparable == made(FIFTY).comparable, "choosing writes nothing"


def test_a_fingerprint_does_not_depend_on_key_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"references": "yes"}, "has a string for `references`"),
        ({"references": ("yes",), "meta": {"emergency": "maybe"}}, "the emergency 'maybe'"),
    ],
)
def test_an_item_that_cannot_be_meant_is_refused(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(MedbenchError, match=wrong):
        checked(ItemSet((Item("a", "?", **changes),), origin="here"))


def test_a_seed_that_draws_nothing_makes_no_other_run() -> None:
    def run(**asked: object) -> object:
        item_set = ItemSet(fakes.items(5), "here", shots=fakes.items(9)[5:])
        return fakes.plan(fakes.benchmark(item_set), item_set, FakeEngine(), Settings(**asked)).identity  # type: ignore[arg-type]

    assert run(seed=4) == run(seed=0)
    assert run(seed=4, limit=5) == run(seed=0)
    assert run(seed=4, limit=3) != run(seed=0, limit=3)
    assert run(seed=4, shots=1) != run(seed=0, shots=1)


def test_a_plan_needs_no_engine_and_options_that_change_answers_are_part_of_its_identity() -> None:
    items = ItemSet(fakes.items(3), "here")
    spec = ModelSpec(name="m", location="here", revision="1", engine="theirs", dtype="float32")

    def model(**options: object) -> ModelIdentity:
        facts = EngineFacts(spec, "generate", "plain", options)
        return plan(fakes.benchmark(items), items, facts, Settings()).identity.model

    assert model().options is None
    assert model(salt="a") == dataclasses.replace(model(), options={"salt": "a"})
    assert model(salt="a") != model(salt="b")
