"""Long leaderboards: the best runs of each table, and a pager on a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import made
import pytest
from click.testing import CliRunner, Result
from medbench.cli import cli

ITEMS = [f"q{n:02}" for n in range(30)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 models; model-24 is best with 24 of 30 right, model-00 has none."""
    root = tmp_path_factory.mktemp("runs")
    for right in range(25):
        answers = {item: "yes" if n < right else "no" for n, item in enumerate(ITEMS)}
        made.make_run(root, answers, model=f"model-{right:02}", metrics=("exact_match",))
    return root


def leaderboard(*words: object) -> Result:
    return CliRunner().invoke(cli, ["leaderboard", *map(str, words)], env={"COLUMNS": "120"})


def models(text: str) -> list[str]:
    return re.findall(r"^ ?\|? ?(model-\d\d)", text, re.MULTILINE)


def test_the_best_are_shown_and_how_many_are_not(runs: Path) -> None:
    done = leaderboard(runs, "--top", 3)
    assert models(done.stdout) == ["model-24", "model-23", "model-22"]
    assert "22 more runs are not shown, below these: --top 0 shows all." in done.stdout
    assert "1 more run is not shown" in leaderboard(runs, "--top", 24).stdout
    assert "not shown" not in leaderboard(runs, "--top", 25).stdout
    assert len(models(leaderboard(runs, "--top", 0).stdout)) == 25
    markdown = leaderboard(runs, "--top", 3, "--markdown", "-").stdout
    assert models(markdown) == ["model-24", "model-23", "model-22"]
    assert "22 more below these" in markdown


def test_marks_are_those_of_all_runs(runs: Path) -> None:
    whole, best = (leaderboard(runs, "--top", n).stdout for n in (0, 1))
    (line,) = (line for line in whole.splitlines() if "model-24" in line)
    assert "★" in line
    assert line.split() == next(row for row in best.splitlines() if "model-24" in row).split()


def test_a_pipe_csv_and_json_have_every_run(runs: Path) -> None:
    assert len(models(leaderboard(runs).stdout)) == 25
    rows = csv.DictReader(io.StringIO(leaderboard(runs, "--top", 1, "--csv", "-").stdout))
    assert len({row["model"] for row in rows}) == 25
    (board,) = json.loads(leaderboard(runs, "--top", 1, "--json").stdout)["boards"]
    assert len(board["rows"]) == 25


def on_a_terminal(*words: object, **environment: str) -> str:
    """What a terminal of 24 lines shows."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "medbench", "leaderboard", *map(str, words)]
    given = {"TERM": "xterm", "COLUMNS": "120", "LINES": "24"} | environment
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | given, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 1 << 16):
            shown += part
    except OSError:  # Linux's word for the end
        pass
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_a_terminal_gets_the_best_20_by_a_pager(runs: Path) -> None:
    paged = on_a_terminal(runs, PAGER="sed s/^/paged:/")
    assert paged.count("paged:") > 40
    assert len(re.findall(r"model-\d\d", paged)) == 20
    assert "5 more runs are not shown" in paged


@pytest.mark.parametrize(("chosen", "right"), [("", "LESS=-R"), ("-X", "LESS=-X")])
def test_less_draws_colors_unless_it_has_options_of_its_own(runs: Path, chosen: str, right: str) -> None:
    """Without -R, less shows the escapes of bold and color as letters: ESC[1m. `env` shows what it gets."""
    assert right in on_a_terminal(runs, PAGER="env", LESS=chosen).split()


@pytest.mark.parametrize(
    ("words", "pager"), [(("--no-pager",), "sed s/^/paged:/"), ((), "cat"), (("--top", "2"), "sed s/^/paged:/")]
)
def test_no_pager_where_it_is_not_wanted_or_all_fits(runs: Path, words: tuple[str, ...], pager: str) -> None:
    shown = on_a_terminal(runs, *words, PAGER=pager)
    assert "paged:" not in shown
    assert "model-24" in shown
