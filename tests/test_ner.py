"""The shipped entity model: what it finds, and that a wheel contains it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from medbench.core.types import Item, Output, Record
from medbench.metrics.entities import pipelines
from medbench.metrics.entities.scores import F1, HALLUCINATED, PRECISION, RECALL

ROOT = Path(__file__).resolve().parents[1]
FOLDER = pipelines.find(pipelines.EMBEDDED).folder
LIMIT = 8 * 10**6  # bytes, in all


def found(text: str) -> dict[str, str]:
    """Label by mention."""
    return {span.text: span.label_ for span in pipelines.load(pipelines.find(pipelines.EMBEDDED))(text).ents}


def test_it_finds_diseases_and_chemicals_in_text() -> None:
    text = (
        "Metformin is the first drug for diabetes mellitus. Lithium-induced tremor, nausea, and renal failure are "
        "seen; aspirin can cause asthma."
    )
    assert found(text) == {
        "Metformin": "CHEMICAL",
        "diabetes mellitus": "DISEASE",
        "Lithium": "CHEMICAL",
        "tremor": "DISEASE",
        "nausea": "DISEASE",
        "renal failure": "DISEASE",
        "aspirin": "CHEMICAL",
        "asthma": "DISEASE",
    }


def test_it_scores_an_answer_offline() -> None:
    item = Item(
        "1",
        "What are the side effects of lithium?",
        references=("Lithium can cause tremor, nausea and hypothyroidism. It does not cause asthma.",),
    )
    # Reference: lithium, tremor, nausea, hypothyroidism. Answer: lithium, tremor, nausea, and migraine.
    record = Record(item, Output("1", text="Lithium may lead to tremors and nausea, and sometimes to migraine."))
    shares = [metric.score([record])[0].value for metric in (RECALL, PRECISION, F1, HALLUCINATED)]
    assert shares == [3 / 4, 3 / 4, 3 / 4, 1 / 4]


def test_an_abbreviation_is_what_it_stands_for() -> None:
    item = Item(
        "1", "What is T2DM?", references=("Type 2 diabetes mellitus (T2DM) damages nerves and causes obesity.",)
    )
    answer = Output("1", text="T2DM is a lasting disease of blood sugar.")
    # Reference: type 2 diabetes mellitus, obesity. Answer: T2DM, and no obesity.
    assert RECALL.score([Record(item, answer)])[0].value == 1 / 2


def test_it_is_small() -> None:
    assert 10**6 < pipelines.size(FOLDER) <= LIMIT


def test_the_package_ships_every_file_of_it() -> None:
    """An editable install hides what a wheel lacks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tool = project["tool"]["setuptools"]
    assert "medbench.metrics.entities" in tool["packages"]
    home = FOLDER.parent
    shipped = {path for pattern in tool["package-data"]["medbench.metrics.entities"] for path in home.glob(pattern)}
    assert {path for path in FOLDER.rglob("*") if path.is_file()} <= shipped
    assert {
        home / name for name in ("MODEL_CARD.md", "vocabulary.tsv", "abbreviations.tsv", "classes.tsv", "names.txt")
    } <= shipped


def test_it_loads_with_spacy_alone() -> None:
    code = (
        "import spacy, sys; nlp = spacy.load(sys.argv[1]); print([e.text for e in nlp('Naloxone for overdose.').ents]);"
        "assert 'medbench' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(FOLDER)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Naloxone" in done.stdout


def test_its_config_names_no_place_on_the_machine_it_was_made_on() -> None:
    for name in ("config.cfg", "meta.json"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "/work" not in text and "/tmp" not in text and "/home" not in text
