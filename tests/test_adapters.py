"""Adapters by name: `--model NAME@TAG`, the manifest on the disk, and `medbench adapters`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import trained
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core import registry
from medbench.core.errors import DataMalformed, MedbenchError, ModelMissing, UsageError
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.zoo import Entry, adapter_manifest, adapters
from medbench.zoo.adapter_manifest import AdapterManifest
from medbench.zoo.adapters import find
from medbench.zoo.resolve import resolve

LEAKS = {
    "medqa": {"exact": ["q1"], "ngram": ["q2", "q1"], "near": ["q3"], "items": ["q1"]},
    "medquad": {"exact": [], "ngram": [], "near": [], "items": []},
    "liveqa": {"exact": ["l1"], "ngram": [], "near": [], "items": []},
}


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture(scope="session")
def made(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of adapters: tiny-llama@first, a LoRA, and tiny-llama@whole, all of its weights trained."""
    root = tmp_path_factory.mktemp("home") / "adapters"
    trained.trained(llama, root=root, leaks=LEAKS, unchecked={"liveqa": "no data"})
    whole = tiny.save(adapters.folder("tiny-llama", "whole", root), "llama", seed=7)
    adapter_manifest.write(whole, trained.manifest(llama, whole, kind="full"))
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those adapters where medbench looks for them, in a working folder that a test may spoil."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_HOME", raising=False)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(made, tmp_path / "adapters"))


def answer(spec: ModelSpec) -> str:
    request = GenerateRequest("1", Prompt("Question: What helps against fever?\nAnswer:"), max_new_tokens=12)
    (output,) = TransformersEngine(spec).generate([request])
    assert output.text is not None
    return output.text


def change(folder: Path, **changes: Any) -> None:
    adapter_manifest.write(folder, dataclasses.replace(adapters.read(folder), **changes))


# --- the manifest


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = AdapterManifest("m", "t", "lora", "stopped", {"seed": 1}, {"revision": "1"}, stages=[{"name": "a"}])
    adapter_manifest.write(tmp_path / "new" / "folder", made)
    assert adapters.read(tmp_path / "new" / "folder") == made
    assert made.name == "m@t"


def test_a_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    stages = [{"name": "a", "loss_last": float("nan")}]
    adapter_manifest.write(tmp_path, AdapterManifest("m", "t", "lora", "stopped", {}, {}, stages=stages))
    assert adapters.read(tmp_path).stages == [{"name": "a", "loss_last": None}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": 1}, "the field 'model' should be text, not 1"),
        ({"base": None}, "the field 'base' should be an object, not None"),
        ({"status": "ready"}, "the field 'status' should be one of training, stopped, done, not 'ready'"),
        ({"stages": [1]}, "the field 'stages' should be a list, each an object"),
        ({"leaks": {"medqa": ["q1"]}}, "the field 'leaks' should be an object, each an object, each a list"),
    ],
)
def test_a_manifest_that_is_not_as_it_should_be_names_its_field(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    value = dataclasses.asdict(AdapterManifest("m", "t", "lora", "done", {}, {})) | change
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(DataMalformed, match=said):
        adapters.read(tmp_path)


def test_a_torn_manifest_is_told_and_another_programs_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataMalformed, match=r"manifest\.json cannot be read"):
        adapters.read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "an extension"}')
    assert adapters.peek(tmp_path) is None
    with pytest.raises(UsageError, match="was not made by medbench train"):
        adapters.read(tmp_path)


def test_what_leaked_in_any_way_leaked_once_and_what_was_not_checked_is_left_out() -> None:
    manifest = AdapterManifest("m", "t", "lora", "done", {}, {}, leaks=LEAKS, unchecked={"liveqa": "no data"})
    assert manifest.leaked == {"medqa": ("q1", "q2", "q3"), "medquad": ()}


def test_a_hub_id_is_one_folder(tmp_path: Path) -> None:
    assert adapters.folder("org/model", "v1.0", tmp_path) == tmp_path / "org--model" / "v1.0"


