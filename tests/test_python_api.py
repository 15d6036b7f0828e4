"""medbench from Python: the same runs, figures and errors as on the command line."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import entries
import made
import medbench
import pytest
import tiny
from click.testing import CliRunner
from medbench.cli import cli
from medbench.results.store import StoredRun
from medbench.results.writer import RunWriter

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(tiny.save(tmp_path / "tiny", "llama", window=2048))


def command(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})


def answers(pattern: str) -> dict[str, str]:
    """Answers to items a, b, c, …: "110" is right, right, wrong. The reference of each is "yes"."""
    return {"abcdefgh"[at]: "yes" if right == "1" else "no" for at, right in enumerate(pattern)}


# --- the door ---------------------------------------------------------------------------------------------------------


def test_importing_medbench_loads_nothing_heavy() -> None:
    code = "import medbench, sys; print([n for n in ('torch', 'transformers', 'pandas', 'rich') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for name in medbench.__all__:
        assert getattr(medbench, name) is not None
        assert name in dir(medbench)
        assert name.startswith("__") or name in page, f"docs/python.md does not have {name}"
    with pytest.raises(AttributeError, match="has no attribute 'evaluates'"):
        _ = medbench.evaluates  # type: ignore[attr-defined]


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_the_command_finds_the_run_of_the_call_and_the_other_way_around(model: str) -> None:
    (run,) = medbench.evaluate(model, "medqa-sample", limit=4, seed=3, latency_items=0)
    assert run.complete
    assert run.manifest.command == (
        f"medbench.evaluate(models={model!r}, benchmarks='medqa-sample', limit=4, seed=3, latency_items=0)",
    )
    before = (run.path / "samples.jsonl").read_bytes()
    done = command("run", "-m", model, "-b", "medqa-sample", "--limit", 4, "--seed", 3, "--latency-items", 0, "--json")
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in Path("runs").iterdir()] == [run.path.name]
    assert (run.path / "samples.jsonl").read_bytes() == before, "nothing was asked again"
    (again,) = medbench.evaluate([model], ["medqa-sample"], limit=4, seed=3, latency_items=0)
    assert again.path == run.path


def test_a_frame_has_the_rows_of_the_csv_export(model: str) -> None:
    runs = medbench.evaluate(model, "medqa-sample,pubmedqa-sample", limit=4, latency_items=0)
    assert not runs.problems
    exported = list(csv.DictReader(io.StringIO(command("leaderboard", "runs", "--csv", "-").stdout)))
    frame = runs.frame()
    assert list(frame["metric"]) == [row["metric"] for row in exported]
    assert list(frame.columns) == list(exported[0])
    assert list(frame["value"]) == pytest.approx([float(row["value"]) for row in exported])
    assert set(runs.frame(["accuracy"])["benchmark"]) == {"medqa-sample", "pubmedqa-sample"}
    assert list(medbench.load_runs("runs").frame()["value"]) == list(frame["value"])


def test_items_are_rows_with_their_scores(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "runs", answers("110"), metrics=["exact_match", "token_f1"])
    items = medbench.load_runs(run.path).items()
    assert list(items["exact_match"]) == [1.0, 1.0, 0.0]
    assert list(items["item"]) == [record.item.id for record in run.records()]
    assert set(items["run_id"]) == {run.manifest.run_id}
    assert not [name for name in items if name.endswith(".reason")], "every item has a score"


def test_the_reason_stands_beside_an_item_without_a_score(tmp_path: Path) -> None:
    refused = made.record("b", "")
    object.__setattr__(refused.output, "error", "refused: content filter")
    object.__setattr__(refused.output, "final", True)
    about = made.manifest(["a", "b"], metrics=["exact_match"])
    with RunWriter(tmp_path / "runs", about) as writer:
        writer.append([made.record("a", "yes"), refused])
    items = medbench.Runs([StoredRun(tmp_path / "runs" / about.run_id)]).items()
    assert list(items["exact_match"].isna()) == [False, True]
    assert "content filter" in items["exact_match.reason"][1]


def test_what_fails_is_a_problem_and_the_others_go_on(model: str) -> None:
    runs = medbench.evaluate([model, "owner/no-such-model"], ["medqa-sample", "liveqa"], limit=2, latency_items=0)
    assert [run.manifest.benchmark.name for run in runs] == ["medqa-sample"]
    assert len(runs.problems) == 2
    assert any("owner/no-such-model" in problem for problem in runs.problems)
    assert any("liveqa has no data" in problem for problem in runs.problems)
    assert "not done: " in repr(runs)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"benchmarks": "medqa-sampel"}, "Did you mean"),
        ({"metrics": "no-such-metric"}, "no metric is called 'no-such-metric'"),
        ({"dtype": "float12"}, "dtype (--dtype) float12"),
        ({"base_url": "http://127.0.0.1:9/v1"}, "runs on this machine, not at a server"),
    ],
)
def test_a_wrong_request_is_a_usage_error(model: str, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(medbench.UsageError) as caught:
        medbench.evaluate(**{"models": model, "benchmarks": "medqa-sample"} | asked)
    assert told in str(caught.value)
    assert not Path("runs").exists()


def test_progress_hears_every_answer(model: str) -> None:
    class Count(medbench.Progress):
        def __init__(self) -> None:
            self.heard: list[str] = []

        def turn(self, number: int, turns: int) -> None:
            self.heard.append(f"{number} of {turns}")

        def answered(self, output: Any) -> None:
            self.heard.append(output.item_id)

    count = Count()
    first, second = medbench.evaluate(
        model, ["medqa-sample", "pubmedqa-sample"], limit=2, latency_items=0, progress=count
    )
    assert count.heard[0] == "1 of 2"
    assert set(count.heard[1:3]) == set(first.manifest.item_ids)
    assert count.heard[3] == "2 of 2"
    assert set(count.heard[4:]) == set(second.manifest.item_ids)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_models_are_compared_as_by_the_command(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", answers("111111"), model="one", metrics=["exact_match"])
    made.make_run(tmp_path / "runs", answers("000000"), model="two", metrics=["exact_match"])
    for found in (medbench.load_runs().compare("one", "two"), medbench.compare("one", "two")):
        ((line,),) = [match.lines for match in found.matches]
        # Six discordant pairs, all one way: 2 · (1/2)⁶.
        assert (line.name, line.difference, line.p) == ("exact_match", 1.0, pytest.approx(1 / 32))
    with pytest.raises(medbench.UsageError, match="no run here is of 'three'"):
        medbench.load_runs().compare("one", "three")
    with pytest.raises(medbench.UsageError, match="1 side: a comparison needs two"):
        medbench.compare("one")


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", answers("10"), metrics=["exact_match"])
    broken = tmp_path / "runs" / "tiny__quiz__0123456789"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    runs = medbench.load_runs()
    assert len(runs) == 1
    assert len(runs.problems) == 1
    assert str(broken.name) in runs.problems[0]
    with pytest.raises(medbench.UsageError, match="there is no folder"):
        medbench.load_runs("elsewhere")


def test_a_notebook_shows_tables_and_no_name_breaks_out(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", answers("10"), model="<script>alert(1)</script>", metrics=["exact_match"])
    shown = medbench.load_runs()._repr_html_()
    assert "<td>0.500 [0.095, 0.905]</td>" in shown  # Wilson of 1 of 2
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


# --- train ------------------------------------------------------------------------------------------------------------


def test_an_entry_is_trained_and_used_by_its_tag(tmp_path: Path) -> None:
    file = entries.entry(tmp_path, "smollm2-135m")
    settings = {"data": str(entries.data(tmp_path)), "batch_size": 2, "eval_examples": 2}
    adapter = medbench.train(str(file), tag="first", settings=settings, max_steps=1, allow_leak=["medquad-sample"])
    assert adapter.manifest.status == "done"
    assert adapter.folder == Path("adapters/tiny-smollm2-135m/first")
    assert adapter.manifest.settings == [f"{name}={value}" for name, value in settings.items()]
    written = (adapter.folder / "adapter_model.safetensors").stat().st_mtime_ns
    again = medbench.train(str(file), tag="first", settings=settings, max_steps=1, allow_leak=["medquad-sample"])
    assert again.manifest.hash == adapter.manifest.hash
    assert (adapter.folder / "adapter_model.safetensors").stat().st_mtime_ns == written, "a finished training stays"
    (run,) = medbench.evaluate(str(adapter.folder), "medqa-sample", limit=2, latency_items=0)
    assert run.complete


def test_a_model_without_a_recipe_cannot_be_trained(model: str) -> None:
    with pytest.raises(medbench.UsageError, match="has no training recipe"):
        medbench.train(model)


# --- called wrong, and called anywhere --------------------------------------------------------------------------------


def test_models_and_benchmarks_may_be_paths_strings_lists_and_tuples(model: str) -> None:
    asked: list[Any] = [model, Path(model), [Path(model)], (model,)]
    paths = {medbench.evaluate(one, "medqa-sample", limit=2, latency_items=0)[0].path for one in asked}
    assert len(paths) == 1, "all mean the same run"


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"dtyp": "float32"}, TypeError, r"unexpected keyword argument 'dtyp'. Did you mean 'dtype'"),
        ({"limits": {"concurency": 1}}, TypeError, "limits got an unexpected keyword argument 'concurency'"),
        ({"limits": {"concurrency": 0}}, medbench.UsageError, "concurrency=0: it must be at least 1"),
        ({"limit": 0}, medbench.UsageError, "limit=0: it must be at least 1"),
        ({"limit": "2"}, TypeError, "limit must be a whole number, not '2'"),
        ({"limit": 2.5}, TypeError, r"limit must be a whole number, not 2\.5"),
        ({"max_new_tokens": 0}, medbench.UsageError, "max_new_tokens=0"),
        ({"choice": "x"}, medbench.UsageError, "choice='x': not one of auto, logprob, generate"),
        ({"progress": 3}, TypeError, r"progress must be a medbench\.Progress"),
        ({"models": []}, medbench.UsageError, "no model is named"),
        ({"benchmarks": []}, medbench.UsageError, "no benchmark is named"),
        ({"models": None}, TypeError, "models must be a name, a path, or a list of them, not None"),
        ({"models": [3]}, TypeError, "models must be .* 3 is neither"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_runs(
    wrong: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        medbench.evaluate(**{"models": "smollm2-135m", "benchmarks": "medqa-sample", **wrong})
    assert not Path("runs").exists()


def test_one_name_is_never_read_letter_by_letter(tmp_path: Path) -> None:
    made.make_run(tmp_path / "runs", answers("110"), metrics=["exact_match", "token_f1"])
    runs = medbench.load_runs("runs")
    assert set(runs.frame("exact_match")["metric"]) == set(runs.frame(["exact_match"])["metric"])
    assert list(runs.items("exact_match")["exact_match"]) == [1.0, 1.0, 0.0]
    with pytest.raises(medbench.UsageError, match="no judge is called 'nobody'"):
        medbench.evaluate("smollm2-135m", judges=medbench.Asked(names="nobody"))  # type: ignore[arg-type]


def test_no_runs_are_empty_tables_with_their_columns() -> None:
    none = medbench.Runs(())
    assert len(none.frame()) == len(none.items()) == 0
    assert {"run_id", "item", "answer"} <= set(none.items().columns)
    assert none._repr_html_() == "<p>0 runs</p>"
    with pytest.raises(medbench.UsageError, match="0 models: a comparison needs two"):
        none.compare()


def test_evaluate_works_in_a_thread_and_inside_a_running_event_loop(model: str) -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    def asked(limit: int) -> medbench.Runs:
        return medbench.evaluate(model, "medqa-sample", limit=limit, latency_items=0)

    async def notebook() -> medbench.Runs:
        return asked(3)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asked, 2).result()[0].complete
    assert asyncio.run(notebook())[0].complete


def test_an_interrupt_keeps_what_was_answered(model: str) -> None:
    class Stopped(medbench.Progress):
        def answered(self, output: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        medbench.evaluate(model, "medqa-sample", limit=3, latency_items=0, progress=Stopped())
    (run,) = medbench.evaluate(model, "medqa-sample", limit=3, latency_items=0)
    assert run.complete


def test_runs_are_found_after_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.make_run(tmp_path / "runs", answers("110"), metrics=["exact_match"])
    runs = medbench.load_runs("runs")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(runs.items()) == 3
