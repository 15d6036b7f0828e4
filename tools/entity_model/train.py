"""Train the shipped entity model:

    python -m medbench.tools.entity_model.train --data RELEASES --out DIR \
        --encoder sentence-transformers/all-mpnet-base-v2

1. A teacher is fine-tuned on BC5CDR train (teacher.py).
2. It labels plain medical text (plain.py).
3. The student (config.cfg) is trained on BC5CDR train alone, or is the pipeline given by `--begun`.
4. It is trained further on BC5CDR train, twice, and the labeled text: two times, with different seeds and dropouts.
   BC5CDR devel decides which step of each is kept. The weights of the two and of their starting point are averaged.
5. From the mean it is trained once more, and averaged with the mean; and again.
6. Three more rounds use BC5CDR train, with its own and with other names (swaps.py), and only those labeled texts that
   are like it, abstracts. Each round starts from the mean of the previous one.

Files that DIR already has are not made again. Only measure.py reads the test split. MODEL_CARD.md says where the runs
behind the shipped version differed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from . import corpus, plain, swaps
from .corpus import Entity

GOLD_COPIES = 2  # each with its sentences regrouped
NAME = "medbench_bc5cdr"
# Each round: its texts, and the dropouts of its students.
ROUNDS = (
    ("all", (0.25, 0.15)),
    ("all", (0.2,)),
    ("all", (0.15,)),
    ("near-1", (0.25, 0.2)),
    ("near-2", (0.25, 0.15)),
    ("near-3", (0.2, 0.15)),
)
NEAR_COPIES = 3  # copies of BC5CDR in a "near" round, and as many with other names
NEAR_RATE = 5e-4  # learning rate of those rounds, half that of the others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the official releases")
    parser.add_argument("--encoder", required=True, help="the teacher's encoder: hub id or folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begun", type=Path, help="folder of the pipeline that the student continues from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", default="1.2.0")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.data / "ner" / "bc5cdr"
    gold = corpus.sentences(folder / "train.tsv")
    labeled = labeled_text(options.data, options.encoder, gold, options.out, options.seed)
    copies = [text for copy in range(GOLD_COPIES) for text in corpus.shuffled(gold, options.seed + copy)]
    save(copies[: len(copies) // GOLD_COPIES], options.out / "gold.spacy")
    save([*copies, *labeled], options.out / "all.spacy")
    near = plain.near(options.data, labeled)
    known = swaps.names([*copies, *labeled])
    for number in range(1, 4):
        seeds = [options.seed + NEAR_COPIES * number + copy for copy in range(NEAR_COPIES)]
        own = [text for each in seeds for text in corpus.shuffled(gold, each)]
        rng = random.Random(options.seed + number)
        other = [swaps.swapped(*text, known, rng) for each in seeds for text in corpus.shuffled(gold, -each)]
        save([*own, *other, *near], options.out / f"near-{number}.spacy")
    save(corpus.abstracts(corpus.sentences(folder / "devel.tsv")), options.out / "devel.spacy")
    mean = options.begun or student(options.out, "gold", options.seed, 0.25)
    seed = options.seed
    for number, (texts, dropouts) in enumerate(ROUNDS, 1):
        students = [student(options.out, texts, seed + i, dropout, mean) for i, dropout in enumerate(dropouts)]
        seed += len(students)
        mean = averaged([*students, mean], options.out / f"mean-{number}")
    ship(mean, options.out / NAME, options.version)


def labeled_text(
    data: Path, encoder: str, gold: list[corpus.Sentence], out: Path, seed: int
) -> list[tuple[str, list[Entity]]]:
    """Return plain text with the teacher's entities, cached in `out`."""
    import torch

    from . import teacher

    kept = out / "labeled.jsonl"
    if not kept.exists():
        weights = out / "teacher.pt"
        if not weights.exists():
            torch.save(teacher.train(encoder, gold, seed).state_dict(), weights)
        texts = plain.texts(data, gold, seed)
        found = teacher.label(teacher.load(encoder, weights), texts)
        kept.write_text("".join(json.dumps(pair) + "\n" for pair in zip(texts, found)), encoding="utf-8")
    rows = (json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines())
    return [(text, [(start, end, label) for start, end, label in entities]) for text, entities in rows]


def save(texts: Iterable[tuple[str, Sequence[Entity]]], path: Path) -> None:
    from spacy.tokens import DocBin

    nlp = corpus.blank()
    DocBin(docs=[corpus.doc(nlp, text, entities) for text, entities in texts]).to_disk(path)


def student(out: Path, texts: str, seed: int, dropout: float, begun: Path | None = None) -> Path:
    """Train on out/TEXTS.spacy, from scratch or from `begun`. Return the folder of the best step on devel."""
    import spacy
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as run

    target = out / f"student-{texts}-{seed}"
    done = target / "done"
    if done.exists():
        return target / "model-best"
    target.mkdir(exist_ok=True)
    values = {
        "paths.train": str(out / f"{texts}.spacy"),
        "paths.dev": str(out / "devel.spacy"),
        "system.seed": seed,
        "training.dropout": dropout,
    }
    if texts.startswith("near"):
        values["training.optimizer.learn_rate.initial_rate"] = NEAR_RATE
    config = spacy.util.load_config(Path(__file__).with_name("config.cfg"), overrides=values, interpolate=False)
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


def averaged(trained: Sequence[Path], target: Path) -> Path:
    """Return one pipeline whose weights are the mean of theirs."""
    import spacy

    pipelines = [spacy.load(path) for path in trained]
    for nodes in zip(*map(_nodes, pipelines), strict=True):
        for name in nodes[0].param_names:
            if nodes[0].has_param(name):
                nodes[0].set_param(name, sum(node.get_param(name) for node in nodes) / len(nodes))
    pipelines[0].to_disk(target)
    return target


def _nodes(nlp: Any) -> list[Any]:
    """Yield every part of its models, in a fixed order."""
    return [node for name in ("tok2vec", "ner") for node in nlp.get_pipe(name).model.walk()]


def ship(trained: Path, target: Path, version: str) -> None:
    """Write the trained pipeline as the package contains it: loaded by spaCy alone, without any training paths."""
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
    # The words of the training texts are not needed: words are hashed.
    (target / "vocab" / "strings.json").write_text("[]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
