"""The pages in docs/: their code blocks are extracted and run unchanged, and their links and index are complete."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core import asking, registry
from pyarrow import parquet
from servers import Asked, Server, says

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = "smollm2-135m"  # what the pages run; here the toy model answers in its place
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)\)")


@dataclass(frozen=True)
class Page:
    """One page, in its parts."""

    text: str

    @classmethod
    def read(cls, name: str) -> Page:
        return cls((ROOT / "docs" / name).read_text(encoding="utf-8"))

    def block(self, language: str) -> str:
        """The page's one block of a language."""
        (found,) = [body for kind, body in BLOCK.findall(self.text) if kind == language]
        return str(found)

    @property
    def project(self) -> dict[str, Any]:
        return tomllib.loads(self.block("toml"))

    @property
    def file(self) -> str:
        """What the page says its Python file is to be saved as."""
        (module,) = self.project["tool"]["setuptools"]["py-modules"]
        assert f"Save it as `{module}.py`" in " ".join(self.text.split())
        return f"{module}.py"

    def save(self) -> None:
        Path(self.file).write_text(self.block("python"), encoding="utf-8")

    def run_commands(self) -> list[Result]:
        """Every command of the page, in order; each has to succeed."""
        done = []
        for line in self.block("sh").splitlines():
            program, *words = shlex.split(line.replace(DEFAULT, "toy-model"), comments=True)
            assert program == "medbench"
            result = CliRunner().invoke(cli, words, prog_name="medbench")
            assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
            done.append(result)
        assert done
        return done


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_here: Path) -> None:
    """Each page is followed in a folder of its own, offline, with the toy model at hand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def medbench(*words: str) -> Result:
    return CliRunner().invoke(cli, words, prog_name="medbench")


def rows(name: str) -> list[dict[str, Any]]:
    """Lines of a run's store, below the working folder."""
    (file,) = Path("runs").glob(f"*/{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_add_a_benchmark() -> None:
    page = Page.read("add-a-benchmark.md")
    page.save()
    data = Path("releases/triage/questions.jsonl")
    assert f"`{data}`" in page.text
    data.parent.mkdir(parents=True)
    data.write_text(page.block("json"), encoding="utf-8")
    board, shown = page.run_commands()
    assert "triage · 4 items · log-probability · 0-shot" in board.stdout
    assert "accuracy" in board.stdout
    assert "Case: A man of 58 has had crushing chest pain for 40 minutes." in shown.stdout
    first = rows("samples.jsonl")[0]
    assert first["output"]["prompt"].startswith("Say how soon each patient must be seen.\n\nCase: A man of 58")
    assert first["output"]["prompt"].endswith("\nA. now\nB. within a day\nC. within weeks\nAnswer:")
    assert first["item"]["gold"] == 0


def test_the_added_benchmark_tells_what_is_wrong_with_its_data() -> None:
    page = Page.read("add-a-benchmark.md")
    page.save()
    words = ("run", "-m", "toy-model", "-b", page.file)
    without = medbench(*words)
    assert without.exit_code == 1
    assert "triage needs questions.jsonl" in without.stderr
    Path("questions.jsonl").write_text(page.block("json").replace('"answer": "C"', '"answer": "D"'), encoding="utf-8")
    wrong = medbench(*words, "--data", ".")
    assert wrong.exit_code == 1
    assert "questions.jsonl, row 2, field 'answer': 'D' is not one of A, B, C." in wrong.stderr


def with_data_beside(page: Page, kind: str) -> str:
    """The page's file with the `load` that reads Parquet, or another kind, from its own folder."""
    head, _, rest = page.block("python").partition("def load(")
    _, _, tail = rest.partition("def to_item(")
    return head + page.block("py").replace("parquet", kind) + "\n\ndef to_item(" + tail


def write_questions(page: Page, folder: Path, kind: str) -> None:
    questions = [json.loads(line) for line in page.block("json").splitlines()]
    if kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(questions), folder / "questions.parquet")
    else:
        (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")


def test_an_added_benchmark_has_its_protocols() -> None:
    page = Page.read("add-a-benchmark.md")
    Path("triage.py").write_text(page.block("python") + page.block("python3"), encoding="utf-8")
    Path("releases/triage").mkdir(parents=True)
    Path("releases/triage/questions.jsonl").write_text(page.block("json"), encoding="utf-8")
    words = ["run", "-b", "triage.py", "--data", "releases", "-m", "toy-model", "--latency-items", "0", "--limit", "1"]
    for protocol in ("by-phone", "cot"):
        result = CliRunner().invoke(
            cli, [*words, "--protocol", protocol, "--max-new-tokens", "8"], prog_name="medbench"
        )
        assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
        assert f"triage ({protocol}" in " ".join(result.stdout.split())
    found = asking.shown(registry.get("benchmarks", "triage.py"))
    assert [shown.benchmark.protocol.name for shown in found] == ["direct", "cot", "mirage-cot", "by-phone"]
    listed = CliRunner().invoke(cli, ["list", "protocols", "triage.py", "--json"], prog_name="medbench")
    assert [row["plain"] for row in json.loads(listed.stdout)] == [shown.prompt.plain for shown in found]
    by_phone = found[-1].prompt
    assert by_phone.question.startswith("A caller asks about this case.\nCase: A cut in my finger")
    assert by_phone.system and by_phone.instruction == "Say how soon each patient must be seen."


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_an_added_benchmark_reads_files_beside_it(kind: str, tmp_path: Path) -> None:
    page = Page.read("add-a-benchmark.md")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "triage.py").write_text(with_data_beside(page, kind), encoding="utf-8")
    missing = medbench("run", "-m", "toy-model", "-b", "mine/triage.py")
    assert missing.exit_code == 1
    assert f"{mine / f'questions.{kind}'} is missing; triage.py needs it in its own folder." in missing.stderr
    write_questions(page, mine, kind)
    done = medbench("run", "-m", "toy-model", "-b", "mine/triage.py")
    assert done.exit_code == 0, done.stderr
    assert "triage · 4 items" in done.stdout
    assert {row["item"]["id"]: row["item"]["gold"] for row in rows("samples.jsonl")} == {
        "t1": 0,
        "t2": 2,
        "t3": 0,
        "t4": 1,
    }


