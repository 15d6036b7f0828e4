"""The network: a small BERT encoder with two sets of heads, its input tensors, and its 8-bit weight file.

The question is read alone to detect an emergency, so that every model's answers are judged on the same emergencies. An
answer is read beside its question for the other four labels. Texts above 500 tokens are read in overlapping windows.
This module imports torch and tokenizers: import it only when a text is to be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from .examples import ANSWER_LABELS

WINDOW = 512  # tokens per window
QUESTION = 240  # tokens of the question beside an answer; a longer question keeps its beginning and end
SHARED = 64  # tokens, at most, that consecutive windows share


@dataclass(frozen=True, slots=True)
class Window:
    """One model input: token ids, the segment of each token, and each token's sentence number (-1 for none)."""

    text: int  # index of the text that this window is from
    ids: tuple[int, ...]
    segments: tuple[int, ...]
    owners: tuple[int, ...]


class Encoder(nn.Module):  # type: ignore[misc]
    """A BERT encoder whose token states are pooled per sentence and per text by a separate attention per label."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = BertModel(config, add_pooling_layer=False)
        self.answer = Heads(config.hidden_size, len(ANSWER_LABELS))
        self.question = Heads(config.hidden_size, 1)

    def forward(self, ids: Tensor, mask: Tensor, segments: Tensor, owners: Tensor, asked: bool) -> Logits:
        """All shapes are batch × tokens. `owners` numbers the batch's sentences, -1 for none."""
        states = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
        reading: Logits = (self.question if asked else self.answer)(states, owners)
        return reading


@dataclass(frozen=True, slots=True)
class Logits:
    """Logits of each text (batch × labels) and of each sentence (sentences of the batch × labels)."""

    text: Tensor
    sentence: Tensor


class Heads(nn.Module):  # type: ignore[misc]
    """For each label, the attention weight of each token and its vote, for its sentence and for the text."""

    def __init__(self, size: int, labels: int) -> None:
        super().__init__()
        self.look = nn.Linear(size, 2 * labels)
        self.say = nn.Linear(size, 2 * labels)
        self.first = nn.Linear(size, labels)  # the vote of the first token, [CLS], for the whole text
        self.dropout = nn.Dropout(0.1)

    def forward(self, states: Tensor, owners: Tensor) -> Logits:
        states = self.dropout(states)
        inside = owners >= 0
        look = self.look(states).float().clamp(-15, 15).exp() * inside.unsqueeze(-1)
        said = look * self.say(states).float()
        labels = look.shape[-1] // 2
        number = int(owners.max()) + 1
        flat, places = owners[inside], inside.nonzero(as_tuple=True)
        weights = look.new_zeros(number, labels).index_add(0, flat, look[places][:, :labels])
        sums = look.new_zeros(number, labels).index_add(0, flat, said[places][:, :labels])
        sentence = sums / weights.clamp_min(1e-9)
        whole = said[..., labels:].sum(1) / look[..., labels:].sum(1).clamp_min(1e-9)
        return Logits(whole + self.first(states[:, 0]).float(), sentence)


# --- texts to windows -------------------------------------------------------------------------------------------


class Windows:
    """Cut texts into windows of tokens. A text is given as its sentences."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.start: int = tokenizer.get_vocab()["[CLS]"]
        self.end: int = tokenizer.get_vocab()["[SEP]"]

    def question(self, question: Sequence[str], text: int = 0) -> list[Window]:
        """Return the windows [CLS] question [SEP], as many as needed."""
        return self._windows(text, [], question, segment=0)

    def answer(self, question: str, answer: Sequence[str], text: int = 0) -> list[Window]:
        """Return the windows [CLS] question [SEP] answer [SEP]; each contains the question, shortened in the middle."""
        asked = self._ids(question)
        if len(asked) > QUESTION:
            asked = [*asked[: QUESTION // 2], *asked[-QUESTION // 2 :]]
        return self._windows(text, [*asked, self.end], answer, segment=1)

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _windows(self, text: int, before: Sequence[int], pieces: Sequence[str], segment: int) -> list[Window]:
        room = WINDOW - len(before) - 2
        encoded = [self._ids(piece)[:room] for piece in pieces]
        groups: list[list[int]] = [[]]
        for index, ids in enumerate(encoded):
            if groups[-1] and sum(len(encoded[i]) for i in groups[-1]) + len(ids) > room:
                groups.append(_last(groups[-1], encoded, min(SHARED, room - len(ids))))
            groups[-1].append(index)
        windows = []
        for group in groups:
            tokens = [(token, index) for index in group for token in encoded[index]]
            head = 1 + len(before)
            whole = (self.start, *before, *(token for token, _ in tokens), self.end)
            owners = (*[-1] * head, *(index for _, index in tokens), -1)
            windows.append(Window(text, whole, (*[0] * head, *[segment] * (len(tokens) + 1)), owners))
        return windows


def _last(group: Sequence[int], encoded: Sequence[Sequence[int]], tokens: int) -> list[int]:
    """Return the last pieces of a window that have at most this many tokens together."""
    kept: list[int] = []
    for index in reversed(group):
        tokens -= len(encoded[index])
        if tokens < 0:
            break
        kept.insert(0, index)
    return kept


def batches(windows: Iterable[Window], tokens: int) -> list[list[Window]]:
    """Yield batches of windows of similar length, at most `tokens` per batch including padding."""
    found: list[list[Window]] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if not found or len(found[-1][0].ids) * (len(found[-1]) + 1) > tokens:
            found.append([])
        found[-1].append(window)
    return found


def tensors(windows: Sequence[Window]) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], list[tuple[int, int]]]:
    """Return padded ids, mask, segments and owners, and the window and number of each sentence of the batch."""
    longest = max(len(window.ids) for window in windows)
    ids, mask, segments, owners = (torch.zeros(len(windows), longest, dtype=torch.long) for _ in range(4))
    owners -= 1
    numbered: dict[tuple[int, int], int] = {}
    for row, window in enumerate(windows):
        size = len(window.ids)
        ids[row, :size] = torch.tensor(window.ids)
        segments[row, :size] = torch.tensor(window.segments)
        mask[row, :size] = 1
        numbers = [numbered.setdefault((row, o), len(numbered)) if o >= 0 else -1 for o in window.owners]
        owners[row, :size] = torch.tensor(numbers)
    return (ids, mask, segments, owners), list(numbered)


# --- the file of weights ----------------------------------------------------------------------------------------


def save(model: Encoder, folder: Path) -> None:
    """Save weights with two dimensions in 8 bits with a scale per row; the others in 32 bits."""
    stored: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        if weight.ndim == 2 and weight.shape[0] > 8:
            scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
            stored[name] = (weight / scale).round().to(torch.int8)
            stored[f"{name}.scale"] = scale.squeeze(1)
        elif weight.is_floating_point():
            stored[name] = weight.float().contiguous()
    save_file(stored, folder / "model.safetensors")


def load(folder: Path) -> Encoder:
    """Return the encoder in 32-bit floats, ready for inference."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = Encoder(bert_config(config["encoder"]))
    stored = load_file(folder / "model.safetensors")
    weights = {
        name: weight.float() * stored[f"{name}.scale"].unsqueeze(1) if weight.dtype == torch.int8 else weight
        for name, weight in stored.items()
        if not name.endswith(".scale")
    }
    model.load_state_dict(weights)
    model.eval()
    return model


def bert_config(sizes: dict[str, Any]) -> BertConfig:
    # Dropout of attention weights would rule out the fused kernel and double the time of training.
    return BertConfig(**sizes, attention_probs_dropout_prob=0.0, attn_implementation="sdpa")
