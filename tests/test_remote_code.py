"""Models with Python code: it runs only if the user said so in the command."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import entries
import fake_hub
import pytest
import tiny
from click.testing import CliRunner
from medbench.cli import cli
from medbench.core.errors import MedbenchError, UsageError
from medbench.engines.hf.loading import opened
from medbench.judges.local import JUDGE as LOCAL_JUDGE
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import remote_code

MARK = "CODE_RAN"
CONFIGURATION = """
import os, pathlib
from transformers import LlamaConfig
pathlib.Path(os.environ["CODE_RAN"]).write_text("ran")
class OwnConfig(LlamaConfig):
    model_type = "own"
"""
MODELING = """
from transformers import LlamaForCausalLM
from .configuration_own import OwnConfig
class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def edit(path: Path, **fields: object) -> None:
    values = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(values))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny-llama", "llama")


@pytest.fixture
def own(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of a type that only its own code knows. The code writes the file MARK names."""
    monkeypatch.setenv(MARK, str(tmp_path / "ran"))
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = Path(shutil.copytree(llama, tmp_path / "own"))
    auto_map = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    edit(folder / "config.json", model_type="own", auto_map=auto_map)
    (folder / "configuration_own.py").write_text(CONFIGURATION)
    (folder / "modeling_own.py").write_text(MODELING)
    return folder


def ran() -> bool:
    return Path(os.environ[MARK]).exists()


def test_a_model_with_code_is_refused_naming_file_class_and_option(own: Path) -> None:
    with pytest.raises(MedbenchError) as error:
        resolve(str(own))
    assert error.value.message == (
        f"{own} cannot be loaded without running Python code that comes with it, and medbench does not run that: "
        f"{own / 'config.json'} names configuration_own.OwnConfig in `auto_map`."
    )
    assert error.value.hint == (
        "Read that code first. If you trust it: --trust-remote-code, "
        "an option of medbench run, train and adapters merge."
    )
    assert not ran()


def test_loading_refuses_by_itself_whoever_calls_it(own: Path) -> None:
    with pytest.raises(MedbenchError, match="medbench does not run that"):
        opened(str(own))
    assert not ran()


def test_a_tokenizer_with_code_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "t"))
    edit(folder / "config.json", model_type="xyz", auto_map={})
    edit(folder / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["t.Slow", "t.Fast"]})
    with pytest.raises(MedbenchError, match=r"tokenizer_config.json names t.Slow or t.Fast in `auto_map`"):
        resolve(str(folder))


def test_code_that_transformers_can_do_without_is_not_run(own: Path) -> None:
    """As in Phi-3: the folder names code, and transformers has the class. With the option it is no different."""
    edit(own / "config.json", model_type="llama")
    for trusted in (False, True):
        told: list[str] = []
        spec = resolve(str(own), trust_remote_code=trusted, tell=told.append)
        assert not spec.trust_remote_code
        assert told == [
            f"{own} comes with its own Python code: configuration_own.OwnConfig (config.json), "
            "modeling_own.OwnForCausalLM (config.json). It is not run, because transformers has classes for this model."
        ]
        opened(spec.location, spec.trust_remote_code)
    assert not ran()


def test_the_option_has_no_effect_on_a_model_without_code_and_its_identity_is_the_same(llama: Path) -> None:
    told: list[str] = []
    spec = resolve(str(llama), trust_remote_code=True, tell=told.append)
    assert told == [f"{llama} has no code of its own; --trust-remote-code changes nothing for it"]
    assert spec == resolve(str(llama))


def test_with_the_option_the_code_runs_and_is_part_of_the_revision(own: Path) -> None:
    told: list[str] = []
    before = resolve(str(own), trust_remote_code=True, tell=told.append)
    assert before.trust_remote_code
    assert told[0].startswith(f"warning: {own} runs code from its own files, as --trust-remote-code allows:")
    assert type(opened(before.location, before.trust_remote_code)[0]).__name__ == "OwnConfig"
    assert ran()
    (own / "modeling_own.py").write_text(MODELING + "# another version\n")
    assert resolve(str(own), trust_remote_code=True).revision != before.revision


@pytest.mark.parametrize("auto_map", ["x", 7, [None], {"AutoConfig": 7}, {"AutoConfig": None}, {}], ids=repr)
def test_an_auto_map_that_names_nothing_is_no_code(llama: Path, tmp_path: Path, auto_map: object) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "m"))
    edit(folder / "config.json", auto_map=auto_map)
    assert not remote_code.settle(folder, False, "m", lambda line: None)


def on_a_terminal(command: list[str], answers: bytes, seconds: float = 120) -> tuple[int, str]:
    """Run a command whose stdin, stdout and stderr are one terminal, at which someone types `answers`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    os.write(ours, answers)
    shown, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.5)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            shown += part
        elif process.poll() is not None:
            break
    process.kill() if process.poll() is None else None
    os.close(ours)
    return process.wait(), shown.decode()


@pytest.mark.parametrize("trusted", [False, True], ids=["refused", "trusted"])
def test_nobody_is_asked_on_a_terminal(own: Path, tmp_path: Path, trusted: bool) -> None:
    """`y` is typed ahead of any question; only the option decides."""
    command = [sys.executable, "-m", "medbench", "run", "-m", str(own), "-b", "medqa-sample", "--limit", "2"]
    command += ["--out", str(tmp_path / "runs"), "--latency-items", "0", *["--trust-remote-code"] * trusted]
    code, shown = on_a_terminal(command, b"y\ny\ny\n")
    assert "Do you wish to run" not in shown
    assert (code, ran()) == ((0, True) if trusted else (1, False)), shown
    manifests = list((tmp_path / "runs").glob("*/manifest.json"))
    assert len(manifests) == trusted
    for path in manifests:
        manifest = json.loads(path.read_text())
        assert manifest["model"]["trust_remote_code"] is True
        assert manifest["identity"]["model"]["trust_remote_code"] is True


