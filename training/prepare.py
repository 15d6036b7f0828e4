"""The data of every stage as tokens, without the examples that must be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import MedbenchError
from ..core.types import ModelSpec
from ..zoo.recipe import Stage
from . import leak_check, resume
from .data import StageData
from .data import prepare as load_data
from .encode import Encodings, encode
from .request import Request, Tell


@dataclass(frozen=True)
class Prepared:
    """One stage with its data as tokens."""

    stage: Stage
    data: StageData
    train: Encodings
    held_out: Encodings
    left_out: leak_check.LeftOut | None = None  # examples that contain scored items; None if they are trained on

    def facts(self) -> dict[str, Any]:
        """Return the manifest's record of a stage's data."""
        left_out = None if self.left_out is None else {name: list(items) for name, items in self.left_out.items()}
        return {
            "stage": self.stage.name,
            "parts": list(self.data.parts),
            "hash": self.data.hash,
            "examples": len(self.data.train),
            "held_out": len(self.held_out.rows),
            "rows": len(self.train.rows),
            "tokens": self.train.tokens,
            "learned_tokens": self.train.learned,
            "answers_cut": self.train.cut_answers,
            "dropped": len(self.train.dropped),
            "notes": list(self.data.notes),
            "set_notes": self.data.set_notes,
            **({} if left_out is None else {"left_out": left_out}),
        }


def prepare(request: Request, base: ModelSpec, tell: Tell) -> tuple[Prepared, ...]:
    """Return the stages with their data as tokens. Raises MedbenchError if nothing is left to learn."""
    loaded = [load_data(stage, request.source, request.seed) for stage in request.recipe.stages]
    left_out = left_out_of(request, loaded, tell)
    prepared = []
    for stage, whole in zip(request.recipe.stages, loaded, strict=True):
        data = leak_check.without(whole, left_out)
        if not data.train:
            raise MedbenchError(
                f"stage '{stage.name}': all of its {len(whole.train):,} examples contain scored items, so "
                "--leave-out-leaks leaves nothing to train on.",
                "Train on other data: --set data=NAME (medbench list training-sets)",
            )
        train, held_out = as_tokens(request, stage, data, base.location, base.trust_remote_code)
        if not train.rows:
            raise MedbenchError(
                f"stage '{stage.name}': none of its {len(data.train):,} examples leaves anything to learn within "
                f"{stage.max_length} tokens.",
                f"Try a larger --set {stage.name}.max_length={2 * stage.max_length}",
            )
        for note in data.notes:
            tell(f"{stage.name}: {note}")
        tell(f"{stage.name}: {_counts(train, held_out)}")
        mine = {example.id: left_out[example.id] for example in whole.train if example.id in left_out}
        prepared.append(Prepared(stage, data, train, held_out, mine if request.leave_out_leaks else None))
    return tuple(prepared)


def left_out_of(request: Request, loaded: Sequence[StageData], tell: Tell) -> leak_check.LeftOut:
    """Return the examples not to train on: the ones that this training left out before, or else the ones that leak."""
    if not request.leave_out_leaks:
        return {}
    begun = resume.peek(request.folder)
    if begun and resume.left_out(begun) is not None:
        return resume.left_out(begun) or {}
    tell("leak check: searching for examples that contain scored items, to leave them out")
    return leak_check.to_leave_out(loaded, request.source, request.allowed_leaks, tell)


def as_tokens(
    request: Request, stage: Stage, data: StageData, location: str, trusted: bool
) -> tuple[Encodings, Encodings]:
    """Encode a stage's training and held-out examples for the model in the folder `location`."""
    from ..engines import chat_templates
    from ..engines.hf.loading import opened, window
    from ..engines.prompting import checked_kind, wrapping

    config, tokenizer = opened(location, trusted)
    wrap = wrapping("auto", "generate", chat_templates.of_folder(location), request.entry.prompt_format)
    checked_kind(wrap, request.entry.name)
    room, both = window(config, tokenizer), bool(config.is_encoder_decoder)
    return (
        encode(data.train, tokenizer, stage, wrap, both, room),
        encode(data.held_out, tokenizer, stage, wrap, both, room),
    )


def _counts(train: Encodings, held_out: Encodings) -> str:
    cut = f", {train.cut_answers:,} answers cut" if train.cut_answers else ""
    dropped = f", {len(train.dropped):,} dropped (no room for an answer)" if train.dropped else ""
    return (
        f"{len(train.rows):,} examples, {train.tokens:,} tokens, {train.learned:,} of them learned{cut}{dropped}; "
        f"{len(held_out.rows):,} held out"
    )
