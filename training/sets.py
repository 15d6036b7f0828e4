"""The training sets, by name.

A set is read from the user's folder of official releases if it is there, and from the hub otherwise. A question has the
prompt of the benchmark with the same data; sets without a benchmark have MedQuAD's. Runs of white space in published
texts become one space, as in MedQuAD. The id of an example comes from its row alone (a number of the release, or a hash
of prompt and answer), so a row has the same id wherever it was read.

The path of a .jsonl file stands for the user's own examples: objects with `question` and `answer`, and optionally `id`,
`prompt` and `document`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from ..benchmarks import medical_reasoning, medquad, pubmedqa
from ..benchmarks.medical_reasoning import MEDICAL_REASONING
from ..benchmarks.medquad import MEDQUAD
from ..benchmarks.pubmedqa import PUBMEDQA
from ..core.errors import UsageError
from ..core.suggest import did_you_mean
from . import benchmark_sets, own_sets, table_sets
from .example import TrainingSet
from .table_sets import Table


def get(name: str) -> TrainingSet:
    """Return the training set `name`, or the user's own examples if `name` is the path of a .jsonl file.

    Raises UsageError for an unknown name, with similar names, and for a file that does not exist.
    """
    if name.endswith(".jsonl"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(
                f"no such file: {name}", "Give the path of a .jsonl file whose rows have a question and an answer."
            )
        return TrainingSet(name, "your own examples", "", "", lambda source: own_sets.load_file(path))
    if name not in SETS:
        raise UsageError(
            f"there is no training set '{name}'.{did_you_mean(name, SETS, most=3)}",
            "All sets: medbench list training-sets. A path of a .jsonl file works too.",
        )
    return SETS[name]


def _table(name: str, summary: str, licence: str, hub: str, table: Table) -> TrainingSet:
    return TrainingSet(name, summary, licence, hub, functools.partial(table_sets.load, name, hub, table))


def _by_name(*sets: TrainingSet) -> Mapping[str, TrainingSet]:
    return {training_set.name: training_set for training_set in sets}


SETS: Mapping[str, TrainingSet] = _by_name(
    TrainingSet(
        name="medquad",
        summary="MedQuAD's train split: consumer health questions with answers from NIH websites",
        licence=MEDQUAD.licence,
        hub=medquad.HUB,
        load=benchmark_sets.load_medquad,
    ),
    TrainingSet(
        name="pubmedqa-artificial",
        summary="PubMedQA PQA-A: 211,269 abstracts with a generated question, answered yes or no",
        licence=PUBMEDQA.licence,
        hub=pubmedqa.HUB,
        load=benchmark_sets.load_pubmedqa_artificial,
    ),
    TrainingSet(
        name="medical-reasoning",
        summary="exam vignettes answered with an analysis and an option; the nine tenths that are not scored",
        licence=MEDICAL_REASONING.licence,
        hub=medical_reasoning.HUB,
        load=benchmark_sets.load_medical_reasoning,
    ),
    _table(
        "healthcaremagic",
        "patients' questions with doctors' answers, from HealthCareMagic (ChatDoctor)",
        "Apache-2.0 (ChatDoctor's release; the hub copy declares none)",
        "lavita/ChatDoctor-HealthCareMagic-100k",
        Table("chatdoctor", ("HealthCareMagic*.json", "HealthCareMagic*.jsonl", "chatdoctor*.json")),
    ),
    _table(
        "wikidoc",
        "WikiDoc's patient information as questions and answers",
        "CC BY-SA",
        "medalpaca/medical_meadow_wikidoc_patient_information",
        Table("wikidoc", ("medical_meadow_wikidoc_patient_info*.json", "medical_meadow_small.json")),
    ),
    _table(
        "flashcards",
        "flashcards of medical students, rephrased as questions and answers",
        "CC (its publisher does not say which license)",
        "medalpaca/medical_meadow_medical_flashcards",
        Table(
            "flashcards",
            ("medical_meadow_wikidoc_medical_flashcards.json", "medical_meadow_medical_flashcards.json"),
        ),
    ),
    _table(
        "medical-qa",
        "many medical question sets in one; contains questions of MMLU, so check for leaks",
        "none declared by its publisher; each source has its own",
        "lavita/medical-qa-datasets",
        Table("medical-qa", ("all-processed/*.parquet",), instruction="instruction", config="all-processed"),
    ),
    _table(
        "medical-chatbot",
        "256,916 questions of patients on the web, with doctors' answers",
        "none declared by its publisher",
        "ruslanmv/ai-medical-chatbot",
        # Doctors' answers ended in a link, of which an arrow remains.
        Table("medical-chatbot", ("dialogues.parquet",), "Patient", "Doctor", tail=r"\s*-->\s*$"),
    ),
    _table(
        "wiki-terms",
        "medical terms, each with its Wikipedia article",
        "GPL-3.0 as its publisher declares; Wikipedia's text is CC BY-SA",
        "gamino/wiki_medical_terms",
        Table("wiki-terms", ("wiki_medical_terms.parquet",), "page_title", "page_text", asked="What is {question}?"),
    ),
    TrainingSet(
        name="medical-questions",
        summary="13 everyday questions with short answers, for the small Flan-T5 recipe",
        licence="MIT",
        hub="",
        load=own_sets.load_medical_questions,
    ),
)
