"""A tiny spaCy pipeline that finds given entities, in the layouts that pipelines come in."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import spacy

# One pattern of lower-case words per entity. Lemmas come from a component that the pipeline has.
ENTITIES = {
    "DISEASE": ("fever", "cough", "diabetes", "type 2 diabetes mellitus", "t2dm", "rash", "asthma", "heart attack"),
    "CHEMICAL": ("aspirin", "metformin", "insulin", "ibuprofen"),
}
NAME = "toy_entities"


def save(folder: Path, name: str = "toy_entities", version: str = "0.5.4", ner: bool = True) -> Path:
    """Writes the pipeline; `name` begins with its language, as a package's does. Without `ner` it finds nothing."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": TOK2VEC})
    nlp.initialize()
    if ner:
        ruler = nlp.add_pipe("entity_ruler")
        for label, texts in ENTITIES.items():
            for text in texts:
                for form in (text, text + "s"):
                    ruler.add_patterns([{"label": label, "pattern": [{"LOWER": word} for word in form.split()]}])
    nlp.meta["name"], nlp.meta["version"] = name.partition("_")[2], version
    folder.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(folder)
    return folder


TOK2VEC = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 8,
        "attrs": ["NORM"],
        "rows": [16],
        "include_static_vectors": False,
    },
    "encode": {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 8,
        "depth": 1,
        "window_size": 1,
        "maxout_pieces": 2,
    },
}


def old_booleans(folder: Path) -> Path:
    """Writes every boolean of the config as the 0.5.4 releases do, as a text, which spaCy 3.8 refuses."""
    config = folder / "config.cfg"
    text = config.read_text(encoding="utf-8")
    quoted = text.replace("= false", '= "False"').replace("= true", '= "True"')
    assert quoted != text
    config.write_text(quoted, encoding="utf-8")
    return folder


def release(folder: Path, target: Path, name: str, version: str = "0.5.4", **more: bytes) -> Path:
    """`folder` as a release archive of scispaCy holds it: a package's files, the pipeline two folders deeper. `more`:
    further members by path.
    """
    root = f"{name}-{version}"
    with tarfile.open(target, "w:gz") as tar:
        for path, text in {f"{root}/setup.py": b"raise SystemExit", f"{root}/{name}/__init__.py": b""}.items():
            _add(tar, path, text)
        _add(tar, f"{root}/{name}/meta.json", (folder / "meta.json").read_bytes())
        tar.add(folder, f"{root}/{name}/{name}-{version}")
        for path, content in more.items():
            _add(tar, path, content)
    return target


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
