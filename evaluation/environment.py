"""What a run ran on: package versions, hardware, git state. For the manifest and for `medbench doctor`."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..core import registry

PACKAGES = (
    "medbench",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "trl",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "evaluate",
    "rouge_score",
    "scispacy",
    "spacy",
    "numpy",
)

# Scopes of git's settings that whoever made the folder has written, and those of them that start no program.
_OWN = ("local", "worktree")
_HARMLESS = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol)"
    r"|(branch|user|color|init|push|pull|fetch|merge|rebase|advice|gc)\..*|remote\..*\.(url|pushurl|fetch|prune|tagopt)"
    r"|submodule\..*\.(url|active)",
    re.IGNORECASE,
)


def packages() -> dict[str, str]:
    """Return the version of every package that can change a number, plugins included; "missing" if not installed."""
    found = {}
    plugins = (
        registry.owner(point) for group in registry.GROUPS for ps in registry.points(group).values() for point in ps
    )
    for name in dict.fromkeys([*PACKAGES, *plugins]):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def hardware() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, memory (bytes) and GPUs."""
    import psutil
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_name(),
        "cores": cores,
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def git_state() -> dict[str, Any]:
    """Return the commit and the cleanliness of the working folder's repository; empty outside one.

    `git status` runs programs that a repository's own settings name (fsmonitor, filters, hooks, transports). It is only
    called where all settings are known to name none; elsewhere `dirty` is None: not looked at.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        listed = _git("config", "--list", "--name-only", "--show-scope", "--includes").splitlines()
        own = [key for scope, _, key in (line.partition("\t") for line in listed) if scope in _OWN]
        if not all(map(_HARMLESS.fullmatch, own)):
            return {"commit": commit, "dirty": None}
        status = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "status", "--porcelain")
        return {"commit": commit, "dirty": bool(_git(*status, "--ignore-submodules=all"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}


def describe() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "hardware": hardware(),
        "git": git_state(),
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - not a file a Path helps with
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
