"""BioASQ-Y/N: biomedical questions answered yes or no without their snippets, as MIRAGE asks them.

Read from `benchmark.json` of the MIRAGE release (github.com/Teddy-XiongGZ/MIRAGE), whose section `bioasq` holds the
yes/no questions of BioASQ task B from 2019 to 2023. An item's id is its key there.
"""

from __future__ import annotations

from ..core.errors import DataMalformed
from ..core.types import Benchmark, Item, ItemSet
from .examples import YES_NO
from .letters import METRICS
from .protocols import CHOICE
from .sources.files import FETCH_AGAIN, Source
from .sources.rows import Row, json_object, partial

DECISIONS = ("yes", "no")
OFFICIAL = 618
SECTION = "bioasq"


def load(source: Source) -> ItemSet:
    """Load all questions; few-shot examples are held out of them. Raises DataMissing, DataMalformed."""
    file = source.file("mirage", "benchmark.json")
    if file is None:
        raise source.not_on_hub("mirage", "benchmark.json", "MIRAGE (github.com/Teddy-XiongGZ/MIRAGE)")
    section = json_object(file).get(SECTION)
    if not isinstance(section, dict):
        raise DataMalformed(f"{file.origin} has no section '{SECTION}'.", FETCH_AGAIN)
    rows = (
        Row(values if isinstance(values, dict) else {}, f"{file.origin}, {SECTION}/{key}")
        for key, values in section.items()
    )
    items = tuple(_item(key, row) for key, row in zip(section, rows))
    return ItemSet(items, file.origin, variant=partial(len(items), OFFICIAL))


def _item(key: str, row: Row) -> Item:
    listing = row.value("options")
    texts = tuple(str(text).strip().lower() for text in listing.values()) if isinstance(listing, dict) else ()
    if sorted(texts) != sorted(DECISIONS):
        raise row.wrong("options", "yes and no are expected, each by its letter")
    letter = row.one_of("answer", tuple(listing))
    return Item(id=key, question=row.text("question"), options=DECISIONS, gold=DECISIONS.index(texts[letter]))


BIOASQ_YN = Benchmark(
    name="bioasq-yn",
    version="1",
    summary="Biomedical questions answered yes or no, without snippets (the 618 of MIRAGE)",
    citation=(
        "Anastasia Krithara, Anastasios Nentidis, Konstantinos Bougiatiotis and Georgios Paliouras. BioASQ-QA: A "
        "manually curated corpus for biomedical question answering. Scientific Data 10, 170 (2023). "
        "doi:10.1038/s41597-023-02068-4. The selection: Xiong et al., Findings of ACL 2024. arXiv:2402.13178"
    ),
    licence="CC BY 2.5 (BioASQ)",
    load=load,
    question=lambda item: f"Question: {item.question}\nAnswer:",
    metrics=METRICS,
    protocols=CHOICE,
    example=YES_NO,
)
