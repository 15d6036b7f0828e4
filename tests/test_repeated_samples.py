"""K answers per item: stored one by one, resumed inside an item, scored, tested and shown item by item."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import made
import numpy as np
import pytest
import sampler
import servers
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.budget import Limits
from medbench.core.errors import UsageError
from medbench.core.paired_tests import paired_permutation
from medbench.core.types import Figure, Item, ItemSet, ModelSpec, Output, Record
from medbench.engines.server.openai import OpenAIEngine
from medbench.evaluation.plan import Plan, sample_seed
from medbench.evaluation.run import execute
from medbench.evaluation.settings import Settings
from medbench.evaluation.workload import Workload
from medbench.judges.judge import Judge
from medbench.judges.judging import Caps, ask
from medbench.metrics.accuracy import ACCURACY
from medbench.metrics.repeated_samples import agreement, majority
from medbench.results.compare import compare
from medbench.results.leaderboard import build
from medbench.results.risk import curve
from medbench.results.runs import Runs
from medbench.results.scoring import load_metric, run_scores, score_run
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

OPTIONS = ("one", "two", "three", "four")
DRAWN = Settings(choice="generate", temperature=0.7, samples=5, latency_items=0)
ENGINE = str(Path(sampler.__file__))


def items(count: int) -> tuple[Item, ...]:
    return tuple(
        Item(f"i{n}", f"question {n}?", options=OPTIONS, labels=tuple("ABCD"), gold=n % 4) for n in range(count)
    )


def planned(settings: Settings = DRAWN, count: int = 4, engine: Any = None) -> Plan:
    item_set = ItemSet(items(count), "here")
    return fakes.plan(fakes.benchmark(item_set), item_set, engine or sampler.Sampler(), settings)


def answered(root: Path, settings: Settings = DRAWN, count: int = 4, engine: Any = None) -> StoredRun:
    engine = engine or sampler.Sampler()
    return execute(planned(settings, count, engine), engine, root, made.Silent(), [])  # type: ignore[arg-type]


def written(
    root: Path, answers: Mapping[str, Sequence[str]], model: str = "tiny", documents: Mapping[str, str] | None = None
) -> StoredRun:
    """A run on questions whose right answer is A; `answers["q1"]` are the samples' texts, "?" cannot be read."""
    samples = max(map(len, answers.values()))
    manifest = made.manifest(list(answers), model=model, metrics=("accuracy",), samples=samples)
    with RunWriter(root, manifest) as writer:
        for item_id, texts in answers.items():
            meta = {"document": documents[item_id]} if documents else {}
            item = Item(item_id, f"{item_id}?", options=OPTIONS, labels=tuple("ABCD"), gold=0, meta=meta)
            for sample, text in enumerate(texts):
                said = "who knows" if text == "?" else f"Answer: {text}"
                writer.append([Record(item, Output(item_id, text=said, finish="stop", sample=sample))])
    return StoredRun(root / manifest.run_id)


