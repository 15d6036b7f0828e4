"""`medbench.export`: exports a model for other programs and measures how its answers changed."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...core import durable, paths
from ...core.errors import MedbenchError, UsageError
from ...core.text import names
from . import quantizer
from .traits import own_start

if TYPE_CHECKING:
    from ...core.types import ModelSpec
    from ...evaluation.progress import Progress
    from ...evaluation.settings import Choice
    from ...evaluation.suite import ModelOptions
    from ...zoo.adapter_manifest import AdapterManifest
    from .check import Ask, Check, Side
    from .to_gguf import Made, Ready

To = Literal["safetensors", "gguf", "ollama"]
DTYPES = ("float32", "bfloat16", "float16")
REPORT = "check.json"  # in the exported folder


@dataclass(frozen=True)
class Export:
    """What was exported: `path` is the folder, `file` the GGUF file in it (None for safetensors)."""

    name: str
    to: To
    path: Path
    file: Path | None
    type: str  # llama.cpp's name for how weights are stored; the dtype of safetensors
    bytes: int
    new: bool  # False: it already existed, made from the same model in the same way
    notes: tuple[str, ...] = ()
    check: Check | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, ready for JSON."""
        found = asdict(self) | {"path": str(self.path), "file": str(self.file) if self.file else None}
        return found | {"check": self.check.as_dict() if self.check else None}


def export(
    model: str | Path,
    to: To = "gguf",
    *,
    type: str = "",
    out: str | Path | None = None,
    dtype: str = "float32",
    adapter: str = "",
    revision: str = "",
    trust_remote_code: bool = False,
    system: str = "",
    check: str | Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    choice: Choice = "auto",
    max_new_tokens: int | None = None,
    server: str = "",
    base_url: str = "",
    data: str | Path | None = None,
    runs: str | Path | None = None,
    progress: Progress | None = None,
) -> Export:
    """Export a model for other programs, as `medbench export` does, and return what was made.

    The folder appears under its final name only when it is complete. The same call again finds it there
    and makes nothing.

    model: whatever evaluate() takes that runs here by transformers: a zoo entry, NAME@TAG, a folder, a hub id.
    to: "safetensors" (whole weights, an adapter merged in), "gguf" (llama.cpp), or "ollama" (GGUF and Modelfile).
    type: how GGUF weights are stored; by default "q4_k_m".
    out: a new or empty folder; by default one in `exports/`.
    dtype: of the merged weights.
    system: system text of an Ollama model.
    check: benchmarks on which the original, the merged and the exported model are compared in pairs; limit, seed,
        choice, max_new_tokens, data: as for evaluate(). runs: the folder of their runs, by default `runs/`.
    server, base_url: a model at a server that answers the same items, e.g. "openai:llama3.2".
    progress: receives events; by default they are not reported.

    Raises UsageError for a model that cannot be exported so, before any work; MedbenchError where a step fails.
    """
    from ...evaluation.progress import Progress
    from ...training.merge import about_whole, new_folder, write_whole
    from . import ollama, to_gguf
    from .check import Ask, require

    if to not in get_args(To):
        raise UsageError(f"--to {to}: not one of {', '.join(get_args(To))}.")
    if dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype}: not one of {', '.join(DTYPES)}.")
    if type and to == "safetensors":
        raise UsageError(f"--type {type}: safetensors are not quantized.", "Choose their data type with --dtype.")
    if system and to != "ollama":
        raise UsageError("--system: only an Ollama model stores a system prompt.", "Leave it out, or use --to ollama.")
    watch = progress or Progress()
    kind = dtype if to == "safetensors" else quantizer.kind_of(type or quantizer.DEFAULT)
    asked = Ask(
        tuple(names(check, "check")),
        limit,
        seed,
        choice,
        max_new_tokens,
        Path(data) if data else None,
        Path(runs) if runs else None,
        server,
        base_url,
    )
    if asked.benchmarks or server:
        require(asked)
    elif given := [option for option, value in _of_check(asked).items() if value]:
        raise UsageError(f"{given[0]} has no effect without --check.", "Name benchmarks: --check medquad --limit 100")
    spec, manifest = resolved(str(model), dtype, adapter, revision, trust_remote_code, watch)
    stem = stem_of(spec.name)
    target = Path(out) if out else paths.exports() / "-".join(filter(None, [stem, kind, to if to != "gguf" else ""]))
    target = target.resolve()
    about = about_whole(spec, manifest) | {"export": {"to": to, "type": kind, "system": system}}
    before = _there(target, about)
    ready = None
    if to != "safetensors" and (before is None or (asked.benchmarks and spec.adapter)):
        ready = to_gguf.prepare(spec, kind, watch.note)
        if to == "ollama":
            to_gguf.require_decoder(ready, "Ollama")
            if system and not ollama.takes_system(_render(ready)):
                raise UsageError("--system: the chat template of this model takes no system text.", "Leave it out.")
        if asked.benchmarks:
            to_gguf.require_decoder(ready, "medbench's engine for GGUF files, which --check uses,")
    with _scratch(target) as work:
        whole = target if to == "safetensors" else work / f"{stem}-merged"
        made = before
        if made is None:
            with new_folder(target) as draft:
                if ready is None:
                    write_whole(spec, draft, watch.note)
                    made = Export(spec.name, to, target, None, kind, 0, True)
                else:
                    made = _gguf(ready, whole, draft, work, target, to, kind, stem, system, watch)
                about["export"] |= {"file": made.file.name if made.file else None, "notes": list(made.notes)}
                _write(draft / "medbench.json", about)
            made = _measured(made)
        if not asked.benchmarks:
            return made
        if spec.adapter and not whole.is_dir():
            assert ready is not None
            to_gguf.write_weights(ready, whole, kind, watch.note)
        found = _check(made, spec, str(model), adapter, revision, trust_remote_code, whole, asked, watch)
    _write(target / REPORT, found.as_dict())
    return _with(made, found)


