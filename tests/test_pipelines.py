"""How entity models are found and named, and the errors for unusable ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import made_pipeline
import pytest
from made_pipeline import NAME, old_booleans, save
from medbench.core.errors import MedbenchError
from medbench.metrics.entities import pipelines


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    pipelines.find.cache_clear()
    yield tmp_path / "cache"
    pipelines.find.cache_clear()


def labels(pipeline: pipelines.Pipeline, text: str) -> list[tuple[str, str]]:
    return [(span.text, span.label_) for span in pipelines.load(pipeline)(text).ents]


def test_a_folder_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "./mine", str(tmp_path / "mine")):
        found = pipelines.find(name)
        assert (found.name, found.version) == (str(tmp_path / "mine"), "0.5.4")
    assert labels(found, "Aspirin for fever") == [("Aspirin", "CHEMICAL"), ("fever", "DISEASE")]


def test_the_cache_is_found_by_name(cache: Path) -> None:
    save(cache / "entity-models" / NAME)
    assert pipelines.find(NAME).name == NAME


def test_an_installed_package_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "en_toy_installed"
    save(package / "en_toy_installed-1.0", version="1.0")
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported only to be found')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = pipelines.find("en_toy_installed")
    assert (found.name, found.folder.name, found.version) == ("en_toy_installed", "en_toy_installed-1.0", "1.0")
    assert "en_toy_installed" not in sys.modules


def test_another_content_is_another_digest(tmp_path: Path) -> None:
    first, second = (pipelines.find(str(save(tmp_path / each))) for each in ("a", "b"))
    (tmp_path / "c").mkdir()
    save(tmp_path / "c")
    (tmp_path / "c" / "entity_ruler" / "patterns.jsonl").write_text('{"label":"DISEASE","pattern":"gout"}\n')
    assert first.digest != pipelines.find(str(tmp_path / "c")).digest
    assert len(first.digest) == len(second.digest) == 12


def test_booleans_written_as_texts_are_read(tmp_path: Path) -> None:
    folder = old_booleans(save(tmp_path / "old"))
    text = (folder / "config.cfg").read_text(encoding="utf-8")
    assert 'include_static_vectors = "False"' in text
    assert labels(pipelines.find(str(folder)), "no rash") == [("rash", "DISEASE")]
    assert (folder / "config.cfg").read_text(encoding="utf-8") == text  # fixed in memory only


def test_every_boolean_is_repaired_wherever_it_lies() -> None:
    config = {"a": {"x": "True", "b": {"y": "false", "z": "Truely"}}, "n": 1, "t": True}
    assert pipelines.repairs(config) == {"a.x": True, "a.b.y": False}


def test_a_release_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(MedbenchError, match="has not been downloaded") as told:
        pipelines.find("en_core_sci_sm")
    assert told.value.hint == "medbench fetch entity-model en_core_sci_sm"


@pytest.mark.parametrize("name", ["en_core_scy_sm", "", ".."])
def test_an_unknown_name_says_what_there_is(name: str) -> None:
    with pytest.raises(MedbenchError) as told:
        pipelines.find(name)
    assert "medbench_bc5cdr" in str(told.value) or "config.cfg" in str(told.value)


def test_a_folder_around_the_pipeline_names_the_pipeline(tmp_path: Path) -> None:
    save(tmp_path / "package" / "toy-1.0")
    with pytest.raises(MedbenchError, match=r"no config.cfg and no meta.json") as told:
        pipelines.find(str(tmp_path / "package"))
    assert str(tmp_path / "package" / "toy-1.0") in told.value.hint


def test_an_archive_is_told_how_it_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.touch()
    with pytest.raises(MedbenchError, match="is a file") as told:
        pipelines.find(str(archive))
    assert f"--from {archive}" in told.value.hint


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MedbenchError, match="no such folder"):
        pipelines.find(str(tmp_path / "nowhere"))


def test_a_pipeline_without_entities_is_refused(tmp_path: Path) -> None:
    found = pipelines.find(str(save(tmp_path / "mute", ner=False)))
    with pytest.raises(MedbenchError, match="finds no entities: it has tok2vec, but no ner") as told:
        pipelines.load(found)
    assert "--entity-model medbench_bc5cdr" in told.value.hint


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.cfg", "[nlp]\nlang = nonsense"),
        ("config.cfg", "\0\0"),
        ("tok2vec/model", "not msgpack"),
        ("meta.json", "[1"),
        ("meta.json", "[]"),
    ],
)
def test_a_broken_folder_is_told_without_a_traceback(tmp_path: Path, file: str, content: str) -> None:
    folder = save(tmp_path / "broken")
    (folder / file).write_text(content)
    with pytest.raises(MedbenchError, match="cannot be"):
        pipelines.load(pipelines.find(str(folder)))


def test_an_unknown_component_is_told(tmp_path: Path) -> None:
    folder = save(tmp_path / "strange")
    config = folder / "config.cfg"
    config.write_text(config.read_text().replace('factory = "entity_ruler"', 'factory = "made_elsewhere"'))
    with pytest.raises(MedbenchError, match="cannot be loaded"):
        pipelines.load(pipelines.find(str(folder)))


def test_releases_have_an_address_each() -> None:
    assert pipelines.url("en_core_sci_sm").endswith("/v0.5.4/en_core_sci_sm-0.5.4.tar.gz")
    assert made_pipeline.NAME not in pipelines.RELEASES