def by_name(figures: Sequence[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def accuracy(run: StoredRun) -> dict[str, Figure]:
    return by_name(run_scores(run, ["accuracy"]).results["accuracy"].figures)


# Right (A) of three: q1 all, q2 two, q3 one (B has the majority), q4 none (one unread).
FOUR = {"q1": "AAA", "q2": "ABA", "q3": "BBA", "q4": "C?C"}


class TestByHand:
    """The example of docs/metrics.md."""

    def test_accuracy_majority_pass_and_agreement(self, tmp_path: Path) -> None:
        found = accuracy(written(tmp_path, FOUR))
        # Means of the items: 1, 2/3, 1/3, 0.
        assert found["accuracy"].value == pytest.approx((1 + 2 / 3 + 1 / 3 + 0) / 4)
        # The majority is A, A, B, C: two of four right.
        assert found["majority@3"].value == 0.5
        # At least one A: q1, q2, q3.
        assert found["pass@3"].value == 0.75
        # 3, 2, 2 and 2 of 3 samples give the majority's answer.
        assert found["agreement"].value == pytest.approx((1 + 2 / 3 + 2 / 3 + 2 / 3) / 4)
        # One of 12 answers cannot be read.
        assert found["unparsed_rate"].value == pytest.approx(1 / 12)
        assert (found["accuracy"].n, found["accuracy"].total) == (12, 12)
        assert (found["majority@3"].n, found["majority@3"].total) == (4, 4)

    def test_agreement_as_confidence(self, tmp_path: Path) -> None:
        run = written(tmp_path, FOUR)
        found = accuracy(run)
        # Confidence 1 (right); 2/3 (right, wrong, wrong). Of 2 pairs with q1 both are in order; of 2 with q2 both tie.
        assert found["auroc"].value == pytest.approx((2 + 2 * 0.5) / 4)
        # Kept first: q1 alone, risk 0. Then all, risk 2/4; within the tie, wrong answers grow by 2/3 each.
        assert found["aurc"].value == pytest.approx((0 + (2 / 3) / 2 + (4 / 3) / 3 + 2 / 4) / 4)
        assert curve(run) == [(1.0, 0.25, 0.0), (pytest.approx(2 / 3), 1.0, 0.5)]
        frame = Runs([run]).risk_coverage()
        assert frame[["coverage", "risk"]].values.tolist() == [[0.25, 0.0], [1.0, 0.5]]

    def test_wilson_holds_for_majority_and_pass_over_items(self, tmp_path: Path) -> None:
        from medbench.core.stats import wilson

        found = accuracy(written(tmp_path, FOUR))
        assert (found["majority@3"].low, found["majority@3"].high) == wilson(2, 4)
        assert (found["pass@3"].low, found["pass@3"].high) == wilson(3, 4)

    def test_one_answer_per_item_has_none_of_these(self, tmp_path: Path) -> None:
        found = accuracy(written(tmp_path, {"q1": "A", "q2": "B"}))
        assert not found.keys() & {"majority@1", "pass@1", "agreement", "auroc", "aurc"}

    def test_an_item_without_all_its_samples_shows_in_the_coverage(self, tmp_path: Path) -> None:
        found = accuracy(written(tmp_path, {"q1": "AAA", "q2": "AB"}))
        assert (found["accuracy"].value, found["accuracy"].n, found["accuracy"].total) == (0.75, 5, 6)
        assert (found["majority@3"].value, found["majority@3"].n, found["majority@3"].total) == (1.0, 1, 2)

    def test_nothing_but_unread_answers_is_wrong_and_agrees_on_nothing(self, tmp_path: Path) -> None:
        found = accuracy(written(tmp_path, {"q1": "AA", "q2": "??"}))
        assert (found["accuracy"].value, found["majority@2"].value, found["agreement"].value) == (0.5, 0.5, 0.5)
        assert found["auroc"].value == 1.0


def drawn_answers(count: int, samples: int, seed: int) -> dict[str, str]:
    """Items that differ in how hard they are, so that samples of one item agree more than those of two."""
    random_ = random.Random(seed)
    found = {}
    for number in range(count):
        easy = random_.random()
        found[f"q{number}"] = "".join("A" if random_.random() < easy else "B" for _ in range(samples))
    return found


class TestIntervals:
    def test_items_are_resampled_and_not_samples(self, tmp_path: Path) -> None:
        """Against a bootstrap of its own: 20,000 draws of items with numpy's other generator."""
        answers = drawn_answers(40, 6, seed=3)
        found = accuracy(written(tmp_path, answers))["accuracy"]
        means = np.array([text.count("A") / 6 for text in answers.values()])
        random_ = np.random.Generator(np.random.MT19937(99))
        draws = means[random_.integers(0, 40, size=(20_000, 40))].mean(axis=1)
        assert found.value == pytest.approx(means.mean())
        assert found.low == pytest.approx(np.percentile(draws, 2.5), abs=0.012)
        assert found.high == pytest.approx(np.percentile(draws, 97.5), abs=0.012)
        # Taking all 240 answers for independent would give a far narrower interval.
        naive = 1.96 * np.sqrt(means.mean() * (1 - means.mean()) / 240)
        assert found.high is not None
        assert found.low is not None
        assert (found.high - found.low) / 2 > 1.4 * naive

    def test_documents_are_resampled_whole(self, tmp_path: Path) -> None:
        answers = drawn_answers(40, 3, seed=5)
        documents = {item_id: f"d{number // 2}" for number, item_id in enumerate(answers)}
        found = accuracy(written(tmp_path, answers, documents=documents))["accuracy"]
        sums = np.array([text.count("A") / 3 for text in answers.values()]).reshape(20, 2).mean(axis=1)
        draws = sums[np.random.Generator(np.random.MT19937(1)).integers(0, 20, size=(20_000, 20))].mean(axis=1)
        assert found.low == pytest.approx(np.percentile(draws, 2.5), abs=0.015)
        assert found.high == pytest.approx(np.percentile(draws, 97.5), abs=0.015)


class TestCompared:
    def test_pairs_are_items_and_the_test_is_a_permutation(self, tmp_path: Path) -> None:
        first, second = drawn_answers(30, 4, seed=1), drawn_answers(30, 4, seed=2)
        runs = [written(tmp_path, answers, model) for answers, model in ((first, "a"), (second, "b"))]
        (match,) = compare(*runs).matches
        line = next(line for line in match.lines if line.name == "accuracy")
        differences = [(first[q].count("A") - second[q].count("A")) / 4 for q in first]
        assert (line.test, line.n, line.counts) == ("paired permutation", 30, None)
        assert line.difference == pytest.approx(np.mean(differences))
        items = sorted(range(30), key=lambda n: f"q{n}")
        assert line.p == pytest.approx(paired_permutation([differences[n] for n in items]), abs=1e-9)
        assert (match.both, match.only_a, match.only_b) == (30, 0, 0)

    def test_single_answers_are_tested_by_mcnemar_as_before(self, tmp_path: Path) -> None:
        runs = [written(tmp_path, drawn_answers(30, 1, seed), f"m{seed}") for seed in (1, 2)]
        (match,) = compare(*runs).matches
        assert match.lines[0].test == "exact McNemar"

    def test_runs_with_other_numbers_of_samples_are_not_compared(self, tmp_path: Path) -> None:
        one, three = (written(tmp_path, drawn_answers(4, k, 1), f"m{k}") for k in (1, 3))
        with pytest.raises(UsageError, match=r"the number of answers to each item \(samples\)"):
            compare(one, three)

    def test_a_leaderboard_tests_items_and_says_how_many_samples(self, tmp_path: Path) -> None:
        sure = {f"q{n}": "AAAA" for n in range(12)}
        unsure = {f"q{n}": "ABBB" for n in range(12)}
        found = build([written(tmp_path, sure, "sure"), written(tmp_path, unsure, "unsure")])
        (board,) = found.boards
        assert board.title.endswith(" · 4 samples")
        best, worse = board.rows
        assert (best.setup.model, best.cells[0].status) == ("sure", "best")
        # All 12 items differ in one direction: 2 of 2^12 patterns of signs are as extreme.
        assert worse.cells[0].p == pytest.approx(2 / 2**12)
        assert (worse.cells[0].status, worse.cells[0].pairs) == ("worse", 12)
        assert (best.answered, best.asked, best.remarks) == (48, 48, "")


class TestStored:
    def test_each_answer_is_a_record_with_its_own_seed(self, tmp_path: Path) -> None:
        run = answered(tmp_path)
        lines = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
        assert Counter(line["item"]["id"] for line in lines) == {f"i{n}": 5 for n in range(4)}
        assert [record.key for record in run.records()] == [(f"i{n}", sample) for n in range(4) for sample in range(5)]
        assert run.complete
        assert run.manifest.comparable.samples == 5
        generation = run.manifest.identity.generation or {}
        assert (generation["temperature"], generation["top_p"]) == (0.7, 1.0)
        seeds = [request.seed for request in planned().generate_requests(())]
        assert len(set(seeds)) == 20
        assert seeds[1] == sample_seed(0, "i0", 1)
        assert min(filter(None, seeds)) >= 0 and max(filter(None, seeds)) < 2**31

    def test_scores_are_stored_by_item_and_sample(self, tmp_path: Path) -> None:
        run = answered(tmp_path)
        scores = score_run(run, load_metric("accuracy"))
        assert [score.key for score in scores] == [record.key for record in run.records()]
        path = run.path / "scores" / "accuracy.jsonl"
        stored = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        assert [(line["item_id"], line.get("sample", 0)) for line in stored] == [score.key for score in scores]
        assert score_run(StoredRun(run.path), load_metric("accuracy")) == scores
        assert len(path.read_text().splitlines()) == 21, "nothing is scored twice"

    def test_a_run_of_fewer_samples_gives_its_answers_to_one_of_more(self, tmp_path: Path) -> None:
        two = answered(tmp_path, replace(DRAWN, samples=2))
        engine = sampler.Sampler()
        five = answered(tmp_path, DRAWN, engine=engine)
        assert sorted(engine.asked) == sorted(f"i{n}/{sample}" for n in range(4) for sample in (2, 3, 4))
        assert five.manifest.settings.reused == {two.manifest.run_id: 8}
        alone = answered(tmp_path / "alone")
        assert [r.output.text for r in five.records()] == [r.output.text for r in alone.records()]

    def test_another_seed_or_temperature_takes_no_answers(self, tmp_path: Path) -> None:
        answered(tmp_path)
        for other in (replace(DRAWN, seed=1), replace(DRAWN, temperature=0.8), replace(DRAWN, top_p=0.9)):
            engine = sampler.Sampler()
            answered(tmp_path, other, engine=engine)
            assert len(engine.asked) == 20

    def test_the_seed_changes_the_answers_and_the_same_one_repeats_them(self, tmp_path: Path) -> None:
        texts = [
            [record.output.text for record in answered(tmp_path / name, replace(DRAWN, seed=seed)).records()]
            for name, seed in (("a", 0), ("b", 0), ("c", 1))
        ]
        assert texts[0] == texts[1] != texts[2]

    def test_a_stranger_sample_is_not_stored_and_a_foreign_one_not_read(self, tmp_path: Path) -> None:
        run = answered(tmp_path, count=1)
        record = run.records()[0]
        with RunWriter(tmp_path, run.manifest) as writer, pytest.raises(ValueError, match=r"i0 \(sample 5\)"):
            writer.append([Record(record.item, replace(record.output, sample=5))])

    def test_time_left_counts_answers(self) -> None:
        work = Workload(planned(count=2), {("i0", 0)})
        for sample in range(1, 5):
            work.answered(Output("i0", text="A", sample=sample, completion_tokens=3))
        assert work.answered_items == 4
        work.answered(Output("i1", text="A", completion_tokens=3))
        assert work.seconds_left(5.0) == pytest.approx(4.0)

    def test_greedy_runs_keep_their_identity(self) -> None:
        greedy = planned(Settings(choice="generate")).identity.as_json()
        assert not {"samples"} & greedy.keys()
        assert greedy["generation"] == {"max_new_tokens": 256, "stop": ["\nQuestion:"]}


class TestRefused:
    def test_several_answers_by_log_probability(self) -> None:
        with pytest.raises(UsageError, match="--samples 5: options are chosen by log-probability") as raised:
            planned(replace(DRAWN, choice="auto"))
        assert "--choice generate" in raised.value.hint

    def test_a_temperature_alone_has_no_effect_there(self) -> None:
        plan = planned(replace(DRAWN, choice="auto", samples=1))
        assert plan.notes == ("--temperature 0.7 has no effect: options are chosen by log-probability.",)
        assert plan.identity == planned(replace(DRAWN, choice="auto", samples=1, temperature=0.0)).identity

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"samples": 0}, "--samples 0: each item needs at least one answer"),
            ({"temperature": -1.0}, "--temperature -1: it must be a number from 0 up"),
            ({"temperature": float("nan")}, "--temperature nan"),
            ({"top_p": 0.0, "temperature": 1.0}, "--top-p 0: it must be above 0 and at most 1"),
            ({"top_p": 0.9}, "--top-p 0.9: at temperature 0"),
        ],
    )
    def test_values_that_mean_nothing(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            Settings(**wrong)


def medbench(*words: object, **environment: str) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench", env=environment)


class TestCommands:
    @pytest.fixture
    def words(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        tiny.save(Path("model"), "llama")
        choose = ["--choice", "generate", "--latency-items", "0"]
        return ["run", "-m", "model", "--engine", ENGINE, "-b", "medqa-sample", "--limit", 6, *choose]

    def test_a_run_its_table_and_one_item(self, words: list[object]) -> None:
        done = medbench(*words, "--samples", 3, "--temperature", 0.7, "--json")
        assert done.exit_code == 0, done.output
        (board,) = json.loads(done.stdout)["boards"]
        assert (board["samples"], board["items"]) == (3, 6)
        assert {"accuracy", "majority@3", "pass@3", "agreement"} <= {f["metric"] for f in board["rows"][0]["figures"]}
        (run,) = Path("runs").iterdir()
        listed = json.loads(medbench("show", run, "--json").stdout)
        assert len(listed["items"]) == 18
        assert listed["risk_coverage"][-1]["coverage"] == 1.0
        item = listed["items"][0]["item"]["id"]
        one = json.loads(medbench("show", run, item, "--json").stdout)
        assert [answer["output"].get("sample", 0) for answer in one["answers"]] == [0, 1, 2]
        text = medbench("show", run, item).stdout
        assert text.count("prompt · ") == 1
        assert [f"answer · sample {n} ·" in text for n in range(4)] == [True, True, True, False]
        assert text.count("\naccuracy  ") == 3
        frame = Runs([StoredRun(run)]).items()
        assert frame["sample"].tolist() == [0, 1, 2] * 6

    def test_what_cannot_be_drawn_is_said_before_anything_is_answered(self, words: list[object]) -> None:
        for more, said in (
            (("--samples", 3), "at temperature 0 all answers to a question would be the same"),
            (("--samples", 3, "--temperature", 0.7, "--choice", "auto"), "options are chosen by log-probability"),
            (("--samples", 3, "--temperature", 0.7, "--engine", fakes.__file__), "draws no samples"),
            (("--top-p", 0.5), "at temperature 0 the likeliest token is taken"),
        ):
            done = medbench(*words, *more)
            assert done.exit_code in (1, 2), (more, done.output)
            assert said in " ".join(done.output.split()), done.output
            assert not list(Path().glob("runs/*/samples.jsonl"))

    def test_saved_answers_have_samples_too(self, words: list[object]) -> None:
        assert medbench(*words, "--samples", 3, "--temperature", 0.7).exit_code == 0
        (stored,) = Path("runs").iterdir()
        replay = ["run", "-m", f"replay:{stored}", "-b", "medqa-sample", "--limit", 6, "--out", "again", "--json"]
        done = medbench(*replay, "--samples", 3)
        assert done.exit_code == 0, done.output
        (again,) = Path("again").iterdir()
        assert [r.output.text for r in StoredRun(again).records()] == [
            r.output.text for r in StoredRun(stored).records()
        ]
        for more, said in (
            ((), "two answers are saved for the item"),
            (("--samples", 2), "Give --samples 3"),
            (("--samples", 3, "--temperature", 0.7), "were saved earlier, so none is drawn"),
        ):
            wrong = medbench(*replay, *more)
            assert wrong.exit_code in (1, 2)
            assert said in " ".join(wrong.output.split())

    def test_rows_of_a_file_are_samples_in_their_order(self, words: list[object]) -> None:
        rows = [{"id": "s-mq-01", "text": text} for text in ("A", "B", "C")]
        Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        Path("ids").write_text("s-mq-01\n")
        words = ["run", "-m", "replay:mine.jsonl", "-b", "medqa-sample", "--items", "ids", "--samples", 3, "--json"]
        assert medbench(*words).exit_code == 0
        (run,) = Path("runs").iterdir()
        assert [record.output.text for record in StoredRun(run).records()] == ["A", "B", "C"]


@pytest.mark.slow
def test_killed_twice_inside_items_a_run_ends_with_exactly_five_answers_each(tmp_path: Path) -> None:
    tiny.save(tmp_path / "model", "llama")
    words = ["-m", "model", "--engine", ENGINE, "-b", "medqa-sample", "--limit", "8", "--choice", "generate"]
    command = [sys.executable, "-m", "medbench", "run", *words, "--samples", "5", "--temperature", "0.7"]
    command += ["--latency-items", "0", "--json"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parent)}

    def stored(root: str) -> list[tuple[str, int, str]]:
        lines = [
            line for file in (tmp_path / root).glob("*/samples.jsonl") for line in file.read_text().splitlines(True)
        ]
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [(line["item"]["id"], line["output"].get("sample", 0), line["output"]["text"]) for line in whole]

    for wanted in (7, 18):  # inside the second item, then inside the fourth
        running = subprocess.Popen(
            [*command, "--out", "torn"],
            cwd=tmp_path,
            env=environment | {"SAMPLER_SECONDS": "0.05"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(stored("torn")) < wanted and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        assert running.wait(timeout=60) == -signal.SIGKILL
        assert wanted <= len(stored("torn")) < 40
    for root in ("torn", "whole"):
        subprocess.run([*command, "--out", root], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert Counter(item for item, _, _ in stored("torn")) == dict.fromkeys({item for item, _, _ in stored("whole")}, 5)
    assert sorted(stored("torn")) == sorted(stored("whole"))
    (run,) = (tmp_path / "torn").iterdir()
    assert StoredRun(run).complete


def test_every_sample_is_judged_and_two_that_read_the_same_once(tmp_path: Path) -> None:
    manifest = made.manifest(["a", "b"], metrics=(), samples=3)
    texts = {"a": ("fine", "bad", "fine"), "b": ("bad", "bad", "bad")}
    with RunWriter(tmp_path, manifest) as writer:
        for item_id, said in texts.items():
            item = Item(item_id, f"{item_id}?", references=("yes",))
            outputs = [Output(item_id, text=text, finish="stop", sample=n) for n, text in enumerate(said)]
            writer.append(Record(item, output) for output in outputs)
    run = StoredRun(tmp_path / manifest.run_id)
    graded = servers.says(lambda asked: json.dumps({"reason": "", "score": 5 if "fine" in asked.text else 1}))
    with servers.Server(then=graded) as server:
        spec = ModelSpec("judge", "judge", "", "openai", base_url=server.url)
        made_judge = Judge("openai:judge", OpenAIEngine(spec))
        found = ask(run, made_judge, "reference", Caps(Limits()))
        assert (found.wanted, found.stored, len(server.asked)) == (3, 3, 3)
        again = ask(StoredRun(run.path), made_judge, "reference", Caps(Limits()))
        assert (again.stored, len(server.asked)) == (3, 3)
    metric = load_metric(found.metric)
    scores = score_run(run, metric)
    assert [(score.item_id, score.sample, score.value) for score in scores] == [
        *(("a", 0, 5.0), ("a", 1, 1.0), ("a", 2, 5.0)),
        *(("b", 0, 1.0), ("b", 1, 1.0), ("b", 2, 1.0)),
    ]
    (figure, *_) = run_scores(run, [found.metric]).results[found.metric].figures
    assert figure.value == pytest.approx(((5 + 1 + 5) / 3 + 1) / 2)


def test_old_and_new_figures_agree_on_random_answers() -> None:
    """The figures of `accuracy` against the functions that they are made of, item by item."""
    answers = drawn_answers(25, 5, seed=8)
    records, golds = [], []
    for item_id, text in answers.items():
        item = Item(item_id, "?", options=OPTIONS, labels=tuple("ABCD"), gold=0)
        golds.append("A")
        records += [Record(item, Output(item_id, text=f"Answer: {a}", sample=n)) for n, a in enumerate(text)]
    found = by_name(ACCURACY.aggregate(records, ACCURACY.score(records)))
    voted = [majority(list(text)) for text in answers.values()]
    assert found["majority@5"].value == pytest.approx(np.mean([vote == gold for vote, gold in zip(voted, golds)]))
    assert found["agreement"].value == pytest.approx(np.mean([agreement(list(text)) for text in answers.values()]))
