"""PubMedQA: does an abstract answer its own title's question with yes, no or maybe?

`pubmedqa` is the official test half of the expert-labeled set, and `pubmedqa-pqal` is all of it (which HELM scores).
Both use the prompt of lm-evaluation-harness. An item's id is the PMID. The official release lists the test PMIDs in a
separate file. The hub copy does not, so the authors' split is recomputed.
"""

from __future__ import annotations

import hashlib
import random
import reprlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..core.errors import DataMalformed
from ..core.official import Download
from ..core.types import Benchmark, Item, ItemSet
from .examples import ABSTRACT
from .letters import METRICS
from .protocols import CHOICE
from .sources.files import FETCH_AGAIN, Source, SourceFile
from .sources.official import downloadable
from .sources.rows import Row, hub_rows, json_object, partial

HUB = "qiaojin/PubMedQA"
DECISIONS = ("yes", "no", "maybe")
LABELLED = 1_000
# SHA-256 of the 500 official test PMIDs, sorted as text, one per line.
OFFICIAL_TEST = "406e3b89eff577ed38571eca5a5819734a6f49ac0437d171b6c64e5c3cd195f8"
LABELED_FILE = Download(
    "pubmedqa/ori_pqal.json",
    "https://raw.githubusercontent.com/pubmedqa/pubmedqa/1f00b98d5cc626844bf8c4ca513b6e62c40071ec/data/ori_pqal.json",
    sha256="8b3276be8942ebbd77f3ddcda12c1749bf0e490045a736fd8438ee40cf37a41d",
    size=2_584_787,
)
TEST_FILE = Download(
    "pubmedqa/test_ground_truth.json",
    "https://raw.githubusercontent.com/pubmedqa/pubmedqa/3e7616d288b52edaf38f5fd5c59821c7806bde86/data/"
    "test_ground_truth.json",
    sha256="939fe566f09017d13b1ca64d2ddfee0bc2374b366048152997669cccedc44d51",
    size=11_414,
)


class _Release(NamedTuple):
    items: dict[str, Item]  # by PMID, in the release's order
    origin: str


@downloadable("pubmedqa", LABELED_FILE, TEST_FILE)
def load(source: Source) -> ItemSet:
    """Load the 500 official test items; few-shot examples come from the other 500.

    Raises DataMissing, or DataMalformed if the test items are not the official ones or their labels disagree.
    """
    release = _read(source)
    truth = source.file("pubmedqa", "test_ground_truth.json")
    if truth:
        test = _checked(release, truth)
        problem = f"{truth.origin} does not contain the 500 official test PMIDs"
    else:
        test = set(official_test({pmid: DECISIONS[item.gold or 0] for pmid, item in release.items.items()}))
        problem = f"{release.origin}: the split recomputed from its rows is not the official test set"
    if _digest(test) != OFFICIAL_TEST:
        raise DataMalformed(f"{problem}.", "Fetch ori_pqal.json and test_ground_truth.json from the official release.")
    return ItemSet(
        items=tuple(item for pmid, item in release.items.items() if pmid in test),
        origin=release.origin,
        shots=tuple(item for pmid, item in release.items.items() if pmid not in test),
    )


@downloadable("pubmedqa-pqal", LABELED_FILE)
def load_pqal(source: Source) -> ItemSet:
    """Load all labeled items; few-shot examples are held out of them."""
    release = _read(source)
    return ItemSet(
        items=tuple(release.items.values()),
        origin=release.origin,
        variant=partial(len(release.items), LABELLED),
    )


