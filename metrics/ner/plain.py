"""Plain medical text for the teacher to label. No text of a benchmark's test items is among it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import corpus

# Words taken of each source. PubMedQA: the abstracts of its 500 expert-labelled questions that are not in the test set.
WORDS = {"ncbi": 190_000, "pubmedqa": 110_000, "wikidoc": 60_000, "chatdoctor": 30_000}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")


def texts(data: Path, seed: int) -> list[str]:
    """Passages of one to eight sentences from the releases in `data`."""
    rng = random.Random(seed)
    found: list[str] = []
    sources = {"ncbi": _ncbi, "pubmedqa": _pubmedqa, "wikidoc": _wikidoc, "chatdoctor": _chatdoctor}
    for source, passages in sources.items():
        words = 0
        whole = list(passages(data))
        rng.shuffle(whole)
        for passage in whole:
            for part in _parts(_SENTENCE.split(" ".join(passage.split())), rng):
                if words < WORDS[source]:
                    words += part.count(" ") + 1
                    found.append(part)
    return found


def _parts(sentences: Sequence[str], rng: random.Random) -> Iterator[str]:
    start = 0
    while start < len(sentences):
        count = rng.randint(1, 8)
        yield " ".join(sentences[start : start + count])
        start += count


def _ncbi(data: Path) -> Iterator[str]:
    """The text of NCBI disease. Its own labels are not used: it marks no chemicals, and diseases by other rules."""
    for split in ("train", "devel", "test"):
        several = corpus.sentences(data / "ner" / "ncbi-disease" / f"{split}.tsv")
        for part in corpus.groups(several, lambda: corpus.ABSTRACT):
            yield corpus.written(part)[0]


def _pubmedqa(data: Path) -> Iterator[str]:
    folder = data / "pubmedqa"
    test = json.loads((folder / "test_ground_truth.json").read_bytes())
    for pmid, row in json.loads((folder / "ori_pqal.json").read_bytes()).items():
        if pmid not in test:
            yield " ".join(row["CONTEXTS"])


def _wikidoc(data: Path) -> Iterator[str]:
    for row in json.loads((data / "wikidoc" / "medical_meadow_small.json").read_bytes()):
        yield row["output"]


def _chatdoctor(data: Path) -> Iterator[str]:
    for row in json.loads((data / "chatdoctor" / "chatdoctor5k.json").read_bytes()):
        yield row["output"]
