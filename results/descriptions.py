"""How tables and messages describe runs: their setup, what tells them apart, their items, what readers must know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..metrics.measurements import LATENCY_P50, LATENCY_P95
from .identity import Comparable, differing, passages_of
from .manifest import Manifest
from .store import StoredRun

METHODS = {"logprob": "log-probability", "generate": "generated"}
CHANGED = "changed after the run"  # beside every figure of such a run
PART_OF = re.compile(r"^(?:model|generation)\.")  # prefixes of an identity's fields; the fields are clear without them


@dataclass(frozen=True)
class Setup:
    """A run's model and how it ran, as text; "" for what a run does not have."""

    model: str
    revision: str
    adapter: str
    engine: str
    dtype: str
    quantize: str
    chat: str
    temperature: str = ""  # "" if each token is the likeliest

    @property
    def text(self) -> str:
        """What one compares besides the model: "float32 · plain"."""
        adapter = f"adapter {self.adapter}" if self.adapter else ""
        dtype = "" if self.dtype == "auto" else self.dtype  # "auto": known only to the server
        engine = "" if self.engine == "transformers" else self.engine
        drawn = f"temperature {self.temperature}" if self.temperature else ""
        return " · ".join(filter(None, [engine, adapter, dtype, self.quantize, self.chat, drawn]))


def setup_of(manifest: Manifest) -> Setup:
    """Return what a run's row shows of its model and how it ran."""
    resolved, asked = manifest.identity.model, manifest.model

    def text(name: str) -> str:
        # The identity has no "auto". Runs made before a field was added to it have only what was asked for.
        return _text(getattr(asked if name in resolved.missing else resolved, name))

    return Setup(
        model=text("name"),
        revision=_short(text("revision")),
        adapter=_short(text("adapter")),
        engine=text("engine"),
        dtype=text("dtype"),
        quantize=text("quantize"),
        chat=manifest.identity.chat or asked.chat or "",
        temperature=_text((manifest.identity.generation or {}).get("temperature") or None),
    )


def label(model: str, fields: Sequence[tuple[str, str]]) -> str:
    """Return a model's name with the fields that tell it from its namesakes: "smollm2-135m (dtype bfloat16)"."""
    return model + (f" ({', '.join(f'{name} {value}' for name, value in fields)})" if fields else "")


def distinguishing_fields(runs: Sequence[StoredRun]) -> list[tuple[tuple[str, str], ...]]:
    """Return, for each run, the fields of its identity in which it differs from another run of the same model."""
    names = [setup_of(run.manifest).model for run in runs]
    identities = [run.manifest.identity.as_json() for run in runs]
    found = []
    for run, name, identity in zip(runs, names, identities, strict=True):
        mine: dict[str, str] = {}
        for other, its_name, its_identity in zip(runs, names, identities, strict=True):
            if other is not run and its_name == name:
                differences = differing(identity, its_identity) or [("folder", str(run.path), "")]
                mine |= {PART_OF.sub("", field): _value(field, own, its) for field, own, its in differences}
        found.append(tuple(mine.items()))
    return found


def _value(field: str, own: Any, its: Any) -> str:
    """Return a field's value as tables show it beside another one. Of passages, versions and hashes only if needed."""
    if field == "retrieval" and passages_of(_text(own)) != passages_of(_text(its)):
        return passages_of(_text(own)) or "none"
    return short_text(own)


def title(manifest: Manifest) -> str:
    """Return the title of a board of such runs: "pubmedqa · 50 of 500 items (seed 0) · log-probability · 0-shot"."""
    parts = _title(manifest)
    return " · ".join([*parts, with_passages(manifest.comparable)] if manifest.comparable.retrieval else parts)


def title_of_pair(a: Manifest, b: Manifest) -> str:
    """Return the title of a comparison: that of both runs, or what they retrieve if they differ in that."""
    if a.comparable.retrieval == b.comparable.retrieval:
        return title(a)
    return " · ".join([*_title(a), f"{with_passages(a.comparable)} against {with_passages(b.comparable)}"])


def with_passages(comparable: Comparable) -> str:
    """Return whether there are passages in the prompts, in words: "with medquad passages (k=3)"."""
    return f"with {comparable.passages}" if comparable.passages else "without passages"


