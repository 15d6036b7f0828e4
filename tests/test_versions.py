"""Several versions of each question: orders of its options, wordings of its prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import fakes
import made
import pytest
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.errors import UsageError
from medbench.core.types import ChoiceRequest, Item, ItemSet, Output, Record, Score
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.metrics.accuracy import ACCURACY
from medbench.metrics.versions import order_figures
from medbench.results.scoring import evaluate, load_metric
from medbench.results.store import StoredRun

ITEMS = tuple(
    Item(f"q{number}", f"Question {number}?", options=("cow", "dog", "cat", "hen"), labels=("A", "B", "C", "D"), gold=1)
    for number in range(12)
)
SET = ItemSet(ITEMS, "here")


class Chooser(fakes.FakeEngine):
    """Chooses by `place`: the index of the option, from the prompt and the answers."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
        for request in requests:
            self.asked.append(request.item_id)
            at = 0
            if self.place == "dog":  # by content
                lines = [line for line in request.prompt.question.splitlines() if line.endswith(" dog")]
                at = request.answers.index(lines[0].strip("()")[0])
            logprobs = tuple(0.0 if index == at else -5.0 for index in range(len(request.answers)))
            yield Output(request.item_id, request.prompt.plain, logprobs=logprobs)


def benchmark(**about: object) -> fakes.Benchmark:  # type: ignore[name-defined]
    def question(item: Item) -> str:
        listed = "\n".join(f"{label}. {option}" for label, option in zip(item.labels, item.options))
        return f"{item.question}\n{listed}\nAnswer:"

    return dataclasses.replace(fakes.benchmark(SET, metrics=("accuracy",)), question=question, **about)


def run(root: Path, place: str, engine: Chooser | None = None, **settings: object) -> StoredRun:
    engine = engine or Chooser(place)
    asked = Settings(latency_items=0, **settings)  # type: ignore[arg-type]
    return execute(fakes.plan(benchmark(), SET, engine, asked), engine, root, made.Silent(), [])


def figures(stored: StoredRun) -> dict[str, float | None]:
    found = evaluate(stored, load_metric("accuracy"), stored.records()).figures
    return {figure.name: figure.value for figure in found}


def test_every_item_is_asked_in_k_orders_the_original_first(tmp_path: Path) -> None:
    stored = run(tmp_path, "dog", permute_options=4)
    records = stored.records()
    assert [record.key for record in records] == [(item.id, number) for item in ITEMS for number in range(4)]
    assert [r.item.options for r in records if r.output.sample == 0] == [item.options for item in ITEMS]
    for record in records:
        assert sorted(record.item.options) == ["cat", "cow", "dog", "hen"]
        assert record.item.gold is not None and record.item.options[record.item.gold] == "dog"
    assert len({record.item.options for record in records}) > 4
    again = run(tmp_path / "again", "dog", permute_options=4)
    assert [r.item.options for r in again.records()] == [r.item.options for r in records]
    other = run(tmp_path / "other", "dog", permute_options=4, seed=1)
    assert [r.item.options for r in other.records()] != [r.item.options for r in records]


def test_a_model_that_chooses_by_content_is_consistent_and_unbiased(tmp_path: Path) -> None:
    found = figures(run(tmp_path, "dog", permute_options=5))
    assert (found["accuracy"], found["consistency"]) == (1.0, 1.0)
    assert found["position_bias_p"] is not None and found["position_bias_p"] > 0.05
    assert not any(name.startswith(("majority", "pass")) for name in found)


def test_a_model_that_always_takes_the_first_option_is_found_out(tmp_path: Path) -> None:
    stored = run(tmp_path, "first", permute_options=5)
    found = figures(stored)
    right = [record.item.gold == 0 for record in stored.records()]
    assert found["accuracy"] == pytest.approx(sum(right) / 60)
    assert found["consistency"] == 0.0
    assert found["position_bias"] == pytest.approx(1 - 1 / 4)  # it takes A always, and by chance in a quarter
    assert found["position_bias_p"] == pytest.approx(1 / 10_001)
    by_order = [found[f"accuracy[order {number}]"] for number in range(1, 6)]
    assert found["accuracy[spread]"] == pytest.approx(max(by_order) - min(by_order))  # type: ignore[type-var, operator]


