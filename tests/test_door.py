"""The command line: option groups in the help, spellings, option names of other tools, completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem
from click.testing import CliRunner, Result
from medbench.cli import COMMANDS, cli
from medbench.cli.options import visible
from medbench.cli.other_names import COMMANDS as ELSEWHERE_COMMANDS
from medbench.cli.other_names import ELSEWHERE, INSTEAD
from medbench.cli.shells import Bash
from test_cli import HEAVY

LIBRARIES = [name for name in HEAVY if not name.startswith("medbench")]
GROUPS = {
    "run": ["Most used", "Model", "Items", "Asking", "Scoring", "Judges", "Server", "Experiment", "Output"],
    "train": ["Most used", "Model and machine", "Training examples", "Sweeps", "Output"],
    "leaderboard": ["Most used", "Output"],
    "score": ["Most used", "Judges", "Output"],
    "compare": ["Most used", "Judges", "Output"],
    "agreement": ["Most used", "Judges", "Output"],
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: str) -> Result:
    return CliRunner().invoke(cli, words, prog_name="medbench")


def options(name: str) -> set[str]:
    command = cli.get_command(cli.make_context("medbench", [], resilient_parsing=True), name)
    assert command is not None
    return {spelling for parameter in command.params for spelling in visible(parameter)}


def every_option() -> set[str]:
    return set().union(*map(options, COMMANDS))


# Help


@pytest.mark.parametrize("name", list(GROUPS))
def test_options_are_in_groups(name: str) -> None:
    headings = re.findall(r"^(\S.*):$", medbench(name, "--help").stdout, re.MULTILINE)
    assert headings == [*GROUPS[name], "Examples"]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_fits_80_columns(name: str) -> None:
    lines = medbench(name, "--help").stdout.splitlines()
    assert [line for line in lines if len(line) > 80 and "\\" not in line] == []


def test_the_ten_options_that_most_people_need_come_first() -> None:
    first = medbench("run", "--help").stdout.split("Most used:")[1].split("Model:")[0]
    wanted = "model benchmark suite limit shots metrics judge quantize data out"
    assert re.findall(r"^  (?:-\w, )?--(\S+)", first, re.MULTILINE) == wanted.split()


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    code = f"import sys; from medbench.cli import cli; cli(['{name}', '--help'], standalone_mode=False); "
    code += f"print([library for library in {LIBRARIES} if library in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# Spellings


@pytest.mark.parametrize(("old", "new"), [("rpm", "requests-per-minute"), ("tpm", "tokens-per-minute")])
@pytest.mark.parametrize("name", ["run", "score", "compare", "agreement"])
def test_limits_of_judges_are_spelled_like_those_of_servers(name: str, old: str, new: str) -> None:
    assert f"--judge-{new}" in options(name)
    assert f"--{new}" in options("run")
    shown = medbench(name, "--help").stdout
    assert f"--judge-{old}" not in shown
    assert "judge_requests" not in shown
    operands = ("a", "b") if name in ("score", "compare") else ()
    for spelling in (old, new):  # both are the option; without a judge it has nothing to limit
        done = medbench(name, *operands, f"--judge-{spelling}", "30", *(("-M", "rougeL") if name == "score" else ()))
        if name == "compare":
            assert "No such option" not in done.stderr  # it looks for the runs first
            continue
        assert done.exit_code == 2
        assert f"--judge-{new} needs --judge." in done.stderr
    wrong = medbench(name, *operands, f"--judge-{old}", "0")
    assert f"Invalid value for '--judge-{new}': 0 is not a whole number of at least 1." in wrong.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--limit", "0"], "'--limit': 0 is not a whole number of at least 1."),
        (["run", "--limit", "x"], "'--limit': 'x' is not a whole number of at least 1."),
        (["run", "--limit", "1.5"], "'--limit': '1.5' is not a whole number of at least 1."),
        (["ui", "m", "--port", "99999"], "'--port': 99999 is not a whole number from 0 to 65535."),
        (["chat", "m", "--top-p", "0"], "'--top-p': 0.0 is not a number above 0 and at most 1."),
        (["chat", "m", "--temperature", "warm"], "'--temperature': 'warm' is not a number of at least 0."),
        (["run", "--seed", "x"], "'--seed': 'x' is not a whole number."),
    ],
)
def test_a_wrong_number_is_answered_with_what_is_expected(words: list[str], said: str) -> None:
    done = medbench(*words)
    assert done.exit_code == 2
    assert f"Error: Invalid value for {said}" in done.stderr


# Where these mean something else, their help says it: --metrics, --out of another kind of result.
SAME = "data device entity-model quiet trust-remote-code allow-changed judge judge-price max-judge-cost judge-timeout"


@pytest.mark.parametrize("option", SAME.split())
def test_an_option_means_the_same_in_every_command(option: str) -> None:
    context = cli.make_context("medbench", [], resilient_parsing=True)
    commands = filter(None, (cli.get_command(context, name) for name in COMMANDS))
    texts = [p.help for c in commands for p in c.params if isinstance(p, click.Option) and f"--{option}" in p.opts]
    assert len(texts) > 1
    assert len(set(texts)) == 1


@pytest.mark.parametrize("words", ["run -m medqa", "train -m nothing"])
def test_quantize_takes_nf4_and_none_in_run_and_train(words: str) -> None:
    for value in ("nf4", "none"):
        assert "no model is called" in medbench(*words.split(), "--quantize", value).stderr, "the option is understood"


# What is meant by other tools' names


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("run --config study.yaml", "medbench run experiment.toml"),
        ("run --tasks medqa", "Did you mean --benchmark?"),
        ("run --num_fewshot 5", "Did you mean --shots?"),
        ("run --num-fewshot 5", "Did you mean --shots?"),
        ("run --batch_size 8", "Batch sizes follow from the free memory."),
        ("run --model_args pretrained=x", "Give the model with --model"),
        ("run --max_tokens 50", "Did you mean --max-new-tokens?"),
        ("run --Temperature 0", "Did you mean --temperature?"),
        ("run -n 5", "Did you mean --limit?"),
        ("run -o out/", "Did you mean --out?"),
        ("run --lr 1e-4", "medbench train --set learning_rate=VALUE"),
        ("run --sweep lora.rank=8,16", "--sweep is an option of medbench train."),
        ("run --bencmark medqa", "Did you mean --benchmark?"),
        ("run --judge-rm 3", "Did you mean --judge"),
        ("list tasks", "Did you mean medbench list benchmarks?"),
        ("list runz", "Did you mean medbench list runs?"),
        ("run --qwertyuiop", "All options: medbench run --help"),
        ("train -m smollm2-135m --lr 1e-4", "Did you mean --set learning_rate=VALUE?"),
        ("train -m smollm2-135m --batch_size 2", "Did you mean --set batch_size=VALUE?"),
        ("train -m smollm2-135m --output_dir x", "Did you mean --out?"),
        (
            "score run --tasks medqa",
            "--benchmark is an option of medbench run, medbench leaderboard, medbench report and others.",
        ),
        ("run --sort accuracy", "--sort is an option of medbench leaderboard."),
        ("leaderboard --order-by medqa", "Did you mean --sort?"),
        ("leaderboard medqa", "there is no folder medqa.\nDid you mean --benchmark medqa?"),
        ("leaderboard smollm2-135m", "Did you mean --model smollm2-135m?"),
        ("leaderboard --tasks medqa", "Did you mean --benchmark?"),
        ("adapters merge x@y --output z", "Did you mean --out?"),
        ("run medqa", "Did you mean --benchmark medqa?"),
        ("run quick", "Did you mean --suite quick?"),
        ("run smollm2-135m medqa --limit 3", "Did you mean --model smollm2-135m --benchmark medqa?"),
        ("run rougeL", "Did you mean --metrics rougeL?"),
        ("run my-org/my-model", "Did you mean --model my-org/my-model?"),
        ("train smollm2-135m", "Did you mean --model smollm2-135m?"),
        (
            "--model smollm2-135m",
            "--model is an option of medbench run, medbench train, medbench leaderboard and others.",
        ),
        (
            "--tasks medqa",
            "--benchmark is an option of medbench run, medbench leaderboard, medbench report and others.",
        ),
        ("evaluate -m smollm2-135m", "No such command 'evaluate'. Did you mean run?"),
        ("finetune", "Did you mean train?"),
        ("ls", "Did you mean list?"),
        ("models", "Did you mean list models?"),
        ("leaderbord", "Did you mean leaderboard?"),
        ("run -b quick", "Run it with: --suite quick"),
        ("run -s quik", "no suite is called 'quik'. Did you mean quick?"),
        ("run -s pubmedq", "Did you mean pubmedqa, pubmedqa-pqal or medqa?"),
        ("run --set lr=1e-4", "--set is an option of medbench train, medbench agreement."),
        ("run --lr=1e-4", "medbench train --set learning_rate=VALUE"),
        ("run -b rougeL", "no benchmark is called 'rougeL'; it is a metric."),
        ("run -m medqa", "no model is called 'medqa'; it is a benchmark."),
        ("run -M vllm", "no metric is called 'vllm'; it is an engine."),
        ("train -m smollm2-135m --set lr --dry-run", "Write learning_rate=VALUE."),
        ("train -m smollm2-135m --set lr=1e-4 --dry-run", "Did you mean learning_rate?"),
    ],
)
def test_what_is_meant(words: str, meant: str) -> None:
    done = medbench(*words.split())
    assert done.exit_code == 2, done.output
    assert meant in done.stderr


def test_help_wins_over_a_word_too_many() -> None:
    assert "Most used:" in medbench("run", "medqa", "--help").stdout


def test_a_name_of_another_tool_has_one_meaning_and_is_none_of_ours() -> None:
    listed = [name for names in (*ELSEWHERE.values(), *INSTEAD) for name in names.split()]
    assert len(listed) == len(set(listed))
    assert {name.strip("-") for name in ELSEWHERE} & set(listed) == set()
    commands = [name for names in ELSEWHERE_COMMANDS.values() for name in names.split()]
    assert len(commands) == len(set(commands))
    assert ({name.split()[0] for name in ELSEWHERE_COMMANDS} - set(COMMANDS), set(commands) & set(COMMANDS)) == (
        set(),
        set(),
    )
    assert not [name for name in listed if "_" in name or name != name.lower()], "names are looked up with hyphens"


def test_every_option_that_the_table_leads_to_exists() -> None:
    assert set(ELSEWHERE) <= every_option()
    told = {option for sentence in INSTEAD.values() for option in re.findall(r"--[\w-]+", sentence)}
    assert told <= every_option()


# Completion, by click's protocol, in a process of its own as a shell starts it


def complete(shell: str, *words: str) -> list[str]:
    """What a shell offers for the last word."""
    if shell == "fish":
        told = {"COMP_WORDS": " ".join(["medbench", *words]), "COMP_CWORD": words[-1]}
    else:
        told = {"COMP_WORDS": " ".join(["medbench", *words]), "COMP_CWORD": str(len(words))}
    environment = os.environ | {"_MEDBENCH_COMPLETE": f"{shell}_complete"} | told
    code = (
        "import sys; from medbench.cli import main\ntry: main()\nfinally: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.translate(str.maketrans("", "", "[]',")).split())
    assert not loaded & set(LIBRARIES), "a shell waits for this"
    if shell == "bash":
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")]
    if shell == "zsh":
        lines = done.stdout.splitlines()
        return [value.replace("\\:", ":") for kind, value in zip(lines[::3], lines[1::3]) if kind == "plain"]
    return [line.removeprefix("plain,").partition("\t")[0] for line in done.stdout.splitlines() if "plain," in line]


@pytest.fixture
def made() -> None:
    """Two runs and an adapter in the working folder, as far as completion looks at them."""
    for folder in ("runs/m__medqa__1", "runs/m__medquad__2", "adapters/smollm2-135m/first", "runs/other"):
        Path(folder).mkdir(parents=True)
        if folder != "runs/other":
            Path(folder, "manifest.json").write_text("{}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.usefixtures("made")
def test_names_are_completed(shell: str) -> None:
    assert complete(shell, "lead") == ["leaderboard"]
    assert complete(shell, "run", "--mod") == ["--model"]
    assert complete(shell, "run", "--model", "smol") == ["smollm2-135m", "smollm2-135m@first"]
    assert complete(shell, "run", "-b", "medqa,pubmedqa-p") == ["medqa,pubmedqa-pqal"]
    before = "" if shell == "bash" else "--benchmark="  # bash replaces only what follows the equals sign
    assert complete(shell, "run", "--benchmark=medqa,pubmedqa-p") == [f"{before}medqa,pubmedqa-pqal"]
    Path("models").mkdir()
    Path("models", "mine.gguf").touch()
    before = "" if shell == "bash" else "gguf:"
    assert complete(shell, "run", "--model", "gguf:mod") == [f"{before}models/"]
    assert complete(shell, "chat", "gguf:models/m") == [f"{before}models/mine.gguf"]
    assert complete(shell, "run", "-M", "entity_r") == ["entity_recall"]
    assert complete(shell, "show", "m__") == ["m__medqa__1", "m__medquad__2"]
    assert complete(shell, "compare", "m") == ["m", "m__medqa__1", "m__medquad__2"]
    assert complete(shell, "adapters", "show", "smol") == ["smollm2-135m@first"]


def test_more_that_is_completed() -> None:
    def offered(*words: str) -> list[str]:
        return complete("bash", *words)

    assert offered("run", "-s", "q") == ["quick"]
    assert offered("run", "--judge-r") == ["--judge-requests-per-minute"]  # not the hidden --judge-rpm
    assert offered("run", "--judge", "gr") == ["groq"]
    assert offered("run", "--engine", "vl") == ["vllm"]
    assert offered("run", "--quantize", "n") == ["nf4", "none"]
    assert offered("list", "metrics", "bri") == ["brier"]
    assert offered("fetch", "data", "liv") == ["liveqa"]
    assert offered("list", "be") == ["benchmarks"]
    assert offered("leaderboard", "--sort", "x") == []
    assert offered("score", "none") == [], "no runs are here"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_experiment_files_are_completed_after_run(shell: str) -> None:
    for name in ("study.toml", "stress/one.toml", "stress/two.toml", "stress/notes.txt", "stems/notes.txt", "st.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert complete(shell, "run", "st") == ["study.toml", "stress/"]
    assert complete(shell, "run", "stu") == ["study.toml"]
    assert complete(shell, "run", "str") == ["stress/one.toml", "stress/two.toml"], "the only folder is opened"
    assert complete(shell, "run", "stress/t") == ["stress/two.toml"]
    assert complete(shell, "run", "./stu") == ["./study.toml"]
    assert complete(shell, "run", "none") == []
    assert complete(shell, "run", "--model", "smollm2-135m", "stu") == ["study.toml"]


def in_shell(tmp_path: Path, *command: str) -> list[str]:
    """What a real shell prints, in which the script of docs/usage.md finds a `medbench` on its path."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    (tmp_path / "bin").mkdir(exist_ok=True)
    program = tmp_path / "bin" / "medbench"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m medbench "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]])}
    done = subprocess.run([*command], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["run", "--model", "smol"], ["smollm2-135m", "smollm2-135m@first"]),
        (["run", "--model", "=", "smol"], ["smollm2-135m", "smollm2-135m@first"]),
        (["run", "-b", "medqa,pubmedqa-p"], ["medqa,pubmedqa-pqal"]),
        (["run", "stu"], ["study.toml"]),
    ],
)
@pytest.mark.usefixtures("made")
def test_bash_fills_its_reply(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    Path("study.toml").touch()
    script = f"""
        eval "$(_MEDBENCH_COMPLETE=bash_source medbench)"
        COMP_WORDS=(medbench {" ".join(words)}) COMP_CWORD={len(words)}
        _medbench_completion medbench
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    assert in_shell(tmp_path, "bash", "--norc", "-c", script) == offered


def test_bash_replaces_only_what_follows_a_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "medbench chat gguf : mod")
    monkeypatch.setenv("COMP_CWORD", "4")
    bash = Bash(cli, {}, "medbench", "_MEDBENCH_COMPLETE")
    assert bash.get_completion_args() == (["chat"], "gguf:mod")
    assert bash.format_completion(CompletionItem("gguf:model.gguf")) == "plain,model.gguf"


@pytest.mark.usefixtures("made")
def test_fish_offers_values_and_descriptions_with_commas(tmp_path: Path) -> None:
    def offered(line: str) -> list[str]:
        source = "_MEDBENCH_COMPLETE=fish_source medbench | source"
        return in_shell(tmp_path, "fish", "--no-config", "-c", f"{source}; complete -C '{line}'")

    assert offered("medbench run -b medqa,pubmedqa-p") == ["medqa,pubmedqa-pqal"]
    Path("study.toml").touch()
    assert offered("medbench run stu") == ["study.toml"]
    assert offered("medbench run --quie") == ["--quiet\tNo progress, no table: errors only."]


@pytest.mark.usefixtures("made")
def test_zsh_without_a_startup_file_completes(tmp_path: Path) -> None:
    """`compadd` takes what is offered; without an editor it only prints here."""
    script = """
        eval "$(_MEDBENCH_COMPLETE=zsh_source medbench)"
        compadd() { print -l -- $completions }
        words=(medbench run -b medqa,pubmedqa-p) CURRENT=4
        print -r -- $_comps[medbench]
        _medbench_completion
    """
    assert in_shell(tmp_path, "zsh", "-f", "-c", script) == ["_medbench_completion", "medqa,pubmedqa-pqal"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_usage_page_says_how_a_shell_gets_it(shell: str) -> None:
    page = (Path(__file__).parents[1] / "docs" / "usage.md").read_text(encoding="utf-8")
    assert f"_MEDBENCH_COMPLETE={shell}_source medbench" in page
    environment = os.environ | {"_MEDBENCH_COMPLETE": f"{shell}_source"}
    done = subprocess.run(
        [sys.executable, "-m", "medbench"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"_MEDBENCH_COMPLETE={shell}_complete" in done.stdout
