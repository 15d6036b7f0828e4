"""Turn BC5CDR and NCBI disease, published as lines of token TAB tag, into text as people write it.

The releases contain only tokens: runs of letters and digits, and every other character by itself. Rules restore the
text (no space inside "cocaine-induced", before a comma, within brackets), because the model is used on text.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Sentence = list[tuple[str, str]]  # (token, IOB tag)
Entity = tuple[int, int, str]  # start, end (exclusive), label

LABELS = {"Chemical": "CHEMICAL", "Disease": "DISEASE"}
ABSTRACT = 9  # sentences: the mean of BC5CDR's 1,500 abstracts; the release does not mark where they end

_CLOSING = frozenset(",.;:!?)]}%")
_OPENING = frozenset("([{")
_JOINED = frozenset("-/+")


def sentences(path: Path) -> list[Sentence]:
    """Return the sentences in a release's file."""
    found: list[Sentence] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            token, tag = line.split("\t")
            found[-1].append((token, tag))
        elif found[-1]:
            found.append([])
    return [sentence for sentence in found if sentence]


def spaces(tokens: Sequence[str]) -> list[bool]:
    """Return whether a space follows each token in text."""
    found = []
    quotes = 0
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else ""
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        quotes += token == '"'
        joined = token in _OPENING or after in _CLOSING or token in _JOINED or after in _JOINED or after in ("'", "’")
        if token in ("'", "’"):
            joined = after in ("s", "t") or after in _CLOSING
        elif token in (".", ",") and before.isdigit() and after.isdigit():
            joined = True
        elif token == '"':
            joined = quotes % 2 == 1 or after in _CLOSING
        elif after == '"' and quotes % 2 == 1:
            joined = True
        found.append(not joined)
    return found


def written(several: Sequence[Sentence], spaced: bool = False) -> tuple[str, list[Entity]]:
    """Return sentences as one text with its entities. `spaced`: a space after every token, as in scispaCy's reader."""
    text = ""
    entities: list[Entity] = []
    for sentence in several:
        tokens = [token for token, _ in sentence]
        ends: list[tuple[int, int]] = []
        for token, space in zip(tokens, [True] * len(tokens) if spaced else spaces(tokens)):
            ends.append((len(text), len(text) + len(token)))
            text += token + " " * space
        text = text.rstrip() + " "
        for first, last, label in _tagged([tag for _, tag in sentence]):
            entities.append((ends[first][0], ends[last][1], LABELS[label]))
    return text.rstrip(), entities


def _tagged(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (first token, last token, label) of each entity."""
    start = -1
    for place, tag in enumerate([*tags, "O"]):
        if start >= 0 and not tag.startswith("I"):
            yield start, place - 1, tags[start][2:]
            start = -1
        if tag.startswith("B"):
            start = place


def groups(several: Sequence[Sentence], length: Callable[[], int]) -> Iterator[Sequence[Sentence]]:
    """Yield groups of consecutive sentences, `length()` at a time."""
    start = 0
    while start < len(several):
        count = length()
        yield several[start : start + count]
        start += count


def shuffled(several: Sequence[Sentence], seed: int, longest: int = 8) -> list[tuple[str, list[Entity]]]:
    """Return texts of 1 to `longest` sentences, for training."""
    rng = random.Random(seed)
    return [written(part) for part in groups(several, lambda: rng.randint(1, longest))]


def abstracts(several: Sequence[Sentence]) -> list[tuple[str, list[Entity]]]:
    """Return texts of the length of an abstract, for evaluation."""
    return [written(part) for part in groups(several, lambda: ABSTRACT)]


def tokenizer(nlp: Any) -> Any:
    """Return scispaCy's tokenizer, which also splits words at every character that is neither letter nor digit.

    BC5CDR marks "cocaine" in "cocaine-induced", which scispaCy keeps whole: in text, 9% of all entities would not
    align with tokens. The rules are stored in the pipeline, so that spaCy alone can load it.
    """
    from scispacy.custom_tokenizer import combined_rule_tokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about scispaCy's regular expressions in future Python versions
        found = combined_rule_tokenizer(nlp)
        found.infix_finditer = re.compile(found.infix_finditer.__self__.pattern + r"|[^\w\s]").finditer
    return found


def blank() -> Any:
    """Return a pipeline with only the tokenizer."""
    import spacy

    nlp = spacy.blank("en")
    nlp.tokenizer = tokenizer(nlp)
    return nlp


def doc(nlp: Any, text: str, entities: Sequence[Entity]) -> Any:
    """Return a spaCy Doc with its entities; an entity that starts or ends inside a token takes the whole token."""
    from spacy.util import filter_spans

    made = nlp.make_doc(text)
    made.ents = filter_spans(
        [made.char_span(start, end, label=label, alignment_mode="expand") for start, end, label in entities]
    )
    return made
