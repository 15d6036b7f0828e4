"""TREC 2017 LiveQA, medical task: questions to the U.S. National Library of Medicine, with expert references.

A question has three texts: what the person wrote (a subject and a message), NIST's paraphrase, and NLM's summary. The
benchmark asks what the person wrote; the other two are kept in `meta`. Each run of whitespace becomes one space.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from ..core.errors import DataMalformed, DataMissing
from ..core.official import Download
from ..core.types import Benchmark, Item, ItemSet
from .examples import CONSUMER
from .protocols import OPEN
from .sources.files import FETCH_AGAIN, Source, SourceFile
from .sources.official import downloadable
from .sources.rows import partial
from .sources.splits import one_spaced

FILE = "TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml"
QUESTIONS = 104
RELEASE = Download(
    f"liveqa/{FILE}",
    "https://raw.githubusercontent.com/abachaa/LiveQA_MedicalTask_TREC2017/"
    f"e784f2d28b6a174e9a8d9f740876bdaccbd705af/TestDataset/{FILE}",
    sha256="f6384fcf03e9b1bd0d9a15f6ea1a1aafc9491082e63fef0922ae2d6bc451805b",
    size=266_041,
)


@downloadable("liveqa", RELEASE)
def load(source: Source) -> ItemSet:
    """Load all questions; the release has no split for few-shot examples.

    Raises DataMissing if the release is not found and cannot be downloaded, and DataMalformed naming file, question and
    field.
    """
    file = source.file("liveqa", FILE)
    if file is None:
        raise _missing(source)
    items = _items(file)
    return ItemSet(items, origin=file.origin, variant=partial(len(items), QUESTIONS, "questions"))


def _missing(source: Source) -> DataMissing:
    where = f"it is not below {source.data}" if source.data else "no data folder was named (--data or MEDBENCH_DATA)"
    return DataMissing(
        f"liveqa needs {FILE}: {where}, and it has not been fetched.",
        "To do it by hand: put https://github.com/abachaa/LiveQA_MedicalTask_TREC2017 (folder TestDataset) into a "
        "folder that you name with --data or MEDBENCH_DATA.",
    )


def _items(file: SourceFile) -> tuple[Item, ...]:
    try:
        root = ET.fromstring(file.bytes())
    except ET.ParseError as error:
        raise DataMalformed(f"{file.origin} is not well-formed XML: {error}.", FETCH_AGAIN) from error
    items: dict[str, Item] = {}
    for number, element in enumerate(root.iterfind("NLM-QUESTION"), start=1):
        item = _item(element, f"{file.origin}, NLM-QUESTION {number}")
        if item.id in items:
            raise DataMalformed(f"{file.origin}, NLM-QUESTION {number}: its qid {item.id} occurs earlier.", FETCH_AGAIN)
        items[item.id] = item
    if not items:
        raise DataMalformed(f"{file.origin}: <{root.tag}> contains no <NLM-QUESTION>.", FETCH_AGAIN)
    return tuple(items.values())


def _item(element: ET.Element, where: str) -> Item:
    qid = element.get("qid")
    if not qid:
        raise DataMalformed(f"{where}: it has no qid.", FETCH_AGAIN)
    where = f"{where} ({qid})"
    written = [_text(element, "Original-Question/SUBJECT"), _text(element, "Original-Question/MESSAGE")]
    if not any(written):
        raise DataMalformed(f"{where}: SUBJECT and MESSAGE are both missing or empty.", FETCH_AGAIN)
    # One question of the release calls its references RefAnswer, the other 103 ReferenceAnswer.
    listed = [tag for tag in element.iterfind("ReferenceAnswers/*") if tag.tag in {"ReferenceAnswer", "RefAnswer"}]
    # One question of the release has the same reference twice.
    references = tuple(dict.fromkeys(filter(None, (_text(answer, "ANSWER") for answer in listed))))
    if not references:
        raise DataMalformed(f"{where}: no ReferenceAnswer has an ANSWER.", FETCH_AGAIN)
    types = dict.fromkeys(_text(kind, ".") for kind in element.iterfind("ANNOTATIONS/TYPE"))
    return Item(
        id=qid,
        question="\n".join(filter(None, written)),
        references=references,
        meta={
            "paraphrase": _text(element, "NIST-PARAPHRASE"),
            "summary": _text(element, "NLM-Summary"),
            "question_type": ", ".join(filter(None, types)),
        },
    )


def _text(element: ET.Element, path: str) -> str:
    """Return the text at a path with single spaces, or "" if it is missing."""
    found = element.find(path)
    return "" if found is None else one_spaced("".join(found.itertext()))


LIVEQA = Benchmark(
    name="liveqa",
    version="1",
    summary="Consumer health questions as people wrote them, several expert references each (open answers)",
    citation=(
        "Asma Ben Abacha, Eugene Agichtein, Yuval Pinter and Dina Demner-Fushman. Overview of the medical question "
        "answering task at TREC 2017 LiveQA. TREC 2017."
    ),
    licence="public release of TREC 2017, no license stated; cite the paper",
    load=load,
    question=lambda item: f"Question: {item.question}\nAnswer:",
    metrics=("rouge1", "rouge2", "rougeL", "token_f1", "exact_match"),
    protocols=OPEN,
    example=CONSUMER,
    max_new_tokens=256,
    stop=("\nQuestion:",),
)
