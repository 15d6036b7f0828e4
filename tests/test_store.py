"""The run store: what is stored stays, whatever happens to the process or the disk."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.core import reasoning, types
from medbench.core.errors import DataMalformed, MedbenchError, UsageError
from medbench.core.hashing import fingerprint
from medbench.core.json_text import loads
from medbench.core.seals import split
from medbench.core.types import Item, Output, Record, Score
from medbench.results import files
from medbench.results.identity import Identity, ModelIdentity, differing, run_id
from medbench.results.lookup import find, side
from medbench.results.manifest import Checkpoint, RunSettings, Session
from medbench.results.manifest_file import write_manifest
from medbench.results.records import decode, encode
from medbench.results.scoring import figures, score_run
from medbench.results.store import StoredRun, all_runs
from medbench.results.writer import RunWriter, add_metrics

IDS = ["a", "b", "c"]

# --- one record as one line -------------------------------------------------------------------------------------------

wild = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\u2028", "\x00", "\r\n", "\ud800", '"\\'])
numbers = st.floats(allow_nan=False, allow_infinity=False)
items = st.builds(
    Item,
    id=wild,
    question=wild,
    context=wild,
    options=st.lists(wild, max_size=3).map(tuple),
    labels=st.lists(wild, max_size=3).map(tuple),
    gold=st.none() | st.integers(0, 4),
    references=st.lists(wild, max_size=3).map(tuple),
    meta=st.dictionaries(wild, wild, max_size=3),
)
outputs = st.builds(
    Output,
    item_id=st.just(""),
    prompt=wild,
    text=st.none() | wild,
    logprobs=st.none() | st.lists(numbers | st.just(-math.inf), max_size=4).map(tuple),
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    truncated_tokens=st.integers(0, 10**6),
    finish=st.sampled_from(["stop", "length", "choice", "error"]),
    seconds=numbers,
    first_token_s=st.none() | numbers,
    error=st.none() | wild,
)


def paired(value: Any) -> Any:
    """Two halves of a surrogate pair side by side are one character to JSON, as they are to UTF-16."""
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return re.sub("[\ud800-\udfff]", "\ufffd", whole)
    if isinstance(value, dict):
        return {paired(k): paired(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(map(paired, value))
    return value


@given(items, outputs)
def test_a_record_is_one_line_and_comes_back_as_it_was(item: Item, output: Output) -> None:
    record = Record(item, dataclasses.replace(output, item_id=item.id))
    line = files.to_json(encode(record))
    assert b"\n" not in line
    line.decode("utf-8")  # any tool can read the file; half a surrogate pair is read as U+FFFD
    back = decode(loads(line))
    for before, after in ((record.item, back.item), (record.output, back.output)):
        for field in dataclasses.fields(before):
            assert paired(getattr(after, field.name)) == paired(getattr(before, field.name)), field.name


def test_a_line_holds_only_what_is_not_default_and_stays_readable() -> None:
    record = Record(Item("1", "Fieber über 40 °C?", options=("ja", "nein"), gold=0), Output("1", logprobs=(-0.5, -1.0)))
    assert files.to_json(encode(record)).decode() == (
        '{"item":{"id":"1","question":"Fieber über 40 °C?","options":["ja","nein"],"gold":0},'
        '"output":{"item_id":"1","logprobs":[-0.5,-1.0]}}'
    )


def test_an_impossible_option_is_null_on_disk_and_minus_infinity_in_memory() -> None:
    record = Record(Item("1", "?", options=("x", "y")), Output("1", logprobs=(-math.inf, -1.0)))
    assert b'"logprobs":[null,-1.0]' in files.to_json(encode(record))
    assert decode(encode(record)).output.logprobs == (-math.inf, -1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_log_probability_that_is_no_number_is_a_failure_not_an_answer(value: float) -> None:
    record = Record(Item("1", "?", options=("x", "y")), Output("1", logprobs=(-1.0, value)))
    stored = decode(encode(record)).output
    assert (stored.logprobs, stored.finish) == (None, "error")
    assert stored.error == f"the log-probability of option 2 is {value}"


# --- writing and resuming ---------------------------------------------------------------------------------------------


def test_a_resumed_run_keeps_what_it_has_and_never_stores_an_item_twice(tmp_path: Path) -> None:
    manifest = made.manifest(IDS)
    with RunWriter(tmp_path, manifest) as writer:
        writer.append([made.record("b", "first")])
        writer.update(sessions=[Session(items=1, seconds=2.0, peak_rss_bytes=5)])
    with RunWriter(tmp_path, manifest.with_metrics(["right", "extra"])) as writer:
        assert {item for item, _ in writer.done} == {"b"}
        assert writer.manifest.sessions == (Session(items=1, seconds=2.0, peak_rss_bytes=5),)
        assert writer.manifest.metrics == ("right", "extra")
        writer.append([made.record("b", "second"), made.record("c", "x"), made.record("c", "again")])
        writer.append([made.record("a", "y")])
    run = StoredRun(writer.path)
    assert (run.path / "samples.jsonl").read_text().count("\n") == 3
    assert [(r.item.id, r.output.text) for r in run.records()] == [("a", "y"), ("b", "first"), ("c", "x")]
    assert [r.item.id for r in run.iter_records()] == ["b", "c", "a"]
    assert run.complete


def test_the_manifest_is_there_before_the_first_answer_and_comes_back_as_it_was(tmp_path: Path) -> None:
    manifest = made.manifest(IDS, settings={"limit": 3, "odd": "\ud800\u2028"})
    with RunWriter(tmp_path, manifest):
        run = StoredRun(tmp_path / manifest.run_id)
        # Half a surrogate pair cannot be printed: it is read as U+FFFD.
        expected = dataclasses.replace(manifest, settings=RunSettings.from_json({"limit": 3, "odd": "\ufffd\u2028"}))
        assert dataclasses.replace(run.manifest, checkpoint=None) == expected
        assert not run.complete
        assert run.records() == []


def test_measurements_add_up_over_sessions(tmp_path: Path) -> None:
    sessions = [
        Session(items=2, seconds=1.5, prompt_tokens=10, completion_tokens=4, peak_rss_bytes=7),
        Session(items=1, seconds=0.5, prompt_tokens=6, completion_tokens=1, peak_rss_bytes=9),
    ]
    run = made.make_run(tmp_path, made.bits("101"), sessions=sessions)
    measured = run.manifest.measured()
    assert (measured.items, measured.seconds) == (3, 2.0)
    assert (measured.prompt_tokens, measured.completion_tokens) == (16, 5)
    assert (measured.peak_rss_bytes, measured.peak_gpu_memory_bytes) == (9, None)


def test_a_torn_last_line_is_passed_over_by_readers_and_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    manifest = made.manifest(IDS)
    with RunWriter(tmp_path, manifest) as writer:
        writer.append([made.record("a", "whole")])
    samples = writer.path / "samples.jsonl"
    whole = samples.read_bytes()
    samples.write_bytes(whole + b'{"item":{"id":"b","question":"' + b"x" * 200_000)  # longer than one block
    torn = samples.read_bytes()
    assert [r.item.id for r in StoredRun(writer.path).records()] == ["a"]
    assert samples.read_bytes() == torn
    with RunWriter(tmp_path, manifest) as writer:
        assert samples.read_bytes() == whole
        assert {item for item, _ in writer.done} == {"a"}
        writer.append([made.record("b", "anew")])
    assert [r.output.text for r in StoredRun(writer.path).records()] == ["whole", "anew"]


def test_of_two_records_for_one_item_the_first_counts(tmp_path: Path) -> None:
    run = made.unsealed(made.make_run(tmp_path, {"a": "first"}, item_ids=IDS))  # a seal would tell on the others
    samples = run.path / "samples.jsonl"
    samples.write_text(samples.read_text() * 2 + samples.read_text().replace("first", "third"))
    assert [r.output.text for r in run.records()] == ["first"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"item":{"id":"b"', "not JSON"),
        ('{"item":{"id":"b","question":"?"}}', "'output' is missing"),
        ('{"item":{"id":"b","question":"?","color":1},"output":{"item_id":"b"}}', "color"),
        ('{"item":{"id":"b","question":"?"},"output":{"item_id":"c"}}', "output.item_id is 'c'"),
        ('{"item":{"id":"z","question":"?"},"output":{"item_id":"z"}}', "'z' is not an item of this run"),
        ('{"item":{"id":"b","question":"?"},"output":{"item_id":"b","seconds":NaN}}', "NaN is not JSON"),
        ("[]", "not a record"),
        ("", "not JSON"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number_and_answered_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, problem: str
) -> None:
    manifest = made.manifest(IDS)
    run = made.make_run(tmp_path, {"a": "1"}, item_ids=IDS)
    samples = run.path / "samples.jsonl"
    samples.write_text(samples.read_text() + line + "\n")
    before = samples.read_bytes()
    with pytest.raises(DataMalformed, match=r"samples\.jsonl, line 2") as caught:
        run.records()
    assert problem in str(caught.value)
    assert samples.read_bytes() == before
    with RunWriter(tmp_path, manifest) as writer:  # the same command again
        assert {item for item, _ in writer.done} == {"a"}
        writer.append([made.record("b", "0")])
    assert [record.item.id for record in StoredRun(run.path).records()] == ["a", "b"]
    assert (run.path / "samples.jsonl.damaged-1").read_bytes() == before, "what was there is kept"
    assert f"{samples}, line 2: " in capsys.readouterr().err


def test_a_folder_that_holds_a_run_of_another_identity_is_left_alone(tmp_path: Path) -> None:
    manifest = made.manifest(IDS)
    with RunWriter(tmp_path, manifest) as writer:
        writer.append([made.record("a", "1")])
    other = dataclasses.replace(made.manifest(IDS, dtype="bfloat16"), run_id=manifest.run_id)
    with pytest.raises(MedbenchError, match=r"model\.dtype is 'float32' there and 'bfloat16' here"):
        RunWriter(tmp_path, other).__enter__()
    assert StoredRun(writer.path).manifest.identity.model.dtype == "float32"


def test_answers_without_a_manifest_are_not_taken_for_this_run(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "1"}, item_ids=IDS)
    (run.path / "manifest.json").unlink()
    with pytest.raises(DataMalformed, match=r"has answers but no manifest\.json"):
        RunWriter(tmp_path, made.manifest(IDS)).__enter__()


def test_metrics_join_a_stored_run_in_whatever_folder_it_lies(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("10"))
    moved = run.path.rename(tmp_path / "renamed")
    add_metrics(moved, ["right", "extra"])
    assert StoredRun(moved).manifest == run.manifest.with_metrics(["extra"])
    assert [path.name for path in tmp_path.iterdir()] == ["renamed"]


def test_a_record_of_another_item_or_run_is_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path, made.manifest(IDS)) as writer:
        with pytest.raises(ValueError, match="not asked by this run"):
            writer.append([made.record("z", "1")])
        with pytest.raises(ValueError, match="output of 'b' under item 'a'"):
            writer.append([Record(made.record("a", "1").item, made.record("b", "1").output)])
        assert not writer.done


def test_two_items_under_one_id_are_an_error_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(MedbenchError, match="two items called 'b'"):
        RunWriter(tmp_path, made.manifest(["a", "b", "b"]))


# --- a disk that refuses ----------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_what_was_stored_and_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = made.manifest(IDS)
    with RunWriter(tmp_path, manifest) as writer:
        writer.append([made.record("a", "1")])
        safe = (writer.path / "samples.jsonl").read_bytes()

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(MedbenchError) as caught:
                writer.append([made.record("b", "1")])
            with pytest.raises(MedbenchError, match=r"manifest\.json cannot be written"):
                writer.update(engine={"device": "cpu"})
        assert "samples.jsonl cannot be written: No space left on device" in caught.value.message
        assert "1 of 3 items are stored and safe" in caught.value.message
        assert caught.value.hint == "Make room on that disk, then run the same command again: it resumes."
        assert (writer.path / "samples.jsonl").read_bytes() == safe
        writer.append([made.record("b", "1")])  # there is room again
    assert StoredRun(writer.path).answered() == {("a", 0), ("b", 0)}


FULL = """
import resource, sys
from pathlib import Path
import made
from medbench.core.hashing import fingerprint
from medbench.core.errors import MedbenchError
from medbench.results.writer import RunWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # the kernel writes up to here, then refuses
ids = [f"{n:03}" for n in range(400)]
with RunWriter(Path(sys.argv[1]), made.manifest(ids)) as writer:
    for start in range(0, 400, 7):
        try:
            writer.append(made.record(i, "y" * 50) for i in ids[start:start + 7])
        except MedbenchError as error:
            print(len(writer.done))
            print(error)
            break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file size to run into")
