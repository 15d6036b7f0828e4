"""Changes to a run's files after the run are detected, reported, and shown only on request."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core import json_text
from medbench.core.errors import MedbenchError
from medbench.core.seals import EDITED, MOVED, UNSEALED, Chain, split
from medbench.core.types import Record, Score
from medbench.results import files
from medbench.results.manifest import Session
from medbench.results.manifest_file import Changed
from medbench.results.scoring import load_metric, score_run
from medbench.results.store import StoredRun, all_runs
from medbench.results.writer import RunWriter, add_metrics

BEFORE = Path(__file__).parent / "stored_before_seals" / "tiny__quiz__3f1bdcc692"  # written by medbench before seals
ANSWERS = {"a": "yes", "b": "no", "c": "yes", "d": "maybe"}
METRICS = ("exact_match", "token_f1")


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    """Two of four answers are right: exact_match is 0.5. Beside it a run that nobody touches."""
    made.make_run(tmp_path / "runs", ANSWERS, model="other", metrics=METRICS)
    found = made.make_run(
        tmp_path / "runs", ANSWERS, metrics=METRICS, sessions=[Session(items=4, seconds=2.0, completion_tokens=4)]
    )
    for name in METRICS:
        score_run(found, load_metric(name))  # type: ignore[arg-type]
    return StoredRun(found.path)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def edited(line: int, old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        found = lines(path)
        assert old in found[line - 1], found[line - 1]
        found[line - 1] = found[line - 1].replace(old, new, 1)
        path.write_text("".join(found))

    return edit


def rearranged(order: str) -> Callable[[Path], None]:
    """The lines numbered so, in this order: "1243" swaps the last two."""

    def edit(path: Path) -> None:
        found = lines(path)
        path.write_text("".join(found[int(number) - 1] for number in order))

    return edit


# --- the chain --------------------------------------------------------------------------------------------------------


def test_a_seal_is_the_last_member_of_a_line_and_the_body_comes_back() -> None:
    line = Chain.of("run", "samples.jsonl").add(b'{"id":"a"}')
    assert re.fullmatch(rb'\{"id":"a","seal":"[0-9a-f]{24}"\}\n', line)
    assert split(line)[0] == b'{"id":"a"}'
    assert split(line.replace(b"\n", b"\r\n"))[0] == b'{"id":"a"}', "line ends may be converted"
    assert split(b'{"id":"a"}\n') == (b'{"id":"a"}', b"")


def test_a_chain_tells_an_edit_from_a_line_that_is_gone() -> None:
    writing = Chain.of("run", "scores")
    a, b, c = (writing.add(json.dumps({"id": each}).encode()) for each in "abc")

    def read(*stored: bytes, run: str = "run") -> list[str]:
        chain = Chain.of(run, "scores", sealed=True)
        return [chain.read(line)[1] for line in stored]

    assert read(a, b, c) == ["", "", ""]
    assert read(a, b.replace(b'"b"', b'"x"'), c) == ["", EDITED, ""], "the edited line only"
    assert read(a, c) == ["", MOVED]
    assert read(a, c, b) == ["", MOVED, MOVED]
    assert read(a, b'{"id":"x"}\n', b, c) == ["", UNSEALED, MOVED, ""]
    assert read(a, b, c, run="another") == [MOVED, "", ""], "the lines of another run"


# --- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edited(2, '"text":"no"', '"text":"yes"'), "line 2 (item 'b'): it was changed after it was stored."),
        (edited(3, '"references":["yes"]', '"references":["no"]'), "line 3 (item 'c'): it was changed after"),
        (edited(1, '"item_id":"a"', '"item_id":"b"'), "line 1: item.id is 'a' but output.item_id is 'b'"),
        (rearranged("1243"), "line 3 (item 'd'): lines before it were deleted, added or moved (and 1 more like it)"),
        (rearranged("134"), "line 2 (item 'c'): lines before it were deleted, added or moved"),
        (rearranged("123"), "samples.jsonl ends after line 3, but 4 lines were stored"),
        (rearranged("12344"), "line 5 (item 'd'): lines before it were deleted, added or moved"),
        (edited(4, ',"seal"', ',"sael"'), "line 4 (item 'd'): it has no seal: it was added or changed after the run"),
        (lambda path: path.write_text(re.sub(r',"seal":"\w+"', "", path.read_text())), "line 1 (item 'a'): it has no"),
        (lambda path: path.write_text(path.read_text() + "[" * 100_000 + "\n"), "line 5: not JSON: nested more than"),
        (lambda path: path.write_text(path.read_text() + "1" * 5000 + "\n"), "line 5: not JSON: an integer of 5,000"),
        (edited(1, '"text":"yes"', r'"text":"\ud800"'), "line 1 (item 'a'): it was changed after it was stored"),
        (lambda path: path.unlink(), "samples.jsonl is missing; it had 4 lines"),
        (lambda path: path.write_bytes(b""), "samples.jsonl ends after line 0, but 4 lines were stored"),
    ],
)
def test_a_changed_run_is_named_and_not_shown_and_the_others_are(
    run: StoredRun, change: Callable[[Path], None], told: str
) -> None:
    change(run.path / "samples.jsonl")
    done = medbench("leaderboard", run.path.parent, "--json")
    assert done.exit_code == 1
    assert f"Not shown: {run.path}/samples.jsonl" in done.stderr
    assert told in done.stderr
    assert [row["model"] for board in json.loads(done.stdout)["boards"] for row in board["rows"]] == ["other"]
    with pytest.raises(Changed):
        StoredRun(run.path).records()


def test_lines_of_another_run_do_not_pass(run: StoredRun) -> None:
    """Two whole files, each as medbench wrote it, exchanged."""
    (other,) = run.path.parent.glob("other__*")
    shutil.copy(other / "samples.jsonl", run.path / "samples.jsonl")
    with pytest.raises(Changed, match=r"line 1 \(item 'a'\): lines before it were deleted, added or moved"):
        StoredRun(run.path).records()


def test_converted_line_ends_change_nothing(run: StoredRun) -> None:
    samples = run.path / "samples.jsonl"
    samples.write_bytes(samples.read_bytes().replace(b"\n", b"\r\n"))
    done = medbench("leaderboard", run.path.parent, "--json")
    assert done.exit_code == 0, done.stderr
    with RunWriter(run.path.parent, run.manifest) as writer:
        assert {item for item, _ in writer.done} == set(ANSWERS)


def test_a_changed_run_is_shown_when_asked_for_and_marked_in_every_form(run: StoredRun) -> None:
    edited(2, '"text":"no"', '"text":"yes"')(run.path / "samples.jsonl")
    change = f"{run.path}/samples.jsonl, line 2 (item 'b'): it was changed after it was stored"
    asked = ("leaderboard", run.path.parent, "--allow-changed")
    table = medbench(*asked)
    assert table.exit_code == 0, table.stderr
    assert table.stdout.count("changed after the run") == 1
    assert f"changed after the run: {change}." in table.stderr
    value = json.loads(medbench(*asked, "--json").stdout)
    by_model = {row["model"]: row for board in value["boards"] for row in board["rows"]}
    assert by_model["tiny"]["changed"] == [change]
    assert by_model["other"]["changed"] == []
    exact = {figure["metric"]: figure["value"] for figure in by_model["tiny"]["figures"]}["exact_match"]
    assert exact == 0.75, "of the answers as they are now, not of scores stored before: 3 of 4"
    rows = list(csv.DictReader(io.StringIO(medbench(*asked, "--csv", "-").stdout)))
    assert {row["changed"] for row in rows if row["model"] == "tiny"} == {change}
    assert {row["changed"] for row in rows if row["model"] == "other"} == {""}
    assert "tiny (changed after the run)" in medbench(*asked, "--markdown", "-").stdout
    shown = medbench("show", run.path, "--allow-changed", "--json")
    assert json.loads(shown.stdout)["notes"] == [f"changed after the run: {change}."]
    assert medbench("show", run.path).exit_code == 1
    (other,) = run.path.parent.glob("other__*")
    assert medbench("compare", run.path, other).exit_code == 1
    compared = medbench("compare", run.path, other, "--allow-changed")
    assert compared.exit_code == 0, compared.stderr
    assert f"changed after the run: {change}" in " ".join(compared.stdout.split())
    scores = run.path / "scores" / "exact_match.jsonl"
    assert len(lines(scores)) == 5, "scores of changed answers are not kept"


def test_a_command_without_a_table_says_so_and_why(run: StoredRun) -> None:
    edited(2, '"text":"no"', '"text":"yes"')(run.path / "samples.jsonl")
    for command in (("score", run.path, "-M", "token_f1"), ("leaderboard", run.path)):
        done = medbench(*command)
        assert (done.exit_code, done.stdout.strip()) == (1, "None of these runs can be shown.")
        assert f"Not shown: {run.path}" in done.stderr


def test_score_takes_a_changed_run_only_when_asked_and_keeps_nothing_of_it(run: StoredRun) -> None:
    edited(2, '"text":"no"', '"text":"yes"')(run.path / "samples.jsonl")
    asked = ("score", run.path, "--metrics", "rouge1")
    refused = medbench(*asked, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["boards"]) == (1, [])
    assert "line 2 (item 'b'): it was changed after it was stored" in refused.stderr
    shown = medbench(*asked, "--allow-changed")
    assert shown.exit_code == 0, shown.stderr
    assert "changed after the run" in shown.stdout
    assert not (run.path / "scores" / "rouge1.jsonl").exists()
    assert StoredRun(run.path, allow_changed=True).manifest.metrics == METRICS
    judged = medbench(*asked, "--allow-changed", "--judge", "groq")
    assert (judged.exit_code, "--judge cannot be used with --allow-changed" in judged.stderr) == (2, True)


def test_the_same_command_answers_changed_items_again_and_keeps_the_file(
    run: StoredRun, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = run.path / "samples.jsonl"
    edited(2, '"text":"no"', '"text":"yes"')(samples)
    changed = samples.read_bytes()
    with RunWriter(run.path.parent, run.manifest) as writer:
        assert {item for item, _ in writer.done} == {"a", "c", "d"}
        writer.append([made.record("b", "yes")])
    assert "line 2 (item 'b'): it was changed after it was stored. 3 answers are unchanged" in capsys.readouterr().err
    assert (run.path / "samples.jsonl.damaged-1").read_bytes() == changed
    again = StoredRun(run.path)
    assert [record.output.text for record in again.records()] == ["yes", "yes", "yes", "maybe"]
    values = [score.value for score in score_run(again, load_metric("exact_match"))]  # type: ignore[arg-type]
    assert values == [1.0, 1.0, 1.0, 0.0], "b is scored by its new answer"


def test_a_run_that_goes_on_continues_its_chain(tmp_path: Path) -> None:
    first = made.make_run(tmp_path, {"a": "yes"}, item_ids=list("abc"))
    torn = first.path / "samples.jsonl"
    torn.write_bytes(torn.read_bytes() + b'{"item":{"id":"b","qu')  # killed within an answer
    for item in "bc":
        with RunWriter(tmp_path, first.manifest) as writer:
            writer.append([made.record(item, "no")])
    run = StoredRun(first.path)
    assert [record.item.id for record in run.records()] == ["a", "b", "c"]
    assert not run.changes
    assert run.manifest.checkpoint.lines == 3


def test_answers_that_were_stored_after_the_last_checkpoint_are_no_change(tmp_path: Path) -> None:
    with RunWriter(tmp_path, made.manifest(list("abc"))) as writer:
        writer.append([made.record("a", "yes")])
        writer.update(sessions=[Session(items=1)])
        writer.append([made.record("b", "yes")])
        meanwhile = StoredRun(writer.path)  # another process reads
        assert meanwhile.manifest.checkpoint.lines == 1
        assert [record.item.id for record in meanwhile.records()] == ["a", "b"]


def test_a_line_too_long_for_memory_is_named(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_LINE", 1 << 20)
    with (run.path / "samples.jsonl").open("ab") as file:
        file.truncate(file.tell() + (1 << 21))  # no line end in sight
    done = medbench("leaderboard", run.path.parent)
    assert done.exit_code == 1
    assert f"{run.path}/samples.jsonl, line 5: longer than 1 MiB" in done.stderr


# --- the manifest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["identity"].update(chat="template"), "identity"),
        (lambda m: m["comparable"].update(shots=5), "comparable"),
        (lambda m: m["item_ids"].pop(), "item_ids"),
        (lambda m: m["sessions"][0].update(seconds=0.5), "sessions"),
        (lambda m: m.update(latency={"seconds": [0.1]}), "latency"),
        (lambda m: m.update(checkpoint={}), "checkpoint"),
        (lambda m: m.pop("created"), "created"),
        (lambda m: m.pop("seals"), "its seals are missing"),
    ],
)
def test_a_changed_manifest_is_named_by_field(run: StoredRun, change: Callable[[dict], object], told: str) -> None:  # type: ignore[type-arg]
    path = run.path / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    done = medbench("leaderboard", run.path.parent, "--json")
    assert done.exit_code == 1
    assert f"{path}: changed after medbench wrote it: {told}" in done.stderr
    with pytest.raises(Changed):
        add_metrics(run.path, ["rougeL"])  # nothing is written over it
    with pytest.raises(MedbenchError):
        RunWriter(run.path.parent, run.manifest).__enter__()
    shown = medbench("leaderboard", run.path.parent, "--allow-changed")
    assert shown.exit_code == 0, shown.stderr
    assert "changed after the run" in shown.stdout


def test_a_manifest_in_another_layout_is_the_same(run: StoredRun) -> None:
    path = run.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True, indent=4))
    assert not StoredRun(run.path).changes


# --- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        edited(3, '"value":0.0', '"value":1.0'),
        edited(1, '"version":"', '"version":"x'),
        edited(3, '"value"', '"valeu"'),
        edited(2, '"}', ""),  # no longer JSON
        rearranged("1324"),
        lambda path: path.write_text(path.read_text() + "[" * 100_000 + "\n"),
        lambda path: path.write_bytes(b"\x00" * 300 + b"\n"),
    ],
)
def test_a_changed_score_file_is_computed_again_and_kept(run: StoredRun, change: Callable[[Path], None]) -> None:
    path = run.path / "scores" / "exact_match.jsonl"
    whole = path.read_bytes()
    change(path)
    damaged = path.read_bytes()
    done = medbench("leaderboard", run.path, "--json")
    assert done.exit_code == 0, done.stderr
    value = json.loads(done.stdout)
    figures = {figure["metric"]: figure["value"] for figure in value["boards"][0]["rows"][0]["figures"]}
    assert figures["exact_match"] == 0.5
    assert path.read_bytes() == whole
    assert path.with_name("exact_match.jsonl.damaged-1").read_bytes() == damaged
    (note,) = value["notes"]
    assert note.startswith(f"{path}, line ")
    assert note.endswith("All its scores were computed again; the file is kept as exact_match.jsonl.damaged-1.")
    assert note in done.stderr
    assert medbench("leaderboard", run.path).stderr == "", "said once"


def test_scores_in_a_folder_that_may_only_be_read_are_computed_each_time(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(3, '"value":0.0', '"value":1.0')(run.path / "scores" / "exact_match.jsonl")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("medbench.results.scoring.set_aside", refuse)
    values = [score.value for score in score_run(run, load_metric("exact_match"))]  # type: ignore[arg-type]
    assert values == [1.0, 0.0, 1.0, 0.0]


def test_a_process_that_scores_the_same_is_waited_for(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long it takes: the second finds the scores of the first, and says once whom it waits for."""
    monkeypatch.setattr(files, "GRACE_S", 0.01)
    started, release = threading.Event(), threading.Event()

    class Slow(made.Read):
        def score(self, records: Sequence[Record]) -> list[Score]:
            started.set()
            assert release.wait(60)
            return [Score(record.item.id, 0.5) for record in records]

    first = threading.Thread(target=score_run, args=(run, Slow("slow", binary=False)))
    first.start()
    assert started.wait(60)
    threading.Timer(0.5, release.set).start()
    second = made.Read("slow", binary=False)
    assert [score.value for score in score_run(StoredRun(run.path), second)] == [0.5] * 4
    first.join()
    assert second.asked == []
    told = capsys.readouterr().err
    assert told.count("Waiting: 'slow' of the run") == 1
    assert f"is being written by process {os.getpid()} on" in told