def _of_check(asked: Ask) -> dict[str, object]:
    """Return what only a check reads, by option."""
    return {
        "--limit": asked.limit is not None,
        "--max-new-tokens": asked.max_new_tokens is not None,
        "--choice": asked.choice != "auto",
        "--base-url": asked.base_url,
    }


def resolved(
    model: str, dtype: str, adapter: str, revision: str, trusted: bool, watch: Progress
) -> tuple[ModelSpec, AdapterManifest | None]:
    """Return a model that transformers runs here, and its training's manifest if it is NAME@TAG.

    Raises UsageError for a model at a server, saved answers, and a GGUF file, which is one already.
    """
    from ...core import registry
    from ...zoo import adapters
    from ...zoo.resolve import ENGINE, resolve

    engine = model.partition(":")[0]
    if ":" in model and engine in registry.names("engines"):
        raise _not_here(model, engine)
    spec = resolve(
        model,
        dtype=dtype,
        device="cpu",
        adapter=adapter,
        revision=revision,
        trust_remote_code=trusted,
        tell=watch.note,
    )
    if spec.engine != ENGINE:
        raise _not_here(model, spec.engine)
    trained = adapters.peek(Path(spec.adapter)) if spec.adapter else None
    return spec, trained.manifest if trained else None


def _not_here(model: str, engine: str) -> UsageError:
    return UsageError(
        f"{model} has no weights that medbench can export: the engine {engine} runs it.",
        "Name a zoo entry (medbench list models), NAME@TAG as trained, a model folder, or a hub id.",
    )


def stem_of(name: str) -> str:
    """Return a model's name as a file name: "smollm2-135m@first" becomes "smollm2-135m-first"."""
    return re.sub(r"[^\w.-]+", "-", name.rpartition("/")[2]).strip("-.") or "model"


def _gguf(
    ready: Ready,
    whole: Path,
    draft: Path,
    work: Path,
    target: Path,
    to: To,
    kind: str,
    stem: str,
    system: str,
    watch: Progress,
) -> Export:
    from . import ollama, to_gguf

    to_gguf.write_weights(ready, whole, kind, watch.note)
    made: Made = to_gguf.make(ready, whole, draft / f"{stem}.{kind.upper()}.gguf", kind, work, watch.note)
    notes = list(made.notes)
    if to == "ollama":
        render = _render(ready)
        text = ollama.modelfile(made.file.name, ready.traits, render, made.window, ready.spec.prompt_format, system)
        if "TEMPLATE" not in text.replace("# TEMPLATE", ""):
            notes.append("the chat template cannot be expressed in Ollama's template language; see the Modelfile")
        (draft / "Modelfile").write_text(text, encoding="utf-8")
    return Export(ready.spec.name, to, target, target / made.file.name, kind, made.bytes, True, tuple(notes))


