"""Free memory: the machine's, a container's limits (control groups version 1 and 2), and what the heap can reuse."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from medbench.core import heap, resources
from medbench.core.resources import free_memory

GB = 10**9
V1_UNLIMITED = 9223372036854771712  # what version 1 reports if no limit is set
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with 100 GB of memory and 50 GB of swap free, nothing in the heap, and no control group."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 * GB))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=50 * GB))
    monkeypatch.setattr(heap, "freed_bytes", lambda: 0)
    monkeypatch.setattr(resources, "CGROUP", tmp_path)
    monkeypatch.setattr(resources, "OWN_CGROUPS", tmp_path / "own")


def group(folder: Path, names: tuple[str, str, str], limit: object, used: int, droppable: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {droppable}\n")


def test_without_a_limit_all_of_the_machine_is_free() -> None:
    assert free_memory() == 100 * GB
    assert free_memory(swap=True) == 150 * GB


def test_the_heap_can_reuse_what_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "freed_bytes", lambda: 2 * GB)
    assert free_memory("cpu") == 102 * GB


@pytest.mark.parametrize(("names", "below"), [(V2, ""), (V1, "memory")])
def test_a_containers_limit_counts(tmp_path: Path, names: tuple[str, str, str], below: str) -> None:
    """3 GB allowed, 1 GB used, of which half a GB is file pages that the kernel can drop: 2.5 GB are left."""
    group(tmp_path / below, names, 3 * GB, GB, GB // 2)
    assert free_memory("cpu") == 2.5 * GB


@pytest.mark.parametrize(("names", "below", "limit"), [(V2, "", "max"), (V1, "memory", V1_UNLIMITED)])
def test_a_group_without_a_limit_takes_nothing_away(
    tmp_path: Path, names: tuple[str, str, str], below: str, limit: object
) -> None:
    group(tmp_path / below, names, limit, GB)
    assert free_memory() == 100 * GB


def test_a_group_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    group(tmp_path, V2, GB, 2 * GB)
    assert free_memory() == 0


@pytest.mark.parametrize(
    ("names", "below", "own"),
    [(V2, "", "0::/job/step\n"), (V1, "memory", "5:cpu,cpuacct:/elsewhere\n4:memory:/job/step\n0::/\n")],
)
def test_the_tightest_of_nested_groups_counts(
    tmp_path: Path, names: tuple[str, str, str], below: str, own: str
) -> None:
    """As under systemd or a batch scheduler: the limit may be that of the process's own group or of one above it."""
    (tmp_path / "own").write_text(own)
    group(tmp_path / below, names, 80 * GB, 0)
    group(tmp_path / below / "job", names, 4 * GB, GB)
    group(tmp_path / below / "job" / "step", names, 10 * GB, GB)
    assert free_memory() == 3 * GB
    group(tmp_path / below / "job" / "step", names, 2 * GB, GB)
    assert free_memory() == GB


@pytest.mark.parametrize("own", ["0::/../../docker/abc\n", "0::/docker/abc\n", "4:memory:/docker/abc\n", "nonsense"])
def test_a_path_that_the_container_cannot_see_leaves_the_mounted_group(tmp_path: Path, own: str) -> None:
    (tmp_path / "own").write_text(own)
    group(tmp_path, V2, 3 * GB, GB)
    assert free_memory() == 2 * GB


def test_a_containers_limit_on_swap_counts(tmp_path: Path) -> None:
    """2 GB of memory are left and, of 1 GB of swap that the container may use, 0.25 GB."""
    group(tmp_path, V2, 3 * GB, GB)
    (tmp_path / "memory.swap.max").write_text(f"{GB}\n")
    (tmp_path / "memory.swap.current").write_text(f"{3 * GB // 4}\n")
    assert free_memory(swap=True) == 2.25 * GB


def test_version_1_limits_memory_and_swap_together(tmp_path: Path) -> None:
    """2 GB of memory are left and 2.5 GB of both together: 0.5 GB of swap."""
    group(tmp_path / "memory", V1, 3 * GB, GB)
    (tmp_path / "memory" / "memory.memsw.limit_in_bytes").write_text(f"{4 * GB}\n")
    (tmp_path / "memory" / "memory.memsw.usage_in_bytes").write_text(f"{3 * GB // 2}\n")
    assert free_memory(swap=True) == 2.5 * GB


def test_memory_that_this_process_freed_stays_with_it() -> None:
    """With the settings of core/heap.py a freed tensor's bytes stay with the process, and the next one takes them."""
    script = """
import torch
from medbench.core.heap import freed_bytes, keep_freed
keep_freed()
block = torch.ones(2**28, dtype=torch.uint8)
before = freed_bytes()
del block
print(freed_bytes() - before)
"""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("the C library is not glibc 2.33 or newer")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(2**28, rel=0.05)


def test_freed_memory_that_is_returned_no_longer_counts() -> None:
    """So a run's peak does not include the model before it. What is freed afterwards stays with the process again."""
    script = """
import psutil, torch
from medbench.core.heap import freed_bytes, keep_freed, return_freed
keep_freed()
block = torch.ones(2**29, dtype=torch.uint8)
del block
large = psutil.Process().memory_info().rss
return_freed()
print(large - psutil.Process().memory_info().rss, freed_bytes())
block = torch.ones(2**28, dtype=torch.uint8)
del block
print(freed_bytes())
"""
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("the C library is not glibc 2.33 or newer")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    returned, kept, freed_later = map(int, done.stdout.split())
    assert returned == pytest.approx(2**29, rel=0.1)
    assert kept < 2**24
    assert freed_later == pytest.approx(2**28, rel=0.1)


# Every check of free memory obeys the container's limit


def test_training_obeys_the_containers_limit(tmp_path: Path) -> None:
    from medbench.core.errors import MedbenchError
    from medbench.training import estimate
    from medbench.zoo.recipe import Lora, Stage

    group(tmp_path, V2, 3 * GB, GB)
    stage = Stage("sft", data=(), lora=Lora(target_modules=("q_proj",)))
    with pytest.raises(MedbenchError, match=r"takes about 2\.5 GB of memory; cpu has 2\.0 GB free"):
        estimate.check_room(tmp_path, 1, int(2.5 * GB), "cpu", stage)


def test_merging_obeys_the_containers_limit(tmp_path: Path) -> None:
    from medbench.core.errors import MedbenchError
    from medbench.core.types import ModelSpec
    from medbench.training import merge
    from transformers import LlamaConfig

    group(tmp_path, V2, 1000, 900)
    (tmp_path / "memory.swap.max").write_text("0\n")
    (tmp_path / "memory.swap.current").write_text("0\n")
    config = LlamaConfig(vocab_size=50, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    with pytest.raises(MedbenchError, match=r"of memory; 0\.0 GB are free"):
        merge._require_room(
            ModelSpec("m", "", "", dtype="float32"), config, tmp_path, lambda line: None, lambda parameters: 0
        )