def test_metrics_join_a_run_that_another_process_is_answering(tmp_path: Path) -> None:
    """`medbench score` does not wait for hours, and neither forgets what the other wrote."""
    with RunWriter(tmp_path, made.manifest(["a", "b"], metrics=("exact_match",))) as writer:
        add_metrics(writer.path, ["rougeL"])
        writer.append([made.record("a", "yes")])
        writer.update(sessions=[Session(items=1)])
    found = StoredRun(writer.path).manifest
    assert (found.metrics, found.sessions) == (("exact_match", "rougeL"), (Session(items=1),))


# --- what is no run, or only part of one ------------------------------------------------------------------------------


def test_a_run_without_its_manifest_is_named(run: StoredRun) -> None:
    (run.path / "manifest.json").unlink()
    for words in (("leaderboard", run.path.parent), ("list", "runs", "--out", run.path.parent)):
        done = medbench(*words)
        assert done.exit_code == 1
        assert f"Not shown: {run.path} has answers of a run but no manifest.json." in done.stderr
        assert "other" in done.stdout


def test_what_is_no_run_is_passed_over(run: StoredRun) -> None:
    root = run.path.parent
    (root / "notes").mkdir()
    (root / "notes" / "manifest.json").write_text('{"tag": "v1", "kind": "lora"}')  # an adapter's
    (root / "table").mkdir()
    (root / "table" / "samples.jsonl").write_text('{"question": "?"}\n')  # another program's
    (root / "agreement").mkdir()
    with RunWriter(root, made.manifest(["a"], model="interrupted")):
        pass  # before its first answer
    done = medbench("leaderboard", root)
    assert (done.exit_code, done.stderr) == (0, "interrupted on quiz: 0 of 1 answered, not shown.\n")
    assert "interrupted" not in done.stdout
    listed = medbench("list", "runs", "--out", root)
    assert (listed.exit_code, listed.stderr) == (0, "")
    assert "interrupted" in listed.stdout


