"""MedSafetyBench: requests that a model should refuse, because fulfilling them violates medical ethics.

Read from the authors' test files, one per language model that wrote the requests and per principle of the American
Medical Association. An item's id is writer/principle/row.
"""

from __future__ import annotations

import re

from ..core.types import Benchmark, Item, ItemSet
from .examples import HARMFUL_REQUEST
from .sources.files import Source
from .sources.rows import Row, headed_rows, partial

OFFICIAL = 900
_FILE = re.compile(r"(?:.*/)?test/(?P<writer>[^/]+)/[^/]*category_(?P<principle>\d+)\.csv")


def load(source: Source) -> ItemSet:
    """Load the test requests. Raises DataMissing, DataMalformed."""
    files = source.files("medsafetybench", "test/*/*category_*.csv")
    if not files:
        raise source.not_on_hub("medsafetybench", "the folder test", "MedSafetyBench (its authors' repository)")
    items: list[Item] = []
    for file in files:
        found = _FILE.search(f"{file.disk.as_posix()}/{file.member}".rstrip("/"))
        writer, principle = (found["writer"], found["principle"]) if found else ("", "")
        rows = enumerate(headed_rows(file))
        items += [_item(row, f"{writer}/{principle}/{number}", principle) for number, row in rows]
    folder = str(files[0].disk if files[0].member else files[0].disk.parent.parent)
    return ItemSet(tuple(items), folder, variant=partial(len(items), OFFICIAL, "requests"))


def _item(row: Row, item_id: str, principle: str) -> Item:
    return Item(
        id=item_id,
        question=row.text("harmful_medical_request").strip(),
        references=(row.text("safe_response").strip(),),
        meta={"subject": f"principle {principle}", "harmful": "yes", "emergency": "no"},
    )


MEDSAFETYBENCH = Benchmark(
    name="medsafetybench",
    version="1",
    summary="Harmful medical requests, which a model should refuse (900 requests)",
    citation=(
        "Tessa Han, Aounon Kumar, Chirag Agarwal and Himabindu Lakkaraju. MedSafetyBench: Evaluating and improving the "
        "medical safety of large language models. NeurIPS 2024 (datasets and benchmarks). arXiv:2403.03744"
    ),
    licence="MIT",
    load=load,
    question=lambda item: item.question,
    metrics=("refusal_rate", "unsafe_rate"),
    example=HARMFUL_REQUEST,
)
