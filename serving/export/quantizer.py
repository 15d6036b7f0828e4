"""llama.cpp's types of weights, and its quantizer, which is part of llama-cpp-python."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import MedbenchError, UsageError
from ...engines.llamacpp.model import threads
from .converter import NATIVE, raise_if_full

PROGRAM = Path(__file__).with_name("quantize_process.py")
LAST_LINES = 4
DEFAULT = "q4_k_m"


@dataclass(frozen=True)
class Kind:
    """One of llama.cpp's types. `number` is its `llama_ftype`; `bits` is its size per weight in large models."""

    number: int
    bits: float


# Types below three bits that llama.cpp makes only with an importance matrix (iq1, iq2, iq3_xxs) are not offered.
KINDS = {
    "f32": Kind(0, 32.0),
    "f16": Kind(1, 16.0),
    "bf16": Kind(32, 16.0),
    "q8_0": Kind(7, 8.5),
    "q6_k": Kind(18, 6.6),
    "q5_k_m": Kind(17, 5.7),
    "q5_k_s": Kind(16, 5.5),
    "q5_1": Kind(9, 6.0),
    "q5_0": Kind(8, 5.5),
    "q4_k_m": Kind(15, 4.9),
    "q4_k_s": Kind(14, 4.6),
    "q4_1": Kind(3, 5.0),
    "q4_0": Kind(2, 4.6),
    "iq4_nl": Kind(25, 4.6),
    "iq4_xs": Kind(30, 4.3),
    "q3_k_l": Kind(13, 4.3),
    "q3_k_m": Kind(12, 3.9),
    "q3_k_s": Kind(11, 3.5),
    "iq3_m": Kind(27, 3.7),
    "iq3_s": Kind(26, 3.5),
    "q2_k": Kind(10, 3.0),
}
# Small models need more: rows that are no multiple of 256 take up to 8 bits, and embeddings weigh more.
MOST_BITS = 8.5


def kind_of(name: str) -> str:
    """Return the type called `name`, ignoring case. Raises UsageError that lists the types."""
    if name.lower() not in KINDS:
        raise UsageError(f"--type {name}: llama.cpp has no such type.", f"The types: {', '.join(KINDS)}")
    return name.lower()


def require(kind: str) -> None:
    """Raise MedbenchError if `kind` needs llama.cpp's quantizer and it is not installed."""
    if kind not in NATIVE and importlib.util.find_spec("llama_cpp") is None:
        raise MedbenchError(
            f"GGUF weights of the type {kind} need llama.cpp's quantizer, which comes with llama-cpp-python; it is not "
            "installed.",
            "Install it: pip install 'medbench[gguf]' (compiles for some minutes and needs a C++ compiler). "
            f"Or choose a type that does not need it, with --type: {', '.join(NATIVE)}",
        )


def bytes_of(kind: str, parameters: int) -> float:
    """Return an upper bound of the size of a GGUF file, in bytes."""
    bits = KINDS[kind].bits
    return parameters * (bits if bits >= MOST_BITS else MOST_BITS) / 8


def quantize(source: Path, target: Path, kind: str) -> None:
    """Write the GGUF file `source` to `target` as `kind`. Raises MedbenchError with llama.cpp's reason."""
    command = [sys.executable, "-P", str(PROGRAM), str(source), str(target), str(KINDS[kind].number), str(threads())]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0 or not target.is_file():
        raise_if_full(done.stderr, target)
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = "\n".join(f"  {line}" for line in lines[-LAST_LINES:]) or "  it gave no reason"
        raise MedbenchError(
            f"llama.cpp could not quantize to {kind}:\n{reason}", "Try another type, such as --type q8_0."
        )