def test_a_write_that_the_kernel_cuts_short_leaves_whole_lines_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    stored, message = done.stdout.split("\n", 1)
    assert int(stored) > 0
    assert f"{stored} of 400 items are stored and safe" in message
    (run,), problems = all_runs(tmp_path)
    assert not problems
    assert len((run.path / "samples.jsonl").read_text().splitlines()) == len(run.answered()) == int(stored)


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(MedbenchError, match="cannot be written: Not a directory") as caught:
        RunWriter(tmp_path / "file", made.manifest(IDS)).__enter__()
    assert "another folder" in caught.value.hint


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MedbenchError, match=os.strerror(code)) as caught:
        RunWriter(tmp_path / "new", made.manifest(IDS)).__enter__()
    assert caught.value.hint.startswith(f"Make {tmp_path} writable or choose another folder"), "not one to be made"


def test_an_interrupted_append_is_replaced_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunWriter(tmp_path, made.manifest(IDS)) as writer:

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(KeyboardInterrupt):
                writer.append([made.record("a", "1")])
        writer.append([made.record("a", "1")])  # as a run loop's `finally` does
    assert len((writer.path / "samples.jsonl").read_text().splitlines()) == 1


# --- kill -9 ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import made
from medbench.results.manifest import Session
from medbench.results.store import all_runs
from medbench.results.writer import RunWriter

