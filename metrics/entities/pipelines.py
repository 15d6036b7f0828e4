"""spaCy pipelines that find entities: how one is located, named in scores, and loaded.

A pipeline is named by `medbench_bc5cdr` (the built-in one), an installed package, what `medbench fetch entity-model`
put into the cache, or its folder.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import paths
from ...core.errors import MedbenchError, UsageError
from ...core.suggest import did_you_mean

EMBEDDED = "medbench_bc5cdr"

# The scispaCy 0.5.4 releases that find entities, and what each one finds.
RELEASES = {
    "en_core_sci_sm": "any biomedical mention, one label, small",
    "en_core_sci_md": "any biomedical mention, one label, with 50,000 word vectors",
    "en_core_sci_lg": "any biomedical mention, one label, with 600,000 word vectors",
    "en_core_sci_scibert": "any biomedical mention, one label, over SciBERT (needs spacy-transformers)",
    "en_ner_bc5cdr_md": "diseases and chemicals (BC5CDR)",
    "en_ner_bionlp13cg_md": "cancer genetics: 16 labels (BioNLP13CG)",
    "en_ner_craft_md": "genes, taxa, cells, chemicals (CRAFT)",
    "en_ner_jnlpba_md": "proteins, genes and cells (JNLPBA)",
}
RELEASE = "0.5.4"
_URL = "https://s3-us-west-2.amazonaws.com/ai2-s2-scispacy/releases/v{release}/{name}-{release}.tar.gz"

SHOWN = 300  # characters of a library's error message

# Components whose modules must be imported before spaCy knows them.
_FACTORIES = {
    "abbreviation_detector": "scispacy.abbreviation",
    "hyponym_detector": "scispacy.hyponym_detector",
    "scispacy_linker": "scispacy.linking",
    "replace_tokenizer": "scispacy.base_project_code",
    "pysbd_sentencizer": "scispacy.custom_sentence_segmenter",
}
# With only these components, nothing uses the parser, which is most of a pipeline's work.
_NEED_NO_PARSER = frozenset(
    ["tok2vec", "transformer", "tagger", "morphologizer", "attribute_ruler", "lemmatizer", "parser", "ner"]
)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline on disk. `name` identifies its scores: a plain name, or the full path of a folder."""

    name: str
    folder: Path
    version: str
    digest: str  # hash of everything in the folder


def store() -> Path:
    """Return where `medbench fetch entity-model` unpacks pipelines: one folder each."""
    return paths.cache() / "entity-models"


def url(name: str) -> str:
    """Return the address of a known pipeline's release."""
    return _URL.format(release=RELEASE, name=name)


@functools.cache
def find(name: str) -> Pipeline:
    """Return the pipeline called `name`. Raises UsageError, with similar names, if there is none.

    Raises MedbenchError if it has not been fetched or if its folder is not a pipeline.
    """
    folder = _folder(name)
    meta = read_meta(folder)
    named = _plain(name) and folder != Path(name).resolve()
    return Pipeline(name if named else str(folder), folder, str(meta.get("version", "")), _digest(folder))


def _plain(name: str) -> bool:
    """Return whether this is a name without any folder in it."""
    return Path(name).name == name and name not in ("", ".", "..")


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if _plain(name):
        if name == EMBEDDED:
            return Path(__file__).parent / EMBEDDED
        if (store() / name).is_dir():
            return store() / name
        if found := _installed(name):
            return found
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise UsageError(f"{path} is a file, not the folder of a spaCy pipeline.", _unpack_hint(path))
    if not _plain(name):
        raise UsageError(f"no such folder: {path}", "Name the folder of a spaCy pipeline, with its config.cfg.")
    if name in RELEASES:
        raise MedbenchError(
            f"the entity model '{name}' has not been downloaded.", f"medbench fetch entity-model {name}"
        )
    meant = did_you_mean(name, [EMBEDDED, *RELEASES], most=3)
    raise UsageError(
        f"no entity model is called '{name}': it is not installed, not downloaded, and not a folder.{meant}",
        f"Built in: {EMBEDDED}. To download: {', '.join(RELEASES)}. Or name a spaCy pipeline's folder.",
    )


