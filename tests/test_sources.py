"""Where data comes from: a folder with official releases, loose or in archives, then the hub or its cache."""

from __future__ import annotations

import gzip
import io
import socket
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from datasets.exceptions import DatasetNotFoundError
from medbench.benchmarks.sources import files as sources
from medbench.benchmarks.sources import hub as hub_sets
from medbench.benchmarks.sources.files import Source
from medbench.benchmarks.sources.rows import csv_rows, json_lines, json_object
from medbench.core import hub
from medbench.core.errors import DataMalformed, DataMissing
from medbench.core.types import ItemSet


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def zipped(path: Path, members: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def tarred(path: Path, members: Mapping[str, str], mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that does not answer and an empty cache."""
    import datasets

    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")


@pytest.mark.parametrize(
    "lies_at",
    ["exam/test.jsonl", "exam/data/questions/test.jsonl", "Exam-main/data/test.jsonl", "test.jsonl"],
    ids=["its own folder", "nested", "another folder's name", "the data folder is the release"],
)
def test_a_release_is_found_where_people_put_it(tmp_path: Path, lies_at: str) -> None:
    source = Source(write(tmp_path, {lies_at: "here", "other/notes.txt": "no"}))
    [file] = source.files("exam", "test.jsonl")
    assert (file.path, file.text()) == (lies_at, "here")
    assert file.origin == str(tmp_path / lies_at)


@pytest.mark.parametrize("name", ["exam.zip", "exam.tar", "exam.tar.gz", "exam.tgz", "exam.tar.bz2", "exam.tar.xz"])
@pytest.mark.parametrize("folder", ["exam", "downloads", "."])
def test_archives_are_read_as_they_are(tmp_path: Path, folder: str, name: str) -> None:
    members = {"release/b.csv": "second", "release/a.csv": "first", "release/c.txt": "no", "__MACOSX/._a.csv": "no"}
    path = tmp_path / folder / name
    if name.endswith("zip"):
        zipped(path, members)
    else:
        tarred(
            path,
            members,
            {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[name[5:].split(".")[-1]],
        )
    found = Source(tmp_path).files("exam", "*.csv")
    assert [(file.member, file.text()) for file in found] == [("release/a.csv", "first"), ("release/b.csv", "second")]
    assert found[0].origin == f"{path}:release/a.csv"


def test_the_nearest_place_wins_and_places_are_not_mixed(tmp_path: Path) -> None:
    zipped(tmp_path / "exam" / "exam.zip", {"a.csv": "own archive", "b.csv": "own archive"})
    write(tmp_path, {"elsewhere/a.csv": "elsewhere"})
    assert {file.text() for file in Source(tmp_path).files("exam", "*.csv")} == {"own archive"}
    write(tmp_path, {"exam/a.csv": "own folder"})
    assert [file.text() for file in Source(tmp_path).files("exam", "*.csv")] == ["own folder"]


def test_a_pattern_may_name_folders_the_data_folder_itself_included(tmp_path: Path) -> None:
    data = write(tmp_path / "exam", {"1_First_QA/1.xml": "x", "other/2.xml": "y"})
    assert [file.path for file in Source(data).files("exam", "[0-9]*_QA/*.xml")] == ["1_First_QA/1.xml"]
    assert len(Source(data).files("exam", "exam/*.xml")) == 2


def test_of_copies_the_least_deep_is_taken(tmp_path: Path) -> None:
    source = Source(write(tmp_path, {"exam/a/old/t.csv": "same", "exam/z/t.csv": "same", "exam/b/t.csv": "same"}))
    file = source.file("exam", "t.csv")
    assert file is not None and file.path == "exam/b/t.csv"
    assert source.file("exam", "nothing.csv") is None


def test_of_files_that_differ_none_is_guessed(tmp_path: Path) -> None:
    source = Source(write(tmp_path, {"exam/new/t.csv": "one", "exam/old/t.csv": "other"}))
    zipped(tmp_path / "quiz" / "a.zip", {"t.csv": "one"})
    zipped(tmp_path / "quiz" / "b.zip", {"t.csv": "other"})
    for folder, one, other in (("exam", "new/t.csv", "old/t.csv"), ("quiz", "a.zip:t.csv", "b.zip:t.csv")):
        with pytest.raises(DataMalformed) as error:
            source.file(folder, "t.csv")
        assert error.value.message == (
            f"two files match, and they differ: {tmp_path / folder / one} and {tmp_path / folder / other}."
        )
        assert error.value.hint == "Keep one of them, or name the folder of one with --data."


def test_a_file_in_a_folder_of_another_name_is_named_in_the_notes(tmp_path: Path) -> None:
    loaded = ItemSet((), "here", notes=("its own.",))
    source = Source(write(tmp_path, {"other/test.csv": "x", "quiz/data/quiz.csv": "x", "root.csv": "x"}))
    source.file("quiz", "quiz.csv")
    source.file("quiz", "root.csv")  # in the folder that the user named
    assert source.noted(loaded) == loaded
    source.file("quiz", "test.csv")
    assert source.noted(loaded).notes == (
        "its own.",
        f"Read from {tmp_path / 'other' / 'test.csv'}: no folder called quiz below {tmp_path} has such a file.",
    )
    assert source.noted(loaded) == loaded, "said once, of the set that it is of"
    named = Source(tmp_path / "other")
    named.file("other", "test.csv")
    assert named.noted(loaded) == loaded


def test_hidden_files_are_left_out_and_a_link_to_a_parent_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path, {"exam/t.csv": "x", ".cache/t.csv": "no", "exam/.t.csv": "no"})
    (tmp_path / "exam" / "again").symlink_to(tmp_path)
    assert [file.path for file in Source(tmp_path).files("nowhere", "*.csv")] == ["exam/t.csv"]


def test_without_a_data_folder_there_are_no_files() -> None:
    assert Source().files("exam", "*") == []


@pytest.mark.parametrize(("name", "says"), [("gone", "does not exist"), ("file.zip", "is a file, not a folder")])
def test_a_wrong_data_folder_is_told(tmp_path: Path, name: str, says: str) -> None:
    write(tmp_path, {"file.zip": ""})
    with pytest.raises(DataMissing, match=says) as error:
        Source(tmp_path / name).files("exam", "*")
    assert str(tmp_path / name) in error.value.message and "--data" in error.value.hint


def test_an_archive_is_opened_once_however_many_members_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"{number:03}.xml": str(number) for number in range(300)}
    zipped(tmp_path / "exam" / "a.zip", members)
    tarred(tmp_path / "other" / "b.tar.gz", members, "w:gz")
    opened: list[str] = []

    class Counted(zipfile.ZipFile):
        def __init__(self, file: Path) -> None:
            opened.append(Path(file).name)
            super().__init__(file)

    def unpacked(path: Path) -> gzip.GzipFile:
        opened.append(path.name)
        return gzip.GzipFile(path)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    monkeypatch.setitem(sources.PACKED, ".gz", unpacked)
    source = Source(tmp_path)
    for folder in ("exam", "other"):
        backwards = source.files(folder, "*.xml")[::-1]
        assert [int(file.text()) for file in backwards] == list(range(299, -1, -1))
    source.files("other", "nothing")  # looks everywhere again
    assert opened == ["a.zip", "b.tar.gz"]


def test_a_huge_archive_elsewhere_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(tmp_path / "images" / "huge.zip", {"t.csv": "x" * 2000})
    monkeypatch.setattr(sources, "BIG_ARCHIVE", 1000)
    assert Source(tmp_path).files("exam", "t.csv") == []
    assert len(Source(tmp_path).files("images", "t.csv")) == 1


def test_a_damaged_archive_is_an_error_in_the_benchmarks_folder_and_a_remark_elsewhere(
    tmp_path: Path, no_hub: None
) -> None:
    source = Source(write(tmp_path, {"exam/exam.zip": "half a down"}))
    with pytest.raises(DataMalformed, match=r"exam\.zip cannot be opened: File is not a zip file"):
        source.files("exam", "t.csv")
    assert source.files("other", "t.csv") == []
    with pytest.raises(DataMissing, match=r"t\.csv is not below .*exam\.zip is damaged: File is not a zip file"):
        source.hub("someone/exam", "test", needed="t.csv")


def test_a_member_that_is_damaged_is_told(tmp_path: Path) -> None:
    zipped(tmp_path / "exam" / "a.zip", {"t.csv": "the text that is here"})
    archive = tmp_path / "exam" / "a.zip"
    archive.write_bytes(archive.read_bytes().replace(b"the text that is here", b"the text that was here"[:21]))
    [file] = Source(tmp_path).files("exam", "t.csv")
    with pytest.raises(DataMalformed, match=r"a\.zip:t\.csv cannot be read: Bad CRC-32"):
        file.text()


def test_text_is_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufeffγ".encode())
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 1}\n{"n": "\xff"}\n')
    source = Source(tmp_path)
    assert source.files("exam", "a.csv")[0].text() == "γ"
    [latin] = source.files("exam", "b.jsonl")
    with pytest.raises(DataMalformed, match=r"b\.jsonl is not UTF-8"):
        latin.text()
    rows = json_lines(latin)
    assert next(rows).values == {"n": 1}
    with pytest.raises(DataMalformed, match=r"b\.jsonl, row 2: not UTF-8"):
        next(rows)


def test_only_as_many_rows_are_read_as_are_asked_for(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"t.jsonl": '{"n": 1}\n\n{"n": 2}\n{broken'})
    [file] = Source(tmp_path).files("exam", "t.jsonl")
    assert [(row.values["n"], row.where.rsplit(", ")[-1]) for row in json_lines(file, limit=2)] == [
        (1, "row 1"),
        (2, "row 3"),
    ]
    with pytest.raises(DataMalformed, match=r"a\.zip:t\.jsonl, row 4: not JSON"):
        list(json_lines(file))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1', "line 1: not JSON"),
        ("[1, 2]", r"an object is expected, not \[1, 2\]"),
    ],
)
def test_a_json_file_that_is_no_object_is_told(tmp_path: Path, text: str, says: str) -> None:
    [file] = Source(write(tmp_path, {"t.json": text})).files("exam", "t.json")
    with pytest.raises(DataMalformed, match=says):
        json_object(file)


def test_csv_quoting_is_rfc_4180(tmp_path: Path) -> None:
    text = '"Which, of ""these""?",one,"two\nlines"\r\nplain,x,y\r\n'
    [file] = Source(write(tmp_path, {"t.csv": text})).files("exam", "t.csv")
    rows = list(csv_rows(file, ("question", "A", "B")))
    assert rows[0].values == {"question": 'Which, of "these"?', "A": "one", "B": "two\nlines"}
    assert rows[1].where == f"{tmp_path / 't.csv'}, row 2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q,x,y\nq,x\n", r"row 2 \(line 2\): 3 columns are expected \(question, A, B\), not 2"),
        ('q,x,y\n"never closed,x,y\n', "row 2: not CSV: unexpected end of data"),
    ],
)
def test_csv_that_is_malformed_is_told_with_its_row(tmp_path: Path, text: str, says: str) -> None:
    [file] = Source(write(tmp_path, {"t.csv": text})).files("exam", "t.csv")
    with pytest.raises(DataMalformed, match=says):
        list(csv_rows(file, ("question", "A", "B")))


def test_neither_folder_nor_hub_says_what_where_and_what_next(no_hub: None, tmp_path: Path) -> None:
    with pytest.raises(DataMissing) as nowhere:
        Source().hub("someone/exam", "test", needed="exam.jsonl")
    assert nowhere.value.message == (
        "no data folder with exam.jsonl was named, and the hub copy someone/exam is not in the cache and "
        f"cannot be fetched: the hub ({hub.endpoint()}) does not answer."
    )
    assert nowhere.value.hint == (
        "Name a folder with the release (--data or MEDBENCH_DATA), or run once with network access to fetch "
        "someone/exam."
    )
    with pytest.raises(DataMissing, match=f"exam.jsonl is not below {tmp_path}, and the hub copy"):
        Source(tmp_path).hub("someone/exam", "test", needed="exam.jsonl")


def test_a_hub_switched_off_is_said_to_be_so(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataMissing, match="HF_HUB_OFFLINE is set, so the hub was not asked"):
        Source().hub("someone/exam", "test")


def test_a_dry_run_is_the_reason_unless_the_user_switched_the_hub_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.go_offline("a dry run does not ask the hub")
    assert hub.why_unreachable() == "HF_HUB_OFFLINE is set, so the hub was not asked"
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    hub.go_offline("a dry run does not ask the hub")
    assert (hub.why_unreachable(), hub.reachable()) == ("a dry run does not ask the hub", False)


def test_a_hub_that_takes_the_call_and_says_nothing_counts_as_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(hub, "PROBE_SECONDS", 60.0)
        monkeypatch.setattr(hub, "DEADLINE_SECONDS", 0.2)
        assert hub._reachable.__wrapped__() is False


REVISION = "5eed" * 10


@pytest.fixture
def cached_set(no_hub: None) -> None:
    """A data set as the hub's client leaves it in its cache (a layout seen with datasets 5.2 and a local server)."""
    import datasets
    import pyarrow

    table = datasets.Dataset.from_list([{"question": f"q{n}", "answer": n} for n in range(3)])
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "someone___exam" / "default" / "0.0.0" / REVISION
    folder.mkdir(parents=True)
    with pyarrow.ipc.new_stream(folder / "exam-test.arrow", table.data.table.schema) as stream:
        stream.write_table(table.data.table)
    splits = datasets.SplitDict({"test": datasets.SplitInfo("test", num_examples=3)}, dataset_name="exam")
    info = datasets.DatasetInfo(
        features=table.features, dataset_name="exam", config_name="default", version="0.0.0", splits=splits
    )
    info.write_to_directory(str(folder))


def test_a_copy_in_the_cache_loads_while_the_hub_is_away(cached_set: None) -> None:
    import datasets

    source = Source()
    found = source.hub("someone/exam", "test")
    assert found.rows == [{"question": f"q{n}", "answer": n} for n in range(3)]
    assert found.origin == f"hub:someone/exam@{REVISION}"
    assert source.hub("someone/exam", "test[:2]").rows == found.rows[:2]
    assert datasets.config.HF_HUB_OFFLINE is False, "the client is itself again afterwards"


def test_a_folder_named_like_a_hub_data_set_does_not_stand_in_for_it(
    cached_set: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path / "here", {"someone/exam/test.csv": "question,answer\nforged,0\n"}))
    assert Source().hub("someone/exam", "test").rows[0] == {"question": "q0", "answer": 0}
    monkeypatch.chdir(write(tmp_path / "there", {"someone/other/test.csv": "question,answer\nforged,0\n"}))
    with pytest.raises(DataMissing, match="the hub copy someone/other is not in the cache"):
        Source().hub("someone/other", "test")


@pytest.mark.parametrize(
    ("refusal", "message", "hint"),
    [
        ("Dataset 'a/b' is a gated dataset on the Hub.", "'a/b' is gated", "set HF_TOKEN"),
        ("Dataset 'a/b' doesn't exist on the Hub or cannot be accessed.", "has no dataset 'a/b'", "set HF_TOKEN"),
    ],
)
def test_a_hub_that_refuses_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, refusal: str, message: str, hint: str
) -> None:
    def refuses(*asked: object) -> None:
        raise DatasetNotFoundError(refusal)

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub_sets, "obtain", refuses)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(DataMissing) as error:
        Source().hub("a/b", "test", needed="exam.jsonl")
    assert error.value.message.startswith("no data folder with exam.jsonl was named, and ")
    assert message in error.value.message and hint in error.value.hint


def test_medquads_thousands_of_members_are_read_from_its_zip(real_data: Path) -> None:
    files = Source(real_data).files("medquad", "*_QA*/*.xml")
    assert len(files) == 5617
    assert sum(file.bytes().count(b"<QAPair ") for file in files) > 16_407


def test_a_folder_above_the_releases_mixes_none_of_them(tmp_path: Path) -> None:
    for path in ("all/other/a.xml", "all/quiz/b.xml", "all/packed/keep.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    with zipfile.ZipFile(tmp_path / "all" / "packed" / "release.zip", "w") as archive:
        archive.writestr("c.xml", "x")
    source = Source(tmp_path)
    assert [file.path for file in source.files("quiz", "*.xml")] == ["all/quiz/b.xml"]
    assert [file.path for file in source.files("packed", "*.xml")] == ["all/packed/release.zip:c.xml"]
    assert len(source.files("unknown", "*.xml")) == 2  # nobody says which: all that lie there