root, ids, chance = Path(sys.argv[1]), [f"{n:04}" for n in range(1000)], random.Random(0)

def session():
    with RunWriter(root, made.manifest(ids)) as writer:
        waiting = [i for i in ids if (i, 0) not in writer.done]
        for start in range(0, len(waiting), 5):
            writer.append(made.record(i, i + "z" * 2000) for i in waiting[start:start + 5])
            writer.update(sessions=[Session(items=len(writer.done))])
            time.sleep(0.003)  # 200 batches: never done within the first 0.6 s

for kills in range(1000):
    child = os.fork()
    if child == 0:
        session()
        os._exit(0)
    time.sleep(chance.uniform(0, 0.03 + 0.003 * kills))  # longer and longer: it ends on a slow machine too
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    runs, problems = all_runs(root)
    assert not problems  # readable at any moment
    assert all(len(run.records()) <= len(ids) for run in runs)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        print(kills)
        break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a Unix matter")
def test_killed_at_random_moments_and_resumed_every_item_is_there_exactly_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4, "killed too seldom to show anything"
    (run,), _ = all_runs(tmp_path)
    lines = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
    assert [line["item"]["id"] for line in lines] == [f"{n:04}" for n in range(1000)]
    assert all(line["output"]["text"] == line["item"]["id"] + "z" * 2000 for line in lines)


