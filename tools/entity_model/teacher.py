"""The teacher: a general encoder (all-mpnet-base-v2) fine-tuned on BC5CDR, which labels text for the student.

It is not shipped: it has 320 MB, the student 8. It ignores case, so each word's case is a separate embedding, added to
those of its pieces. A word is tagged by its first piece; tags are decoded together, so that the sequence is valid.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from . import corpus
from .corpus import Entity, Sentence

TAGS = ("O", "B-CHEMICAL", "I-CHEMICAL", "B-DISEASE", "I-DISEASE")
NEVER = -1e4
PIECES = 1300  # per batch, including padding
LONGEST = 400  # pieces of one text; the encoder has 512 positions
LAYERS = 8  # of the encoder's twelve: a third less to compute, and the last ones encode whole sentences
EPOCHS = 3
LEARNING_RATE = 8e-5  # ten times that for the new parts: the case embedding and the tagger
WARM_UP = 0.06  # share of the steps

# TRANSITION[i, j]: 0 if tag j may follow tag i.
TRANSITION = np.array([[NEVER if b[0] == "I" and a[2:] != b[2:] else 0.0 for b in TAGS] for a in TAGS])
FIRST = np.array([NEVER if tag[0] == "I" else 0.0 for tag in TAGS])

Encoded = tuple[list[int], list[int], list[int]]  # piece ids, case of each piece's word, first piece of each word


class Teacher(nn.Module):  # type: ignore[misc]  # torch has no types here
    def __init__(self, encoder: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        super().__init__()
        self.pieces = AutoTokenizer.from_pretrained(encoder)
        self.m = AutoModel.from_pretrained(encoder, add_pooling_layer=False)
        self.m.encoder.layer = self.m.encoder.layer[:LAYERS]
        self.m.embeddings.word_embeddings.weight.requires_grad_(False)
        width = self.m.config.hidden_size
        self.case = nn.Embedding(6, width)
        nn.init.zeros_(self.case.weight)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(width, len(TAGS))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, case: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Return logits, batch × words × tags, from batch × pieces; `first` is batch × words."""
        embedded = self.m.embeddings.word_embeddings(ids) + self.case(case)
        hidden = self.m(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        words = torch.gather(hidden, 1, first.unsqueeze(-1).expand(-1, -1, hidden.size(-1)))
        return torch.as_tensor(self.out(self.drop(words)))

    def encode(self, words: Sequence[str]) -> Encoded:
        encoded = self.pieces(list(words), is_split_into_words=True, truncation=True, max_length=LONGEST)
        owners = encoded.word_ids()
        first = [0] * len(words)
        for place in reversed(range(len(owners))):
            if owners[place] is not None:
                first[owners[place]] = place
        return encoded["input_ids"], [0 if word is None else case(words[word]) for word in owners], first


def case(word: str) -> int:
    if not any(map(str.isalpha, word)):
        return 1 if any(map(str.isdigit, word)) else 2
    if word.islower():
        return 0
    if word.isupper():
        return 3
    return 4 if word[0].isupper() and word[1:].islower() else 5


def collated(batch: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    def padded(rows: Iterable[Sequence[int]]) -> torch.Tensor:
        return nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)

    ids, cases, first = zip(*batch)
    return padded(ids), padded([1] * len(row) for row in ids), padded(cases), padded(first)


def batches(encoded: Sequence[Encoded], order: Sequence[int]) -> Iterator[list[int]]:
    """Yield indices in `order`, as many at once as PIECES allows."""
    batch: list[int] = []
    longest = 0
    for index in order:
        longest = max(longest, len(encoded[index][0]))
        if batch and (len(batch) + 1) * longest > PIECES:
            yield batch
            batch, longest = [], len(encoded[index][0])
        batch.append(index)
    if batch:
        yield batch


def tags(doc: Any) -> list[int]:
    found = [0] * len(doc)
    for entity in doc.ents:
        for place in range(entity.start, entity.end):
            found[place] = TAGS.index(f"{'B' if place == entity.start else 'I'}-{entity.label_}")
    return found


def train(encoder: str, several: Sequence[Sentence], seed: int, tell: Any = print) -> Teacher:
    """Return a teacher trained for EPOCHS over the sentences, regrouped one to three at a time in each epoch."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    nlp = corpus.blank()
    model = Teacher(encoder)
    new = [parameter for name, parameter in model.named_parameters() if name.startswith(("out", "case"))]
    old = [parameter for name, parameter in model.m.named_parameters() if parameter.requires_grad]
    rates = (LEARNING_RATE, 10 * LEARNING_RATE)
    optimizer = torch.optim.AdamW([{"params": old}, {"params": new}], weight_decay=0.01, fused=True)
    total = math.ceil(EPOCHS * sum(map(len, several)) * 1.7 / PIECES)  # pieces per word, including padding
    step = 0
    for epoch in range(EPOCHS):
        model.train()
        texts = [corpus.written(part) for part in corpus.groups(several, lambda: rng.randint(1, 3))]
        docs = [corpus.doc(nlp, *text) for text in texts]
        encoded = [model.encode([token.text for token in doc]) for doc in docs]
        wanted = [tags(doc) for doc in docs]
        order = sorted(range(len(docs)), key=lambda i: (rng.random() < 0.5, len(encoded[i][0])))
        parts = list(batches(encoded, order))
        rng.shuffle(parts)
        for part in parts:
            rate = min(1.0, (step + 1) / (WARM_UP * total)) * max(0.02, 1 - step / total)
            for group, base in zip(optimizer.param_groups, rates):
                group["lr"] = base * rate
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(*collated([encoded[i] for i in part]))
            truth = nn.utils.rnn.pad_sequence(
                [torch.tensor(wanted[i]) for i in part], batch_first=True, padding_value=-100
            )
            loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), truth.flatten(), ignore_index=-100)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
        tell(f"teacher: epoch {epoch + 1} of {EPOCHS}, step {step} of about {total}, loss {loss.item():.3f}")
    return model


def label(model: Teacher, texts: Sequence[str]) -> list[list[Entity]]:
    """Return the entities of each text as predicted by the teacher."""
    model.eval()
    nlp = corpus.blank()
    docs = [nlp.make_doc(text) for text in texts]
    encoded = [model.encode([token.text for token in doc]) for doc in docs]
    found: list[list[Entity]] = [[] for _ in texts]
    for part in batches(encoded, sorted(range(len(docs)), key=lambda i: len(encoded[i][0]))):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(*collated([encoded[i] for i in part]))
        scores = torch.log_softmax(logits.float(), -1).numpy()
        for row, index in enumerate(part):
            if len(docs[index]):
                found[index] = list(entities(docs[index], decoded(scores[row, : len(docs[index])])))
    return found


def decoded(scores: Any) -> list[int]:
    """Return the likeliest valid sequence of tags, by Viterbi; `scores` is words × tags."""
    best = scores[0] + FIRST
    back = []
    for row in scores[1:]:
        ways = best[:, None] + TRANSITION
        back.append(ways.argmax(0))
        best = ways.max(0) + row
    path = [int(best.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    return path[::-1]


def entities(doc: Any, path: Sequence[int]) -> Iterator[Entity]:
    names = [TAGS[tag] for tag in path]
    for start, name in enumerate(names):
        if name.startswith("B"):
            end = start + 1
            while end < len(names) and names[end] == f"I-{name[2:]}":
                end += 1
            yield doc[start].idx, doc[end - 1].idx + len(doc[end - 1]), name[2:]


def load(encoder: str, path: Path) -> Teacher:
    model = Teacher(encoder)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model