def test_code_of_a_hub_model_is_fetched_only_when_trusted(own: Path, tmp_path: Path) -> None:
    """Refused before its weights are fetched; then, trusted, with the Python files that the weights need."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS"))
    }
    with fake_hub.serve({"owner/own": own}) as server:
        environment = kept | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-m", "medbench", "run", "-m", "owner/own", "-b", "medqa-sample", "--limit", "2"]
        command += ["--out", str(tmp_path / "runs"), "--latency-items", "0"]
        refused = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert refused.returncode == 1
        assert "config.json names configuration_own.OwnConfig in `auto_map`" in refused.stderr
        assert "model.safetensors" not in server.fetched and not ran()

        command.append("--trust-remote-code")
        trusted = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert trusted.returncode == 0, trusted.stderr
        assert "warning: owner/own runs code from its own files" in trusted.stderr
        assert {"model.safetensors", "configuration_own.py", "modeling_own.py"} <= set(server.fetched) and ran()


def test_the_tokenizer_of_an_adapter_runs_no_code_trusted_or_not(own: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(own / name, adapter)
    edit(adapter / "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": [None, "t.Fast"]})
    (adapter / "t.py").write_text(CONFIGURATION + "class Fast: pass")
    edit(own / "config.json", model_type="llama", auto_map={})
    for trusted in (False, True):
        with pytest.raises(MedbenchError, match=r"the adapter .* has a tokenizer with its own Python code"):
            opened(str(own), trusted, str(adapter))
    assert not ran()


def command(*words: object, code: int = 0) -> str:
    """Run medbench in this process; what it wrote to stderr."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stderr


def training(own: Path, folder: Path, *settings: str) -> list[object]:
    """The command that trains a zoo entry whose weights are `own`, for two steps."""
    entry = folder / "tiny.py"
    entry.write_text(
        "import dataclasses\n"
        "from medbench.core import registry\n"
        f"MODEL = dataclasses.replace(registry.get('zoo', 'smollm2-135m'), name='tiny', weights={str(own)!r}, "
        "package=None, config={})\n"
    )
    settings = (f"data={entries.data(folder)}", "max_length=64", "quantize=none", "eval_examples=2", *settings)
    given = [word for setting in settings for word in ("--set", setting)]
    return ["train", "-m", entry, "--device", "cpu", "--max-steps", 2, *given]


def test_training_refuses_code_without_the_option(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = training(own, tmp_path)
    for refused in (train, [*train, "--dry-run"]):
        assert "--trust-remote-code, an option of medbench run, train and" in command(*refused, code=1)
    assert not ran()
    assert not (tmp_path / "adapters").exists()


def test_a_stopped_training_and_what_was_trained_ask_for_the_option_again(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = training(own, tmp_path)
    with monkeypatch.context() as full:
        full.setattr("medbench.training.train._check_room", refuse)
        command(*train, "--trust-remote-code", code=1)
    folder = tmp_path / "adapters" / "tiny" / "default"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["base"]["trust_remote_code"] is manifest["identity"]["base"]["trust_remote_code"] is True
    # The manifest says that it was allowed; but anyone may have written that.
    resume = ["train", "-m", tmp_path / "tiny.py", "--resume", "--device", "cpu"]
    assert "medbench does not run that" in command(*resume, code=1)
    assert "runs code from its own files" in command(*resume, "--trust-remote-code")

    used = ["run", "-b", "medqa-sample", "--limit", 1, "--latency-items", 0, "--trust-remote-code", "--model"]
    trained = f"{tmp_path / 'tiny.py'}@default"
    merge = ["adapters", "merge", trained, "--out", "merged"]
    assert "--trust-remote-code" in command(*merge, code=1)
    command(*merge, "--trust-remote-code")
    assert json.loads(Path("merged/medbench.json").read_text())["trust_remote_code"] is True
    for name in (trained, "merged"):
        command(*used, name)
        with pytest.raises(MedbenchError, match="medbench does not run that"):
            resolve(str(name))


def refuse(*_: object) -> None:
    raise MedbenchError("the disk is full.")


def test_whole_weights_that_were_trained_bring_the_code_and_ask_for_the_option(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command(*training(own, tmp_path, "lora=none"), "--trust-remote-code")
    folder = tmp_path / "adapters" / "tiny" / "default"
    with pytest.raises(MedbenchError, match="medbench does not run that"):
        resolve(str(folder))
    spec = resolve(str(folder), trust_remote_code=True)
    assert type(opened(spec.location, spec.trust_remote_code)[0]).__name__ == "OwnConfig"


def test_a_local_judge_with_code_is_refused_and_says_what_to_do(own: Path) -> None:
    """Judges have no option that allows it, so the hint names none of `run`."""
    with pytest.raises(UsageError) as error:
        LOCAL_JUDGE.make(str(own), "", lambda line: None)
    assert error.value.message.startswith(f"the judge local:{own}: {own} cannot be loaded without running Python code")
    assert "--judge openai:NAME --judge-base-url URL" in error.value.hint
    assert "option of medbench run" not in error.value.hint
    assert not ran()