# --- one writer at a time ---------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
import made
from medbench.results.writer import RunWriter
with RunWriter(Path(sys.argv[1]), made.manifest(["a", "b", "c"])) as writer:
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_writes_and_a_killed_one_blocks_nobody(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    manifest = made.manifest(IDS)
    try:
        for _ in range(2):  # asking does not change the answer
            with pytest.raises(MedbenchError) as caught:
                RunWriter(tmp_path, manifest).__enter__()
            assert manifest.run_id in caught.value.message
            assert f"process {holder.pid} on " in caught.value.message
            assert " since 20" in caught.value.message
        assert StoredRun(tmp_path / manifest.run_id).records() == []  # readers need no lock
    finally:
        holder.kill()
        holder.communicate()
    assert (tmp_path / manifest.run_id / "lock").exists()
    with RunWriter(tmp_path, manifest) as writer:
        writer.append([made.record("a", "1")])
    assert not (writer.path / "lock.holder").exists()


def test_a_second_writer_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with RunWriter(tmp_path, made.manifest(IDS)), pytest.raises(MedbenchError, match=f"process {os.getpid()} on"):
        RunWriter(tmp_path, made.manifest(IDS)).__enter__()
    with RunWriter(tmp_path, made.manifest(IDS)):
        pass


# --- finding runs -----------------------------------------------------------------------------------------------------


def test_a_run_id_is_safe_for_a_file_system_and_changes_with_the_identity() -> None:
    of_32, of_16 = (Identity(model=ModelIdentity(dtype=dtype)) for dtype in ("float32", "bfloat16"))
    one = run_id("org/model name@tag", "mmlu-med", of_32)
    assert one.startswith("org_model_name@tag__mmlu-med__")
    assert one != run_id("org/model name@tag", "mmlu-med", of_16)
    assert run_id("../..", "b", of_32).startswith("_")
    assert len(run_id("m" * 500, "b" * 500, of_32)) < 140


def test_differing_names_nested_fields_and_takes_a_tuple_for_a_list() -> None:
    one = {"same": (1, 2), "model": {"dtype": "a", "name": "m"}, "gone": 1}
    other = {"same": [1, 2], "model": {"dtype": "b", "name": "m"}, "new": 2}
    assert differing(one, other) == [("model.dtype", "a", "b"), ("gone", 1, None), ("new", None, 2)]


def test_find_takes_a_path_an_id_a_model_or_the_beginning_of_one_id(tmp_path: Path) -> None:
    one = made.make_run(tmp_path, made.bits("1"), model="smol")
    other = made.make_run(tmp_path, made.bits("1"), model="smol-large")
    assert find(str(one.path), Path("elsewhere")) == one.path
    assert find(one.manifest.run_id, tmp_path) == one.path
    assert find("smol__", tmp_path) == one.path
    assert find("smol", tmp_path) == one.path, "a model's whole name is not the beginning of another's"
    assert find("smol-l", tmp_path) == other.path
    with pytest.raises(UsageError, match="matches 2 runs"):
        find("smo", tmp_path)
    with pytest.raises(
        UsageError, match=f"no run or model here is called 'large'. Did you mean {other.manifest.run_id}"
    ):
        find("large", tmp_path)
    with pytest.raises(UsageError, match=f"Did you mean {other.manifest.run_id}"):
        find(other.manifest.run_id.replace("large", "lrge"), tmp_path)
    with pytest.raises(UsageError, match="There are no runs in"):
        find("smol", tmp_path / "nothing")


def test_runs_that_a_name_fits_are_told_apart(tmp_path: Path) -> None:
    made.make_run(tmp_path, made.bits("1"), item_ids=["000", "001", "002"], model="smol", created="2026-11-24T15:03:07")
    made.make_run(tmp_path, made.bits("10"), model="smol", dtype="bfloat16")
    with pytest.raises(UsageError) as error:
        find("smol", tmp_path)
    assert error.value.message.startswith("'smol' matches 2 runs:\n")
    lines = error.value.message.splitlines()[1:]
    told = dict(zip(lines[::2], lines[1::2], strict=True))
    assert sorted(told.values()) == [
        "    quiz · 2 items · generated · 0-shot, dtype bfloat16, 2 of 2 answered",
        "    quiz · 3 items · generated · 0-shot, dtype float32, 1 of 3 answered, 2026-11-24 15:03",
    ]
    assert f"medbench list runs --out {tmp_path}" in error.value.hint


def test_runs_that_look_alike_are_told_apart_by_what_differs_in_their_identity(tmp_path: Path) -> None:
    for dtype in ("float32", "bfloat16"):
        made.make_run(tmp_path, made.bits("10"), model="smol", dtype=dtype, created="2026-11-24T15:03:07")
    with pytest.raises(UsageError, match=r"(?s)dtype float32, 2 of 2.*dtype bfloat16, 2 of 2"):
        find("smol__quiz", tmp_path)


def test_a_models_name_means_all_its_runs(tmp_path: Path) -> None:
    for benchmark in ("quiz", "exam"):
        made.make_run(tmp_path, made.bits("10"), model="smol", benchmark=benchmark)
    other = made.make_run(tmp_path, made.bits("11"), model="smol@tuned", benchmark="quiz")

    def names(text: str) -> list[str]:
        return [run.manifest.run_id.rpartition("__")[0] for run in side(text, tmp_path)[0]]

    assert names("smol") == ["smol__exam", "smol__quiz"], "and not those of smol@tuned"
    assert names("smol@tuned") == ["smol@tuned__quiz"]
    assert names("smol__exam") == ["smol__exam"]
    made.make_run(tmp_path, made.bits("101"), model="smol", benchmark="exam")
    assert names("smol__exam") == ["smol__exam"] * 2, "the other side tells which of them is comparable"
    assert names("smol@t") == ["smol@tuned__quiz"], "the beginning of a run id"
    with pytest.raises(UsageError, match=r"no run or model here is called '@tuned'\. Did you mean smol@tuned\?"):
        names("@tuned")
    assert names(str(other.path)) == ["smol@tuned__quiz"]
    with pytest.raises(UsageError, match="no run or model here is called 'smal'"):
        names("smal")


def test_a_start_that_left_no_answer_stands_in_no_runs_way(tmp_path: Path) -> None:
    empty = made.make_run(tmp_path, {}, item_ids=["a", "b"], model="smol")
    with pytest.raises(UsageError, match="no run or model here is called"):
        find("other", tmp_path)
    assert find("smol", tmp_path) == empty.path, "it is what is meant where nothing else is"
    run = made.make_run(tmp_path, {"a": "1"}, item_ids=["a", "b"], model="smol-2")
    assert find("smol", tmp_path) == empty.path, "its model is named in full"
    assert find("smo", tmp_path) == run.path, "of what begins so, the one with answers"
    assert find(empty.manifest.run_id, tmp_path) == empty.path, "named in full"
    assert [each.path for each in all_runs(tmp_path)[0]] == [run.path]
    assert [each.path for each in all_runs(empty.path)[0]] == [empty.path]
    assert len(all_runs(tmp_path, empty=True)[0]) == 2
    (empty.path / "samples.jsonl").write_text('{"item": {"id": "a"')  # killed within its first answer
    assert [each.path for each in all_runs(tmp_path)[0]] == [run.path]
    made.make_run(tmp_path, {"a": "1", "b": "0"}, model="smol")
    assert len(all_runs(tmp_path)[0]) == 2, "it resumes, and is a run like any other"


def test_all_runs_passes_over_other_folders_and_names_a_broken_run(tmp_path: Path) -> None:
    good = made.make_run(tmp_path, made.bits("1"), model="good")
    broken = made.make_run(tmp_path, made.bits("1"), model="broken")
    (broken.path / "manifest.json").write_text('{"run_id": "x"')
    short = made.make_run(tmp_path, made.bits("1"), model="short")
    value = json.loads((short.path / "manifest.json").read_text())
    del value["item_ids"]
    (short.path / "manifest.json").write_text(json.dumps(value))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("not a run")
    runs, problems = all_runs(tmp_path, good.path)  # named twice, found once
    assert [run.path for run in runs] == [good.path]
    assert f"{broken.path / 'manifest.json'} cannot be read" in str(problems[0])
    assert f"{short.path / 'manifest.json'}: the field 'item_ids' is missing" in str(problems[1])
    with pytest.raises(UsageError, match="there is no folder"):
        all_runs(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"is no run folder: it has no manifest\.json"):
        StoredRun(tmp_path / "notes")


def test_a_manifest_of_a_later_version_is_read_for_what_is_known(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("1"))
    path = run.path / "manifest.json"
    fields = json.loads(path.read_bytes()) | {"energy_joules": 5}
    del fields["seals"]
    path.write_text(json.dumps(fields | {"seals": {name: fingerprint(value)[:12] for name, value in fields.items()}}))
    assert StoredRun(run.path).manifest == run.manifest


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_are_kept_and_only_missing_ones_are_computed(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "1", "b": "?"}, item_ids=IDS)
    metric = made.Read()
    expected = [Score("a", 1.0), Score("b", None, "no number")]
    assert score_run(run, metric) == expected
    assert metric.asked == ["a", "b"]
    with RunWriter(tmp_path, run.manifest) as writer:
        writer.append([made.record("c", "0")])
        assert score_run(run, metric) == [*expected, Score("c", 0.0)]  # even while the run is being written
    assert metric.asked == ["a", "b", "c"]
    assert score_run(run, metric) == [*expected, Score("c", 0.0)]
    assert metric.asked == ["a", "b", "c"]
    samples = [split(line)[0] for line in (run.path / "samples.jsonl").read_bytes().splitlines()]
    hash_a, hash_b, hash_c = (hashlib.sha256(body).hexdigest()[:12] for body in samples)
    lines = (run.path / "scores" / "right.jsonl").read_bytes().splitlines()
    assert [split(line)[0].decode() for line in lines] == [
        '{"metric":"right","version":"1"}',
        f'{{"item_id":"a","value":1.0,"record":"{hash_a}"}}',
        f'{{"item_id":"b","value":null,"reason":"no number","record":"{hash_b}"}}',
        f'{{"item_id":"c","value":0.0,"record":"{hash_c}"}}',
    ]
    assert run.scored() == ["right"]


