"""Trains the embedded entity model, as it was trained:

    python -m medbench.metrics.ner.train --data RELEASES --encoder sentence-transformers/all-MiniLM-L6-v2 --out DIR

1. A teacher is fine-tuned on BC5CDR train (teacher.py).
2. It labels plain medical text (plain.py).
3. The student (config.cfg) learns from BC5CDR train, then goes on with that, twice, and the labelled text. BC5CDR
   devel decides when it stops, and which of its steps is kept.

What DIR has already is not made again. The test split is read by measure.py alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import corpus
from .corpus import Entity

GOLD_COPIES = 2  # each with its sentences grouped anew
NAME = "medbench_bc5cdr"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the official releases")
    parser.add_argument("--encoder", required=True, help="the teacher's encoder: hub id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", default="1.0.0")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.data / "ner" / "bc5cdr"
    gold = corpus.sentences(folder / "train.tsv")
    labelled = labelled_text(options.data, options.encoder, gold, options.out, options.seed)
    copies = [text for copy in range(GOLD_COPIES) for text in corpus.shuffled(gold, options.seed + copy)]
    save(copies[: len(copies) // GOLD_COPIES], options.out / "gold.spacy")
    save([*copies, *labelled], options.out / "all.spacy")
    save(corpus.abstracts(corpus.sentences(folder / "devel.tsv")), options.out / "devel.spacy")
    first = student(options.out, "gold", options.seed)
    last = student(options.out, "all", options.seed, first)
    ship(last, options.out / NAME, options.version)


def labelled_text(
    data: Path, encoder: str, gold: list[corpus.Sentence], out: Path, seed: int
) -> list[tuple[str, list[Entity]]]:
    """Plain text with the teacher's entities, kept in `out`."""
    import torch

    from . import plain, teacher

    kept = out / "labelled.jsonl"
    if not kept.exists():
        weights = out / "teacher.pt"
        if not weights.exists():
            torch.save(teacher.train(encoder, gold, seed).state_dict(), weights)
        texts = plain.texts(data, seed)
        found = teacher.label(teacher.load(encoder, weights), texts)
        kept.write_text("".join(json.dumps(pair) + "\n" for pair in zip(texts, found)), encoding="utf-8")
    rows = (json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines())
    return [(text, [(start, end, label) for start, end, label in entities]) for text, entities in rows]


def save(texts: Iterable[tuple[str, list[Entity]]], path: Path) -> None:
    from spacy.tokens import DocBin

    nlp = corpus.blank()
    DocBin(docs=[corpus.doc(nlp, text, entities) for text, entities in texts]).to_disk(path)


def student(out: Path, texts: str, seed: int, begun: Path | None = None) -> Path:
    """Trains on out/TEXTS.spacy, from nothing or from where `begun` stopped; the folder of the best step on devel."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as run

    target = out / f"student-{texts}"
    done = target / "done"
    if done.exists():
        return target / "model-best"
    target.mkdir(exist_ok=True)
    paths = {"paths.train": str(out / f"{texts}.spacy"), "paths.dev": str(out / "devel.spacy"), "system.seed": seed}
    config = spacy.util.load_config(Path(__file__).with_name("config.cfg"), overrides=paths, interpolate=False)
    if begun:
        config["components"] = {name: {"source": str(begun)} for name in ("tok2vec", "ner")}

    def give_tokenizer(nlp: Any) -> Any:
        nlp.tokenizer = corpus.tokenizer(nlp)
        return nlp

    spacy.registry.callbacks.register("medbench_tokenizer.v1", func=lambda: give_tokenizer)
    config["initialize"] = {"before_init": {"@callbacks": "medbench_tokenizer.v1"}}
    run(init_nlp(config), target)
    done.touch()
    return target / "model-best"


def ship(trained: Path, target: Path, version: str) -> None:
    """The trained pipeline as the package holds it: loaded by spaCy alone, without a word of where it was trained."""
    import spacy

    nlp = spacy.load(trained)
    nlp.config["initialize"]["before_init"] = None
    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])
    nlp.meta.update(
        name=NAME.partition("_")[2],
        version=version,
        description="Diseases and chemicals in biomedical text; see MODEL_CARD.md",
        license="MIT",
    )
    if target.exists():
        shutil.rmtree(target)
    nlp.to_disk(target)


if __name__ == "__main__":
    main()
