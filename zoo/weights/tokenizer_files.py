"""The files of a tokenizer, by name: what a model folder, an adapter's folder and a merged model have of them."""

from __future__ import annotations

from pathlib import Path

# With one of these a folder has a tokenizer of its own.
VOCABULARIES = frozenset(
    {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "sentencepiece.bpe.model"}
)
# Patterns of all of a tokenizer's files, chat template included.
FILES = (
    *sorted(VOCABULARIES),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "bpe.codes"),
    *("*.model", "*.model.v[0-9]*", "*.tiktoken", "*.spm"),
    *("chat_template.jinja", "chat_template.json"),
)


def present(folder: Path) -> list[str]:
    """The names of a folder's tokenizer files, sorted."""
    return sorted(p.name for p in folder.iterdir() if p.is_file() and any(p.match(pattern) for pattern in FILES))


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in VOCABULARIES)
