"""The names of a tokenizer's files, in a model folder, an adapter's folder or a merged model."""

from __future__ import annotations

from pathlib import Path

# A folder with one of these has its own tokenizer.
VOCABULARIES = frozenset(
    {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "sentencepiece.bpe.model"}
)
# Patterns of all files of a tokenizer, including the chat template.
FILES = (
    *sorted(VOCABULARIES),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "bpe.codes"),
    *("*.model", "*.model.v[0-9]*", "*.tiktoken", "*.spm"),
    *("chat_template.jinja", "chat_template.json"),
)


def present(folder: Path) -> list[str]:
    """Return the names of a folder's tokenizer files, sorted."""
    return sorted(p.name for p in folder.iterdir() if p.is_file() and any(p.match(pattern) for pattern in FILES))


def has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in VOCABULARIES)