def test_another_version_of_a_metric_scores_anew(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("10"))
    score_run(run, made.Read())
    newer = made.Read(version="2")
    score_run(run, newer)
    assert newer.asked == ["000", "001"]
    assert run.scores("right")[0] == "2"
    assert len((run.path / "scores" / "right.jsonl").read_text().splitlines()) == 3


def test_a_score_file_torn_by_a_kill_is_completed(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("101"))
    score_run(run, made.Read())
    path = run.path / "scores" / "right.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole)):  # killed at every byte
        path.write_bytes(whole[:cut])
        assert [s.value for s in score_run(run, made.Read())] == [1.0, 0.0, 1.0]
        assert path.read_bytes() == whole


def test_metrics_whose_names_no_file_can_have_do_not_share_one(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, made.bits("1"))
    for name in ("evaluate:bleu", "evaluate_bleu", "evaluate/bleu", "../bleu"):
        score_run(run, made.Read(name=name))
    assert run.scored() == ["../bleu", "evaluate/bleu", "evaluate:bleu", "evaluate_bleu"]
    assert len(list((run.path / "scores").glob("*.jsonl"))) == 4


def test_a_value_that_is_no_number_is_unscored(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "nan", "b": "inf", "c": "0.5"})
    scores = score_run(run, made.Read(binary=False))
    assert scores == [
        Score("a", None, "the metric returned nan"),
        Score("b", None, "the metric returned inf"),
        Score("c", 0.5),
    ]