@pytest.mark.parametrize("tag", ["", "../x", "a b", "-x", ".x", "a/b", "a@b", "ä"])
def test_a_tag_is_a_plain_word(tag: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a valid tag"):
        adapters.folder("m", tag, tmp_path)


# --- NAME@TAG as a model


def test_a_lora_is_put_on_its_base(llama: Path, root: Path) -> None:
    told: list[str] = []
    spec = resolve(f"{llama}@first", tell=told.append)
    base = resolve(str(llama))
    assert (spec.name, spec.location, spec.revision) == ("tiny-llama@first", base.location, base.revision)
    assert (spec.adapter, spec.adapter_hash) == (str(root / "tiny-llama/first"), find("tiny-llama@first").manifest.hash)
    assert told == []
    assert answer(spec) != answer(base)


def test_whole_weights_stand_in_the_place_of_their_base(llama: Path, root: Path) -> None:
    spec = resolve(f"{llama}@whole")
    assert (spec.name, spec.adapter, spec.location) == ("tiny-llama@whole", "", str(root / "tiny-llama/whole"))
    assert spec.revision == find("tiny-llama@whole").manifest.hash
    assert spec.source == f"full weights trained from folder {llama}"
    assert answer(spec) != answer(resolve(str(llama)))


def test_the_manifest_is_no_part_of_whole_weights(root: Path) -> None:
    before = resolve("tiny-llama@whole").revision
    change(root / "tiny-llama/whole", created="later", leaks=LEAKS)
    assert resolve("tiny-llama@whole").revision == before


def test_the_name_in_the_list_the_path_of_the_base_and_the_adapters_folder_mean_the_same(
    llama: Path, root: Path
) -> None:
    by_name = resolve("tiny-llama@first")
    assert resolve(f"{llama}@first") == by_name
    assert resolve(str(root / "tiny-llama/first")) == by_name
    assert resolve("adapters/tiny-llama/whole") == resolve("tiny-llama@whole")


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_an_entrys_format_and_generation_stay_with_what_was_trained_from_it(
    llama: Path, root: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry(
        "mine", str(llama), "MIT", "causal", 1, "", "", prompt_format="Q: {prompt}", generation={"num_beams": 2}
    )
    monkeypatch.setattr(registry, "names", lambda group: ["mine"] if group == "zoo" else [])
    monkeypatch.setattr(registry, "get", lambda group, name: entry)
    shutil.copytree(root / "tiny-llama" / {"lora": "first", "full": "whole"}[kind], root / "mine/t")
    change(root / "mine/t", model="mine", tag="t")
    spec = resolve("mine@t")
    assert (spec.name, spec.prompt_format, spec.generation) == ("mine@t", "Q: {prompt}", {"num_beams": 2})
    assert resolve(str(root / "mine/t")) == spec


def test_a_file_with_one_model_can_be_trained_and_named(llama: Path, root: Path) -> None:
    Path("my_model.py").write_text(
        "from medbench.zoo import Entry\n"
        f"MODEL = Entry('mine', {str(llama)!r}, '', 'causal', 1, '', '', prompt_format='Q: {{prompt}}')\n"
    )
    shutil.copytree(root / "tiny-llama/first", root / "mine/t")
    base = find("tiny-llama@first").manifest.base | {"name": str(Path("my_model.py").resolve())}
    change(root / "mine/t", model="mine", tag="t", base=base)
    for stored in ("mine@t", str(root / "mine/t")):  # only the manifest names the file
        with pytest.raises(UsageError, match=r"was trained from the model file .*my_model\.py, which runs as a prog"):
            resolve(stored)
    assert resolve("my_model.py@t").prompt_format == "Q: {prompt}"
    assert resolve("mine@t") == resolve("my_model.py@t")  # now it was named
    registry.forget()


def test_leaked_items_go_with_the_model(llama: Path, root: Path) -> None:
    leaked = {"medqa": ("q1", "q2", "q3"), "medquad": ()}
    assert resolve("tiny-llama@first").leaked == leaked
    assert resolve(str(llama), adapter=str(root / "tiny-llama/first")).leaked == leaked
    assert resolve("tiny-llama@whole").leaked == {}, "checked for nothing"
    assert resolve(str(llama)).leaked is None, "not trained by medbench"


def test_a_base_that_is_another_one_by_now_is_warned_of(llama: Path, root: Path, tmp_path: Path) -> None:
    other = tiny.save(tmp_path / "elsewhere" / "tiny-llama", "llama", seed=3)
    told: list[str] = []
    spec = resolve(f"{other}@first", tell=told.append)
    before, now = (resolve(str(path)).revision[:7] for path in (llama, other))
    warning = f"warning: the adapter first was trained on tiny-llama @ {before}, not on this base (@ {now})"
    assert told == [warning]
    assert spec.location == str(other)
    told.clear()
    resolve(str(other), adapter=str(root / "tiny-llama/first"), tell=told.append)
    assert told == [warning]


def test_a_base_that_has_moved_is_the_same_base(llama: Path, root: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(llama, tmp_path / "elsewhere" / "tiny-llama")
    told: list[str] = []
    assert resolve(f"{moved}@first", tell=told.append).location == str(moved)
    assert told == []


def test_a_base_that_is_gone_is_asked_for(root: Path) -> None:
    base = find("tiny-llama@first").manifest.base
    change(root / "tiny-llama/first", base=base | {"name": "/gone/tiny-llama"})
    with pytest.raises(ModelMissing, match="is no longer at /gone/tiny-llama"):
        resolve("tiny-llama@first")


def test_weights_that_were_changed_since_are_warned_of(root: Path) -> None:
    config = root / "tiny-llama/first/adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 9'))
    told: list[str] = []
    resolve("tiny-llama@first", tell=told.append)
    assert told == [f"warning: the weights in {config.parent} have changed since training saved them"]


def test_a_path_that_is_there_wins(llama: Path, root: Path, tmp_path: Path) -> None:
    there = shutil.copytree(llama, tmp_path / "tiny-llama@first")
    assert resolve(str(there)).location == str(there)
    assert resolve("tiny-llama@first").adapter == ""


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        (
            "tiny-llama@frist",
            "tiny-llama has no adapter 'frist'. Did you mean first?",
            "Its tags: first, whole",
        ),
        (
            "smollm2-135m@first",
            "there is no adapter 'smollm2-135m@first'.",
            "To train one: medbench train --model smollm2-135m --tag first",
        ),
        (
            "org/model@first",
            "there is no adapter 'org/model@first'.",
            "To train one: medbench train --model org/model --tag first",
        ),
        (
            "tiny-lama@first",
            "there is no adapter 'tiny-lama@first'. Did you mean tiny-llama@first",
            "All adapters: medbench adapters list",
        ),
        (
            "biogpt-lrge@x",
            "no model is called 'biogpt-lrge'. Did you mean biogpt-large",
            "All of them: medbench list models",
        ),
        ("./nowhere@x", "no such folder or file: ./nowhere", None),
        ("tiny-llama@my tag", "'my tag' is not a valid tag.", None),
        ("tiny-llama@", "'tiny-llama@' is not an adapter.", None),
    ],
)
def test_a_name_that_means_no_adapter_says_what_there_is(root: Path, name: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as error:
        resolve(name)
    assert error.value.message.startswith(message)
    assert hint in (None, error.value.hint)


def test_two_adapters_at_once_are_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="tiny-llama@first is an adapter already"):
        resolve("tiny-llama@first", adapter="adapters/tiny-llama/first")


def test_whole_weights_are_neither_an_adapter_nor_of_a_revision(llama: Path, root: Path) -> None:
    with pytest.raises(UsageError, match="a full model, not an adapter"):
        resolve(str(llama), adapter="adapters/tiny-llama/whole")
    with pytest.raises(UsageError, match="tiny-llama@whole has weights of its own"):
        resolve("tiny-llama@whole", revision="v2")


def test_whole_weights_that_are_not_whole_are_told(root: Path) -> None:
    (root / "tiny-llama/whole/model.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"the weights of tiny-llama@whole in .* are incomplete: it has no weights"):
        resolve("tiny-llama@whole")


@pytest.mark.parametrize("how", ["name", "option"])
def test_a_training_that_stopped_is_told_where_and_how_it_goes_on(llama: Path, root: Path, how: str) -> None:
    folder = root / "tiny-llama/first"
    stages = [{"name": "papers"}, {"name": "dialogue"}]
    change(folder, status="stopped", stages=[{"name": "papers", "steps": 90}], recipe={"stages": stages}, stopped="why")
    lines = [{"stage": "papers", "step": 90}, {"stage": "dialogue", "step": 39}, {"stage": "dialogue", "step": 40}]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"stage": "dial')
    with pytest.raises(UsageError) as error:
        resolve("tiny-llama@first") if how == "name" else resolve(str(llama), adapter=str(folder))
    stopped = "training stopped at step 40 of stage 'dialogue' (2 of 2) (why)"
    assert error.value.message == f"tiny-llama@first is not ready: {stopped}."
    assert error.value.hint == f"To continue: medbench train --model {llama} --tag first"


def test_a_training_that_was_killed_is_not_said_to_be_done(root: Path) -> None:
    change(root / "tiny-llama/first", status="training")
    with pytest.raises(UsageError, match="it is still training, or was killed before its first step"):
        resolve("tiny-llama@first")


# --- the command


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def test_an_adapter_runs_beside_its_base(llama: Path, root: Path) -> None:
    words = ["-b", "medqa-sample", "--limit", 4, "--latency-items", 0, "--json"]
    done = medbench("run", "-m", f"{llama},{llama}@first,tiny-llama@whole", *words)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["boards"][0]["rows"]
    assert sorted(row["model"] for row in rows) == ["tiny-llama", "tiny-llama@first", "tiny-llama@whole"]


STAGE = {"name": "qa", "loss_first": 6.1, "loss_last": 2.25, "eval_loss_before": 6.0, "eval_loss_after": 2.5}
PART = {"source": "flashcards", "origin": "shipped", "available": 50, "drawn": 40}


def test_list(root: Path) -> None:
    data = [{"stage": "qa", "parts": [PART], "examples": 36, "held_out": 4}]
    change(root / "tiny-llama/first", stages=[STAGE | {"steps": 120}], data=data)
    change(root / "tiny-llama/whole", status="stopped")
    first, whole = json.loads(medbench("adapters", "list", "--json").stdout)
    assert (first["name"], first["status"], first["steps"], first["data"]) == (
        "tiny-llama@first",
        "done",
        120,
        ["flashcards 40"],
    )
    assert first["size_bytes"] == sum(path.stat().st_size for path in (root / "tiny-llama/first").iterdir())
    assert (whole["kind"], whole["status"]) == ("full", "stopped")
    table = medbench("adapters", "list")
    assert table.exit_code == 0
    for words in ("tiny-llama@first", "flashcards 40", "120", "6.000 → 2.500"):
        assert words in table.stdout


def test_list_names_what_it_cannot_read_and_shows_the_rest(root: Path) -> None:
    (root / "tiny-llama/whole/manifest.json").write_text("{")
    done = medbench("adapters", "list")
    assert done.exit_code == 1
    assert "tiny-llama@first" in done.stdout
    assert "Not shown: " in done.stderr


def test_list_of_nothing_says_how_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_HOME", str(tmp_path))
    done = medbench("adapters", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "medbench train --model NAME --tag TAG" in done.stderr
    assert json.loads(medbench("adapters", "list", "--json").stdout) == []


def test_show_gives_the_reason_of_a_few_benchmarks_that_were_not_checked(root: Path) -> None:
    change(root / "tiny-llama/first", leaks={}, unchecked={f"exam-{at}": f"no file {at}" for at in range(6)})
    shown = " ".join(medbench("adapters", "show", "tiny-llama@first").stdout.split())
    assert "exam-2: no file 2 exam-3, exam-4, exam-5: --json shows why" in shown


def test_show(root: Path) -> None:
    stage = {
        "name": "qa",
        "learning_rate": 0.0002,
        "packing": False,
        "lora": {"rank": 16, "target_modules": ["q", "v"]},
    }
    change(
        root / "tiny-llama/first",
        recipe={"source": "ours", "stages": [stage | {"data": [], "why": {}}]},
        stages=[STAGE | {"steps": 120, "peak_rss_bytes": 2_500_000_000}],
        data=[{"stage": "qa", "parts": [PART], "examples": 36, "held_out": 4, "notes": ["four rows skipped"]}],
        environment={"packages": {"peft": "0.21.0"}},
    )
    done = medbench("adapters", "show", "tiny-llama@first")
    assert done.exit_code == 0, done.output
    shown = " ".join(done.stdout.split())
    for words in (
        "flashcards: 40 of 50, shipped",
        "36 examples, 4 held out",
        "four rows skipped",
        "medqa: 3 of its items in the training texts (1 exact, 2 ngram, 1 near)",
        "no leaks medquad",
        "not checked 1 of 3 benchmarks:",
        "peft 0.21.0",
        "adapter_model.safetensors",
        "2.5 GB",
        "0.0002",
        "q, v",
        "medbench run --model tiny-llama,tiny-llama@first",
    ):
        assert words in shown
    assert "packing" in done.stdout and "off" in done.stdout
    shown = json.loads(medbench("adapters", "show", "adapters/tiny-llama/first", "--json").stdout)
    assert shown["manifest"]["recipe"]["source"] == "ours"
    assert shown["leaked"]["medqa"] == ["q1", "q2", "q3"]


def test_show_of_an_unfinished_training_is_allowed(root: Path) -> None:
    change(root / "tiny-llama/first", status="stopped", stopped="stopped by the user")
    done = medbench("adapters", "show", "tiny-llama@first")
    assert "stopped: stopped by the user" in done.stdout
    assert "medbench run" not in done.stdout


@pytest.mark.parametrize("what", ["list", "show", "merge"])
def test_each_helps_with_examples(what: str) -> None:
    done = medbench("adapters", what, "--help")
    assert done.exit_code == 0
    assert "Examples:" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "tiny-llama"], "'tiny-llama' is not an adapter. Did you mean"),
        (["show", "tiny-llama@nope"], "Its tags: first, whole"),
        (["merge", "tiny-llama@first"], "--out"),
        (["merge", "tiny-llama@whole", "--out", "x"], "is already a complete model"),
    ],
)
def test_a_wrong_request_is_answered_in_words(root: Path, words: list[str], said: str) -> None:
    done = medbench("adapters", *words)
    assert done.exit_code == 2, done.output
    assert said in done.output


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MedbenchError, match="cannot be written"):
        adapter_manifest.write(tmp_path / "file" / "x", AdapterManifest("m", "t", "lora", "done", {}, {}))