def official_test(decisions: Mapping[str, str]) -> list[str]:
    """Return the PMIDs of the test half, drawn and ordered as in the authors' `split_dataset.py`.

    `decisions` maps PMID to label in the release's order, which affects the draw. Seeded with 0, the PMIDs of each
    label (yes, no, maybe) are shuffled in turn, and the second half of each label is the test half.
    """
    draw = random.Random(0)
    test = []
    for decision in DECISIONS:
        pmids = [pmid for pmid, decided in decisions.items() if decided == decision]
        draw.shuffle(pmids)
        test += pmids[(len(pmids) + 1) // 2 :]
    return test


def _read(source: Source) -> _Release:
    file = source.file("pubmedqa", "ori_pqal.json")
    if file is None:
        found = source.hub(HUB, "train", "pqa_labeled", needed="PubMedQA's ori_pqal.json")
        return _Release({item.id: item for item in map(_hub_item, hub_rows(found))}, found.origin)
    rows = {
        pmid: Row(values if isinstance(values, dict) else {}, f"{file.origin}, row {number} (PMID {pmid})")
        for number, (pmid, values) in enumerate(json_object(file).items(), start=1)
    }
    return _Release({pmid: _item(pmid, row) for pmid, row in rows.items()}, file.origin)


def _checked(release: _Release, truth: SourceFile) -> set[str]:
    """Return the PMIDs in the file of test labels, after checking that every label agrees with the release."""
    labels = json_object(truth)
    for number, (pmid, label) in enumerate(labels.items(), start=1):
        item = release.items.get(pmid)
        if item is None:
            raise DataMalformed(f"{truth.origin}, row {number}: PMID {pmid} is not in {release.origin}.", FETCH_AGAIN)
        if label != item.options[item.gold or 0]:
            raise DataMalformed(
                f"{truth.origin}, row {number} (PMID {pmid}): the label is {reprlib.repr(label)}, but "
                f"'{item.options[item.gold or 0]}' in field 'final_decision' of {release.origin}.",
                FETCH_AGAIN,
            )
    return set(labels)


def _item(pmid: str, row: Row) -> Item:
    return Item(
        id=pmid,
        question=row.text("QUESTION"),
        context="\n".join(row.texts("CONTEXTS")),
        options=DECISIONS,
        gold=row.one_of("final_decision", DECISIONS),
        references=(row.text("LONG_ANSWER"),),
    )


def _hub_item(row: Row) -> Item:
    context = row.value("context")
    renamed = {
        "QUESTION": row.value("question"),
        "CONTEXTS": context.get("contexts") if isinstance(context, dict) else context,
        "LONG_ANSWER": row.value("long_answer"),
        "final_decision": row.value("final_decision"),
    }
    pmid = str(row.value("pubid"))
    return _item(pmid, Row(renamed, f"{row.where} (PMID {pmid})"))


def _digest(pmids: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(pmids)).encode()).hexdigest()


def _question(item: Item) -> str:
    return f"Abstract: {item.context}\nQuestion: {item.question}\nAnswer:"


CITATION = (
    "Qiao Jin, Bhuwan Dhingra, Zhengping Liu, William Cohen and Xinghua Lu. PubMedQA: A dataset for biomedical "
    "research question answering. EMNLP-IJCNLP 2019, pp. 2567-2577. doi:10.18653/v1/D19-1259"
)

PUBMEDQA = Benchmark(
    name="pubmedqa",
    version="1",
    summary="Research questions answered yes, no or maybe from an abstract (official 500 test items)",
    citation=CITATION,
    licence="MIT",
    load=load,
    question=_question,
    metrics=METRICS,
    protocols=CHOICE,
    example=ABSTRACT,
    stop=("\nAbstract:", "\nQuestion:"),  # a base model continues with the next item
    hub=HUB,
)

PUBMEDQA_PQAL = Benchmark(
    name="pubmedqa-pqal",
    version="1",
    summary="PubMedQA, all 1,000 expert-labeled items (the set HELM scores)",
    citation=CITATION,
    licence="MIT",
    load=load_pqal,
    question=_question,
    metrics=METRICS,
    protocols=CHOICE,
    example=ABSTRACT,
    stop=("\nAbstract:", "\nQuestion:"),  # a base model continues with the next item
    hub=HUB,
)
