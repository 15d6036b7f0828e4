"""The peers' own environments, and calling programs in them: what the scripts in this folder share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

SHARED = ("torch", "transformers", "tokenizers")  # the same versions on both sides: only the harness may differ
LOG_TAIL = 3000  # characters of a failed program's log that are shown


@dataclass(frozen=True)
class Peer:
    """Another harness: how it is called here, how it is installed, and which version is meant."""

    name: str
    package: str  # as imported and, in lower case with underscores, as distributed
    version: str
    requirements: tuple[str, ...]  # beside the shared libraries
    shared: tuple[str, ...] = SHARED

    @property
    def folder(self) -> str:
        """Name of its environment's folder."""
        return f"{self.name}-{self.version}"


LM_EVAL = Peer("lm-eval", "lm_eval", "0.4.13", ("lm-eval[hf]==0.4.13",))
INSPECT = Peer("inspect", "inspect_ai", "0.3.285", ("inspect_ai==0.3.285",), (*SHARED, "accelerate"))


def stop(message: str) -> NoReturn:
    raise SystemExit(f"{Path(sys.argv[0]).stem}: {message}")


def tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def call(command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Runs a program with all it prints going to `log`; ends this one where it fails."""
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    if done.returncode:
        stop(f"exit code {done.returncode} from {' '.join(map(str, command))}\n{end_of(log)}")


def end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]


def made(peer: Peer, folder: Path, work: Path, more: Sequence[str] = ()) -> Path:
    """The Python of the peer's environment, which is made first where `folder` does not exist.

    `more` are further libraries that it shares with this Python, at the same versions.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not folder.exists():
        tell(f"installing {peer.name} {peer.version} in {folder}")
        call([sys.executable, "-m", "venv", folder], work / f"{peer.name}-venv.log")
        pins = _pins((*peer.shared, *more))
        call([python, "-m", "pip", "install", *pins, *peer.requirements], work / f"{peer.name}-pip.log")
    here = facts(python, peer) if python.exists() else {}
    found = here.get(peer.package)
    if found != peer.version:
        needed = f"needed is {peer.version}: remove that folder or name another with --peer-env"
        stop(f"{folder} has {peer.name} {found}, {needed}")
    missing = _pins([name for name in more if name not in here])
    if missing:
        call([python, "-m", "pip", "install", *missing], work / f"{peer.name}-pip.log")
    return python


def _pins(names: Sequence[str]) -> list[str]:
    """Requirements of this Python's own versions."""
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def facts(python: Path, peer: Peer) -> dict[str, str]:
    """Versions by package in the peer's environment, and `folder`: where the peer's own package lies."""
    code = (
        "import importlib.metadata as m, importlib.util as u, json, pathlib, sys; "
        "names = {d.metadata['Name'].replace('-', '_').lower(): d.version for d in m.distributions()}; "
        "spec = u.find_spec(sys.argv[1]); "
        "print(json.dumps({**names, 'folder': str(pathlib.Path(spec.origin).parent) if spec else ''}))"
    )
    done = subprocess.run([str(python), "-c", code, peer.package], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def json_lines(text: str) -> list[dict[str, Any]]:
    """Not by str.splitlines: a U+2028 inside a string is no end of a line."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def best(logprobs: Sequence[float]) -> int:
    """The option of the highest log-probability; the first one of a tie, as numpy's argmax has it."""
    return max(range(len(logprobs)), key=lambda option: logprobs[option])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; all columns after the first `left` are numbers."""
    ruler = [*["---"] * left, *["---:"] * (len(header) - left)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ruler, *rows])