# --- what was really trained

PLAN = {"recipe_steps": 300, "steps_per_epoch": 300, "examples_per_step": 4}


@pytest.mark.parametrize(
    ("parts", "stages", "right"),
    [
        ([("medquad", 1198)], [{"name": "qa", "steps": 2}], "medquad 8 of 1,198"),
        ([("medquad", 1198)], [], "medquad 0 of 1,198"),
        ([("a", 600), ("b", 598)], [{"name": "qa", "steps": 2}], "8 of 1,198: a 600 + b 598"),
        ([("a", 600), ("b", 598)], [{"name": "qa", "steps": 300}], "a 600 + b 598"),
    ],
)
def test_list_says_how_many_examples_were_seen(
    root: Path, parts: list[tuple[str, int]], stages: list[dict[str, Any]], right: str
) -> None:
    drawn = [{"source": name, "drawn": count} for name, count in parts]
    facts = {"stage": "qa", "examples": 1198, "rows": 1198, "parts": drawn} | PLAN
    change(root / "tiny-llama" / "first", stages=stages, data=[facts])
    (root / "tiny-llama" / "first" / "log.jsonl").unlink(missing_ok=True)
    rows = json.loads(medbench("adapters", "list", "--json").stdout)
    assert next(row for row in rows if row["name"] == "tiny-llama@first")["data"] == [right]