def test_an_installed_benchmark_brings_its_data(toy: dict[str, str], tmp_path: Path) -> None:
    page = Page.read("add-a-benchmark.md")
    folder = tmp_path / "source" / "triage"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(with_data_beside(page, "parquet"), encoding="utf-8")
    write_questions(page, folder, "parquet")
    project = page.block("toml").replace('py-modules = ["triage"]\n', page.block("ini"))
    (folder.parent / "pyproject.toml").write_text(project, encoding="utf-8")
    environment = install([folder.parent], tmp_path / "site", toy)
    command = [sys.executable, "-m", "medbench", "run", "-m", "toy-model", "-b", "triage"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, "triage · 4 items" in done.stdout) == (0, True), done.stderr


def install(sources: Sequence[Path], site: Path, toy: dict[str, str]) -> dict[str, str]:
    """Install projects with pip into the folder `site`. Return the environment of a process that has them."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    pip += ["--no-deps", "--no-build-isolation", "--target", str(site), *map(str, sources)]
    subprocess.run(pip, check=True, capture_output=True)
    return toy | {"PYTHONPATH": os.pathsep.join([str(site.resolve()), toy["PYTHONPATH"]])}


ADVICE = """
from medbench.core.types import Benchmark, Item, ItemSet
ASKED = ("Should I see a doctor?", "What is asthma?", "Do I call. A doctor?", "Must I ASK my pharmacist?")
BENCHMARK = Benchmark(
    name="advice", version="1", summary="", citation="", licence="", metrics=("referral",),
    load=lambda source: ItemSet(tuple(Item(q, q, references=("no",)) for q in ASKED), "here"),
    question=lambda item: f"Question: {item.question}\\nAnswer:",
)
"""


def test_add_a_metric() -> None:
    page = Page.read("add-a-metric.md")
    page.save()
    board, scored, shown = page.run_commands()
    for result in (board, scored, shown):
        assert "referral" in result.stdout
    assert "rougeL" in board.stdout


def test_the_added_metric_scores_what_it_says() -> None:
    page = Page.read("add-a-metric.md")
    page.save()
    Path("advice.py").write_text(ADVICE)
    # The toy model answers with the question: "see a doctor" and "ASK my pharmacist", but no "call a doctor" across a
    # full stop, so 2 of 4.
    done = medbench("run", "-m", "toy-model", "-b", "advice.py", "-M", page.file, "--json")
    figures = {f["metric"]: f for f in json.loads(done.stdout)["boards"][0]["rows"][0]["figures"]}
    assert (figures["referral"]["value"], figures["referral"]["n"]) == (2 / 4, 4)
    assert [score.get("answer") for score in rows("scores/referral.jsonl")[1:]] == [
        "see a doctor",
        None,
        None,
        "ASK my pharmacist",
    ]


def test_the_added_metric_leaves_what_it_cannot_score_unscored() -> None:
    page = Page.read("add-a-metric.md")
    page.save()
    done = medbench("run", "-m", "toy-model", "-b", "toy", "-M", page.file, "--json")
    assert (done.exit_code, "had nothing to score in these runs" in done.stderr) == (1, True), done.stderr
    (_, *scores) = rows("scores/referral.jsonl")
    assert {(score["value"], score["reason"]) for score in scores} == {(None, "the model chose and wrote nothing")}


def test_add_a_model() -> None:
    page = Page.read("add-a-model.md")
    page.save()
    weights = re.search(r'with_name\("([^"]+)"\)', page.block("python"))
    assert weights
    tiny.save(Path(weights[1]), "llama", window=2048)
    board, _ = page.run_commands()
    assert "ward-llama" in board.stdout
    for name in ("medqa-sample", "medquad-sample"):
        assert f"{name} · sample · 4 of " in board.stdout
    (run,) = Path("runs").glob("ward-llama__medquad-sample__*")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["identity"]["generation"]["num_beams"] == 2
    assert manifest["identity"]["chat"] == "format"
    assert manifest["model"]["location"] == str(Path(weights[1]).resolve())
    prompts = [json.loads(line)["output"]["prompt"] for line in (run / "samples.jsonl").read_text().splitlines()]
    assert all("Medical question: Question: " in prompt for prompt in prompts)


def test_a_model_file_whose_weights_are_not_there_says_where_it_looked(tmp_path: Path) -> None:
    page = Page.read("add-a-model.md")
    page.save()
    done = medbench("run", "-m", page.file, "-b", "toy")
    assert done.exit_code == 1
    assert str(tmp_path / "ward-llama-weights") in done.stderr


def test_add_a_judge() -> None:
    page = Page.read("add-a-judge.md")
    page.save()
    grades = {"reference": {"score": 4}, "rubric": {"accuracy": 5, "completeness": 3, "clarity": 4, "safety": 4}}

    def grade(asked: Asked) -> str:
        mode = "rubric" if "completeness" in asked.text else "reference"
        return json.dumps({"reason": "It is right."} | grades[mode])

    with Server(then=says(grade)) as server:
        text = Path(page.file).read_text(encoding="utf-8")
        assert "http://localhost:8000/v1" in text
        Path(page.file).write_text(text.replace("http://localhost:8000/v1", server.url), encoding="utf-8")
        page.run_commands()
    assert {asked.body["model"] for asked in server.asked} == {"qwen3-32b", "qwen3-8b"}
    (row,) = json.loads(medbench("leaderboard", "--json").stdout)["boards"][0]["rows"]
    values = {tuple(f["metric"].split(":")[1:4]): f["value"] for f in row["figures"] if "judge:" in f["metric"]}
    assert values["reference", "ward", "qwen3-32b"] == 4
    assert values["rubric", "ward", "qwen3-8b"] == (5 + 3 + 4 + 4) / 4


@pytest.fixture(scope="module")
def with_all_pages(tmp_path_factory: pytest.TempPathFactory, toy: dict[str, str]) -> dict[str, str]:
    """The environment in which the file of each page is installed, with the page's pyproject.toml beside it."""
    root = tmp_path_factory.mktemp("pages")
    sources = []
    for kind in ("benchmark", "metric", "model", "judge"):
        page = Page.read(f"add-a-{kind}.md")
        sources.append(root / kind)
        sources[-1].mkdir()
        (sources[-1] / "pyproject.toml").write_text(page.block("toml"), encoding="utf-8")
        (sources[-1] / page.file).write_text(page.block("python"), encoding="utf-8")
    return install(sources, root / "site", toy)  # by one pip, which takes seconds to start


