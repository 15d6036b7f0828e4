"""A BM25 index of a corpus, made once and kept in the cache.

BM25 as Lucene computes it (Robertson and Zaragoza 2009, doi:10.1561/1500000019; Kamphuis et al. 2020,
doi:10.1007/978-3-030-45442-5_4), by bm25s (Lù 2024, arXiv:2407.03618). Words are compared without case, punctuation,
plural and function words, as in `splits.content_words`; single letters count (hepatitis A, vitamin D).
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from ...benchmarks.sources.splits import content_words
from ...core import dry, durable, json_text, paths
from ...core.errors import UsageError
from ...core.hashing import fingerprint, fingerprint_each
from ...core.types import Document
from .passages import WORDS, Passage, cut

VERSION = 1  # raised whenever the same corpus gives other passages, or the same question other ranks
K1, B = 1.5, 0.75  # bm25s's defaults: how soon a repeated word stops to count, how much a long passage is discounted
FILES = "files.json"  # hashes of the other files of an index


def retriever() -> str:
    """Return what makes ranks, with its versions: "bm25s 0.3.16". Raises UsageError if bm25s is not installed."""
    return f"bm25s {_bm25s().__version__}"


@dataclass(frozen=True)
class Index:
    """The passages of a corpus, and their ranks for a question."""

    passages: tuple[Passage, ...]
    digest: str  # of the corpus: its documents, in order
    folder: Path  # in the cache; what else is computed of this corpus is kept there too
    bm25: Any

    def ranked(self, question: str) -> Iterator[tuple[int, float]]:
        """Yield (position of a passage, score), best first. Equal scores come in the order of the corpus.

        Passages that share no word with the question are left out.
        """
        known = self.bm25.vocab_dict
        words = [word for word in content_words(question) if word in known]
        if not words:
            return
        scores = self.bm25.get_scores(words)
        (matching,) = numpy.nonzero(scores > 0)
        for position in matching[numpy.argsort(-scores[matching], kind="stable")]:
            yield int(position), float(scores[position])


def index(documents: Sequence[Document], tell: Callable[[str], None] = lambda line: None) -> Index:
    """Return the index of a corpus, from the cache if it is intact there. `tell` gets a line if it must be built."""
    digest = fingerprint_each([d.id, d.text, d.heading, d.source, d.document] for d in documents)
    folder = paths.cache() / "retrieval" / f"{digest}-{fingerprint([VERSION, retriever(), WORDS, K1, B])}"
    kept = _kept(folder, digest)
    if kept:
        return kept
    tell(f"indexing {len(documents):,} documents to retrieve from, once")
    return _made(documents, folder, digest)


def _kept(folder: Path, digest: str) -> Index | None:
    """Return an index from the cache; None if there is none, or its files are not those that were written."""
    try:
        written = json_text.loads((folder / FILES).read_bytes())
        if not written or {name: _sha256(folder / name) for name in written} != written:
            return None
        lines = (folder / "passages.jsonl").read_text("utf-8").splitlines()
        passages = tuple(Passage(*json.loads(line)) for line in lines)
        bm25 = _bm25s().BM25.load(folder, show_progress=False)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return Index(passages, digest, folder, bm25)


def _made(documents: Sequence[Document], folder: Path, digest: str) -> Index:
    """Make an index. It is written into a folder of another name, and renamed when it is complete."""
    passages = tuple(passage for document in documents for passage in cut(document))
    bm25 = _bm25s().BM25(k1=K1, b=B, method="lucene")
    words = [list(content_words(f"{passage.heading} {passage.text}")) for passage in passages]
    if not any(words):
        raise UsageError("--retrieve: no document has a word that can be searched for.", "Name a folder of texts.")
    bm25.index(words, show_progress=False)
    if dry.running():
        return Index(passages, digest, folder, bm25)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        durable.make_folder(folder.parent)
        bm25.save(unfinished, show_progress=False)
        lines = (json.dumps(dataclasses.astuple(passage)) + "\n" for passage in passages)
        (unfinished / "passages.jsonl").write_text("".join(lines), "utf-8")
        hashes = {path.name: _sha256(path) for path in sorted(unfinished.iterdir())}
        (unfinished / FILES).write_text(json.dumps(hashes), "utf-8")
        durable.sync_tree(unfinished)
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or another process made it meanwhile: the same content
        durable.rename(unfinished, folder)
    except OSError:  # without a writable cache, only time is lost
        shutil.rmtree(unfinished, ignore_errors=True)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Index(passages, digest, folder, bm25)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _bm25s() -> Any:
    try:
        return importlib.import_module("bm25s")
    except ImportError as error:
        raise UsageError(
            "--retrieve needs the package bm25s, which is not installed.",
            "Install it: pip install 'medbench[retrieve]'",
        ) from error
