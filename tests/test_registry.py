"""Plugins by name and by file: the errors if one is unknown, claimed twice, broken or not a plugin."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medbench.core import registry
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import Benchmark, Metric, ModelSpec

GROUPS: tuple[registry.Group, ...] = ("benchmarks", "zoo", "engines", "metrics", "metric_families", "judges")

BENCHMARK = """
from medbench.core.types import Benchmark, Item, ItemSet
BENCHMARK = Benchmark(
    name="{name}", version="1", summary="", citation="", licence="",
    load=lambda source: ItemSet((Item("1", "2 + 2?", options=("3", "4"), gold=1),), "here"),
    question=lambda item: item.question, metrics={metrics},
)
"""


class Site:
    """A folder on sys.path that packages are installed into, as pip lays them out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, package: str, entry_points: str, **modules: str) -> None:
        info = self.folder / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        for module, text in modules.items():
            (self.folder / f"{module}.py").write_text(text)
        importlib.invalidate_caches()
        registry.points.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path / "site")
    before = set(sys.modules)
    yield Site(tmp_path / "site")
    registry.points.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("their"):
            del sys.modules[name]


def refusal(group: registry.Group, name: Any) -> MedbenchError:
    with pytest.raises(MedbenchError) as caught:
        registry.get(group, str(name))
    return caught.value


# --- names ------------------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_the_nearest_ones_and_the_list_command() -> None:
    error = refusal("benchmarks", "pubmedqu")
    assert isinstance(error, UsageError)
    assert error.message.startswith("no benchmark is called 'pubmedqu'. Did you mean pubmedqa")
    assert error.hint == "All of them: medbench list benchmarks"


@pytest.mark.parametrize(
    ("group", "command"),
    [("zoo", "medbench list models"), ("engines", "medbench list engines"), ("metrics", "medbench list metrics")],
)
def test_a_name_that_is_near_to_nothing_still_has_the_list_command(group: registry.Group, command: str) -> None:
    error = refusal(group, "zzzzzz")
    assert "Did you mean" not in error.message
    assert command in error.hint


@given(st.text())
def test_any_text_is_a_plugin_or_a_clear_refusal(name: str) -> None:
    for group in GROUPS:
        if name not in registry.names(group):
            assert isinstance(refusal(group, name), UsageError)


def test_names_come_in_the_alphabets_order() -> None:
    assert registry.names("benchmarks") == sorted(registry.names("benchmarks"))
    assert "medqa" in registry.names("benchmarks")


@pytest.mark.parametrize("group", GROUPS)
def test_every_plugin_of_ours_loads_under_its_own_name(group: registry.Group) -> None:
    for name, (point, *rivals) in registry.points(group).items():
        if registry.owner(point) == "medbench":
            assert not rivals
            plugin = registry.get(group, name)
            assert group == "engines" or plugin.name == name


# --- installed packages -----------------------------------------------------------------------------------------------


def test_two_packages_that_claim_one_name_are_both_named(site: Site) -> None:
    site.install("their-quiz", "[medbench.benchmarks]\nquiz = theirs_one:BENCHMARK\n")
    site.install("their-other-quiz", "[medbench.benchmarks]\nquiz = theirs_two:BENCHMARK\n")
    error = refusal("benchmarks", "quiz")
    assert "two packages claim the benchmark 'quiz'" in error.message
    assert "their-quiz (theirs_one:BENCHMARK)" in error.message
    assert "their-other-quiz (theirs_two:BENCHMARK)" in error.message
    assert error.hint == "Uninstall one of them."


def test_a_package_cannot_take_a_name_of_ours(site: Site) -> None:
    site.install("their-medqa", "[medbench.benchmarks]\nmedqa = theirs_medqa:BENCHMARK\n")
    error = refusal("benchmarks", "medqa")
    assert "medbench (medbench.benchmarks.medqa:MEDQA) and their-medqa (theirs_medqa:BENCHMARK)" in error.message
    assert registry.get("benchmarks", "medmcqa").name == "medmcqa"


def test_one_package_on_the_path_twice_is_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("quiz", "their_quiz:BENCHMARK", "medbench.benchmarks")
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point, point]))
    registry.points.cache_clear()
    assert registry.points("benchmarks") == {"quiz": (point,)}
    registry.points.cache_clear()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("x = {}['gone']", "KeyError: 'gone' ("),
        ("import sys\nsys.exit('no licence key')", "SystemExit: no licence key ("),
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere' ("),
        ("BENCHMARK = = 1", "SyntaxError: invalid syntax (theirs_broken.py, line 1)"),
        ("", "AttributeError: module 'theirs_broken' has no attribute 'BENCHMARK'"),
        ("BENCHMARK = 'quiz'", "cannot be used: it is a str, not a medbench Benchmark."),
    ],
)
def test_a_broken_package_breaks_only_its_own_name(site: Site, module: str, said: str) -> None:
    points = "[medbench.benchmarks]\nbroken = theirs_broken:BENCHMARK\nsound = theirs_sound:BENCHMARK\n"
    sound = BENCHMARK.format(name="sound", metrics=("accuracy",))
    site.install("their-package", points, theirs_broken=module, theirs_sound=sound)
    error = refusal("benchmarks", "broken")
    assert error.message.startswith("the benchmark 'broken' from their-package cannot be ")
    assert said in error.message
    assert error.hint == "It is declared as theirs_broken:BENCHMARK; reinstall or remove that package."
    assert registry.get("benchmarks", "sound").name == "sound"
    assert {"broken", "sound", "medqa"} <= set(registry.names("benchmarks"))