def _unpack_hint(path: Path) -> str:
    if path.name.endswith((".tar.gz", ".tgz", ".whl", ".zip")):
        return f"Unpack a scispaCy release with: medbench fetch entity-model NAME --from {path}"
    return "Name the folder, with its config.cfg."


def _installed(name: str) -> Path | None:
    """Return the data folder of an installed pipeline package: its subfolder with a config.cfg."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return None
    for root in spec.submodule_search_locations or () if spec else ():
        for config in sorted(Path(root).glob("*/config.cfg")):
            return config.parent
        if (Path(root) / "config.cfg").is_file():
            return Path(root)
    return None


def read_meta(folder: Path) -> Mapping[str, Any]:
    """Return a pipeline's meta.json. Raises MedbenchError if the folder is not a pipeline."""
    lacks = [name for name in ("config.cfg", "meta.json") if not (folder / name).is_file()]
    if lacks:
        inside = sorted({str(config.parent) for config in folder.glob("*/config.cfg")})[:1]
        raise MedbenchError(
            f"{folder} is not the folder of a spaCy pipeline: it has no {' and no '.join(lacks)}.",
            f"It contains one: name {inside[0]}"
            if inside
            else "Name the folder that contains config.cfg and meta.json.",
        )
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        if not isinstance(meta, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        raise MedbenchError(f"{folder / 'meta.json'} cannot be read: {error}", "Fetch the pipeline again.") from error
    return meta


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _digest(folder: Path) -> str:
    """Return a hash of the names and contents of all files."""
    found = hashlib.sha256()
    for path in _files(folder):
        found.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()[:12]


@functools.lru_cache(maxsize=2)  # a large one takes a gigabyte
def load(pipeline: Pipeline) -> Any:
    """Return the loaded spaCy pipeline. Raises MedbenchError if it does not load or finds no entities."""
    import spacy

    try:
        config = spacy.util.load_config(pipeline.folder / "config.cfg", interpolate=False)
        components = {name: part.get("factory", "") for name, part in config.get("components", {}).items()}
        _import_for(pipeline.folder / "config.cfg")
        unread = ["parser"] if _NEED_NO_PARSER.issuperset(components.values()) else []
        with warnings.catch_warnings():
            # About a pipeline from another minor version of spaCy; docs/measurements.md shows that this does no harm.
            warnings.simplefilter("ignore")
            nlp = spacy.load(
                pipeline.folder,
                exclude=[name for name, factory in components.items() if factory in unread],
                config=repairs(config),
            )
    except MedbenchError:
        raise
    except Exception as error:  # spaCy, thinc and a pipeline's own code may raise anything
        said = " ".join(str(error).split())[:SHOWN] or type(error).__name__
        raise MedbenchError(
            f"the entity model '{pipeline.name}' cannot be loaded: {said}",
            f"It must be a pipeline that spaCy {spacy.__version__} can load. Built in: --entity-model {EMBEDDED}",
        ) from error
    if not any("doc.ents" in nlp.get_pipe_meta(name).assigns for name in nlp.pipe_names):
        parts = ", ".join(nlp.pipe_names) or "nothing"
        raise MedbenchError(
            f"the entity model '{pipeline.name}' finds no entities: it has {parts}, but no ner.",
            f"Name a pipeline with an 'ner' component. Built in: --entity-model {EMBEDDED}",
        )
    nlp.max_length = max(nlp.max_length, 10**8)
    return nlp


def repairs(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool]:
    """Return overrides that make a config valid for spaCy 3.8: the 0.5.4 releases write booleans as strings, "True"."""
    found: dict[str, bool] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= repairs(value, f"{prefix}{key}.")
        elif isinstance(value, str) and value.lower() in ("true", "false"):
            found[prefix + key] = value.lower() == "true"
    return found


def _import_for(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    for word, module in _FACTORIES.items():
        if word in text:
            importlib.import_module(module)


def size(folder: Path) -> int:
    """Return the total bytes of all its files."""
    return sum(path.stat().st_size for path in _files(folder))
