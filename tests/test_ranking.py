"""`medbench train --sweep --rank-by`: the arithmetic of a ranking, which items it asks, and what it says."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import entries
import made
import medbench
import pytest
from click.testing import CliRunner, Result
from medbench.benchmarks.leaks import Leaks
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import Item
from medbench.results import leaderboard
from medbench.results.runs import load_runs
from medbench.training import development
from medbench.training.development import Development, detectable, fewest
from medbench.training.example import Example
from medbench.training.ranking import UNTRAINED, Contender, Ranking, rank

TWELVE = 12  # items of the made-up benchmark's development split
SHORT = ("--set", "max_length=200", "--set", "eval_examples=2", "--device", "cpu", "--max-steps", "1")
SWEEP = ("--sweep", "learning_rate=1e-3,5e-2")
LOAD = made.loader(made.Read("right"), made.Read("loss", binary=False, better="lower"))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def command(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def quiz(folder: Path, development_items: int = TWELVE, documents: int = 0, name: str = "quiz") -> Path:
    """A benchmark file with open questions: two that are scored, and a development split."""
    file = folder / f"{name}.py"
    file.write_text(
        "from medbench.core.types import Benchmark, Item, ItemSet\n"
        f"SYMPTOMS = {entries.SYMPTOMS!r}\n"
        "def item(split, number, document=''):\n"
        "    return Item(f'{split}-{number}', f'Which {split} herb number {number} soothes {SYMPTOMS[number % 10]}?',\n"
        "                references=('rest and fluids',), meta={'document': document} if document else {})\n"
        "def load(source):\n"
        f"    pool = tuple(item('dev', n, f'd{{n % {documents}}}' if {documents} else '')\n"
        f"                 for n in range({development_items}))\n"
        "    return ItemSet((item('test', 0), item('test', 1)), 'made up', shots=pool)\n"
        f"BENCHMARK = Benchmark({name!r}, '1', 'made up', 'nobody', 'none', load,\n"
        "                      question=lambda item: f'Question: {item.question}\\nAnswer:',\n"
        "                      metrics=('token_f1', 'exact_match'), max_new_tokens=8)\n",
        encoding="utf-8",
    )
    return file


def question(number: int) -> str:
    return f"Which dev herb number {number} soothes {entries.SYMPTOMS[number % 10]}?"


def example(number: int) -> Example:
    return Example(f"e{number}", question(number), "rest and fluids", f"Question: {question(number)}\nAnswer:")


# --- the arithmetic ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tests", "least"), [(1, 6), (3, 7), (6, 8), (45, 11)])
def test_the_fewest_items_are_those_on_which_full_agreement_is_significant(tests: int, least: int) -> None:
    assert fewest(tests) == least
    assert tests * 2 / 2**least < 0.05 <= tests * 2 / 2 ** (least - 1)  # p of n against 0, times Holm's factor


def test_the_detectable_difference_is_that_of_a_normal_test_with_80_percent_power() -> None:
    assert detectable(16, 1) == pytest.approx((1.959964 + 0.841621) / 4, abs=1e-6)
    assert detectable(25, 6) == pytest.approx((2.638257 + 0.841621) / 5, abs=1e-6)  # z of 1 - 0.05 / 12


def ranked(root: Path, answers: dict[str, str], metric: str = "right", pool: int = 100) -> Ranking:
    """The ranking of models by label: a digit, or "?" for unscored, per item; shorter ones did not finish."""
    longest = max(map(len, answers.values()))
    ids = [item for item, _ in made.enumerate_ids("0" * longest)]
    runs = {
        label: made.make_run(root, dict(made.enumerate_ids(text)), item_ids=ids, model=f"m@{label}", metrics=[metric])
        for label, text in answers.items()
    }
    items = tuple(Item(item, f"question {item}?", references=("yes",)) for item in ids)
    found = Development(_benchmark(), metric, items, pool, Leaks(exact=("x1",)), len(answers))
    return rank(found, [Contender(f"m@{label}", label) for label in answers], runs, root, load=LOAD)


def _benchmark() -> Any:
    from medbench.core import registry

    return registry.get("benchmarks", "medquad-sample")


def test_order_tests_and_words_of_a_clear_difference_and_a_tie(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "1" * 2 + "0" * 10, "lr=2": "1" * 12, "lr=1": "1" * 11 + "0"})
    assert [(each.place, each.label, each.value) for each in found.places] == [
        (1, "lr=2", 1.0),
        (2, "lr=1", pytest.approx(11 / 12)),
        (3, UNTRAINED, pytest.approx(2 / 12)),
    ]
    by_names = {(pair.a, pair.b): pair for pair in found.pairs}
    assert set(by_names) == {("lr=2", "lr=1"), ("lr=2", UNTRAINED), ("lr=1", UNTRAINED)}
    # Discordant items: 10 against 0, 9 against 0, 1 against 0. Exact McNemar: 2 / 2¹⁰, 2 / 2⁹, 1. Holm: × 3, × 2, × 1.
    far, near, tie = by_names["lr=2", UNTRAINED], by_names["lr=1", UNTRAINED], by_names["lr=2", "lr=1"]
    assert (far.p, far.p_holm, far.better) == (pytest.approx(2 / 1024), pytest.approx(3 * 2 / 1024), "a")
    assert (near.p, near.p_holm, near.better) == (pytest.approx(2 / 512), pytest.approx(2 * 2 / 512), "a")
    assert (tie.p, tie.p_holm, tie.better) == (1.0, 1.0, "")
    assert tie.difference == pytest.approx(1 / 12)
    assert (found.tests, found.items, found.asked) == (3, 12, 12)
    assert tie.sentence.startswith("lr=2 and lr=1 cannot be told apart: difference 0.083, 95% interval ")
    assert tie.sentence.endswith(", p = 1, n = 12")
    assert far.sentence.startswith(f"lr=2 is better than {UNTRAINED}: difference 0.833, ")
    assert "p = 0.0059, n = 12" in far.sentence
    assert (found.best, found.clear, found.better_than_untrained, found.tied) == ("m@lr=2", False, True, ("lr=1",))
    assert found.verdict[0] == "Use m@lr=2 (lr=2): it is better than the untrained model."
    assert found.verdict[1].startswith("lr=2 cannot be told apart from another variant: lr=1.")
    assert json.loads(json.dumps(found.as_dict()))["leaked"] == ["x1"]


def test_a_winner_over_all_others_is_said_to_be_one(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "0" * 12, "a": "1" * 12, "b": "0" * 12})
    assert found.clear
    assert found.verdict[0] == ("Use m@a (a): it is better than the untrained model and than every other variant.")
    assert found.tied == ()


def test_where_lower_is_better_the_lowest_mean_comes_first(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "9" * 12, "a": "123412341234", "b": "234523452345"}, "loss")
    assert [(each.label, each.value) for each in found.places] == [("a", 2.5), ("b", 3.5), (UNTRAINED, 9.0)]
    pair = next(pair for pair in found.pairs if (pair.a, pair.b) == ("a", "b"))
    assert pair.difference == -1.0
    assert pair.better == "a"  # 12 of 12 items agree: 2 / 2¹², and Holm multiplies it by at most 3
    assert pair.p == pytest.approx(2 / 4096)
    assert (found.better, found.best) == ("lower", "m@a")


def test_no_variant_wins_if_the_untrained_model_cannot_be_beaten(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "110110110110", "a": "111110110110"})
    assert found.places[0].label == "a"
    assert (found.better_than_untrained, found.clear, found.tied) == (False, False, (UNTRAINED,))
    assert found.verdict[0] == (
        "No winner: m@a (a) is the best variant, but it cannot be told apart from the untrained model."
    )
    # One of 12 items differs. The standard error is the interval's width over 3.92.
    (pair,) = found.pairs
    assert pair.low is not None
    assert pair.high is not None
    size = (1.959964 + 0.841621) * (pair.high - pair.low) / 3.919928
    assert found.detectable == pytest.approx(size, rel=1e-5)
    needed = 12 * (size / (1 / 12)) ** 2
    assert needed > 99
    assert found.verdict[1].endswith(f"items, and the {development.SPLIT} has 99.")
    assert f"about {round(math.ceil(needed), -2):,} items" in found.verdict[1]


def test_an_untrained_model_with_the_best_mean_is_said_to_have_it(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "111110110110", "a": "110110110110"})
    assert found.verdict[0] == (
        "No winner: the untrained model has the best mean, and m@a (a), the best variant, cannot be told apart from it."
    )


def test_a_variant_behind_the_untrained_model_is_not_recommended(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "1" * 12, "a": "0" * 12})
    assert found.places[0].label == UNTRAINED
    assert (found.best, found.better_than_untrained) == ("m@a", False)
    assert found.verdict[0] == "Use the untrained model: it is better than the best variant."


def test_an_interval_that_excludes_0_is_no_difference_if_the_correction_says_so(tmp_path: Path) -> None:
    """Six against none: p = 1/32 alone, 3/32 after correction over three tests."""
    found = ranked(tmp_path, {UNTRAINED: "000000111111", "a": "111111111111", "b": "000111111111"})
    pair = next(pair for pair in found.pairs if {pair.a, pair.b} == {"a", UNTRAINED})
    assert (pair.p, pair.p_holm, pair.better) == (pytest.approx(1 / 32), pytest.approx(3 / 32), "")
    assert "cannot be told apart" in pair.sentence
    assert "p = 0.094 after correction for 3 tests (0.031 alone)" in pair.sentence


def test_means_are_of_the_items_that_every_model_has_a_score_for(tmp_path: Path) -> None:
    """The second item is unscored in one model, so the mean of the others is not over it either."""
    found = ranked(tmp_path, {UNTRAINED: "0000000011", "a": "1?11111111", "b": "1011111111"})
    assert (found.items, found.asked) == (9, 10)
    assert {each.label: each.value for each in found.places} == {"a": 1.0, "b": 1.0, UNTRAINED: pytest.approx(2 / 9)}


def test_a_run_with_open_items_is_not_ranked_and_one_alone_is_no_ranking(tmp_path: Path) -> None:
    found = ranked(tmp_path, {UNTRAINED: "0" * 8, "a": "1" * 8, "b": "1" * 5})
    assert [each.label for each in found.places] == ["a", UNTRAINED]
    assert found.problems == ("b (m@b) is not ranked: it has no answer to some of the items.",)
    with pytest.raises(MedbenchError, match="fewer than two models can be ranked"):
        ranked(tmp_path / "other", {UNTRAINED: "0" * 8, "a": "1" * 5})


# --- the items --------------------------------------------------------------------------------------------------------


def prepared(
    file: Path, texts: list[list[Example]], items: int = 100, models: int = 2, metric: str = "token_f1"
) -> Any:
    return development.prepare(f"{file}:{metric}", models, Source(None), texts, items, lambda line: None)


def test_items_that_any_variant_trained_on_are_left_out(tmp_path: Path) -> None:
    found = prepared(quiz(tmp_path), [[example(0), example(3)], [example(5)]])
    assert found.leaked.exact == ("dev-0", "dev-3", "dev-5")
    assert [item.id for item in found.items] == [f"dev-{n}" for n in range(TWELVE) if n not in (0, 3, 5)]
    assert found.pool == TWELVE
    loaded = found.benchmark.load(Source(None))
    assert loaded.variant == "development split"
    assert loaded.items == found.items
    assert loaded.shots == ()
    assert any("3 of its items are in the training texts" in line for line in development.sentences(found))


def test_the_items_that_are_drawn_are_the_same_every_time_and_never_scored_ones(tmp_path: Path) -> None:
    one, other = (prepared(quiz(tmp_path), [], items=7) for _ in range(2))
    assert one.items == other.items
    assert len(one.items) == 7
    assert {item.id.partition("-")[0] for item in one.items} == {"dev"}


def test_a_split_on_which_nothing_could_ever_be_significant_is_refused(tmp_path: Path) -> None:
    assert len(prepared(quiz(tmp_path, 6), [], models=2).items) == 6  # 2 / 2⁶ < 5%
    with pytest.raises(
        UsageError, match=r"5 items are too few. With 2 models, and so 1 test, fewer than 6 cannot show"
    ) as few:
        prepared(quiz(tmp_path, 5, name="five"), [], models=2)
    assert "--data DIR" in few.value.hint
    with pytest.raises(UsageError, match="6 items are too few") as more:
        prepared(quiz(tmp_path), [], items=6, models=3)
    assert more.value.hint == "Ask more: --rank-items 12"
    with pytest.raises(UsageError, match=r"12 items, from 5 documents, are too few"):
        prepared(quiz(tmp_path, documents=5, name="documents"), [], models=2)
    with pytest.raises(UsageError, match=r"4 items are too few \(8 of 12 are in the training texts\)"):
        prepared(quiz(tmp_path), [[example(number) for number in range(8)]], models=2)


def test_no_hub_is_asked_which_benchmarks_have_a_development_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medbench.core.hub.reachable", lambda: pytest.fail("the hub was asked"))
    with pytest.raises(UsageError, match="bare has no development split") as refused:
        prepared(quiz(tmp_path, 0, name="bare"), [])
    assert "No benchmark whose data is here has 6 development items" in refused.value.hint


# --- the command ------------------------------------------------------------------------------------------------------


def test_mistakes_are_found_before_anything_is_trained(tmp_path: Path) -> None:
    entry, bench = entries.entry(tmp_path, "smollm2-135m"), quiz(tmp_path)
    data = ("--set", f"data={entries.data(tmp_path)}")
    for words, said in {
        ("--rank-by", f"{bench}:token_f1"): "--rank-by needs --sweep options",
        (*SWEEP, "--rank-items", 5): "--rank-items needs --rank-by",
        (*SWEEP, "--rank-out", "x"): "--rank-out needs --rank-by",
        (*SWEEP, "--rank-by", bench): "as BENCHMARK:METRIC.\nMetrics of",
        (*SWEEP, "--rank-by", "medquat:rouge1"): "Did you mean medquad",
        (*SWEEP, "--rank-by", "medquad-sample:rouge"): "no metric is called 'rouge'",
        (*SWEEP, "--rank-by", "pubmedqa-sample:macro_f1"): "It comes with accuracy: --rank-by pubmedqa-sample:accuracy",
        (*SWEEP, "--rank-by", "pubmedqa-sample:ece"): "not a mean over items",
        (*SWEEP, "--rank-by", "medquad-sample:latency_p50_s"): "measured once per run",
        (*SWEEP, "--rank-by", "medquad-sample:rouge1,rouge2"): "only one metric can rank",
        (*SWEEP, "--rank-by", f"{bench}:accuracy"): "accuracy scores no answer of quiz: not multiple choice",
        (*SWEEP, "--rank-by", "medquad-sample:rouge1"): "4 items are too few",
        (*SWEEP, "--rank-by", f"{quiz(tmp_path, 0, name='bare')}:token_f1"): "bare has no development split",
    }.items():
        refused = command("train", "--model", entry, *data, *words)
        assert refused.exit_code == 2, (words, refused.output)
        assert said in refused.output, (words, refused.output)
    assert not Path("adapters").exists()
    assert not Path("rankings").exists()


def test_a_dry_run_shows_every_variant_and_what_ranking_costs(tmp_path: Path) -> None:
    entry, bench = entries.entry(tmp_path, "smollm2-135m"), quiz(tmp_path)
    words = ("train", "--model", entry, "--set", f"data={entries.data(tmp_path)}", *SHORT, *SWEEP, "--dry-run")
    done = command(*words, "--rank-by", f"{bench}:token_f1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["variant"] for each in found["variants"]] == ["learning_rate=1e-3", "learning_rate=5e-2"]
    cost = found["ranking"]
    assert (cost["models"], cost["items"], cost["tests"], cost["new_tokens"]) == (3, 12, 3, 3 * 12 * 8)
    characters = sum(len(f"Question: {question(number)}\nAnswer:") for number in range(TWELVE))
    assert cost["prompt_tokens"] == 3 * characters // 4
    shown = command(*words, "--rank-by", f"{bench}:token_f1")
    assert "ranking takes 36 answers" in shown.stdout
    assert "at most 288 new ones" in shown.stdout
    assert "ranking" not in command(*words).stdout
    assert not Path("adapters").exists()


def test_a_sweep_is_trained_and_ranked_and_the_same_from_python_asks_nothing_again(tmp_path: Path) -> None:
    entry, bench, data = entries.entry(tmp_path, "smollm2-135m"), quiz(tmp_path), entries.data(tmp_path)
    words = ("train", "--model", entry, "--set", f"data={data}", *SHORT, *SWEEP, "--rank-by", f"{bench}:token_f1")
    done = command(*words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["variant"] for each in found["variants"]] == ["learning_rate=1e-3", "learning_rate=5e-2"]
    ranking = found["ranking"]
    tags = {each["tag"] for each in found["variants"]}
    assert {each["model"] for each in ranking["places"]} == {str(entry), *(f"{entry}@{tag}" for tag in tags)}
    assert (ranking["items"], ranking["asked"], len(ranking["pairs"])) == (12, 12, 3)
    assert "quiz (development split) · 12 items" in ranking["column"]
    values = {each["run_id"]: each["value"] for each in ranking["places"]}
    scored = load_runs("rankings").items("token_f1").groupby("run_id")["token_f1"].mean()
    assert values == pytest.approx(dict(scored))
    assert not Path("runs").exists(), "no leaderboard of scored items gets these"
    answers = {path: path.stat().st_mtime_ns for path in Path("rankings").glob("*/samples.jsonl")}
    assert len(answers) == 3
    again = command(*words)
    assert again.exit_code == 0, again.output
    assert "is already trained" in again.stderr
    assert ranking["verdict"][0] in " ".join(again.stdout.split())
    for pair in ranking["pairs"]:
        assert pair["sentence"] in " ".join(again.stdout.split())
    swept = medbench.sweep(
        str(entry),
        {"learning_rate": ["1e-3", "5e-2"]},
        rank_by=f"{bench}:token_f1",
        settings={"data": data, "max_length": 200, "eval_examples": 2},
        max_steps=1,
        device="cpu",
    )
    assert swept.problems == ()
    assert [variant.adapter.manifest.tag for variant in swept.variants if variant.adapter] == sorted(tags)
    assert swept.ranking is not None
    assert swept.ranking.as_dict() | {"folder": ""} == _tupled(ranking) | {"folder": ""}
    assert {path: path.stat().st_mtime_ns for path in answers} == answers, "nothing was asked again"
    (board,) = leaderboard.build(load_runs("rankings")).boards
    assert "development split" in board.title


def test_the_variant_that_held_out_loss_would_choose_is_named_if_it_is_another_one(tmp_path: Path) -> None:
    from medbench.cli.ui import render_ranking

    found = ranked(tmp_path, {UNTRAINED: "0" * 12, "a": "1" * 12, "b": "0" * 11 + "1"})
    words = "Held-out loss would have chosen b, which has place 2 here."
    assert words in [str(part) for part in render_ranking.ranking(found, "b")]
    assert not [part for part in render_ranking.ranking(found, "a") if "Held-out" in str(part)]


def _tupled(value: Any) -> Any:
    """JSON with tuples for lists, as dataclasses hold them."""
    if isinstance(value, dict):
        return {key: _tupled(each) for key, each in value.items()}
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def test_a_variant_that_fails_is_named_and_the_others_are_ranked(tmp_path: Path) -> None:
    """With 8 tokens nothing is left to learn."""
    entry, bench, data = entries.entry(tmp_path, "smollm2-135m"), quiz(tmp_path), entries.data(tmp_path)
    words = ("train", "--model", entry, "--set", f"data={data}", "--set", "eval_examples=2", "--device", "cpu")
    done = command(*words, "--max-steps", 1, "--sweep", "max_length=8,200", "--rank-by", f"{bench}:token_f1", "--json")
    assert done.exit_code == 1
    assert "Not done: max_length=8:" in done.stderr
    found = json.loads(done.stdout)
    assert "error" in found["variants"][0]
    assert {each["label"] for each in found["ranking"]["places"]} == {UNTRAINED, "max_length=200"}


@pytest.mark.slow
def test_killed_while_it_ranks_the_same_command_ends_with_the_same_ranking(tmp_path: Path) -> None:
    entry, data = entries.entry(tmp_path, "smollm2-135m"), entries.data(tmp_path)
    bench = quiz(tmp_path, 40)
    words = [sys.executable, "-m", "medbench", "train", "--model", entry, "--set", f"data={data}", *SHORT, *SWEEP]
    words += ["--rank-by", f"{bench}:token_f1", "--json"]

    def start(home: str) -> subprocess.Popen[str]:
        environment = os.environ | {"MEDBENCH_HOME": str(tmp_path / home)}
        return subprocess.Popen(
            list(map(str, words)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def answers(home: str) -> int:
        files = (tmp_path / home / "rankings").glob("*/samples.jsonl")
        return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)

    process = start("killed")
    deadline = time.monotonic() + 300
    while not answers("killed") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < answers("killed") < 3 * 40
    found = []
    for home in ("killed", "whole"):
        out, said = (process := start(home)).communicate(timeout=300)
        assert process.returncode == 0, said
        assert answers(home) == 3 * 40
        found.append(json.loads(out)["ranking"] | {"folder": ""})
    assert found[0] == found[1]
