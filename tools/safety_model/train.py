"""Train the safety model from build.jsonl. The same examples and packages give the same weights on one machine.

    train --base all-MiniLM-L6-v2 --out FIRST --without c
    train --start FIRST --out FOLDER --only c --replay 1000 --head-rate 5e-4

`train` stands for `python -m medbench.tools.safety_model.train`. `--base` is a folder with model.safetensors,
config.json and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2. The first command takes about 25 minutes on
one core. The second continues with examples written for the first model's errors (writer `c`), mixed with 1,000 of the
others so that nothing is unlearned. It starts from 8-bit weights, whose rounding cancels the updates of a smaller rate
(at 4e-5 it did). To measure how well the model reads an unseen writer, leave one out:

    train --base all-MiniLM-L6-v2 --out OTHER --without c,w2
    python -m medbench.tools.safety_model.evaluate build.jsonl --model OTHER --writer w2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from ...metrics.safety.encoder import Encoder, Window, Windows, bert_config, load, save, tensors
from ...metrics.safety.examples import ANSWER_LABELS, EMERGENCY, LABELS, LabeledExample
from ...metrics.safety.markup import plain
from ...metrics.safety.sentences import Span, sentences
from .variants import Change, Changeable, disjoint, read_changeable

HERE = Path(__file__).parent
BUILD = [HERE / "build.jsonl", HERE / "build_long.jsonl"]
TWIN = 3.0  # weight in the loss of a sentence that has a dangerous or harmless twin
THRESHOLDS = dict.fromkeys(LABELS, 0.5)  # probability threshold of each label


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the model is trained. Changing a value changes the model."""

    epochs: int = 3
    batch: int = 16  # examples, at most
    characters: int = 8000  # of a batch, at most, including padding
    encoder_rate: float = 8e-5  # falls linearly to 0 after the warm-up
    head_rate: float = 1e-3
    warm_up: float = 0.1  # share of the steps
    decay: float = 0.01
    frozen_layers: int = 1  # the embeddings and this many layers above them are not trained
    sentence_weight: float = 1.0  # weight of the sentence loss relative to the text loss
    vocabulary: int = 13000  # word pieces kept
    seed: int = 1
    bfloat16: bool = True  # twice as fast on processors that support it


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence with its labels, and its weight in the loss."""

    text: str
    labels: frozenset[str] = frozenset()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """An example as sentences."""

    question: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    refuses: bool

    @property
    def labels(self) -> frozenset[str]:
        found = frozenset(label for piece in (*self.question, *self.answer) for label in piece.labels)
        return (found | {"refusal"}) if self.refuses else (found - {"refusal"})

    @property
    def size(self) -> int:
        """Characters, by which batches are made."""
        return sum(len(piece.text) for piece in (*self.question, *self.answer))


def case(example: LabeledExample, twins: Sequence[Span] = ()) -> Case:
    """Return the example as sentences. `twins`: lines of the answer that other examples have changed."""

    def pieces(text: str, labels: Sequence[str]) -> tuple[Piece, ...]:
        return tuple(
            Piece(
                plain(text[a:b]),
                frozenset(label for label in labels if any(_meet((a, b), span) for span in example.evidence[label])),
                TWIN if any(_meet((a, b), span) for span in twins) else 1.0,
            )
            for a, b in sentences(text)
        )

    asked = pieces(example.question, [EMERGENCY])
    return Case(asked, pieces(example.answer, ANSWER_LABELS), example.labels["refusal"])


def _meet(one: Span, other: Span) -> bool:
    return min(one[1], other[1]) - max(one[0], other[0]) > 2


# --- augmentation: changes that keep the labels ------------------------------------------------------------


def twins(one: Changeable, dice: random.Random) -> list[Case]:
    """Return two versions of the example: random changes, and the others in their place. Both may be cropped."""
    order = list(one.changes)
    dice.shuffle(order)
    some = [change for change in disjoint(order) if dice.random() < 0.5]
    rest = disjoint([change for change in order if change not in some])
    made = []
    for changes in (some, rest):
        touched = _touched(one, changes)
        made.append(cropped(case(one.changed(changes), touched), dice))
    return made


def _touched(one: Changeable, changes: Sequence[Change]) -> list[Span]:
    """Return where the changed lines are, in the example with these changes, and the lines that others change."""
    spans = []
    for change in one.changes:
        before = sum(len(other.text) - (other.end - other.start) for other in changes if other.start < change.start)
        if change in changes:
            spans.append((change.start + before, change.start + before + len(change.text)))
        elif all(change.end < other.start or other.end < change.start for other in changes):
            spans.append((change.start + before, change.end + before))
    return spans


def cropped(one: Case, dice: random.Random) -> Case:
    """Return the case, or in half of the cases a part of a long answer, around one of its weighty sentences."""
    heavy = [index for index, piece in enumerate(one.answer) if piece.weight > 1 or piece.labels]
    if len(one.answer) < 8 or not heavy or one.refuses or dice.random() < 0.5:
        return one
    at = dice.choice(heavy)
    start, end = max(0, at - dice.randint(0, 6)), at + 1 + dice.randint(0, 6)
    return Case(one.question, one.answer[start:end], one.refuses)


def varied(one: Case, neutral: Sequence[tuple[Piece, ...]], dice: random.Random) -> Case:
    """Return the case with typing errors, more or less text, or merged sentences. The labels remain correct."""
    answer = list(one.answer)
    bare = [index for index, piece in enumerate(answer) if not piece.labels and piece.weight == 1]
    if len(answer) >= 3 and bare and dice.random() < 0.25:
        del answer[dice.choice(bare)]
    if not one.refuses and answer and one.size < 800 and dice.random() < 0.3:  # longer, by lines on another question
        for _ in range(dice.randint(1, 2)):
            lines = dice.choice(neutral)
            start = dice.randrange(len(lines))
            at = dice.choice((0, len(answer), dice.randint(0, len(answer))))
            answer[at:at] = [replace(piece, weight=1.0) for piece in lines[start : start + dice.randint(1, 8)]]
    if answer and not answer[-1].labels and dice.random() < 0.08:  # truncated, as by a token limit
        words = answer[-1].text.split()
        answer[-1] = Piece(" ".join(words[: max(1, dice.randint(len(words) // 3, len(words)))]))
    question = list(one.question)
    for pieces in (question, answer):
        if dice.random() < 0.2:
            pieces[:] = [replace(piece, text=mistyped(piece.text, dice)) for piece in pieces]
        if dice.random() < 0.15:
            pieces[:] = [replace(piece, text=re.sub(r"['’]", "", piece.text).rstrip(".")) for piece in pieces]
        if len(pieces) > 1 and dice.random() < 0.2:
            index = dice.randrange(len(pieces) - 1)
            one_, other = pieces[index : index + 2]
            joined = Piece(f"{one_.text} {other.text}", one_.labels | other.labels, max(one_.weight, other.weight))
            pieces[index : index + 2] = [joined]
    return Case(tuple(question), tuple(answer), one.refuses)


def mistyped(text: str, dice: random.Random) -> str:
    """Return the text with two letters swapped or one dropped in one of twenty words."""
    words = text.split(" ")
    for index, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and dice.random() < 0.05:
            at = dice.randrange(1, len(word) - 1)
            words[index] = word[:at] + (word[at + 1] + word[at] if dice.random() < 0.5 else "") + word[at + 2 :]
    return " ".join(words)


# --- the base model -----------------------------------------------------------------------------------------------


def base(folder: Path, examples: Sequence[LabeledExample], size: int) -> Start:
    """Return the base encoder with fewer word pieces, its tokenizer, and its sizes.

    It keeps single ASCII characters, pieces that the examples use, and then the base's first pieces: its vocabulary is
    sorted by frequency.
    """
    written = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    written["truncation"] = written["padding"] = None
    whole = Tokenizer.from_str(json.dumps(written))
    vocabulary: dict[str, int] = written["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    kept = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    kept |= {piece for piece in pieces if len(piece.removeprefix("##")) == 1 and piece.isascii()}
    for one in examples:
        for text in (one.question, one.answer):
            kept.update(whole.encode(text, add_special_tokens=False).tokens)
    for piece in pieces:
        if len(kept) >= size:
            break
        if piece.removeprefix("##").isascii() and not piece.startswith("["):
            kept.add(piece)
    old = [vocabulary[piece] for piece in pieces if piece in kept]
    written["model"]["vocab"] = {pieces[was]: now for now, was in enumerate(old)}
    for token in written["added_tokens"]:
        token["id"] = written["model"]["vocab"][token["content"]]
    post = written["post_processor"]
    for token in post.get("special_tokens", {}).values():
        token["ids"] = [written["model"]["vocab"][name] for name in token["tokens"]]

    sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
    config = {name: sizes[name] for name in names} | {"vocab_size": len(old)}
    model = Encoder(bert_config(config))
    weights = load_file(folder / "model.safetensors")
    words = "embeddings.word_embeddings.weight"
    weights[words] = weights[words][old]
    weights = {name: weight for name, weight in weights.items() if not name.startswith("pooler")}
    missing = model.bert.load_state_dict(weights, strict=False)
    assert all("position_ids" in name for name in [*missing.missing_keys, *missing.unexpected_keys]), missing
    return model, Tokenizer.from_str(json.dumps(written)), config


# --- training -----------------------------------------------------------------------------------------------------


Start = tuple[Encoder, Tokenizer, dict[str, Any]]  # an encoder, its tokenizer and its sizes


def started(folder: Path) -> Start:
    """Return a model that was trained before."""
    sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))["encoder"]
    return load(folder), Tokenizer.from_file(str(folder / "tokenizer.json")), sizes


def train(examples: Sequence[Changeable], start: Start, recipe: TrainingSettings) -> None:
    """Train the encoder of `start`. Prints one line per epoch."""
    dice = random.Random(recipe.seed)
    model, tokenizer, _ = start
    plain_cases = [case(one.base) for one in examples]
    neutral = [lines for one in plain_cases if (lines := _neutral(one))]
    balance = balances(plain_cases)
    epochs = [epoch(examples, neutral, recipe, dice) for _ in range(recipe.epochs)]
    frozen = [model.bert.embeddings, *model.bert.encoder.layer[: recipe.frozen_layers]]
    for part in frozen:
        part.requires_grad_(False)
    head = [weight for name, weight in model.named_parameters() if not name.startswith("bert.")]
    body = [weight for weight in model.bert.parameters() if weight.requires_grad]
    groups = [{"params": body, "lr": recipe.encoder_rate}, {"params": head, "lr": recipe.head_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    steps = sum(map(len, epochs))
    warm = max(1, round(recipe.warm_up * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    windows = Windows(tokenizer)
    for number, batches in enumerate(epochs, 1):
        began, total = time.monotonic(), 0.0
        model.train()
        for batch in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
                loss = _loss(model, windows, batch, balance, recipe)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            total += float(loss.detach())
        print(f"epoch {number}: loss {total / len(batches):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    model.eval()


def _neutral(one: Case) -> tuple[Piece, ...]:
    """Return the lines of an answer that carry no label, if it does no harm."""
    if {"unsafe", "refusal"} & one.labels:
        return ()
    return tuple(piece for piece in one.answer if not piece.labels)


def epoch(
    examples: Sequence[Changeable], neutral: Sequence[tuple[Piece, ...]], recipe: TrainingSettings, dice: random.Random
) -> list[list[Case]]:
    """Return the batches of one epoch, in random order: cases of similar length, twins together.

    A batch has fewer cases if they are long.
    """
    size = recipe.batch
    groups = [twins(one, dice) if one.changes else [case(one.base)] for one in examples]
    groups = [[varied(one, neutral, dice) for one in group] for group in groups]
    dice.shuffle(groups)
    found = []
    for start in range(0, len(groups), 8 * size):
        chunk = sorted(groups[start : start + 8 * size], key=lambda group: max(one.size for one in group))
        batch: list[Case] = []
        for group in chunk:
            longest = max(one.size for one in (*batch, *group))
            if batch and (len(batch) + len(group) > size or longest * (len(batch) + len(group)) > recipe.characters):
                found.append(batch)
                batch = []
            batch = [*batch, *group]
        found.append(batch)
    dice.shuffle(found)
    return found


def balances(cases: Sequence[Case]) -> dict[str, float]:
    """Return the weight of a positive text per label: the square root of negatives over positives, at most 3."""
    counts = {label: sum(label in one.labels for one in cases) for label in (*ANSWER_LABELS, EMERGENCY)}
    return {label: min(3.0, ((len(cases) - n) / max(n, 1)) ** 0.5) for label, n in counts.items()}


def _loss(
    model: Encoder, windows: Windows, batch: Sequence[Case], balance: dict[str, float], recipe: TrainingSettings
) -> Tensor:
    # An example may be a question alone: then it has no answer to learn from.
    asked = [w for i, one in enumerate(batch) for w in windows.question([p.text for p in one.question], i)[:1]]
    said = [
        w
        for i, one in enumerate(batch)
        for w in windows.answer(" ".join(p.text for p in one.question), [p.text for p in one.answer], i)
        if one.answer
    ]
    loss = 0.5 * _part(model, asked, batch, [EMERGENCY], balance, recipe)
    return loss + _part(model, said, batch, ANSWER_LABELS, balance, recipe) if said else loss


def _part(
    model: Encoder,
    read: Sequence[Window],
    batch: Sequence[Case],
    labels: Sequence[str],
    balance: dict[str, float],
    recipe: TrainingSettings,
) -> Tensor:
    given, numbered = tensors(read)
    asked = labels == [EMERGENCY]
    reading = model(*given, asked=asked)
    balanced = torch.tensor([balance[label] for label in labels])
    pieces = [(batch[w.text].question if asked else batch[w.text].answer) for w in read]
    wanted = torch.tensor([[float(label in batch[w.text].labels) for label in labels] for w in read])
    loss = functional.binary_cross_entropy_with_logits(reading.text, wanted, pos_weight=balanced)
    held = torch.tensor([[float(label in pieces[row][i].labels) for label in labels] for row, i in numbered])
    weight = torch.tensor([[pieces[row][i].weight] for row, i in numbered])
    each = functional.binary_cross_entropy_with_logits(
        reading.sentence, held, pos_weight=balanced, weight=weight, reduction="none"
    )
    return loss + recipe.sentence_weight * each.sum() / (weight.sum() * len(labels))


def every(examples: Sequence[Changeable]) -> list[LabeledExample]:
    return [variant for one in examples for variant in one.every()]


def chosen(examples: Sequence[Changeable], without: str, only: str, replay: int, seed: int) -> list[Changeable]:
    """Return the examples of the requested writers, and `replay` random ones of the others. Writers are
    comma-separated.
    """
    wanted = [one for one in examples if one.base.writer not in without.split(",")]
    if not only:
        return wanted
    others = [one for one in wanted if one.base.writer not in only.split(",")]
    return [one for one in wanted if one.base.writer in only.split(",")] + random.Random(seed).sample(others, replay)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--base", type=Path)
    start.add_argument("--start", type=Path, help="a folder made by this program")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=Path, nargs="+", default=BUILD)
    parser.add_argument("--without", default="", help="writers to leave out")
    parser.add_argument("--only", default="", help="writers to train on")
    parser.add_argument("--replay", type=int, default=0, help="number of random examples of the others")
    for name, value in asdict(TrainingSettings()).items():
        if not isinstance(value, bool):
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    recipe = TrainingSettings(**{name: given[name] for name in asdict(TrainingSettings()) if name in given})
    read = [one for path in given["examples"] for one in read_changeable(path)]
    examples = chosen(read, given["without"], given["only"], given["replay"], recipe.seed)
    print(len(examples), "examples", recipe, flush=True)
    torch.manual_seed(recipe.seed)
    begun = started(given["start"]) if given["start"] else base(given["base"], every(examples), recipe.vocabulary)
    train(examples, begun, recipe)
    model, tokenizer, sizes = begun
    out: Path = given["out"]
    out.mkdir(parents=True, exist_ok=True)
    save(model, out)
    tokenizer.save(str(out / "tokenizer.json"))
    digest = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    config = {"encoder": sizes, "thresholds": THRESHOLDS, "weights_sha256": digest, "recipe": asdict(recipe)}
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
