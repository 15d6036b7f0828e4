"""Shared fixtures: the folder of real data, if there is one, and a third-party package."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from medbench.core import hub, paths, registry

PLUGIN_PACKAGE = Path(__file__).with_name("plugin_package")


# What a shell starts in its background ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# No test reaches for the addresses of official releases: nothing listens here.
os.environ["MEDBENCH_MIRROR"] = "http://127.0.0.1:9"


@pytest.fixture(scope="module", autouse=True)
def _few_objects_to_walk() -> None:
    """Keep the garbage collector from walking, again and again, through every object of the libraries loaded so far."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the person who runs the tests has fetched, unless a test names a cache folder of its own."""
    known, before = paths.releases, os.environ.get("MEDBENCH_CACHE")
    empty = tmp_path_factory.getbasetemp() / "nothing-fetched"
    monkeypatch.setattr(paths, "releases", lambda: empty if os.environ.get("MEDBENCH_CACHE") == before else known())


@pytest.fixture(autouse=True)
def no_dry_run_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget that an earlier test's dry run kept this process from asking the hub."""
    monkeypatch.setattr(hub, "_own_reason", "")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with official releases: MEDBENCH_DATA, or shared/data beside the checkout."""
    named = os.environ.get("MEDBENCH_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the official releases: set MEDBENCH_DATA")
    return folder


@pytest.fixture(scope="session")
def toy_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed medbench-toy into, the package in tests/plugin_package."""
    # Built from a copy, because setuptools leaves build/ and an egg-info beside what it builds.
    source = shutil.copytree(PLUGIN_PACKAGE, tmp_path_factory.mktemp("toy") / "source")
    site = source.with_name("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Nothing is fetched: medbench, which it depends on, and setuptools, which builds it, are here.
    done = subprocess.run(
        [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--target", str(site), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="session")
def toy(toy_site: Path) -> dict[str, str]:
    """The environment of a process that has medbench-toy installed and no hub: for `python -m medbench …`."""
    dropped = ("MEDBENCH_HOME", "MEDBENCH_DATA")  # what the person who runs the tests has set is not for them
    mine = {name: value for name, value in os.environ.items() if name not in dropped}
    path = os.pathsep.join(filter(None, [str(toy_site), os.environ.get("PYTHONPATH", "")]))
    return mine | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def toy_here(toy_site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """medbench-toy installed in this process while the test lasts."""
    monkeypatch.syspath_prepend(toy_site)
    importlib.invalidate_caches()
    registry.points.cache_clear()
    yield toy_site
    registry.points.cache_clear()
    for module in [name for name in sys.modules if name.partition(".")[0] == "medbench_toy"]:
        del sys.modules[module]


@pytest.fixture(scope="module")
def brisk_trainings() -> Iterator[None]:
    """Dozens of trainings in this process, each without an estimate of its memory, which is tested elsewhere."""
    from medbench.training import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_check_room", lambda *arguments: None)
        yield
