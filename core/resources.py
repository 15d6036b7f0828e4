"""Memory: how much is free on a device, container limits included, and how much this process uses at its peak."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from . import heap

RSS_SAMPLE_SECONDS = 0.05
CGROUP = Path("/sys/fs/cgroup")  # where Linux mounts control groups
OWN_CGROUPS = Path("/proc/self/cgroup")  # the control groups of this process: lines of ID:CONTROLLERS:PATH


def is_cpu(device: str) -> bool:
    """Whether a torch device name, such as "cpu" or "cuda:1", names the CPU."""
    return device.split(":")[0] == "cpu"


def free_memory(device: str = "cpu", swap: bool = False) -> int:
    """Return the bytes that this process can still allocate on `device`.

    On a CPU that is the least of what the machine has available and what the process's control groups (a container, a
    batch job) allow, plus what its own heap can reuse. `swap` counts free swap space too. On a GPU it includes what
    torch has reserved but does not use.
    """
    if not is_cpu(device):
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    import psutil

    left = [int(psutil.virtual_memory().available), *_left_in_cgroups()]
    free = min(left)
    if swap:
        free += min([int(psutil.swap_memory().free), *_swap_left_in_cgroups()])
    return free + heap.freed_bytes()


def _left_in_cgroups() -> Iterator[int]:
    """Yield the bytes left under each memory limit that applies to this process (control groups version 1 or 2).

    File pages that the kernel can drop count as free, as they do for the whole machine.
    """
    for folder, version in _memory_cgroups():
        limit, used, droppable = {
            2: ("memory.max", "memory.current", "inactive_file"),
            1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        }[version]
        left = _difference(folder / limit, folder / used)
        if left is not None:
            yield max(0, left + _droppable_bytes(folder / "memory.stat", droppable))


def _swap_left_in_cgroups() -> Iterator[int]:
    """Yield the bytes of swap space left under each limit that applies to this process.

    Version 1 limits memory and swap together. What its limit leaves beyond the memory limit is swap.
    """
    for folder, version in _memory_cgroups():
        if version == 2:
            left = _difference(folder / "memory.swap.max", folder / "memory.swap.current")
        else:
            both = _difference(folder / "memory.memsw.limit_in_bytes", folder / "memory.memsw.usage_in_bytes")
            memory = _difference(folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes")
            left = None if both is None or memory is None else both - memory
        if left is not None:
            yield max(0, left)


def _memory_cgroups() -> Iterator[tuple[Path, int]]:
    """Yield the folders of the control groups that limit this process, its own and those above, and their version.

    Inside a container the path in /proc may be the host's, which is not mounted. The mounted root is then the
    container's own group.
    """
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
    }
    version1 = next((path for controllers, path in paths.items() if "memory" in controllers.split(",")), "/")
    for root, path, version in ((CGROUP, paths.get("", "/"), 2), (CGROUP / "memory", version1, 1)):
        inside = Path(path.lstrip("/"))
        folders = [] if ".." in inside.parts else [inside, *inside.parents]
        for folder in dict.fromkeys([*folders, Path()]):
            if (root / folder).is_dir():
                yield root / folder, version


def _difference(limit: Path, used: Path) -> int | None:
    """Return the number in the file `limit` minus that in `used`; None if there is no such file or no limit."""
    try:
        return int(limit.read_text()) - int(used.read_text())
    except (OSError, ValueError):  # without a limit the file says "max"
        return None


def _droppable_bytes(stat: Path, name: str) -> int:
    try:
        counts = dict(line.split(maxsplit=1) for line in stat.read_text().splitlines())
        return int(counts.get(name, 0))
    except (OSError, ValueError):
        return 0


class PeakMemorySampler:
    """Peak resident memory (bytes) of this process during the `with` block, sampled."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMemorySampler:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(RSS_SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(OSError):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)