def test_a_metric_that_breaks_its_contract_is_named(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "0.5", "b": "word"})

    class Short(made.Read):
        def score(self, records: Any) -> list[Score]:
            return super().score(records[:1])

    with pytest.raises(MedbenchError, match="'right' did not return one score per record"):
        score_run(run, Short(binary=False))
    with pytest.raises(MedbenchError, match="'right' failed: ValueError: could not convert string to float: 'word'"):
        score_run(run, made.Read(binary=False))
    half = made.make_run(tmp_path, {"a": "0.5"})
    with pytest.raises(MedbenchError, match=r"says it is binary but scores 'a' with 0\.5"):
        score_run(half, made.Read(binary=True))


def test_a_folder_that_may_only_be_read_is_scored_but_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made.make_run(tmp_path, made.bits("10"))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert [s.value for s in score_run(run, made.Read())] == [1.0, 0.0]
    assert not (run.path / "scores").exists()


def test_a_full_disk_while_scoring_says_how_many_scores_are_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made.make_run(tmp_path, made.bits("1" * 300))  # more than one batch of 256
    appended = files.LineFile.append

    def full(self: files.LineFile, values: Any) -> None:
        if self.size > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        appended(self, values)

    monkeypatch.setattr(files.LineFile, "append", full)
    with pytest.raises(MedbenchError, match="256 of 300 scores are stored and safe") as caught:
        score_run(run, made.Read())
    assert "Make room" in caught.value.hint
    monkeypatch.undo()
    metric = made.Read()
    assert len(score_run(run, metric)) == 300
    assert len(metric.asked) == 44