def test_an_error_at_import_names_the_packages_own_file_and_line(site: Site) -> None:
    module = "import json\n\nRULES = json.loads('{]')\n"
    site.install("their-package", "[medbench.metrics]\nbroken = theirs_json:METRIC\n", theirs_json=module)
    place = f"({site.folder / 'theirs_json.py'}, line 3)"
    assert place in refusal("metrics", "broken").message, "not the line in the json module"


def test_a_plugin_bears_the_name_that_it_is_asked_for_by(site: Site) -> None:
    text = BENCHMARK.format(name="quiz", metrics=("accuracy",))
    site.install("their-quiz", "[medbench.benchmarks]\nquiz-2 = theirs_quiz:BENCHMARK\n", theirs_quiz=text)
    assert "it calls itself 'quiz'; name and entry point must be the same" in refusal("benchmarks", "quiz-2").message


# --- families of metrics ----------------------------------------------------------------------------------------------

FAMILY = """
from medbench.core.types import Figure, MetricFamily, Score


class Contains:
    version, binary, mean, better = "1", True, True, "higher"

    def __init__(self, name):
        self.name, self.word = name, name.partition(":")[2]

    def score(self, records):
        return [Score(r.item.id, float(self.word in (r.output.text or ""))) for r in records]

    def aggregate(self, records, scores):
        return [Figure(self.name, sum(s.value for s in scores) / len(scores), len(scores), len(records))]


FAMILY = MetricFamily("contains", Contains, "Whether the answer contains a word.", installed={installed})
"""


def family(site: Site, module: str) -> None:
    points = "[medbench.metric_families]\ncontains = theirs_family:FAMILY\n"
    site.install("their-family", points, theirs_family=module)


def test_a_third_party_family_makes_metrics_of_a_name(site: Site) -> None:
    family(site, FAMILY.format(installed=True))
    metric = registry.get("metrics", "contains:fever")
    assert (metric.name, metric.word) == ("contains:fever", "fever")
    assert isinstance(metric, Metric)


@pytest.mark.parametrize("installed", [True, False])
def test_a_stored_name_makes_a_metric_only_if_its_family_says_so(site: Site, installed: bool) -> None:
    family(site, FAMILY.format(installed=installed))
    assert registry.uninstalled("metrics", "contains:fever") is not installed
    registry.get("metrics", "contains:fever")  # a person names it
    assert not registry.uninstalled("metrics", "contains:fever")
    registry.forget()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("x = 1 / 0", "the metric family 'contains' from their-family cannot be loaded: ZeroDivisionError"),
        ("FAMILY = len", "is a builtin_function_or_method that has no name, make"),
        (FAMILY.format(installed=True).replace("name.partition", "name.part"), "cannot be created: AttributeError"),
        (FAMILY.format(installed=True).replace("    def aggregate", "    def total"), "has no aggregate"),
    ],
)
def test_a_broken_family_breaks_only_its_own_names(site: Site, module: str, said: str) -> None:
    family(site, module)
    assert said in refusal("metrics", "contains:fever").message
    assert registry.get("metrics", "accuracy").name == "accuracy"


@pytest.mark.parametrize(
    ("name", "uninstalled"),
    [("judge:reference:groq:openai/gpt-oss-120b:0000", False), ("evaluate:bleu", True), ("evaluate:./x.py", True)],
)
def test_which_of_our_families_run_only_installed_code(name: str, uninstalled: bool) -> None:
    assert registry.uninstalled("metrics", name) is uninstalled


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_a_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "quiz.py"
    file.write_text(BENCHMARK.format(name="quiz", metrics=("accuracy",)))
    found = registry.get("benchmarks", str(file))
    assert isinstance(found, Benchmark)
    assert found.name == "quiz"


def test_a_file_may_define_dataclasses(tmp_path: Path) -> None:
    """They look their module up by name, so it has to be known while the file runs."""
    file = tmp_path / "right.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "@dataclass(frozen=True)\n"
        "class Right:\n"
        "    binary: ClassVar[bool] = True\n"
        "    name: str = 'right'\n"
        "    version: str = '1'\n"
        "    mean: bool = True\n"
        "    better: str = 'higher'\n"
        "    def score(self, records): return []\n"
        "    def aggregate(self, records, scores): return []\n"
        "METRIC = Right()\n"
    )
    assert isinstance(registry.get("metrics", str(file)), Metric)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = refusal("metrics", tmp_path / "gone.py")
    assert isinstance(error, UsageError)
    assert error.message == f"no such file: {tmp_path / 'gone.py'}"
    assert "METRIC" in error.hint


