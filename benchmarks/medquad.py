"""MedQuAD: question-answer pairs made from twelve websites of the U.S. National Institutes of Health.

Read from the official XML tree (a folder or its zip) or from the hub copy `lavita/MedQuAD`. Both give the same items:
an id is folder/document/question, from fields that both have (the document's source and the question's id). Whitespace
in the XML is left over from flattened lists and page layout, so each run of it becomes one space.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..core.errors import DataMalformed
from ..core.official import Download
from ..core.types import Benchmark, Document, Item, ItemSet
from .examples import CONSUMER
from .protocols import OPEN
from .sources.files import FETCH_AGAIN, Source, SourceFile
from .sources.official import downloadable
from .sources.rows import Row, hub_rows, partial
from .sources.splits import near_duplicates, one_spaced, split_documents

Split = Literal["train", "dev", "test"]

HUB = "lavita/MedQuAD"
RELEASE = Download(
    "medquad/MedQuAD.zip",
    "https://codeload.github.com/abachaa/MedQuAD/zip/577bd37b96c02d1833b2c9eed2de9f96964e96cb",
    sha256="f4f86dde1a9d8cbb10eb0436963a63e708c22b4205297ea673eb532d721b989b",
    size=11_000_000,  # approximate; of the folders with answers
    members="[1-9]_*/*.xml",  # the answers of folders 10 to 12 are withheld
)
ANSWERED = 16_407  # pairs with an answer in the complete release
SHARES: Mapping[Split, int] = {"train": 80, "dev": 10, "test": 10}  # percent of the answered pairs
SEED = 0  # with this seed, the largest component (1,740 pairs linked by stock phrases on inheritance) is in train

# Document ids repeat across folders. The hub copy has a document's source instead of its folder.
FOLDERS = {
    "CancerGov": "1_CancerGov_QA",
    "GARD": "2_GARD_QA",
    "GHR": "3_GHR_QA",
    "MPlusHealthTopics": "4_MPlus_Health_Topics_QA",
    "NIDDK": "5_NIDDK_QA",
    "NINDS": "6_NINDS_QA",
    "NIHSeniorHealth": "7_SeniorHealth_QA",
    "NHLBI": "8_NHLBI_QA_XML",
    "CDC": "9_CDC_QA",
    "ADAM": "10_MPlus_ADAM_QA",
    "MPlusDrugs": "11_MPlusDrugs_QA",
    "MPlusHerbsSupplements": "12_MPlusHerbsSupplements_QA",
}
_QUESTION_ID = re.compile(r"(\S+)-(\d+)")


@downloadable("medquad", RELEASE)
def load(source: Source) -> ItemSet:
    """Load the test split to score and the dev split for few-shot examples; the train split is for training.

    Raises DataMissing if there is neither the release nor the hub copy, and DataMalformed naming file, pair and field.
    """
    release = _read(source)
    splits = _split(release.pairs)
    asked = [item.question for item in splits["test"]]
    as_in_train = len(near_duplicates(asked, (item.question for item in splits["train"])))
    as_in_dev = len(near_duplicates(asked, (item.question for item in splits["dev"])))
    sizes = ", ".join(f"{name} {len(items):,}" for name, items in splits.items())
    return ItemSet(
        items=splits["test"],
        origin=release.origin,
        shots=splits["dev"],
        variant=partial(len(release.pairs), ANSWERED, "pairs"),
        notes=(
            *release.notes,
            f"Split with documents that share an answer kept together (seed {SEED}): {sizes} pairs; test is scored.",
            f"{as_in_train:,} of the {len(asked):,} test questions are near-duplicates of a train question and "
            f"{as_in_dev:,} of a dev question (the same words but for order, plural, possessive and function words), "
            "with another answer.",
        ),
    )


def load_split(source: Source, split: Split) -> tuple[Item, ...]:
    """Return all items of one split, sorted by id. Raises as `load` does."""
    return _split(_read(source).pairs)[split]


@downloadable("medquad", RELEASE)
def documents(source: Source) -> tuple[Document, ...]:
    """Return every answer of the release, of all splits, with its question as the heading. Raises as `load` does."""
    release = _read(source)
    found = []
    for item, pair in zip(_items(release.pairs), release.pairs, strict=True):
        address = release.addresses.get(pair.document, "")
        found.append(Document(item.id, pair.answer, pair.question, address or pair.source, pair.document))
    return tuple(found)


class _Pair(NamedTuple):
    """One question with its answer; `answer` is empty if the release withholds it."""

    document: str  # folder/document
    number: str  # of the question within its document
    question: str
    answer: str
    question_type: str
    source: str
    focus: str


@dataclass(frozen=True)
class _Release:
    pairs: list[_Pair]  # with an answer, each once, sorted
    origin: str
    notes: tuple[str, ...]
    addresses: Mapping[str, str]  # of the page on the web, by document


class _Names(NamedTuple):
    """The names of a pair's fields, here and in messages."""

    source: str
    question_id: str
    question_type: str
    question: str
    answer: str
    focus: str
    address: str