def test_figures_of_an_unfinished_run_show_its_coverage(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "1", "b": "?"}, item_ids=["a", "b", "c", "d"])
    right, _ = figures(run, [made.Read()])
    assert (right.value, right.n, right.total, right.coverage) == (1.0, 1, 4, 0.25)


def test_a_whole_part_of_a_name_comes_before_a_longer_one(tmp_path: Path) -> None:
    one = made.make_run(tmp_path, made.bits("1"), model="m", benchmark="medquad")
    made.make_run(tmp_path, made.bits("1"), model="m", benchmark="medquad-sample")
    assert find("m__medquad", tmp_path) == one.path


def test_a_score_belongs_to_the_answer_that_it_was_made_from(tmp_path: Path) -> None:
    """A power cut takes the answers back that were not synced; the model then gives others, and the scores stay."""
    run = made.make_run(tmp_path, {"a": "1", "b": "1", "c": "1"})
    metric = made.Read()
    assert [score.value for score in score_run(run, metric)] == [1, 1, 1]
    samples = run.path / "samples.jsonl"
    before = samples.read_bytes()
    first = before.splitlines(keepends=True)[0]
    samples.write_bytes(first)
    checkpoint = Checkpoint(lines=1, seal=json.loads(first)["seal"], unsealed=0)
    write_manifest(run.path, dataclasses.replace(run.manifest, checkpoint=checkpoint))
    with RunWriter(tmp_path, run.manifest) as writer:
        assert {item for item, _ in writer.done} == {"a"}
        writer.append([made.record("b", "0"), made.record("c", "1")])  # b's answer is another one, c's the same
    again = StoredRun(run.path)
    assert {item: score.value for (item, _), score in again.scores("right")[1].items()} == {"a": 1, "c": 1}
    metric.asked.clear()
    assert [score.value for score in score_run(again, metric)] == [1, 0, 1]
    assert metric.asked == ["b"]
    kept = StoredRun(run.path).scores("right")[1]
    assert {item: score.value for (item, _), score in kept.items()} == {"a": 1, "b": 0, "c": 1}