def _title(manifest: Manifest) -> list[str]:
    comparable = manifest.comparable
    sample = "sample" if manifest.benchmark.sample else ""
    method = METHODS.get(manifest.method, manifest.method)
    what = {"orders": "orders of the options", "wordings": "wordings"}.get(comparable.variation, "samples")
    several = f"{comparable.samples} {what}" if comparable.samples > 1 else ""
    parts = [_column(comparable), sample, items_of(manifest), method, f"{comparable.shots}-shot", several]
    return list(filter(None, parts))


def _column(comparable: Comparable) -> str:
    """Return the benchmark with what is particular about how it was asked: "medqa (cot, 40 of 1,273 items)"."""
    about = ", ".join(filter(None, [asked_how(comparable), comparable.variant]))
    return comparable.benchmark + (f" ({about})" if about else "")


def asked_how(comparable: Comparable) -> str:
    """Return what is particular about how the items were put to the models: "cot, system text"; "" if nothing."""
    protocol = comparable.protocol if comparable.protocol != "direct" else ""
    return ", ".join(filter(None, [protocol, "system text" if comparable.system_hash else ""]))


def items_of(manifest: Manifest) -> str:
    """Return which items were asked, in words: "500 items", "50 of 1,273 items (seed 0)"."""
    asked, total, settings = len(manifest.item_ids), manifest.benchmark.n_total, manifest.settings
    if not total or asked >= total:
        return f"{asked:,} items"
    how = []
    if settings.items_file:
        how.append(f"from {Path(settings.items_file).name}")
    elif settings.items:
        how.append("chosen by id")
    if settings.limit:
        how.append(f"seed {settings.seed}")
    return f"{asked:,} of {total:,} items" + (f" ({', '.join(how)})" if how else "")


def notes_on(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """Return what readers must know of runs: what in their files was changed, computed again or left out."""
    changes = [f"{CHANGED}: {change}." for run in runs for change in run.changes]
    before = sum(not run.manifest.sealed for run in runs)
    which = "It is" if len(runs) == 1 else f"{before} of {len(runs)} runs are"
    unsealed = [f"{which} from before medbench sealed what it stores: a change would not be noticed."] if before else []
    return tuple(dict.fromkeys([*changes, *(note for run in runs for note in run.notes), *unsealed]))


def missing_latency(run: StoredRun) -> str:
    """Return why a run that measured its speed lacks a percentile of latency; "" if nothing is missing or expected."""
    manifest, times, settings = run.manifest, run.manifest.latency, run.manifest.settings
    if LATENCY_P50.name not in manifest.metrics or not manifest.measured().seconds:
        return ""
    if timed := len(times.seconds):
        why = times.reason or f"{timed} request{'s were' if timed > 1 else ' was'} timed"
        return f"p95 needs {LATENCY_P95.least} requests: {why}" if timed < LATENCY_P95.least else ""
    if times.reason:
        return f"not measured: {times.reason}"
    if times.expected_s is not None:  # in runs from before reasons were stored
        return f"not measured: one request takes about {times.expected_s:.1f} s, too long for this run"
    if settings.latency_items == 0 and settings.latency_share is not None:
        return "not measured: requests to a server may cost money; --latency-items 5 times five of them"
    if settings.latency_items and run.complete:
        return "not measured: the run was stopped before any request was timed; --latency-items 5 times five now"
    return ""


def leaked_in(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """Return the ids of the items of comparable runs that are in the training data of any of their models, in order."""
    found = {item_id for run in runs for item_id in run.manifest.model.leaked or ()}
    return tuple(item_id for item_id in runs[0].manifest.item_ids if item_id in found)


def clean_note(runs: Iterable[StoredRun], leaked: int, items: int) -> str:
    """Return what the figures named "…_clean" leave out, in words; "" if nothing is leaked."""
    models = dict.fromkeys(setup_of(run.manifest).model for run in runs if run.manifest.model.leaked)
    held = f"the {leaked} of {items} items whose text was found in the training data of {', '.join(models)}"
    return f"clean: without {held}" if leaked else ""


def short_text(value: Any) -> str:
    """Return a field's value as tables show it: hashes shortened, "none" if there is no value."""
    return _short(_text(value)) or "none"


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _short(text: str) -> str:
    """Return the text with only the first eight digits of every hash in it."""
    return re.sub(r"[0-9a-f]{12,}", lambda found: found[0][:8], text)