_IN_XML = _Names("source", "qid", "qtype", "Question", "Answer", "Focus", "url")
_ON_HUB = _Names(
    "document_source", "question_id", "question_type", "question", "answer", "question_focus", "document_url"
)


def _read(source: Source) -> _Release:
    files = source.files("medquad", "[0-9]*_QA*/*.xml")
    if files:
        origin = ", ".join(sorted({str(file.disk if file.member else file.disk.parent.parent) for file in files}))
        rows, notes = _of_files(files)
        pairs, addresses = _pairs(rows, _IN_XML)
    else:
        copy = source.hub(HUB, split="train", needed="MedQuAD's XML tree or MedQuAD.zip")
        origin, notes = copy.origin, ()
        pairs, addresses = _pairs(hub_rows(copy), _ON_HUB)
    answered = [pair for pair in pairs if pair.answer]
    if not answered:
        raise DataMalformed(f"{origin}: none of {len(pairs):,} question-answer pairs has an answer.", FETCH_AGAIN)
    once = sorted(set(answered))
    unanswered = f"{len(pairs) - len(answered):,} of {len(pairs):,} pairs have no answer in the release: skipped."
    twice = f"{len(answered) - len(once):,} pairs were found twice, word for word: each is taken once."
    notes = (unanswered, *((twice,) if len(once) < len(answered) else ()), *notes)
    return _Release(once, origin, notes, addresses)


def _pairs(rows: Iterable[Row], names: _Names) -> tuple[list[_Pair], dict[str, str]]:
    """Return the pairs of rows, and the web address of each document. Two pages with one id have none."""
    pairs, addresses = [], dict[str, str]()
    for row in rows:
        pair, address = _pair(row, names), one_spaced(str(row.values.get(names.address) or ""))
        pairs.append(pair)
        if addresses.setdefault(pair.document, address) != address:
            addresses[pair.document] = ""
    return pairs, addresses


def _of_files(files: list[SourceFile]) -> tuple[list[Row], tuple[str, ...]]:
    rows: list[Row] = []
    older: list[int] = []  # pairs in each document of the older schema
    for file in files:
        try:
            root = ET.fromstring(file.bytes())
        except ET.ParseError as error:
            raise DataMalformed(f"{file.origin} is not well-formed XML: {error}.", FETCH_AGAIN) from error
        listed = root.find("QAPairs")
        if listed is not None:
            rows += _xml_rows(file.origin, root, listed)
        elif root.find("qaPairs/pair") is not None:
            older.append(len(root.findall("qaPairs/pair")))
        else:
            raise DataMalformed(f"{file.origin}: <{root.tag}> contains no <QAPairs>.", FETCH_AGAIN)
    note = (
        f"{sum(older):,} pairs in {len(older):,} documents of an older schema (<qaPairs>) are skipped, as they are in "
        "the hub copy (47,441 of the 47,457 pairs)."
    )
    return rows, (note,) if older else ()