@pytest.mark.parametrize("group", GROUPS)
def test_a_file_without_its_constant_is_told_which(tmp_path: Path, group: registry.Group) -> None:
    file = tmp_path / "empty.py"
    file.write_text("benchmark = 'in lower case'\n")
    error = refusal(group, file)
    assert error.message == f"{file} defines no {registry.CONSTANT[group]}."
    assert f"{registry.CONSTANT[group]} = " in error.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero ({file}, line 2)"),
        ("def broken(:\n", "SyntaxError: invalid syntax (broken.py, line 1)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 ({file}, line 2)"),
    ],
)
def test_a_file_that_raises_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert refusal("benchmarks", file).message == f"{file} cannot be loaded: {said.format(file=file)}"


@pytest.mark.parametrize(
    ("group", "text", "flaw"),
    [
        ("benchmarks", "BENCHMARK = {'name': 'quiz'}", "is a dict, not a medbench Benchmark"),
        ("benchmarks", BENCHMARK.format(name="quiz", metrics="('accuracy')"), "has a string for `metrics`"),
        ("zoo", "MODEL = 'owner/model'", "is a str that has no name, weights"),
        ("metrics", "class METRIC: pass", "is a class; write METRIC(…) to make an object from it"),
        ("metrics", "METRIC = len", "is a builtin_function_or_method that has no name, version, binary, mean"),
        ("engines", "ENGINE = 'http://localhost'", "is a str, not a class"),
        ("engines", "class ENGINE:\n    def load(self): ...", "has no choose, generate, chat, describe, peak_gpu"),
    ],
)
def test_a_constant_that_is_no_plugin_is_told_what_it_lacks(
    tmp_path: Path, group: registry.Group, text: str, flaw: str
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text)
    error = refusal(group, file)
    assert error.message.startswith(f"{file} cannot be used: its {registry.CONSTANT[group]} ")
    assert flaw in error.message


def test_a_file_cannot_take_the_name_of_an_installed_plugin(tmp_path: Path) -> None:
    """Its answers and scores would be stored and shown under a name that means something else."""
    file = tmp_path / "mine.py"
    file.write_text(BENCHMARK.format(name="medqa", metrics=("accuracy",)))
    error = refusal("benchmarks", file)
    assert error.message == f"{file} calls its benchmark 'medqa', but medbench has one of that name."
    assert "Rename yours, or use the installed one by name" in error.hint


# --- what a plugin leaves out -----------------------------------------------------------------------------------------

SCORES = "score=lambda records: [], aggregate=lambda records, scores: []"


@pytest.mark.parametrize(
    "text",
    [
        f"from types import SimpleNamespace\nMETRIC = SimpleNamespace(name='m', version='1', binary=True, mean=True, "
        f"better='higher', unit='points', {SCORES})\n",
        "class M:\n    name, version, binary, mean, better, unit = 'm', '1', True, True, 'higher', 'points'\n"
        "    def score(self, records): return []\n    def aggregate(self, records, scores): return []\nMETRIC = M()\n",
        "from medbench.core.types import Metric\nclass M(Metric):\n"
        "    name, version, binary, mean, better, unit = 'm', '1', True, True, 'higher', 'points'\n"
        "    def score(self, records): return []\n    def aggregate(self, records, scores): return []\nMETRIC = M()\n",
    ],
    ids=["an object without a class of its own", "a class that subclasses nothing", "a subclass of Metric"],
)
def test_a_metric_has_every_optional_member_and_keeps_its_own(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    metric = registry.get("metrics", str(file))
    assert isinstance(metric, Metric)
    assert (metric.unit, metric.dimension, metric.figure_names, metric.in_background) == ("points", "", (), True)
    assert metric.ready() is None
    assert metric.remark_on([]) == ""


ENGINE = """
class ENGINE:
    __slots__ = ("spec", "notes")

    def __init__(self, spec):
        self.spec, self.notes = spec, ("of its own",)

    def load(self): ...
    def choose(self, requests): return iter(())
    def generate(self, requests): return iter(())
    def chat(self, method): return "plain"
    def describe(self): return {}
    def peak_gpu_memory_bytes(self): return None
"""


def test_an_engine_has_every_optional_member_and_keeps_its_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(ENGINE)
    engine = registry.get("engines", str(file))(None)
    assert engine.notes == ("of its own",)
    assert (engine.measured, engine.runs_here, engine.imports, engine.limits) == (True, True, (), None)
    assert engine.cannot_choose([("A", "B")]) == ""
    assert engine.retry_hint == "The same command tries them again."
    assert engine.session() is None


def test_an_engine_may_say_in_one_word_that_it_has_no_log_probabilities(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(ENGINE.replace("    def load", "    gives_logprobs = False\n    def load", 1))
    engine = registry.get("engines", str(file))(ModelSpec("m", "here", "", engine="mine.py"))
    assert engine.cannot_choose([("A", "B")]) == "the engine mine.py gives no log-probabilities"
