"""Experiment files: their form, what is wrong with one, options beside one, and how medbench writes one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.cli.commands.run import command as run_command
from medbench.cli.experiment_options import given
from medbench.core.errors import UsageError
from medbench.experiments.experiment import Experiment
from medbench.experiments.lines import line_of
from medbench.experiments.merge import merged
from medbench.experiments.read import read
from medbench.experiments.schema import SECTIONS, TOP, Kind
from medbench.experiments.write import save

KEY = "gsk_AbCdEf0123456789"  # as a key looks


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], prog_name="medbench")


def file(text: str, name: str = "experiment.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def options(*words: object) -> dict[str, Any]:
    """The values of options as `medbench run` gets them."""
    with run_command.make_context("run", [str(word) for word in words]) as context:
        return given(context)


# What is wrong with a file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit = 5\nbenchmrks = ['medqa']\n", "line 2: there is no key 'benchmrks'. Did you mean benchmarks?"),
        ("benchmark = 'medqa'\n", "line 1: there is no key 'benchmark'. Did you mean benchmarks?"),
        ("\n# a note\nlimit = 'ten'\n", 'line 3: limit = "ten": expected a whole number, 1 or more.'),
        ("limit = 0\n", "line 1: limit = 0: expected a whole number, 1 or more."),
        ("limit = true\n", "line 1: limit = true: expected a whole number, 1 or more."),
        ("models = 3\n", "line 1: models = 3: expected a name or a list of names."),
        ('dtype = "float12"\n', 'line 1: dtype = "float12": expected one of "auto", "float32", "bfloat16", "float16".'),
        ("[[models]]\ndtype = 'auto'\n", "line 1: [[models]] has no name."),
        ("[[models]]\nname = 'a'\n\n[[models]]\nname = 'b'\nquantise = 'nf4'\n", "line 6: [models] has no key 'quan"),
        ("[judges]\nnames = ['groq']\nmax_cost = '1'\n", 'line 3: max_cost = "1": expected a number, 0 or more.'),
        ("[judges]\napi_key = 'x'\n", "An experiment file holds no keys: they are read from OPENAI_API_KEY"),
        ("[[train]]\nmodel = 'a'\nmax-steps = 2\n", "line 3: [train] has no key 'max-steps'. Did you mean max_steps?"),
        ("[report]\nlimit = 5\n", "line 2: [report] has no key 'limit'. It belongs above the tables."),
        ("report = 'pages'\n", 'line 1: report = "pages": a table is expected, headed [report].'),
        ("[compare]\nmodels = ['a', 'b']\nmetrics = 1\n", "line 3: metrics = 1: expected a name or a list of names."),
        ("limit = \n", "is not TOML: Invalid value (at line 1, column 9)."),
        ("limit = 5\nlimit = 6\n", "is not TOML: Cannot overwrite a value (at line 2"),
        ("[judges]\nprice = [1]\n", "price = [1]: expected two numbers, USD per million prompt and new tokens."),
        ("models = ['a']\n[[compare]]\nmodels = ['a']\n", "[[compare]] names a: a comparison needs two models."),
        ("models = ['a']\n[[compare]]\nmodels = ['a', 'b']\n", "b is not a model of this experiment."),
        ("[[train]]\nmodel = 'a'\n[[train]]\nmodel = 'a'\n", "two trainings are called a@default."),
    ],
)
def test_an_error_names_the_line_the_key_and_what_is_expected(text: str, message: str) -> None:
    done = medbench("run", file(text), "--dry-run")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    if "line" in message and "TOML" not in message:
        assert f"experiment.toml, {message}" in done.stderr


def test_a_file_that_is_not_there() -> None:
    done = medbench("run", "none.toml")
    assert (done.exit_code, "there is no file none.toml." in done.stderr) == (2, True)


def test_a_byte_order_mark_is_no_part_of_a_file() -> None:
    assert read(file("\ufefflimit = 5\n")) == {"limit": 5}


def test_two_files_are_two_commands() -> None:
    done = medbench("run", "a.toml", "b.toml")
    assert (done.exit_code, "two experiments are named: a.toml and b.toml." in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("place", "line"), [(("a",), 1), (("b",), 3), (("t", 1, "c"), 10), (("b", 1), 3), (("none",), 0), (("d", "e"), 11)]
)
def test_the_line_of_a_value_is_where_it_begins(place: tuple[str | int, ...], line: int) -> None:
    text = 'a = """\nb = 1"""\nb = [\n  # c = 2\n  1,\n  2]\n[[t]]\nc = 1\n[[t]]\nc = 2\nd = { e = 3 }\n[d]\ne = 1\n'
    text = text.replace("d = { e = 3 }\n[d]\ne = 1\n", "[d]\ne = 1\n") if place == ("d", "e") else text
    assert line_of(text, place) == (12 if place == ("d", "e") else line)


# Relative paths


def test_paths_are_relative_to_the_file() -> None:
    for name in ("ward.csv", "prompt.txt", "mine.py", "model/config.json"):
        file("x", f"study/{name}")
    found = read(
        file(
            """
            models = ["replay:answers/{benchmark}.jsonl", "smollm2-135m", "model", "mine.py@short", "own/hub-id"]
            benchmarks = ["ward.csv", "medqa"]
            metrics = ["mine.py", "accuracy"]
            items = "ids.txt"
            system = "prompt.txt"
            retrieve = "medquad"
            data = "/releases"
            [[train]]
            model = "mine.py"
            settings = { data = "medquad:50,pairs.jsonl:20", lora.rank = 8 }
            [report]
            out = "pages"
            """,
            "study/experiment.toml",
        )
    )
    names = [model["name"] for model in found["models"]]
    assert names == [
        "replay:study/answers/{benchmark}.jsonl",
        "smollm2-135m",
        "study/model",
        "study/mine.py@short",
        "own/hub-id",
    ]
    assert found["benchmarks"] == ["study/ward.csv", "medqa"]
    assert found["metrics"] == ["study/mine.py", "accuracy"]
    assert (found["items"], found["system"]) == ("study/ids.txt", "study/prompt.txt")
    assert (found["retrieve"], found["data"]) == ("medquad", "/releases")
    assert found["train"][0] == {
        "model": "study/mine.py",
        "settings": {"data": "medquad:50,study/pairs.jsonl:20", "lora.rank": 8},
    }
    assert found["report"] == {"out": "study/pages"}


# Options beside a file


def test_options_replace_what_the_file_says_and_are_reported() -> None:
    stored = read(
        file(
            """
            benchmarks = ["medqa"]
            suites = ["quick"]
            limit = 50
            dtype = "float32"
            engine_options = { map = "id=a" }
            [judges]
            names = ["groq"]
            max_cost = 1
            [[models]]
            name = "a"
            dtype = "bfloat16"
            quantize = "nf4"
            """
        )
    )
    found, told = merged(
        stored, options("--limit", 5, "-b", "pubmedqa", "--dtype", "float16", "--map", "id=b", "--max-judge-cost", 2)
    )
    assert found == {
        "benchmarks": ["pubmedqa"],
        "limit": 5,
        "dtype": "float16",
        "engine_options": {"map": "id=b"},
        "judges": {"names": ["groq"], "max_cost": 2.0},
        "models": [{"name": "a", "quantize": "nf4"}],
    }
    assert sorted(told) == [
        'a: dtype = "float16" instead of "bfloat16"',
        'benchmarks = ["pubmedqa"] instead of ["medqa"]',
        'dtype = "float16" instead of "float32"',
        'engine_options.map = "id=b" instead of "id=a"',
        "judges.max_cost = 2.0 instead of 1",
        "limit = 5 instead of 50",
        'not used: suites = ["quick"]',
    ]


def test_comparisons_of_models_that_an_option_replaced_are_not_made() -> None:
    pairs = "[[compare]]\nmodels = ['a', 'b']\n[[compare]]\nmodels = ['a', 'c']\n"
    found, told = merged(read(file(f"models = ['a', 'b', 'c']\n{pairs}")), options("-m", "a,b"))
    assert found["compare"] == [{"models": ["a", "b"]}]
    assert 'not used: [[compare]] models = ["a", "c"]' in told
    assert "compare" not in merged(read(file(f"models = ['a', 'b', 'c']\n{pairs}")), options("-m", "a"))[0]


def test_an_option_that_says_the_same_is_not_reported() -> None:
    assert merged(read(file("limit = 5\n")), options("--limit", 5)) == ({"limit": 5}, [])


# Files that medbench writes

ALL = (
    *("-m", "a,replay:answers.jsonl", "-b", "medqa,ward.csv", "-s", "quick", "--limit", 7, "--items", "ids.txt"),
    *(
        "--shots",
        2,
        "--seed",
        3,
        "--system",
        'Say "yes"\nor é\x7f.',
        "--protocol",
        "direct,cot",
        "--choice",
        "generate",
    ),
    *("--metrics", "accuracy,rouge1", "--entity-model", "en_core_sci_sm", "--latency-items", 0, "--samples", 3),
    *("--temperature", 0.7, "--top-p", 0.9, "--max-new-tokens", 40, "--retrieve", "medquad", "--passages", 2),
    *("--dtype", "float32", "--quantize", "nf4", "--device", "cpu", "--chat", "never", "--think", "off"),
    *("--reasoning-effort", "none", "--adapter", "ad", "--revision", "main", "--trust-remote-code"),
    *(
        "--engine",
        "openai",
        "--base-url",
        "http://x/v1",
        "--engine-option",
        "a=b",
        "--map",
        "id=c",
        "--tensor-parallel",
        2,
    ),
    *("--concurrency", 2, "--requests-per-minute", 3, "--tokens-per-minute", 4, "--data-revision", "o/n@main"),
    *("--judge", "groq", "--judge-mode", "rubric", "--judge-per", "criterion", "--judge-base-url", "http://y/v1"),
    *("--judge-price", "0.1,0.25", "--max-judge-calls", 5, "--max-judge-cost", 0.5, "--judge-concurrency", 3),
    *("--judge-requests-per-minute", 9, "--judge-tokens-per-minute", 8, "--judge-timeout", 60),
    *("--columns", "question=Case,answer=Key", "--out", "results", "--report-to", "mlflow,trackio"),
)


@pytest.mark.parametrize("place", ["experiment.toml", "deep/er/experiment.toml"])
@pytest.mark.parametrize(
    "words",
    [
        (),
        ALL,
        ("-s", "all", "--prompt-variants"),
        ("-m", "smollm2-135m", "-b", "medqa-sample", "--permute-options", 4, "--quantize", "none"),
    ],
)
def test_a_saved_file_says_the_same_as_the_command(words: tuple[object, ...], place: str) -> None:
    for name in ("ids.txt", "ward.csv", "answers.jsonl"):
        file("a\nb\n", name)
    done = medbench("run", *words, "--save", place, "--dry-run")
    assert done.exit_code == 0, done.output
    assert f"written: {place}" in done.stderr
    assert done.stdout == "", "with --dry-run it only writes"
    asked, saved = Experiment.of(options(*words)), Experiment.of(read(Path(place)))
    if place != "experiment.toml":
        saved = resolved(saved)
        asked = resolved(asked)
    assert saved == asked


def resolved(experiment: Experiment) -> Experiment:
    """The same with paths that do not depend on how they were spelled."""
    import dataclasses

    def plain(name: str) -> str:
        return name.replace("deep/er/../../", "")

    return dataclasses.replace(
        experiment,
        models=tuple(
            dataclasses.replace(model, name=plain(model.name), options={**model.options, "engine_options": {}})
            for model in experiment.models
        ),
        benchmarks=tuple(map(plain, experiment.benchmarks)),
        settings=dataclasses.replace(experiment.settings, items_file=plain(experiment.settings.items_file)),
        out=experiment.out.resolve(),
    )


def test_every_option_has_a_key() -> None:
    """So that --save leaves nothing out."""
    others = {"experiment", "dry_run", "save", "quiet", "as_json", "help"}
    taken = {name for name in run_command.params if name.name not in others}
    with run_command.make_context("run", [*map(str, ALL), "--data", ".", "--prompt-variants"]) as context:
        context.params["permute_options"] = 4
        values = given(context)
    assert set(values) <= {*TOP, *SECTIONS}
    assert {option.name for option in taken} == set(context.params) - others
    missing = [
        option.name
        for option in taken
        if context.get_parameter_source(str(option.name)) is click.core.ParameterSource.DEFAULT
        and option.name != "permute_options"
    ]
    assert missing == [], "ALL gives every option"


def test_a_key_or_password_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    words = ("-m", "openai:m", "--base-url", "https://me:pass0word@host/v1", "--engine-option", f"header={KEY}")
    done = medbench("run", *words, "--system", "Be kind.", "--save", "e.toml", "--dry-run")
    assert done.exit_code == 0, done.output
    text = Path("e.toml").read_text(encoding="utf-8")
    assert "pass0word" not in text
    assert KEY not in text
    assert tomllib.loads(text)["system"] == "Be kind."
    assert "because it contains a key or password: base_url" in done.stderr
    assert "because it contains a key or password: engine_options.header" in done.stderr


def test_a_file_that_people_wrote_is_not_replaced() -> None:
    mine = file("limit = 5  # why five\n", "mine.toml")
    done = medbench("run", mine, "--limit", 6, "--save", mine, "--dry-run")
    assert (done.exit_code, "was not written by --save, so it is kept." in done.stderr) == (2, True), done.output
    assert "why five" in mine.read_text(encoding="utf-8")
    for limit in (6, 7):
        assert medbench("run", mine, "--limit", limit, "--save", "saved.toml", "--dry-run").exit_code == 0
    assert "limit = 7" in Path("saved.toml").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written() -> None:
    file("", "taken")
    done = medbench("run", "--save", "taken/e.toml", "--dry-run")
    assert (done.exit_code, "taken/e.toml cannot be written" in done.stderr) == (1, True), done.output


@pytest.mark.parametrize("name", ["saved.txt", "saved"])
def test_a_file_is_saved_only_under_a_name_that_the_command_runs(name: str) -> None:
    done = medbench("run", "--save", name, "--dry-run")
    assert (done.exit_code, "the name of an experiment file ends in .toml." in done.stderr) == (2, True), done.output
    assert not Path("saved.txt").exists() and not Path("saved").exists()


def test_the_command_that_runs_a_saved_file_can_be_pasted() -> None:
    assert "medbench run 'my file.toml'" in medbench("run", "--save", "my file.toml", "--dry-run").stderr


def test_a_saved_file_has_comments_for_people() -> None:
    save({"limit": 5, "judges": {"names": ["groq"], "max_cost": 0.5}}, Path("e.toml"))
    assert Path("e.toml").read_text(encoding="utf-8") == (
        "# Written by medbench. To run it: medbench run FILE. All keys: docs/experiments.md\n\n"
        "limit = 5  # items of each benchmark, the same for every model\n\n"
        '# Models that grade open answers\n[judges]\nnames = ["groq"]\nmax_cost = 0.5  # USD, estimated\n'
    )


def kinds() -> list[tuple[str, Kind]]:
    return [*TOP.items(), *((name, kind) for section in SECTIONS.values() for name, kind in section.keys.items())]


@pytest.mark.parametrize(("name", "kind"), kinds())
def test_the_example_of_a_key_is_accepted(name: str, kind: Kind) -> None:
    assert kind.fits(tomllib.loads(f"{name} = {kind.example}")[name])


def test_the_page_has_every_key() -> None:
    page = (Path(__file__).parents[1] / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert [name for name, _ in kinds() if f"`{name}`" not in page] == []


def test_a_wrong_file_leaves_no_traceback_from_python() -> None:
    import medbench

    with pytest.raises(UsageError, match=r"^run_experiment\(\): limit = \"x\": expected a whole number"):
        medbench.run_experiment(file("limit = 5\n"), limit="x")
    with pytest.raises(UsageError, match=r"there is no key 'limt'\. Did you mean limit\?"):
        medbench.run_experiment(file("limit = 5\n"), limt=3)
    assert json.dumps(read(file("limit = 5\n"))) == '{"limit": 5}'