def _xml_rows(origin: str, document: ET.Element, listed: ET.Element) -> Iterator[Row]:
    """Yield the <QAPair> elements of a document. A missing attribute or element is missing in the row's values."""
    focus = _inner_text(document.find("Focus"))
    for number, element in enumerate(listed.iterfind("QAPair"), start=1):
        question = element.find("Question")
        found = {
            "source": document.get("source"),
            "qid": None if question is None else question.get("qid"),
            "qtype": None if question is None else question.get("qtype"),
            "Question": _inner_text(question),
            "Answer": _inner_text(element.find("Answer")),
            "Focus": focus,
            "url": document.get("url"),
        }
        values = {name: value for name, value in found.items() if value is not None}
        yield Row(values, f"{origin}, QAPair {number}")


def _inner_text(element: ET.Element | None) -> str | None:
    return None if element is None else "".join(element.itertext())


def _pair(row: Row, names: _Names) -> _Pair:
    source = row.text(names.source)
    if source not in FOLDERS:
        raise row.wrong(names.source, f"'{source}' is not one of {', '.join(FOLDERS)}")
    # Not the document's own id: one document has none, and every question's id begins with its document's.
    identity = _QUESTION_ID.fullmatch(row.text(names.question_id))
    if identity is None:
        raise row.wrong(names.question_id, f"'{row.text(names.question_id)}' is not DOCUMENT-NUMBER")
    withheld = row.value(names.answer) is None
    answer = "" if withheld else one_spaced(row.text(names.answer, blank=True))
    return _Pair(
        document=f"{FOLDERS[source]}/{identity[1]}",
        number=identity[2],
        question=one_spaced(row.text(names.question, blank=not answer)),
        answer=answer,
        question_type=one_spaced(str(row.values.get(names.question_type) or "")),
        source=source,
        focus=one_spaced(str(row.values.get(names.focus) or "")),
    )


def _split(pairs: list[_Pair]) -> dict[Split, tuple[Item, ...]]:
    names = split_documents([(pair.document, pair.answer) for pair in pairs], SHARES, SEED)
    items: dict[Split, list[Item]] = {name: [] for name in SHARES}
    for name, item in zip(names, _items(pairs), strict=True):
        items[name].append(item)
    return {name: tuple(sorted(found, key=lambda item: item.id)) for name, found in items.items()}


def _items(pairs: list[_Pair]) -> list[Item]:
    """Return the items of sorted pairs, in order.

    Two pages about several diseases were split into documents with the same id, so their question ids collide. Such
    pairs are numbered `~1`, `~2`, … in the order of their question texts.
    """
    same_id: dict[str, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        same_id[f"{pair.document}/{pair.number}"].append(pair)
    ids = {
        pair: key if len(found) == 1 else f"{key}~{position}"
        for key, found in same_id.items()
        for position, pair in enumerate(found, start=1)
    }
    return [
        Item(
            id=ids[pair],
            question=pair.question,
            references=(pair.answer,),
            meta={
                "document": pair.document,
                "source": pair.source,
                "question_type": pair.question_type,
                "focus": pair.focus,
            },
        )
        for pair in pairs
    ]


MEDQUAD = Benchmark(
    name="medquad",
    version="1",
    summary="Consumer health questions with answers from NIH websites (open answers)",
    citation=(
        "Asma Ben Abacha and Dina Demner-Fushman. A question-entailment approach to question answering. "
        "BMC Bioinformatics 20, 511 (2019). doi:10.1186/s12859-019-3119-4"
    ),
    licence="CC BY 4.0",
    load=load,
    question=lambda item: f"Question: {item.question}\nAnswer:",
    metrics=("rouge1", "rouge2", "rougeL", "token_f1", "exact_match"),
    protocols=OPEN,
    example=CONSUMER,
    max_new_tokens=256,
    stop=("\nQuestion:",),
    hub=HUB,
    documents=documents,
)
