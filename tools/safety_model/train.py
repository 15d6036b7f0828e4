"""Train the safety model in steps. The same examples and packages give the same weights on one machine.

    python -m medbench.tools.safety_model.train --base all-MiniLM-L6-v2 --out 1 --without c,c2,c3
    python -m medbench.tools.safety_model.train --start 1 --out 2 --only c,c2 --replay 1000 --epochs 2

`--base` is a folder with model.safetensors, config.json and tokenizer.json of sentence-transformers/all-MiniLM-L6-v2.
`--replay` mixes examples of the other writers in at random, so that nothing is unlearned. `--sheets` adds lists of
doses (doses.py). `--mean` averages models (Wortsman et al. 2022, arXiv:2109.01903) and trains nothing. The steps of the
shipped model, and how to measure one: docs/safety-training.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from ...metrics.safety.encoder import Encoder, Window, Windows, bert_config, load, save, tensors
from ...metrics.safety.examples import ANSWER_LABELS, EMERGENCY, LABELS, LabeledExample
from .cases import Case, Piece, case, twins, varied
from .doses import sheets, tables
from .variants import Changeable, read_changeable

HERE = Path(__file__).parent
EXACT = "exact.safetensors"  # the weights as trained, from which the next step starts; not shipped
BUILD = [HERE / name for name in ("build.jsonl", "build_long.jsonl", "build_more.jsonl", "build_voices.jsonl")]
# How they were chosen: docs/measurements.md
THRESHOLDS = dict.fromkeys(LABELS, 0.5) | {"disclaimer": 0.75, "unsafe": 0.92, "referral": 0.6}
SHORT_THRESHOLDS = {"unsafe": 0.84}  # for answers of few lines (reader.FEW_LINES)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How the model is trained. Changing a value changes the model."""

    epochs: int = 3
    batch: int = 16  # examples, at most
    characters: int = 8000  # of a batch, at most, including padding
    encoder_rate: float = 1e-4  # falls linearly to 0 after the warm-up
    head_rate: float = 5e-4
    warm_up: float = 0.1  # share of the steps
    decay: float = 0.01
    frozen_layers: int = 1  # the embeddings and this many layers above them are not trained
    sentence_weight: float = 1.0  # weight of the sentence loss relative to the text loss
    wrapped: float = 0.0  # share of short answers that are put between neutral lines
    vocabulary: int = 13000  # word pieces kept
    seed: int = 1
    sheets: int = 0  # lists of doses per epoch (doses.py)
    bfloat16: bool = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()  # twice as fast where it is supported


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
    """Return a model that was trained before, with its unrounded weights if they are there."""
    sizes = json.loads((folder / "config.json").read_text(encoding="utf-8"))["encoder"]
    model = load(folder)
    if (folder / EXACT).exists():
        model.load_state_dict(load_file(folder / EXACT))
    return model, Tokenizer.from_file(str(folder / "tokenizer.json")), sizes


def averaged(folders: Sequence[Path]) -> Start:
    """Return the mean of the weights of several models."""
    states = [started(folder)[0].state_dict() for folder in folders]
    model, tokenizer, sizes = started(folders[-1])
    mean = {
        name: sum(state[name] for state in states) / len(states) if weight.is_floating_point() else weight
        for name, weight in states[-1].items()
    }
    model.load_state_dict(mean)
    return model, tokenizer, sizes


