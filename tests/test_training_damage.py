"""A stopped training with damaged files ends with the same adapter or says why not; never with a different adapter."""

from __future__ import annotations

import collections
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import damage
import entries
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.training import checkpoints
from medbench.training.log import Log

pytestmark = pytest.mark.usefixtures("brisk_trainings")
STEPS = 5
LAST = Path("work/2-dialogue/checkpoint-4")
BEFORE = Path("work/2-dialogue/checkpoint-2")
FIRST_RESULT = Path("work/1-pubmedqa/result")
SHORT = (
    *("max_length=64", "eval_examples=0", "quantize=none", "batch_size=2", "accumulation=1", "save_steps=2"),
    *("lora.rank=2", "learning_rate=1e-2", "lora.dropout=0.1"),
)


class Home:
    """A folder with one training of two stages that was stopped at step 5 of the second, and how it ends if resumed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entry = entries.entry(root, "hera-gemma-2-2b")
        self.data = entries.data(root, 20)
        self.folder = root / "adapters" / "tiny-hera-gemma-2-2b" / "t"
        self.stopped, self.other = root / "stopped", root / "other"
        self.hash = ""

    def train(self, *words: object) -> Result:
        settings = [word for text in (f"data={self.data}", *SHORT) for word in ("--set", text)]
        line = [
            "train",
            "--model",
            self.entry,
            "--tag",
            "t",
            "--device",
            "cpu",
            "--max-steps",
            STEPS,
            *settings,
            *words,
        ]
        return CliRunner().invoke(cli, [str(word) for word in (*line, "--out", self.root / "adapters")])

    def stop(self, keep: Path, *words: object) -> None:
        """Train until Ctrl-C comes in step 5 of the second stage; what is on the disk then is kept in `keep`."""
        append = Log.append

        def interrupted(log: Log, line: dict[str, object]) -> None:
            append(log, line)
            if (line["stage"], line["step"]) == ("dialogue", 5):
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Log, "append", interrupted)
            stopped = self.train(*words)
        assert stopped.exit_code == 130, stopped.output
        self.folder.rename(keep)

    def begin(self) -> None:
        """The stopped training where the command looks for it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.stopped, self.folder)

    def outcome(self) -> tuple[str, str]:
        """("same" | "reported" | "traceback" | "another adapter", everything that was printed) of resuming."""
        done = self.train()
        if done.exit_code == 0:
            made = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
            whole = made["status"] == "done" and not checkpoints.damage(self.folder, made["files"], exactly=False)
            return "same" if whole and made["hash"] == self.hash else "another adapter", done.output
        if done.exception and not isinstance(done.exception, SystemExit):
            return "traceback", f"{done.output}\n{done.exception!r}"
        return "reported", done.output


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("MEDBENCH_CACHE", str(root / "cache"))
        for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS", "TENSORBOARD_LOGGING_DIR"):
            patch.delenv(name, raising=False)
        made = Home(root)
        made.stop(made.other, "--seed", 1)
        made.stop(made.stopped)
        made.begin()
        done = made.train()
        assert done.exit_code == 0, done.output
        made.hash = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))["hash"]
        yield made


def test_a_stopped_training_has_what_these_tests_damage(home: Home) -> None:
    for path in (LAST, BEFORE, FIRST_RESULT):
        assert (home.stopped / path / "adapter_model.safetensors").is_file()
        assert (home.other / path / "adapter_model.safetensors").is_file()
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "log.jsonl", "whole.json"} <= {
        path.name for path in (home.stopped / LAST).iterdir()
    }


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("adapter_model.safetensors", "flipped", "adapter_model.safetensors is not the file that was written"),
        ("adapter_model.safetensors", "exchanged", "adapter_model.safetensors is not the file that was written"),
        ("optimizer.pt", "emptied", "optimizer.pt is empty"),
        ("rng_state.pth", "deleted", "rng_state.pth is missing"),
        ("scheduler.pt", "joined", "optimizer.bin does not belong there"),
        ("whole.json", "garbage", "whole.json is damaged"),
        ("whole.json", "exchanged", "it belongs to another training"),
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    home: Home, file: str, kind: str, said: str
) -> None:
    home.begin()
    damage.KINDS[kind](home.folder / LAST / file, home.other / LAST / file)
    how, printed = home.outcome()
    assert how == "same", printed
    words = " ".join(printed.split())
    assert f"checkpoint-4 cannot be used: {said}" in words
    assert "damaged-1-checkpoint-4" in words.replace(" ", "")
    assert "training continues from step 2" in words