def test_position_bias_against_arithmetic() -> None:
    """Two drawn orders of two items with two options: A, A, A, B. By chance 1/2 each."""
    records, scores = [], []
    for item_id, letters in (("a", "AA"), ("b", "AB")):
        for number, letter in enumerate(f"A{letters}"):
            meta = {"order": str(number)} if number else {}
            item = Item(item_id, "?", options=("x", "y"), labels=("A", "B"), gold=0, meta=meta)
            records.append(Record(item, Output(item_id, logprobs=(0.0, -1.0), sample=number)))
            scores.append(Score(item_id, float(letter == "A"), answer=letter, sample=number))
    found = {figure.name: figure for figure in order_figures(records, scores)}
    assert found["position_bias"].value == pytest.approx(3 / 4 - 1 / 2)
    # Pearson's statistic is (3-2)²/2 + (1-2)²/2 = 1; of 16 equally likely outcomes, only the 6 with two A's have less.
    assert found["position_bias_p"].value == pytest.approx(10 / 16, abs=0.02)
    assert found["consistency"].value == pytest.approx(1 / 2)


def test_three_wordings_and_their_spread(tmp_path: Path) -> None:
    class Odd(Chooser):
        """Right, but not under the wording that ends in "Right answer:"."""

        def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
            for request, output in zip(requests, super().choose(requests), strict=True):
                wrong = request.prompt.question.endswith("Right answer:")
                yield dataclasses.replace(output, logprobs=(0.0, -5.0, -5.0, -5.0)) if wrong else output

    stored = run(tmp_path, "dog", Odd("dog"), prompt_variants=True)
    prompts = [record.output.prompt for record in stored.records()[:3]]
    assert prompts[0] == "Question 0?\nA. cow\nB. dog\nC. cat\nD. hen\nAnswer:"
    assert len(set(prompts)) == 3 and all("dog" in prompt for prompt in prompts)
    found = figures(stored)
    assert [found[f"accuracy[wording {n}]"] for n in (1, 2, 3)] == [1.0, 1.0, 0.0]
    assert found["accuracy[spread]"] == 1.0
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert "consistency" not in found


def test_a_killed_run_resumes_inside_an_item(tmp_path: Path) -> None:
    class Dies(Chooser):
        def choose(self, requests: Sequence[ChoiceRequest]) -> Iterator[Output]:
            for number, output in enumerate(super().choose(requests)):
                if number == 5:
                    raise KeyboardInterrupt
                yield output

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "dog", Dies("dog"), permute_options=3)
    engine = Chooser("dog")
    stored = run(tmp_path, "dog", engine, permute_options=3)
    assert len(engine.asked) == 36 - 5
    assert [record.key for record in stored.records()] == [(item.id, number) for item in ITEMS for number in range(3)]


def test_runs_with_and_without_versions_are_told_apart(tmp_path: Path) -> None:
    one, orders, wordings = (
        run(tmp_path, "dog", **settings).manifest  # type: ignore[arg-type]
        for settings in ({}, {"permute_options": 3}, {"prompt_variants": True})
    )
    assert len({each.run_id for each in (one, orders, wordings)}) == 3
    assert len({each.comparable.key for each in (one, orders, wordings)}) == 3
    assert "variation" not in one.comparable.as_json()
    assert (orders.comparable.variation, orders.comparable.samples) == ("orders", 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"permute_options": 2, "samples": 3, "temperature": 1.0},
            "--samples and --permute-options cannot be combined",
        ),
        ({"permute_options": 2, "prompt_variants": True}, "--permute-options and --prompt-variants cannot be combined"),
        ({"permute_options": 0}, "--permute-options 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Settings(**settings)  # type: ignore[arg-type]


def test_open_questions_have_no_options_to_permute(tmp_path: Path) -> None:
    open_set = ItemSet((Item("o", "?", references=("x",)),), "here")
    engine = fakes.FakeEngine()
    with pytest.raises(UsageError, match="have no options"):
        fakes.plan(fakes.benchmark(open_set), open_set, engine, Settings(permute_options=2))


def test_accuracy_lists_the_figures_of_orders() -> None:
    assert {"consistency", "position_bias"} <= set(ACCURACY.figure_names)


def test_show_prints_each_order_with_its_own_right_letter(tmp_path: Path) -> None:
    stored = run(tmp_path, "dog", permute_options=3)
    shown = CliRunner().invoke(cli, ["show", str(stored.path), "q0"])
    assert shown.exit_code == 0, shown.output
    asked = [record for record in stored.records() if record.item.id == "q0"]
    assert len({record.item.gold for record in asked}) > 1
    assert shown.output.count("Question 0?") == len({record.item.options for record in asked})
    letters = [line.split()[1] for line in shown.output.splitlines() if line.startswith("gold")]
    assert letters == [f"{'ABCD'[record.item.gold or 0]}." for record in asked]