def _render(ready: Ready) -> Any:
    """Return the model's chat template as a function of turns; None if it has none."""
    from ...engines import chat_templates
    from ...engines.prompting import pin_dates

    if not ready.traits.template:
        return None
    template, tokenizer = pin_dates(ready.traits.template), ready.tokenizer
    start = own_start(tokenizer)

    def render(turns: Sequence[tuple[str, str]]) -> str:
        given = [{"role": role, "content": content} for role, content in turns]
        text = chat_templates.render(tokenizer, given, template, True)
        return text.removeprefix(start)

    return render


def _check(
    made: Export,
    spec: ModelSpec,
    model: str,
    adapter: str,
    revision: str,
    trusted: bool,
    whole: Path,
    asked: Ask,
    watch: Progress,
) -> Check:
    from . import check as checking

    options: ModelOptions = {"adapter": adapter, "revision": revision, "trust_remote_code": trusted}
    base = _size(Path(spec.location)) + (_size(Path(spec.adapter)) if spec.adapter else 0)
    sides: list[Side] = [checking.Side("original", model, base, options)]
    if spec.adapter and made.to != "safetensors":
        sides.append(checking.Side("merged", str(whole), _size(whole)))
    exported = f"gguf:{made.file}" if made.file else str(made.path)
    sides.append(checking.Side("exported", exported, made.bytes))
    if asked.server:
        sides.append(checking.Side("served", asked.server, None, {"base_url": asked.base_url}))
    return checking.check(sides, asked, watch)


def _there(target: Path, about: dict[str, Any]) -> Export | None:
    """Return the export that is in `target` if the same model was exported there in the same way, None if it is free.

    Raises UsageError where something else is.
    """
    from ...training.merge import require_free
    from ...zoo.adapters import merged_from

    before = merged_from(target) if target.is_dir() else None
    said = (before or {}).get("export")
    if not before or not isinstance(said, dict):
        require_free(target)
        return None
    new = about["export"]
    if any(said.get(key) != new[key] for key in new) or any(
        before.get(key) != about[key] for key in about if key != "export"
    ):
        raise UsageError(
            f"--out {target}: that folder holds another export, {before['adapter']} as {said.get('type')}.",
            "Name another folder with --out, or remove that one.",
        )
    file = target / said["file"] if said.get("file") else None
    notes = tuple(map(str, said.get("notes", ())))
    return _measured(Export(str(before["adapter"]), new["to"], target, file, new["type"], 0, False, notes))


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, for one process at a time."""
    from ...results.files import Lock, remedy

    work = target.with_name(f".{target.name}.exporting")
    lock = Lock(work / "lock", str(target))
    try:
        durable.make_folder(work)
        lock.acquire()
    except OSError as error:
        raise MedbenchError(
            f"{target} cannot be written: {error.strerror or error}.",
            f"{remedy(error)}, then run the same command again.",
        ) from error
    try:
        inside = work / "work"
        shutil.rmtree(inside, ignore_errors=True)  # left by a process that was killed
        inside.mkdir()
        yield inside
    finally:
        shutil.rmtree(work / "work", ignore_errors=True)
        lock.release()
        shutil.rmtree(work, ignore_errors=True)


def _measured(made: Export) -> Export:
    from dataclasses import replace

    return replace(made, bytes=made.file.stat().st_size if made.file else _size(made.path))


def _with(made: Export, found: Check) -> Export:
    from dataclasses import replace

    return replace(made, check=found)


def _size(folder: Path) -> int:
    """Return the size of a folder's files in bytes; links of the hub's cache are followed."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _write(path: Path, value: dict[str, Any]) -> None:
    durable.replace_file(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")