def test_without_a_good_checkpoint_the_stage_starts_again(home: Home) -> None:
    home.begin()
    for checkpoint in (LAST, BEFORE):
        damage.halved(home.folder / checkpoint / "trainer_state.json", home.other)
    how, printed = home.outcome()
    assert how == "same", printed
    assert "this stage starts over" in " ".join(printed.split())


def test_a_whole_checkpoint_of_another_training_is_not_resumed_from(home: Home) -> None:
    home.begin()
    for checkpoint in (LAST, BEFORE):
        shutil.rmtree(home.folder / checkpoint)
        shutil.copytree(home.other / checkpoint, home.folder / checkpoint)
    how, printed = home.outcome()
    assert how == "same", printed
    assert "it belongs to another training" in " ".join(printed.split())


def test_a_damaged_result_is_made_again_from_the_checkpoint_of_its_stage(home: Home) -> None:
    home.begin()
    damage.flipped(home.folder / FIRST_RESULT / "adapter_model.safetensors", home.other)
    how, printed = home.outcome()
    assert how == "same", printed
    assert "the result of stage 'pubmedqa' cannot be used" in " ".join(printed.split())


def test_a_damaged_log_is_restored_line_by_line(home: Home) -> None:
    home.begin()
    damage.halved(home.folder / "log.jsonl", home.other)
    how, printed = home.outcome()
    assert how == "same", printed
    assert "log.jsonl was damaged or incomplete and is restored" in " ".join(printed.split())
    steps = [(line["stage"], line["step"]) for line in Log(home.folder / "log.jsonl").lines()]
    assert steps == [(stage, step) for stage in ("pubmedqa", "dialogue") for step in range(1, STEPS + 1)]


@pytest.mark.parametrize("kind", ["emptied", "flipped", "exchanged", "deleted"])
def test_a_damaged_manifest_is_no_reason_for_another_adapter(home: Home, kind: str) -> None:
    home.begin()
    damage.KINDS[kind](home.folder / "manifest.json", home.other / "manifest.json")
    how, printed = home.outcome()
    assert how == ("reported" if kind == "exchanged" else "same"), printed
    if kind == "exchanged":
        assert "seed is 1 there and 0 here" in " ".join(printed.split())


@pytest.mark.slow
def test_every_file_damaged_in_every_way(home: Home) -> None:
    """The whole matrix, 7 damages to each file and each folder exchanged or gone. Prints what came out."""
    counts = collections.Counter[str]()
    wrong = []
    folders = [path.relative_to(home.stopped) for path in home.stopped.rglob("*") if path.is_dir()]
    cases = [(file, kind) for file in damage.files(home.stopped) for kind in damage.KINDS]
    cases += [(folder, kind) for folder in folders for kind in ("deleted", "exchanged")]
    for file, kind in cases:
        home.begin()
        here, there = home.folder / file, home.other / file
        if here.is_dir():
            shutil.rmtree(here)
            if kind == "exchanged":
                shutil.copytree(there, here)
        else:
            damage.KINDS[kind](here, there)
        how, printed = home.outcome()
        counts[how] += 1
        print(f"{how:16} {kind:10} {file}", flush=True)
        if how not in ("same", "reported"):
            wrong.append(f"{file} {kind}: {how}\n{printed}")
    print(dict(counts))
    assert not wrong, "\n".join(wrong)
