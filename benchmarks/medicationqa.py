"""MedicationQA: consumers' questions about medicines, with answers from reliable websites.

Read from the authors' Excel file (`MedInfo2019-QA-Medications.xlsx`) or from the hub copy. The release has no ids, so
an item's id is its row, from 1 for the first question.
"""

from __future__ import annotations

from ..core.types import Benchmark, Item, ItemSet
from .examples import CONSUMER
from .protocols import OPEN
from .sources.files import Source
from .sources.rows import Row, hub_rows, partial, sheet_rows
from .sources.splits import one_spaced

HUB = "truehealth/medicationqa"
FILE = "MedInfo2019-QA-Medications.xlsx"
OFFICIAL = 690


def load(source: Source) -> ItemSet:
    """Load all questions; the release has no split for few-shot examples. Raises DataMissing, DataMalformed."""
    file = source.file("medicationqa", FILE)
    if file:
        origin, rows = file.origin, sheet_rows(file)
    else:
        found = source.hub(HUB, "train", needed=f"MedicationQA's {FILE}")
        origin, rows = found.origin, hub_rows(found)
    items = tuple(_item(str(number), row) for number, row in enumerate(rows, start=1))
    return ItemSet(items, origin, variant=partial(len(items), OFFICIAL))


def _item(item_id: str, row: Row) -> Item:
    about = {
        "question_type": "Question Type",
        "focus": "Focus (Drug)",
        "section": "Section Title",
        "document": "URL",
    }
    return Item(
        id=item_id,
        question=one_spaced(row.text("Question")),
        references=(one_spaced(row.text("Answer")),),
        meta={name: value for name, field in about.items() if isinstance(value := row.values.get(field), str)},
    )


MEDICATIONQA = Benchmark(
    name="medicationqa",
    version="1",
    summary="Consumers' questions about medicines (690 open questions)",
    citation=(
        "Asma Ben Abacha, Yassine Mrabet, Mark Sharp, Travis R. Goodwin, Sonya E. Shooshan and Dina Demner-Fushman. "
        "Bridging the gap between consumers' medication questions and trusted answers. MEDINFO 2019."
    ),
    licence="public release, no license stated; cite the paper",
    load=load,
    question=lambda item: f"Question: {item.question}\nAnswer:",
    metrics=("rouge1", "rouge2", "rougeL", "token_f1", "exact_match"),
    protocols=OPEN,
    example=CONSUMER,
    hub=HUB,
)
