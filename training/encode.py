"""Encode training examples as token ids and labels, with exactly the prompts of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypedDict

from ..core.errors import MedbenchError
from ..core.types import Prompt
from ..engines import chat_templates
from ..engines.prompting import Encoded, Prompter, Wrapping
from ..zoo.recipe import Stage
from .example import Example

IGNORED = -100  # label of a token that is not learned, as in torch's cross entropy
SENTINEL = "medbench0answer"  # placeholder answer that no chat template changes


class TokenRow(TypedDict):
    """One example. Causal: prompt, answer and end as input, a label per token. Encoder-decoder: prompt as input, answer
    and end as labels."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Encodings:
    """The encoded examples of a stage."""

    rows: list[TokenRow]
    ids: tuple[str, ...]  # of the examples, one per row
    cut_answers: int  # rows whose answer was shortened to fit
    cut_prompts: int  # rows whose prompt was shortened to fit the encoder
    dropped: tuple[str, ...]  # ids of the examples without an answer, or without room for one
    tokens: int  # in all rows; labels included for an encoder-decoder
    learned: int  # tokens with a label


def encode(
    examples: Sequence[Example], tokenizer: Any, stage: Stage, wrap: Wrapping, encoder_decoder: bool, window: int
) -> Encodings:
    """Encode `examples`, each within `stage.max_length` and the model's `window` (tokens).

    A row starts with exactly the tokens that the model would get as its prompt at evaluation. If a row is too long, the
    end of the answer is cut, but never the disclaimer or the end token; an encoder's prompt is cut as at evaluation.
    Raises MedbenchError for a tokenizer without an end token.
    """
    limit = min(stage.max_length, window)
    prompter = Prompter(tokenizer, limit, encoder_decoder)
    end = _end(tokenizer, Wrapping("plain") if encoder_decoder else wrap)
    disclaimer = stage.disclaimer_text if stage.disclaimer else ""
    closing = [*tokenizer.encode(f" {disclaimer}", add_special_tokens=False), *end] if disclaimer else end

    asked = [Prompt(stage.prompt.replace("{prompt}", example.prompt)) for example in examples]
    answers = [example.answer.strip().removesuffix(disclaimer).rstrip() for example in examples]
    prompts = prompter.uncut(asked, wrap)
    bodies = prompter.continuations(prompts, answers, wrap)

    rows: list[TokenRow] = []
    ids: list[str] = []
    dropped: list[str] = []
    cut_answers = cut_prompts = 0
    for example, question, prompt, answer, body in zip(examples, asked, prompts, answers, bodies, strict=True):
        if encoder_decoder and len(prompt.tokens) > limit:
            prompt = prompter.for_generation(question, wrap, 0)
        room = limit if encoder_decoder else limit - len(prompt.tokens)
        # An answer that already contains the disclaimer does not get it again, unless it would be cut off.
        contained = disclaimer in answer and len(body) + len(end) <= room
        ending = end if contained else closing
        room -= len(ending)
        if not answer or not body or room < 1 or len(prompt.tokens) > limit:
            dropped.append(example.id)
            continue
        rows.append(_row(prompt, [*body[:room], *ending], encoder_decoder, stage.loss == "all"))
        ids.append(example.id)
        cut_answers += len(body) > room
        cut_prompts += prompt.truncated > 0
    labels = sum(len(row["labels"]) for row in rows) if encoder_decoder else 0
    return Encodings(
        rows=rows,
        ids=tuple(ids),
        cut_answers=cut_answers,
        cut_prompts=cut_prompts,
        dropped=tuple(dropped),
        tokens=sum(len(row["input_ids"]) for row in rows) + labels,
        learned=sum(len(row["labels"]) - row["labels"].count(IGNORED) for row in rows),
    )


def shown(row: TokenRow, tokenizer: Any) -> list[tuple[str, bool]]:
    """Return a row's text in pieces, each with whether it is learned."""
    tokens, labels = row["input_ids"], row["labels"]
    if not _is_causal(row):
        tokens, labels = tokens + labels, [IGNORED] * len(tokens) + labels
    pieces: list[tuple[str, bool]] = []
    before, at = "", 0
    for learned, run in groupby(labels, key=lambda label: label != IGNORED):
        start, at = at, at + len(list(run))
        text = tokenizer.decode(tokens[:at])
        # Only the text before a piece shows whether it starts with a space, unless decoding changes that text.
        piece = text[len(before) :] if text.startswith(before) else tokenizer.decode(tokens[start:at])
        pieces.append((piece, learned))
        before = text
    return pieces


def _row(prompt: Encoded, answer: list[int], encoder_decoder: bool, learn_all: bool) -> TokenRow:
    if encoder_decoder:
        return TokenRow(input_ids=prompt.tokens, labels=answer)
    tokens = prompt.tokens + answer
    return TokenRow(input_ids=tokens, labels=tokens[:] if learn_all else [IGNORED] * len(prompt.tokens) + answer)


def _is_causal(row: TokenRow) -> bool:
    """Return whether the labels are the input's own tokens."""
    tokens, labels = row["input_ids"], row["labels"]
    return len(tokens) == len(labels) and all(label in (IGNORED, token) for token, label in zip(tokens, labels))


def _end(tokenizer: Any, wrap: Wrapping) -> list[int]:
    """Return the tokens that end an answer: those of the chat template up to its first special token, or else EOS."""
    if wrap.kind == "template":
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": SENTINEL}]
        text = chat_templates.render(tokenizer, turns, wrap.template, generation=False)
        after: list[int] = tokenizer.encode(text.partition(SENTINEL)[2], add_special_tokens=False)
        special = {token for token, about in tokenizer.added_tokens_decoder.items() if about.special}
        for at, token in enumerate(after):
            if token in special:
                return after[: at + 1]
    if tokenizer.eos_token_id is None:
        raise MedbenchError(
            "the model's tokenizer has no end token, so the model could not learn where an answer ends."
        )
    return [int(tokenizer.eos_token_id)]