@pytest.mark.parametrize(
    ("name", "group", "kind"),
    [
        ("add-a-benchmark.md", "medbench.benchmarks", "benchmarks"),
        ("add-a-metric.md", "medbench.metrics", "metrics"),
        ("add-a-model.md", "medbench.zoo", "models"),
        ("add-a-judge.md", "medbench.judges", "judges"),
    ],
)
def test_the_file_becomes_an_installed_package(
    name: str, group: str, kind: str, with_all_pages: dict[str, str]
) -> None:
    """Once pip has installed it, it is listed under its own name."""
    ((found, points),) = Page.read(name).project["project"]["entry-points"].items()
    assert found == group
    listed = subprocess.run(
        [sys.executable, "-m", "medbench", "list", kind, "--json"],
        env=with_all_pages,
        capture_output=True,
        text=True,
        check=True,
    )
    mine = [row for row in json.loads(listed.stdout) if row["name"] in points]
    assert len(mine) == len(points) == 1
    assert "problem" not in mine[0]
    assert mine[0]["what"]


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    for target in LINK.findall(Page.read(page).text):
        assert "://" in target or (ROOT / "docs" / target).exists(), target


def test_there_is_a_page_for_each_kind_and_the_readme_leads_to_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind in ("benchmark", "metric", "model", "judge"):
        assert f"docs/add-a-{kind}.md" in readme