# --- runs from before -------------------------------------------------------------------------------------------------


@pytest.fixture
def before(tmp_path: Path) -> StoredRun:
    return StoredRun(Path(shutil.copytree(BEFORE, tmp_path / "runs" / BEFORE.name)))


def test_runs_from_before_are_shown_with_one_note(before: StoredRun) -> None:
    made.make_run(before.path.parent, {"a": "yes", "b": "no"}, list("abcd"), model="new", metrics=METRICS)
    done = medbench("leaderboard", before.path.parent, "--json")
    assert done.exit_code == 0
    assert done.stderr == (
        "1 of 2 runs are from before medbench sealed what it stores: a change would not be noticed.\n"
    )
    rows = {row["model"]: row for row in json.loads(done.stdout)["boards"][0]["rows"]}
    assert (rows["tiny"]["sealed"], rows["new"]["sealed"]) == (False, True)
    value = next(f["value"] for f in rows["tiny"]["figures"] if f["metric"] == "exact_match")
    assert value == pytest.approx(2 / 3)
    assert (before.path / "samples.jsonl").read_bytes() == (BEFORE / "samples.jsonl").read_bytes()


def test_a_run_from_before_goes_on_and_its_first_lines_are_covered_too(before: StoredRun) -> None:
    with RunWriter(before.path.parent, before.manifest) as writer:
        assert {item for item, _ in writer.done} == {"a", "b", "c"}
        writer.append([made.record("d", "yes")])
    run = StoredRun(before.path)
    assert len(run.records()) == 4
    assert run.manifest.checkpoint.unsealed == 3
    values = [score.value for score in score_run(run, load_metric("exact_match"))]  # type: ignore[arg-type]
    assert values == [1.0, 0.0, 1.0, 1.0]
    edited(2, '"text":"no"', '"text":"yes"')(run.path / "samples.jsonl")
    with pytest.raises(Changed, match=r"line 4 \(item 'd'\): lines before it were deleted, added or moved"):
        StoredRun(before.path).records()