def test_scores_from_before_they_named_their_answer_are_taken(tmp_path: Path) -> None:
    run = made.make_run(tmp_path, {"a": "1", "b": "0"})
    score_run(run, made.Read())
    path = run.score_file("right")
    chain = run.score_chain("right")
    bodies = [json.loads(split(line)[0]) for line in path.read_bytes().splitlines()]
    assert all(len(body.pop("record")) == 12 for body in bodies[1:])
    path.write_bytes(b"".join(chain.add(json.dumps(body).encode()) for body in bodies))
    metric = made.Read()
    assert [score.value for score in score_run(StoredRun(run.path), metric)] == [1, 0]
    assert metric.asked == []


@pytest.mark.parametrize("named", [True, False])
def test_an_answer_that_is_split_otherwise_since_is_scored_again(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored by a medbench that did not know these marks of reasoning; `named`: its scores name their answers."""

    class Length(made.Read):
        def score(self, records: Sequence[Record]) -> list[Score]:
            self.asked += [record.item.id for record in records]
            return [Score(record.item.id, float(len(record.output.text or ""))) for record in records]

    with monkeypatch.context() as before:
        before.setattr(types, "split", lambda text: reasoning.Split(answer=text.strip(), reasoning=""))
        run = made.make_run(tmp_path, {"a": "<think>1?</think>0", "b": "1"})
        assert run.records()[0].output.text == "<think>1?</think>0"
        assert [score.value for score in score_run(run, Length(binary=False))] == [18, 1]
    if not named:
        path, chain = run.score_file("right"), run.score_chain("right")
        bodies = [json.loads(split(line)[0]) for line in path.read_bytes().splitlines()]
        for body in bodies[1:]:
            del body["record"]
        path.write_bytes(b"".join(chain.add(json.dumps(body).encode()) for body in bodies))
    metric = Length(binary=False)
    assert [score.value for score in score_run(StoredRun(run.path), metric)] == [1, 1]
    assert metric.asked == ["a"]
    assert [score.value for score in score_run(StoredRun(run.path), metric)] == [1, 1]
    assert metric.asked == ["a"], "once"
    assert StoredRun(run.path).records()[0].output.text == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="names the file of a descriptor by /proc")
def test_answers_are_on_the_disk_before_their_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made.make_run(tmp_path, {"a": "1"})
    synced: list[str] = []
    plain = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    score_run(run, made.Read())
    assert synced.index("samples.jsonl") < synced.index("right.jsonl.new")