def test_the_index_lists_every_page_and_each_page_opens_with_a_sentence() -> None:
    index = Page.read("README.md").text
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index, path.name
        title, blank, first = path.read_text(encoding="utf-8").split("\n")[:3]
        assert title.startswith("# ") and not blank, path.name
        assert first[:1].isupper(), path.name


def run_here(code: str, name: str) -> dict[str, Any]:
    """Run Python code with the toy model in place of the default one."""
    found: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code.replace(DEFAULT, "toy-model"), name, "exec"), found)
    return found


def test_the_code_of_the_python_page_runs() -> None:
    blocks = [body for kind, body in BLOCK.findall(Page.read("python.md").text) if kind == "python"]
    found = run_here("\n".join(blocks).replace("progress=Count()", 'models="toy-model", progress=Count()'), "python.md")
    assert {"accuracy", "rouge1"} <= set(found["frame"]["metric"])
    assert len(blocks) == 4


def test_the_example_goes_from_an_evaluation_to_a_figure() -> None:
    found = run_here((ROOT / "examples" / "evaluate.py").read_text(encoding="utf-8"), "evaluate.py")
    assert set(found["accuracy"]["n"]) == {4}
    assert "Scores with 95% intervals." in found["scores"].caption
    assert Path("scores.pdf").read_bytes().startswith(b"%PDF")
    for picture in ("answers.png", "accuracy.png"):
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