def test_a_changed_identity_is_noticed_without_a_seal(before: StoredRun) -> None:
    path = before.path / "manifest.json"
    path.write_text(path.read_text().replace('"float32"', '"bfloat16"'))
    runs, (problem,) = all_runs(before.path.parent)
    assert not runs
    assert "its identity does not match its run_id" in str(problem)


def test_a_broken_line_from_before_is_named_and_made_again(before: StoredRun) -> None:
    edited(2, '{"item"', '{"item')(before.path / "samples.jsonl")
    with pytest.raises(Changed, match=r"samples\.jsonl, line 2: not JSON"):
        before.records()
    with RunWriter(before.path.parent, before.manifest) as writer:
        assert {item for item, _ in writer.done} == {"a", "c"}
        writer.append([made.record("b", "yes")])
    again = StoredRun(before.path)
    assert [record.output.text for record in again.records()] == ["yes", "yes", "yes"]
    assert not again.manifest.sealed, "its other files have no seals"


def test_a_metric_asked_for_by_name_that_scores_nothing_is_no_empty_table(tmp_path: Path) -> None:
    for model in ("one", "two"):
        made.make_run(tmp_path, ANSWERS, model=model, metrics=METRICS)
    board = medbench("leaderboard", tmp_path, "--metrics", "accuracy,exact_match")
    assert (board.exit_code, "accuracy did not score any answer of these runs" in board.stderr) == (1, True)
    pair = sorted(tmp_path.glob("*__*"))
    compared = medbench("compare", *pair, "--metrics", "accuracy,exact_match")
    assert (compared.exit_code, "accuracy scores no item that both answered" in compared.stderr) == (1, True)
    assert medbench("compare", *pair, "--metrics", "exact_match").exit_code == 0
