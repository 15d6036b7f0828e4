"""Measure the entity F1 of a pipeline on a split of BC5CDR: exact boundaries and label, over all mentions.

    python -m medbench.tools.entity_model.measure --data ../shared/data --split devel [--model FOLDER]

It measures twice: on text as people write it, in pieces as long as an abstract, by character offsets; and on single
sentences with a space after every token, which is how scispaCy's published figures are measured.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...metrics.entities import pipelines
from . import corpus
from .corpus import Entity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", choices=["train", "devel", "test"], default="devel")
    parser.add_argument("--model", default=pipelines.EMBEDDED)
    options = parser.parse_args()
    nlp = pipelines.load(pipelines.find(options.model))
    several = corpus.sentences(options.data / "ner" / "bc5cdr" / f"{options.split}.tsv")
    ways = {
        "text": corpus.abstracts(several),
        "spaced sentences": [corpus.written([sentence], spaced=True) for sentence in several],
    }
    for way, texts in ways.items():
        print(options.split, way, json.dumps(measured(nlp, texts)))


def measured(nlp: Any, texts: Sequence[tuple[str, list[Entity]]]) -> dict[str, dict[str, float]]:
    """Return precision, recall and F1 (in %), overall and per label."""
    docs = nlp.pipe([text for text, _ in texts])
    said = [{(span.start_char, span.end_char, span.label_) for span in doc.ents} for doc in docs]
    true = [set(entities) for _, entities in texts]
    return {label or "all": _shares(said, true, label) for label in ("", *corpus.LABELS.values())}


def _shares(said: Sequence[set[Entity]], true: Sequence[set[Entity]], label: str) -> dict[str, float]:
    def of_label(entities: set[Entity]) -> set[Entity]:
        return {entity for entity in entities if not label or entity[2] == label}

    right = sum(len(of_label(a) & of_label(b)) for a, b in zip(said, true, strict=True))
    found, wanted = (sum(len(of_label(each)) for each in several) for several in (said, true))
    shares = {"precision": right / max(found, 1), "recall": right / wanted, "f1": 2 * right / (found + wanted)}
    return {name: round(100 * value, 2) for name, value in shares.items()}


if __name__ == "__main__":
    main()