def test_list_names_a_copied_adapter_as_it_is_used(root: Path) -> None:
    shutil.copytree(root / "tiny-llama" / "first", root / "tiny-llama" / "copy")
    names = [row["name"] for row in json.loads(medbench("adapters", "list", "--json").stdout)]
    assert names == ["tiny-llama@copy", "tiny-llama@first", "tiny-llama@whole"]
    assert medbench("adapters", "show", "tiny-llama@copy").exit_code == 0


def test_show_fits_a_narrow_window_and_leaves_out_notes_on_the_set_itself(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns every name of a measured value is whole, one value a line."""
    monkeypatch.setenv("COLUMNS", "80")
    stage = {"name": "qa", "steps": 2, "eval_loss_before": 2.7334, "seconds": 39.5, "peak_rss_bytes": 5_317_496_832}
    notes = ["medquad: 862 pairs have no answer.", "1 examples of medquad repeat one drawn before: left out."]
    data = {"stage": "qa", "parts": [PART], "examples": 36, "notes": notes, "set_notes": 1}
    change(root / "tiny-llama" / "first", stages=[stage], data=[data])
    shown = medbench("adapters", "show", "tiny-llama@first").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert {"held-out loss before 2.733", "seconds 40", "peak RSS 5.3 GB"} <= set(lines)
    assert "…" not in shown
    assert "862" not in shown
    assert "repeat one drawn before" in shown
    assert "1 on the data sets themselves: --json shows them" in lines


def test_show_says_what_was_really_trained(root: Path) -> None:
    """2 steps of 4 examples (--max-steps 2) of a recipe of 300 steps over 1,198 rows: 8 of them, 2/300 epochs."""
    change(
        root / "tiny-llama/first",
        stages=[STAGE | {"steps": 2, "tokens": 1452, "epochs": 0.007}],
        data=[{"stage": "qa", "examples": 1200, "rows": 1198} | PLAN],
    )
    done = medbench("adapters", "show", "tiny-llama@first")
    said = "trained, qa  8 of 1,198 examples, 2 of 300 steps, 1,452 tokens, 0.007 epochs (stopped early)"
    assert said in " ".join(done.stdout.split()).replace("trained, qa ", "trained, qa  ")
    (stage,) = json.loads(medbench("adapters", "show", "tiny-llama@first", "--json").stdout)["trained"]
    assert stage == {
        "stage": "qa",
        "done": True,
        "steps": 2,
        "recipe_steps": 300,
        "examples": 8,
        "of_examples": 1198,
        "epochs": 0.007,
        "tokens": 1452,
    }


def test_show_of_a_stopped_training_counts_its_log(root: Path) -> None:
    """75 of 300 steps: 300 examples, a quarter of an epoch. A line that is torn or damaged counts nothing."""
    folder = root / "tiny-llama/first"
    change(folder, status="stopped", stages=[], data=[{"stage": "qa", "examples": 1200, "rows": 1200} | PLAN])
    lines = [json.dumps({"stage": "qa", "step": step, "loss": 1.0, "tokens": 10}) for step in range(1, 76)]
    (folder / "log.jsonl").write_text(
        "\n".join([*lines[:40], '{"stage": "qa", "step": "x"}', "[]", *lines[40:], '{"st'])
    )
    done = " ".join(medbench("adapters", "show", "tiny-llama@first").stdout.split())
    assert "300 of 1,200 examples, 75 of 300 steps, 750 tokens, 0.25 epochs (stopped early), so far" in done


def test_show_of_a_whole_training_says_so(root: Path) -> None:
    stage = STAGE | {"steps": 600, "tokens": 480_000, "epochs": 2.0}
    change(
        root / "tiny-llama/first", stages=[stage], data=[{"stage": "qa", "rows": 1200} | PLAN | {"recipe_steps": 600}]
    )
    done = " ".join(medbench("adapters", "show", "tiny-llama@first").stdout.split())
    assert "trained, qa 1,200 examples, 600 steps, 480,000 tokens, 2 epochs" in done
    assert "stopped early" not in done