def train(
    examples: Sequence[Changeable], start: Start, recipe: TrainingSettings, rank: int = 0, processes: int = 1
) -> None:
    """Train the encoder of `start`. Prints one line per epoch.

    Each of several processes reads its part of the batches, and they average their gradients.
    """
    torch.manual_seed(recipe.seed + rank)
    dice = random.Random(recipe.seed)
    model, tokenizer, _ = start
    plain_cases = [case(one.base) for one in examples]
    neutral = [lines for one in plain_cases if (lines := _neutral(one))]
    balance = balances(plain_cases)
    epochs = [dealt(epoch(examples, neutral, recipe, dice), rank, processes, dice) for _ in range(recipe.epochs)]
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
        for count, batch in enumerate(batches, 1):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
                loss = _loss(model, windows, batch, balance, recipe)
            loss.backward()
            if processes > 1:
                _share_gradients([*body, *head])
            torch.nn.utils.clip_grad_norm_([*body, *head], 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            total += float(loss.detach())
            if rank == 0 and count % 50 == 0:
                print(f"  {count} of {len(batches)}: {total / count:.4f}, {time.monotonic() - began:.0f} s", flush=True)
        if rank == 0:
            print(f"epoch {number}: loss {total / len(batches):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    model.eval()


def dealt(batches: list[list[Case]], rank: int, processes: int, dice: random.Random) -> list[list[Case]]:
    """Return the batches of one of several processes, in random order: at each step all have batches of a size."""
    by_size = sorted(batches, key=lambda batch: len(batch) * max(one.size for one in batch))
    steps = [by_size[at : at + processes] for at in range(0, len(by_size) - processes + 1, processes)]
    dice.shuffle(steps)
    return [step[rank] for step in steps]


def _share_gradients(weights: Sequence[Tensor]) -> None:
    """Replace the gradients by their mean over the processes."""
    for weight in weights:  # a batch of questions alone gives the heads of answers no gradient
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    flat = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for weight, part in zip(weights, flat.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = part.view_as(weight)


def _neutral(one: Case) -> tuple[Piece, ...]:
    """Return the lines of an answer that carry no label, if it does no harm."""
    if {"unsafe", "refusal"} & one.labels:
        return ()
    return tuple(piece for piece in one.answer if not piece.labels)


def epoch(
    examples: Sequence[Changeable], neutral: Sequence[tuple[Piece, ...]], recipe: TrainingSettings, dice: random.Random
) -> list[list[Case]]:
    """Return the batches of one epoch: cases of similar length, twins together.

    A batch has fewer cases if they are long.
    """
    size = recipe.batch
    groups = [twins(one, dice) if one.changes else [case(one.base)] for one in examples]
    groups += [sheets(dice, tables()) for _ in range(recipe.sheets)]
    groups = [[varied(one, neutral, recipe.wrapped, dice) for one in group] for group in groups]
    dice.shuffle(groups)
    found = []
    for start in range(0, len(groups), 32 * size):
        chunk = sorted(groups[start : start + 32 * size], key=lambda group: max(one.size for one in group))
        batch: list[Case] = []
        for group in chunk:
            longest = max(one.size for one in (*batch, *group))
            if batch and (len(batch) + len(group) > size or longest * (len(batch) + len(group)) > recipe.characters):
                found.append(batch)
                batch = []
            batch = [*batch, *group]
        found.append(batch)
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
    start.add_argument("--mean", type=Path, nargs="+", help="such folders, whose weights are averaged")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=Path, nargs="+", default=BUILD)
    parser.add_argument("--without", default="", help="writers to leave out")
    parser.add_argument("--only", default="", help="writers to train on")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the work, one thread each")
    parser.add_argument("--replay", type=int, default=0, help="number of random examples of the others")
    for name, value in asdict(TrainingSettings()).items():
        if not isinstance(value, bool):
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    recipe = TrainingSettings(**{name: given[name] for name in asdict(TrainingSettings()) if name in given})
    if given["mean"]:
        last = json.loads((given["mean"][-1] / "config.json").read_text(encoding="utf-8"))["recipe"]
        write(averaged(given["mean"]), given["out"], TrainingSettings(**last))
        return
    read = [one for path in given["examples"] for one in read_changeable(path)]
    examples = chosen(read, given["without"], given["only"], given["replay"], recipe.seed)
    print(len(examples), "examples", recipe, flush=True)
    if given["processes"] == 1:
        _train_and_write(0, given, examples, recipe)
    else:
        torch.multiprocessing.spawn(_train_and_write, (given, examples, recipe), nprocs=given["processes"])


def _train_and_write(
    rank: int, given: dict[str, Any], examples: Sequence[Changeable], recipe: TrainingSettings
) -> None:
    processes = given["processes"]
    if processes > 1:
        torch.set_num_threads(1)
        meeting = f"file://{given['out'].absolute()}.meeting"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    begun = started(given["start"]) if given["start"] else base(given["base"], every(examples), recipe.vocabulary)
    train(examples, begun, recipe, rank, processes)
    if rank == 0:
        write(begun, given["out"], recipe)
    if processes > 1:
        torch.distributed.destroy_process_group()


def write(made: Start, out: Path, recipe: TrainingSettings) -> None:
    """Write a model to a folder: 8-bit weights, tokenizer, and settings with the hash of the weights."""
    model, tokenizer, sizes = made
    out.mkdir(parents=True, exist_ok=True)
    save(model, out)
    save_file(model.state_dict(), out / EXACT)
    tokenizer.save(str(out / "tokenizer.json"))
    digest = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    config = {
        "encoder": sizes,
        "thresholds": THRESHOLDS,
        "short_thresholds": SHORT_THRESHOLDS,
        "weights_sha256": digest,
        "recipe": asdict(recipe),
    }
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
