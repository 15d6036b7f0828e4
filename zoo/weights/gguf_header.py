"""Read the header of a GGUF file, without the weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. The gguf package's
reader builds an object for every token of the vocabulary and takes seconds; this one takes a tenth of a second.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from ...core.errors import MedbenchError

_FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32  # bytes


@dataclass(frozen=True)
class Header:
    """The header of a GGUF file. `format` is its quantization, such as "Q4_1"; "" if unknown."""

    architecture: str  # e.g. "llama"
    pre_tokenizer: str  # how text is split before merges, such as "smollm"; "" if unknown
    format: str
    parameters: int
    chat_template: str = ""
    eos_token_id: int | None = None  # the token that ends a text
    eot_token_id: int | None = None  # the token that ends a turn, if it is another one
    window: int | None = None  # tokens
    tensor_types: Mapping[str, int] = field(default_factory=dict)  # how many tensors are stored in each type


def read_header(path: Path) -> Header:
    """Read a header. Raises MedbenchError for a file that is not GGUF, is damaged, or is truncated."""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise MedbenchError(f"{path} is not a GGUF file: it does not start with the letters GGUF.")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                header, needed = _parse(data)
    except (struct.error, IndexError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise MedbenchError(
            f"the header of the GGUF file {path} cannot be read: {type(error).__name__}: {error}",
            "If it was downloaded or copied, do that again.",
        ) from error
    if size < needed:
        raise MedbenchError(f"{path} is cut short: it has {size:,} of {needed:,} bytes.", "Download or copy it again.")
    return header


def _parse(data: mmap.mmap) -> tuple[Header, int]:
    """Return the header and the minimum size of the file in bytes."""
    import gguf

    at = _Cursor(data, 4)
    version, tensors, fields = at.take("<I"), at.take("<Q"), at.take("<Q")
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version}; 2 and 3 can be read")
    said: dict[str, Any] = {}
    for _ in range(fields):
        key = at.string()
        said[key] = at.value(at.take("<I"))
    parameters, end = 0, 0
    types = Counter[str]()
    for _ in range(tensors):
        at.string()  # its name
        elements = prod(at.take("<Q") for _ in range(at.take("<I")))
        kind = gguf.GGMLQuantizationType(at.take("<I"))
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        types[kind.name] += 1
        end = max(end, at.take("<Q") + elements // block * block_bytes)
        parameters += elements
    alignment = said.get("general.alignment", _DEFAULT_ALIGNMENT)
    header = Header(
        architecture=said["general.architecture"],
        pre_tokenizer=said.get("tokenizer.ggml.pre", ""),
        format=_format(said.get("general.file_type")),
        parameters=parameters,
        chat_template=said.get("tokenizer.chat_template", ""),
        eos_token_id=said.get("tokenizer.ggml.eos_token_id"),
        eot_token_id=said.get("tokenizer.ggml.eot_token_id"),
        window=said.get(f"{said['general.architecture']}.context_length"),
        tensor_types=dict(types),
    )
    if not tensors:  # only a vocabulary: the file ends with the header
        return header, at.position
    return header, (at.position + alignment - 1) // alignment * alignment + end


def _format(file_type: int | None) -> str:
    import gguf

    try:
        return str(gguf.LlamaFileType(file_type).name).removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return ""


class _Cursor:
    """A position in the file that advances with every read."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, kind: str) -> Any:
        (value,) = struct.unpack_from(kind, self.data, self.position)
        self.position += struct.calcsize(kind)
        return value

    def string(self) -> str:
        length = self.take("<Q")
        text = self.data[self.position : self.position + length]
        if len(text) < length:
            raise ValueError("a string goes past the end of the file")
        self.position += length
        return text.decode("utf-8", errors="replace")

    def value(self, kind: int) -> Any:
        """Read one value of a field. Arrays, which are vocabularies, are skipped; their value is None."""
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.take(_FIXED[kind])
        kind, length = self.take("<I"), self.take("<Q")
        if kind in _FIXED:
            self.position += struct.calcsize(_FIXED[kind]) * length
        else:
            for _ in range(length):
                self.value(kind)
        return None
