"""How metrics are named on the command line and in tables: `all`, settings in names, dimensions, the list."""

from __future__ import annotations

import re
from pathlib import Path

import made
import pytest
from medbench.cli.ui import output, render
from medbench.core import registry
from medbench.core.errors import UsageError
from medbench.core.types import Measurement, Metric
from medbench.results.leaderboard import build
from rich.console import Console

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
EMBEDDED = "medbench_bc5cdr"


def test_all_is_every_metric_that_scores_answers_and_no_measurement_and_no_judge() -> None:
    wanted = {n for n in registry.names("metrics") if not isinstance(registry.get("metrics", n), Measurement)}
    found = output.metric_names(("all",))
    assert {name.partition(":")[0] for name in found} == wanted
    assert not wanted & set(registry.names("judges"))
    assert len(found) == len(set(found))


def test_what_all_brings_is_named_once_beside_it() -> None:
    assert output.metric_names(("rouge1,all",))[0] == "rouge1"
    assert output.metric_names(("rouge1,all",)).count("rouge1") == 1


def test_a_run_keeps_an_entity_metric_with_its_pipeline() -> None:
    assert output.metric_names(("entity_f1",)) == [f"entity_f1:{EMBEDDED}"]
    assert registry.get("metrics", f"entity_f1:{EMBEDDED}").name == f"entity_f1:{EMBEDDED}"


def test_a_metric_without_settings_takes_none() -> None:
    with pytest.raises(UsageError, match="'rouge1' has no settings"):
        output.metric_names(("rouge1:en_core_sci_sm",))


def test_an_unknown_metric_with_a_setting_is_told_as_any_unknown_one() -> None:
    with pytest.raises(UsageError, match="no metric is called 'entity_f2:x'"):
        output.metric_names(("entity_f2:x",))


def test_an_entity_model_without_an_entity_metric_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="none of the metrics finds entities"):
        output.metric_names(("rouge1",), EMBEDDED)


# --- tables ---------------------------------------------------------------------------------------------------------


def drawn(width: int, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    metrics = [made.Read(name) for name in names]
    run = made.make_run(tmp_path, made.bits("1101"), metrics=names)
    screen = Console(width=width, highlight=False)
    with screen.capture() as captured:
        for part in render.leaderboard(build([run], load=made.loader(*metrics))):
            screen.print(part)
    return captured.get()


def test_a_narrow_window_gets_a_table_per_dimension_and_loses_no_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("rouge1", "accuracy", "unsafe_rate", "exact_match", "rougeL", "safety_rate", "token_f1", "rouge2")
    text = drawn(60, names, tmp_path, monkeypatch)
    assert max(map(len, text.splitlines())) <= 60
    assert all(f"{name} ↑" in text for name in names)
    places = [text.index(f"\n{dimension}\n") for dimension in ("accuracy", "text quality", "safety")]
    assert places == sorted(places)
    assert places[1] < text.index("rouge1 ↑") < places[2] < text.index("unsafe_rate ↑")


def test_a_wide_window_gets_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(160, ("rouge1", "accuracy", "unsafe_rate"), tmp_path, monkeypatch)
    (line,) = [line for line in text.splitlines() if "rouge1 ↑" in line]
    assert "accuracy ↑" in line
    assert "unsafe_rate ↑" in line


def test_a_setting_stands_below_the_name_without_its_folders() -> None:
    assert render.heading("entity_f1:/home/me/models/en_core_sci_sm") == "entity_f1\nen_core_sci_sm"
    assert render.heading("judge:reference:groq:openai/gpt-oss-120b:c226880f") == (
        "judge reference\ngroq\ngpt-oss-120b\nc226880f"
    )
    assert render.heading("accuracy") == "accuracy"


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_has_every_metric_under_its_dimension_with_its_unit() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    rows: dict[str, tuple[str, str, str]] = {}
    for section in sections:
        dimension = section.splitlines()[0].lower()
        for names, unit, better in re.findall(r"^\| ((?:`[^`]+`,? ?)+)\s*\| ([^|]*) \| ([↑↓]?) \|", section, re.M):
            rows |= dict.fromkeys(re.findall(r"`([^`]+)`", names), (dimension, unit, better))
    arrows = {"higher": "↑", "lower": "↓"}
    for name in registry.names("metrics"):
        plugin = registry.get("metrics", name)
        if type(plugin).__module__.startswith("medbench."):
            assert rows.get(name) == (plugin.dimension, plugin.unit, arrows[plugin.better]), name


def test_there_are_at_least_sixteen_metrics_in_four_dimensions() -> None:
    ours = [registry.get("metrics", name) for name in registry.names("metrics")]
    ours = [plugin for plugin in ours if type(plugin).__module__.startswith("medbench.")]
    assert all(isinstance(plugin, Metric | Measurement) for plugin in ours)
    assert len(ours) >= 16
    assert {plugin.dimension for plugin in ours} == set(registry.DIMENSIONS)
