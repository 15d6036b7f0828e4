"""Plain medical text for the teacher to label. It contains no text of a benchmark's test items."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...benchmarks import medquad
from ...benchmarks.sources.files import Source
from . import corpus

# Source, number of words, and whether to use only passages that name a chemical of BC5CDR train. PubMedQA: its 500
# expert-labeled questions that are not in the test set, the abstracts first, then questions and conclusions.
SHARES = (
    ("ncbi", 190_000, False),
    ("pubmedqa", 110_000, False),
    ("wikidoc", 60_000, False),
    ("chatdoctor", 30_000, False),
    ("conclusions", 19_000, False),
    ("wikidoc", 49_000, True),
    ("medquad", 108_000, True),
    ("chatdoctor", 29_000, True),
    ("medquad", 200_000, False),
    ("wikidoc", 170_000, False),
)
Text = tuple[str, Sequence[corpus.Entity]]
SHORTEST = 5  # minimum letters of a chemical to search for
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")


def texts(data: Path, gold: Sequence[corpus.Sentence], seed: int) -> list[str]:
    """Return distinct passages of one to eight sentences from the releases in `data`. `gold` is BC5CDR train."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    sources = {
        "ncbi": _ncbi,
        "pubmedqa": _pubmedqa,
        "conclusions": _conclusions,
        "wikidoc": _wikidoc,
        "medquad": _medquad,
        "chatdoctor": _chatdoctor,
    }
    chemical = _chemical(gold)
    for source, most, named in SHARES:
        words = 0
        whole = list(sources[source](data))
        rng.shuffle(whole)
        for passage in whole:
            for part in _parts(_SENTENCE.split(" ".join(passage.split())), rng):
                if words < most and part not in found and (not named or chemical.search(part)):
                    words += part.count(" ") + 1
                    found[part] = None
    return list(found)


def near(data: Path, labeled: Sequence[Text]) -> list[Text]:
    """Return those labeled passages that are from abstracts, like BC5CDR."""
    abstracts = " | ".join(" ".join(text.split()) for read in (_ncbi, _pubmedqa, _conclusions) for text in read(data))
    return [(text, entities) for text, entities in labeled if text in abstracts]


def _chemical(gold: Sequence[corpus.Sentence]) -> re.Pattern[str]:
    text, entities = corpus.written(gold)
    names = {
        text[start:end].lower() for start, end, label in entities if label == "CHEMICAL" and end - start >= SHORTEST
    }
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})s?\b", re.IGNORECASE)


def _parts(sentences: Sequence[str], rng: random.Random) -> Iterator[str]:
    start = 0
    while start < len(sentences):
        count = rng.randint(1, 8)
        yield " ".join(sentences[start : start + count])
        start += count


def _ncbi(data: Path) -> Iterator[str]:
    """Return the text of NCBI disease. Its labels are not used: it marks no chemicals, and diseases by other rules."""
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


def _conclusions(data: Path) -> Iterator[str]:
    folder = data / "pubmedqa"
    test = json.loads((folder / "test_ground_truth.json").read_bytes())
    for pmid, row in json.loads((folder / "ori_pqal.json").read_bytes()).items():
        if pmid not in test:
            yield f"{row['QUESTION']} {row['LONG_ANSWER']}"


def _medquad(data: Path) -> Iterator[str]:
    """Return the answers of its train split."""
    for item in medquad.load_split(Source(data), "train"):
        yield item.references[0]


def _wikidoc(data: Path) -> Iterator[str]:
    for row in json.loads((data / "wikidoc" / "medical_meadow_small.json").read_bytes()):
        yield row["output"]


def _chatdoctor(data: Path) -> Iterator[str]:
    for row in json.loads((data / "chatdoctor" / "chatdoctor5k.json").read_bytes()):
        yield row["output"]
