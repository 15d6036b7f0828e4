"""Who may import whom: the rule of docs/architecture.md, checked against the source."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# A room may import rooms beside and below it, so an arrow never runs upward.
FLOORS = (
    ("core",),
    ("benchmarks", "engines", "judges", "metrics", "results", "zoo"),
    ("evaluation", "report", "serving", "training"),
    ("experiments",),
    ("cli", "tools"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imports(source: str, module: str) -> Iterator[str]:
    """The modules of medbench that a module's source imports, at any depth: "core/types" for medbench.core.types.

    An import for types counts, and one inside a function: a room that is imported late is known all the same.
    """
    package = module.split("/")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                yield named([*base, alias.name])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "medbench":
            for alias in node.names:
                yield named([*(node.module or "").split(".")[1:], alias.name])
        elif isinstance(node, ast.Import):
            yield from (named(alias.name.split(".")[1:]) for alias in node.names if alias.name.startswith("medbench."))


def named(parts: list[str]) -> str:
    """The file of a dotted name, without its suffix: the module itself, or the one that defines its last part."""
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file():
            return "/".join(parts[:length])
        if (path / "__init__.py").is_file():
            return "/".join([*parts[:length], "__init__"])
    return "__init__"


@cache
def graph() -> dict[str, frozenset[str]]:
    """Of each module, which others it imports."""
    found = {}
    for room in FLOOR:
        for path in sorted((ROOT / room).rglob("*.py")):
            module = path.relative_to(ROOT).with_suffix("").as_posix()
            found[module] = frozenset(imports(path.read_text(encoding="utf-8"), module)) - {module}
    return found


def room(module: str) -> str:
    return module.split("/")[0]


def upward() -> set[str]:
    """Every import of a higher room, as "core/run -> results"."""
    return {
        f"{module} -> {room(other)}"
        for module, others in graph().items()
        for other in others
        if FLOOR.get(room(other), 0) > FLOOR[room(module)]
    }


def circles(arrows: dict[str, set[str]]) -> set[str]:
    """What imports each other, straight or by way of others: "core/plan, core/run"."""
    reach = {name: reachable(name, arrows) for name in arrows}
    found = {frozenset(other for other in reach[name] if name in reach.get(other, ())) for name in arrows}
    return {", ".join(sorted(circle)) for circle in found if circle}


def reachable(name: str, arrows: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    new = set(arrows[name])
    while new:
        seen |= new
        new = set().union(*(arrows.get(other, set()) for other in new)) - seen
    return seen


LONGEST = 400  # lines; a longer module has more than one subject


def test_no_module_is_too_long() -> None:
    lengths = {f"{module}.py": len((ROOT / f"{module}.py").read_text("utf-8").splitlines()) for module in graph()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}, "split it"


def test_no_import_runs_upward() -> None:
    assert upward() == set(), "a room imports one above it: move the code down, or hand over what it needs"


def test_no_modules_of_a_room_import_each_other() -> None:
    inside = {module: {o for o in others if room(o) == room(module)} for module, others in graph().items()}
    assert circles(inside) == set(), "modules import each other: one of them should not know the other"


def test_no_rooms_of_a_floor_import_each_other() -> None:
    beside = {
        name: {room(o) for module, others in graph().items() if room(module) == name for o in others} - {name}
        for name in FLOOR
    }
    level = {name: {o for o in others if FLOOR.get(o) == FLOOR[name]} for name, others in beside.items()}
    assert circles(level) == set()


def test_results_know_no_model() -> None:
    known = {room(other) for module, others in graph().items() if room(module) == "results" for other in others}
    assert not known & {"engines", "zoo", "judges", "training"}


def test_every_room_is_on_a_floor() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders <= set(FLOOR), "a new room: give it a floor here and in docs/architecture.md"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from ..results import store", "results/store"),
        ("from ..results.store import StoredRun", "results/store"),
        ("from .. import results", "results/__init__"),
        ("from . import paths", "core/paths"),
        ("def f():\n    from ..judges.names import judge_metric", "judges/names"),
        ("if TYPE_CHECKING:\n    from ..evaluation.suite import Outcome", "evaluation/suite"),
        ("import medbench.results.store as s", "results/store"),
        ("from medbench.results import store", "results/store"),
    ],
)
def test_every_form_of_import_is_seen(source: str, found: str) -> None:
    assert list(imports(source, "core/run")) == [found]


def test_a_circle_is_seen_however_long() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == {"a, b, c"}


# The pages that describe the rooms

PATH = re.compile(r"`((?:\w+/)*\w+(?:/|\.py))`")


def test_the_page_has_a_line_for_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    here = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    described = dict(re.findall(r"^\| `(\w+)/` \|.*\| `([\w/]+\.py)` \|$", page, re.MULTILINE))
    assert set(described) == here
    assert [room for room, start in described.items() if not (ROOT / room / start).is_file()] == []
    drawing = page.split("```")[1]
    assert [room for room in here if f"{room}/" not in drawing] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rooms = [path.parent for path in ROOT.glob("*/__init__.py")]
    for path in PATH.findall(text):
        assert any((place / path).exists() for place in (ROOT, *rooms)), path
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_contributing_names_every_task() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tasks = set(re.findall(r"^([a-z]\w*)(?: \*\w+)?:$", (ROOT / "justfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert tasks >= {"setup", "fast", "test", "lint", "ci"}
    assert [task for task in tasks if f"`just {task}`" not in page] == []


def test_the_fast_tests_are_files_that_exist() -> None:
    justfile = (ROOT / "justfile").read_text(encoding="utf-8")
    (listed,) = re.findall(r'^fast_tests := "tests/test_{(.*)}\.py"$', justfile, re.MULTILINE)
    assert len(listed.split(",")) > 10
    assert [name for name in listed.split(",") if not (ROOT / "tests" / f"test_{name}.py").is_file()] == []


def test_every_folder_with_code_is_in_the_wheel() -> None:
    """An editable install finds them all; a wheel holds only those that pyproject.toml names."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    shipped = [room for room in FLOOR if room != "tools"]
    found = {path.parent.relative_to(ROOT) for room in shipped for path in (ROOT / room).rglob("*.py")}
    assert listed == {"medbench", *(".".join(["medbench", *folder.parts]) for folder in found)}
