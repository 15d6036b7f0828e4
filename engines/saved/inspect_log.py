"""Logs of Inspect: `.eval` (a zip with a file per sample) and `.json`.

https://inspect.aisi.org.uk/eval-logs.html. The model's output is read, and the scores are not. Epochs are samples.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ...core.errors import UsageError
from ...core.json_text import MAX_LINE, loads
from .peers import PeerAnswer, fields_of

ATTACHED = "attachment://"  # before the hash of a text that a sample has once
CUT = ("max_tokens", "model_length")  # reasons to stop at a limit
REFUSED = "content_filter"
ZSTD = 93  # a zip's number for it, which zipfile does not know before Python 3.14
HEAD = 1 << 20  # bytes of a .json log in which its model is looked for
BLOCK = 1 << 20
HINT = "Inspect makes the other format of a log: inspect log convert --to json|eval"


def read(file: Path) -> tuple[tuple[PeerAnswer, ...], str, dict[str, Any]]:
    """Return the answers of a log, the SHA-256 of its content, and what it says of itself.

    Raises UsageError for a file that cannot be read, is no log, or has no samples.
    """
    try:
        digest = hashlib.sha256()
        with file.open("rb") as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
        header, samples = _zipped(file) if zipfile.is_zipfile(file) else _json(file)
        answers = tuple(_answer(sample, f"{file.name}, sample {name}") for name, sample in samples)
        about = _about(header)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, zipfile.BadZipFile, RuntimeError) as error:
        raise UsageError(f"{file} is not a log of Inspect that medbench can read: {error}.", HINT) from error
    if not answers:
        raise UsageError(f"{file} has no samples.", "Inspect leaves them out with --no-log-samples.")
    return answers, digest.hexdigest(), about


def model_of(file: Path) -> str:
    """Return the model that a log names; "" if that cannot be read."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
                spec = _member(archive, raw, "header.json")["eval"]
        else:
            with file.open("rb") as opened:
                head = opened.read(HEAD).decode("utf-8", "ignore")
            spec, _ = json.JSONDecoder().raw_decode(head, head.index("{", head.index('"eval"')))
        return str(spec["model"])
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile, RuntimeError):
        return ""


def _json(file: Path) -> tuple[Mapping[str, Any], Iterator[tuple[str, Any]]]:
    log = loads(file.read_bytes(), constants=True)
    if not isinstance(log, dict) or not isinstance(log.get("eval"), dict):
        raise ValueError("it has no 'eval'")
    samples = log.get("samples") or []
    return log, ((_name(sample), sample) for sample in samples)


def _zipped(file: Path) -> tuple[Mapping[str, Any], Iterator[tuple[str, Any]]]:
    def samples() -> Iterator[tuple[str, Any]]:
        with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
            for name in archive.namelist():
                if name.startswith("samples/") and name.endswith(".json"):
                    sample = _member(archive, raw, name)
                    yield _name(sample), sample

    with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
        # A log that is being written, or was killed, has only its start.
        first = "header.json" if "header.json" in archive.namelist() else "_journal/start.json"
        return _member(archive, raw, first), samples()


def _member(archive: zipfile.ZipFile, raw: BinaryIO, name: str) -> Any:
    """Return the JSON value of a file in a zip."""
    found = archive.getinfo(name)
    if found.file_size > MAX_LINE:
        raise ValueError(f"{name} is longer than {MAX_LINE >> 20} MiB")
    if found.compress_type != ZSTD:
        with archive.open(found) as opened:
            content = opened.read(MAX_LINE + 1)
    else:
        import pyarrow as pa

        raw.seek(found.header_offset + 26)  # the lengths of name and extra field stand there, then both
        lengths = raw.read(4)
        raw.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        packed = pa.BufferReader(raw.read(found.compress_size))
        try:
            content = pa.CompressedInputStream(packed, "zstd").read(MAX_LINE + 1)
        except OSError as error:
            raise ValueError(f"{name}: {error}") from error
    if len(content) > MAX_LINE:
        raise ValueError(f"{name} is longer than {MAX_LINE >> 20} MiB")
    return loads(content, constants=True)


def _name(sample: Mapping[str, Any]) -> str:
    epoch = sample.get("epoch", 1)
    return f"{sample['id']}" + (f", epoch {epoch}" if epoch != 1 else "")


def _about(header: Mapping[str, Any]) -> dict[str, Any]:
    spec = header["eval"]
    version = (spec.get("packages") or {}).get("inspect_ai")
    found = {"written_by": f"Inspect {version}" if version else "Inspect", "status": header.get("status")}
    found |= {name: spec.get(name) for name in ("task", "task_version", "model", "created")}
    return {name: value for name, value in found.items() if value is not None}


def _answer(sample: Mapping[str, Any], where: str) -> PeerAnswer:
    attachments = sample.get("attachments") or {}

    def text(value: Any) -> str:
        """Return what a message says: a text, or the texts in a list of parts."""
        if isinstance(value, list):
            parts = (part.get("text", "") for part in value if isinstance(part, Mapping) and part.get("type") == "text")
            return "\n".join(map(text, parts))
        if isinstance(value, str) and value.startswith(ATTACHED):
            return str(attachments.get(value.removeprefix(ATTACHED), value))
        return value if isinstance(value, str) else ""

    asked = sample.get("input")
    turns = [each for each in asked if isinstance(each, Mapping)] if isinstance(asked, list) else []
    questions = tuple(text(turn.get("content")) for turn in turns) or (text(asked),)
    metadata = sample.get("metadata") or {}
    messages = [each for each in sample.get("messages") or [] if isinstance(each, Mapping)]
    while messages and messages[-1].get("role") == "assistant":
        messages.pop()
    prompt = "\n\n".join(filter(None, (text(message.get("content")) for message in messages)))
    golds = sample.get("target", "")
    said, stop, reasoning, error = _said(sample, text)
    by_logprob = isinstance(metadata.get("option_logprobs"), list) and isinstance(metadata.get("answers"), list)
    return PeerAnswer(
        where,
        (str(sample["id"]),),
        (questions, *fields_of(metadata)),
        prompt or questions[-1],
        tuple(map(str, golds if isinstance(golds, list) else [golds])),
        options=tuple(map(text, sample.get("choices") or ())),
        # As medbench's own exports have them.
        continuations=tuple(map(str, metadata["answers"])) if by_logprob else (),
        logprobs=tuple(map(float, metadata["option_logprobs"])) if by_logprob else (),
        text=None if by_logprob else said,
        finish="length" if stop in CUT else "stop",
        reasoning=reasoning,
        sample=int(sample.get("epoch", 1)) - 1,
        error=error,
    )


def _said(sample: Mapping[str, Any], text: Any) -> tuple[str | None, str, str, str]:
    """Return the answer, why it ended, the reasoning before it, and why there is no answer."""
    failed = sample.get("error")
    choices = (sample.get("output") or {}).get("choices") or []
    if failed or not choices:
        why = failed.get("message") if isinstance(failed, Mapping) else failed
        return None, "", "", str(why or "the log has no output for it")
    stop, content = str(choices[0].get("stop_reason", "stop")), choices[0]["message"].get("content")
    if stop == REFUSED:
        return None, stop, "", "a content filter refused to answer"
    if content is None:
        return None, stop, "", "the log has no text for it"
    parts = content if isinstance(content, list) else []
    thought = [part for part in parts if isinstance(part, Mapping) and part.get("type") == "reasoning"]
    return text(content), stop, "\n".join(text(part.get("reasoning")) for part in thought), ""
