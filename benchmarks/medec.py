"""MEDEC: find the one sentence of a clinical text that holds a medical error, and correct it, or say there is none.

Read from the authors' test file (`MEDEC-MS-TestSet….csv`). Its last rows are blank: the texts of the University of
Washington, which are given out under an agreement only. The reference is "CORRECT", or the number of the sentence and
its correction, which is the form that the model is asked for.
"""

from __future__ import annotations

import re

from ..core.types import Benchmark, Item, ItemSet
from .examples import CLINICAL_TEXT
from .protocols import COT
from .sources.files import Source
from .sources.rows import Row, distinct, headed_rows, partial

OFFICIAL = 925
FILE = "MEDEC-MS-TestSet-with-GroundTruth-and-ErrorType.csv"
CORRECT = "CORRECT"
_SENTENCE = re.compile(r"^(\d+) ", re.M)
_NO_ERROR = "-1"


def load(source: Source) -> ItemSet:
    """Load the test texts that the file has. The release's other files are not read for few-shot examples.

    Raises DataMissing, DataMalformed.
    """
    file = source.file("medec", "MEDEC-MS-TestSet*.csv", "MEDEC-*Test*.csv")
    if file is None:
        raise source.not_on_hub("medec", FILE, "MEDEC (github.com/abachaa/MEDEC)")
    rows = list(headed_rows(file))
    held = [row for row in rows if any(str(value).strip() for value in row.values.values())]
    items = distinct(_item, held)
    blank = len(rows) - len(held)
    note = f"{blank:,} rows of the file are blank: the release withholds these texts."
    return ItemSet(items, file.origin, variant=partial(len(items), OFFICIAL, "texts"), notes=(note,) if blank else ())


def _item(row: Row) -> Item:
    sentences = row.text("Sentences").strip()
    numbers = _SENTENCE.findall(sentences)
    error = row.words("Error Sentence ID")
    flagged = ("0", "1")[row.one_of("Error Flag", ("0", "1"))] == "1"
    if flagged != (error != _NO_ERROR):
        raise row.wrong("Error Sentence ID", f"it is {error}, and 'Error Flag' is {int(flagged)}")
    if flagged and error not in numbers:
        raise row.wrong("Error Sentence ID", f"there is no sentence {error}; the last one is {numbers[-1:]}")
    reference = f"{error} {row.text('Corrected Sentence').strip()}" if flagged else CORRECT
    return Item(
        id=row.text("Text ID"),
        question="Which sentence has a medical error?",
        context=sentences,
        references=(reference,),
        meta={"subject": row.text("Error Type") if flagged else "no error"},
    )


def _question(item: Item) -> str:
    return (
        "The following clinical text, one numbered sentence per line, is either correct or has one medical error, in "
        "one sentence. The error may be in the diagnosis, the management, the treatment, the drug or the causal "
        "organism.\n\n"
        f"{item.context}\n\n"
        "If there is an error, answer with the number of that sentence and the corrected sentence. If there is none, "
        f"answer {CORRECT}.\nAnswer:"
    )


MEDEC = Benchmark(
    name="medec",
    version="1",
    summary="Find the sentence of a clinical text with a medical error, or say that there is none",
    citation=(
        "Asma Ben Abacha, Wen-wai Yim, Yujuan Fu, Zhaoyi Sun, Meliha Yetisgen, Fei Xia and Thomas Lin. MEDEC: A "
        "benchmark for medical error detection and correction in clinical notes. Findings of ACL 2025. arXiv:2412.19260"
    ),
    licence="see the authors' repository (abachaa/MEDEC)",
    load=load,
    question=_question,
    metrics=("error_flag_accuracy", "error_sentence_accuracy"),
    protocols=(COT,),
    example=CLINICAL_TEXT,
    max_new_tokens=128,
    stop=("\n\n",),
)
