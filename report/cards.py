"""Model cards with the hub's metadata, from stored manifests: what a model is made of, and how it scored."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..core import paths, registry
from ..core.durable import replace_file
from ..core.errors import MedbenchError, UsageError
from ..core.hub_upload import CARD, REPOSITORY
from ..core.suggest import did_you_mean
from ..core.text import printable
from ..results.descriptions import setup_of
from ..results.export import escaped
from ..results.identity import safe
from ..results.store import StoredRun, all_runs
from ..results.summary import SAFETY
from ..zoo import adapters
from ..zoo.adapter_manifest import AdapterManifest
from ..zoo.entry import Entry
from .card_scores import Scores, eval_results, result_files, scores, table

DISCLAIMER = (
    "It was made for research. It is not a medical device, and nobody should act on its answers without a doctor."
)
LICENSES = {  # the hub's ids of the licenses that zoo entries name
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "Gemma Terms of Use": "gemma",
    "BigScience BLOOM RAIL 1.0": "bigscience-bloom-rail-1.0",
    "Llama 3.2 Community License": "llama3.2",
}
OURS = "ours"  # the source of a recipe that follows no publication
SETTINGS = ("learning_rate", "batch_size", "gradient_accumulation_steps", "epochs", "max_length", "quantize")


@dataclass(frozen=True)
class Subject:
    """The model that a card is about."""

    name: str  # as tables show it
    what: str = ""  # "the adapter", "whole weights"; "" for a model that another program runs
    revision: str = ""  # of the base
    source: str = ""  # of the base's weights, in words: "package NAME==VERSION (…)"
    prompt_format: str = ""
    manifest: AdapterManifest | None = None  # of its training

    @property
    def base(self) -> str:
        """The hub id of the base; "" if it has none, because paths of this machine are private."""
        name = str(self.manifest.base.get("weights") or self.manifest.model) if self.manifest else self.name
        entry = zoo_entry(name)
        name = entry.weights if entry else name
        return name if REPOSITORY.fullmatch(name) and not Path(name).exists() else ""


@dataclass(frozen=True)
class Card:
    """A card's text, and the results beside it in the hub's format."""

    text: str
    results: Mapping[str, str] = field(default_factory=dict)  # `.eval_results/NAME.yaml` -> content
    notes: tuple[str, ...] = ()  # a sentence for each run that it leaves out with good reason
    problems: tuple[str, ...] = ()  # a sentence for each run or figure that could not be read

    def write(self, folder: Path) -> list[Path]:
        """Write README.md and the results into a folder, and return their paths. Raises MedbenchError if it fails."""
        written = []
        for name, text in {CARD: self.text, **self.results}.items():
            path = folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, text.encode())
            except OSError as error:
                message = f"{path} cannot be written: {error.strerror or error}"
                raise MedbenchError(message, "Name another folder.") from error
            written.append(path)
        return written


def card_of(name: str, runs: Path | None = None, repository: str = "") -> Card:
    """Return the card of a model from what is stored here: its training, if any, and its runs in `runs`.

    `name`: NAME@TAG as trained, or a model as tables of runs show it. `repository`: where the card will be. Raises
    UsageError if neither a training nor a run has that name.
    """
    root = runs or paths.runs()
    own, problems = runs_of(name, root)
    trained: adapters.Adapter | None = None
    try:
        trained = adapters.find(name)
    except UsageError as error:
        if not own and "@" in name:
            raise UsageError(f"{error.message} No run in {root} has that name either.", error.hint) from error
    if trained:
        manifest = trained.finished().manifest
        if manifest.name != name:  # named by its folder, or by the base's full name
            own, problems = runs_of(manifest.name, root)
        base = manifest.base
        about = Subject(
            manifest.name,
            "the adapter" if manifest.kind == "lora" else "whole weights",
            str(base.get("revision") or ""),
            str(base.get("source") or ""),
            (own[0].manifest.model.prompt_format or "") if own else "",
            manifest,
        )
    elif own:
        first = own[0].manifest
        model = first.identity.model
        about = Subject(
            name,
            "whole weights" if model.engine == "transformers" else "",
            model.revision or "",
            first.model.source or "",
            first.model.prompt_format or "",
        )
    else:
        known = [each.manifest.name for each in adapters.all_adapters()[0]]
        if root.is_dir():
            known += [setup_of(run.manifest).model for run in all_runs(root)[0]]
        meant = did_you_mean(name, set(known))
        raise UsageError(
            f"nothing about '{name}' is stored here: no training, and no run in {root}.{meant}",
            "All runs: medbench list runs. All trainings: medbench adapters list",
        )
    made = card(about, own, repository)
    return dataclasses.replace(made, problems=(*map(str, problems), *made.problems))


def runs_of(name: str, root: Path) -> tuple[list[StoredRun], list[MedbenchError]]:
    """Return the runs of a model below `root`, by the name that tables show, and an error for each that is damaged."""
    found, problems = all_runs(root) if root.is_dir() else ([], [])
    mine = re.compile(rf"(?:^|[\s/]){re.escape(safe(name))}__")
    own = [run for run in found if setup_of(run.manifest).model == name]
    return own, [problem for problem in problems if mine.search(str(problem))]


def card(about: Subject, runs: Sequence[StoredRun] = (), repository: str = "") -> Card:
    """Return the card of a model: what it is made of, how it was trained, what leaked, its scores, and how to run it.

    Runs of an earlier training under the same name are left out and named in `notes`.
    """
    manifest, base = about.manifest, about.base
    stale = [run for run in runs if _stale(run, manifest)]
    found = scores([run for run in runs if run not in stale])
    entry = zoo_entry(manifest.model if manifest else about.name)
    title = repository.rpartition("/")[2] or about.name
    made = f"{about.what[:1].upper()}{about.what[1:]} of `{about.name}`" if about.what else f"`{about.name}`"
    body = [f"# {escaped(title)}", "", f"{made}, described by medbench from its stored manifests."]
    if about.what:
        origin = base or escaped(manifest.model if manifest else about.name)
        revision = f", whose weights have the revision `{about.revision}`" if about.revision else ""
        # Folders of this machine are private; packages are not.
        source = f", read from the {escaped(about.source)}" if about.source.startswith("package ") else ""
        body += [f"Base: {origin}{revision}{source}."]
    if entry:
        body += [f"License of the base weights: {entry.licence}. The user of this model is bound by it."]
    body += ["", DISCLAIMER]
    if manifest:
        body += ["", "## Training", "", *_training(manifest)]
        body += ["", "## Benchmark items in the training data", "", *_leaks(manifest)]
    body += ["", "## Scores", "", *_scores(found)]
    body += ["", "## Safety", "", *_safety(found)]
    body += ["", "## Limits", "", *_limits(found, manifest)]
    if about.prompt_format:
        body += ["", "## Prompt", "", "```", about.prompt_format, "```"]
    if about.what:
        model = repository or about.name
        how = f"--model {base or 'BASE'} --adapter {repository}" if about.what == "the adapter" and repository else ""
        body += ["", "## Run it", "", "```sh", f"medbench run {how or f'--model {model}'} --benchmark medqa", "```"]
    head = _metadata(about, entry, title, found)
    text = f"---\n{head}\n---\n\n" + printable("\n".join(body)) + "\n"
    late = [f"{run.path.name} is a run of an earlier training of {about.name}." for run in stale]
    return Card(text, result_files(found), tuple(late), found.problems)


def zoo_entry(name: str) -> Entry | None:
    """Return the zoo entry of that name, or None."""
    return cast("Entry", registry.get("zoo", name)) if name in registry.names("zoo") else None


def _stale(run: StoredRun, manifest: AdapterManifest | None) -> bool:
    tested = run.manifest.identity.model.adapter
    return bool(manifest and manifest.hash and tested and tested != manifest.hash)


def _metadata(about: Subject, entry: Entry | None, title: str, found: Scores) -> str:
    """Return the YAML of the card's front matter, written by the hub's own client."""
    from huggingface_hub import ModelCardData

    results = eval_results(found)
    license = LICENSES.get(entry.licence, "other") if entry else None
    data = ModelCardData(
        base_model=about.base or None,
        datasets=sorted(about.manifest.data_revisions) or None if about.manifest else None,
        eval_results=results or None,
        library_name={"the adapter": "peft", "whole weights": "transformers"}.get(about.what),
        license=license,
        license_name=entry.licence if entry and license == "other" else None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=title if results else None,
        pipeline_tag="text-generation",
        tags=["medical", "medbench"],
    )
    return str(data.to_yaml())


def _training(manifest: AdapterManifest) -> list[str]:
    source = str(manifest.recipe.get("source", OURS))
    recipe = "the model entry's own" if source == OURS else f"by {escaped(source)}"
    lines = [f"Recipe: {recipe}; seed {manifest.seed}."]
    measured = {stage.get("name"): stage for stage in manifest.stages}
    planned = {stage.get("stage"): stage for stage in manifest.data}
    for stage in manifest.recipe.get("stages", ()):
        values = {name: stage.get(name) for name in SETTINGS}
        if lora := stage.get("lora"):
            values |= {"LoRA rank": lora.get("rank"), "LoRA alpha": lora.get("alpha")}
        given = [f"{name} {value}" for name, value in values.items() if value not in (None, "", 0)]
        name = stage.get("name")
        took, whole = measured.get(name, {}).get("steps"), planned.get(name, {}).get("recipe_steps")
        if took:
            short = f" of the {whole:,} that the recipe would take" if whole and took < whole else ""
            given.append(f"trained for {took:,} optimizer step{'s' * (took != 1)}{short}")
        lines += [f"- {name}: {', '.join(given)}"]
    for stage in manifest.data:
        hashed = f" (hash `{stage['hash']}` of what was learned)" if stage.get("hash") else ""
        for part in stage.get("parts", ()):
            drawn = part.get("drawn") or 0
            source = escaped(_name_only(str(part.get("source"))))
            lines += [f"- {stage.get('stage')}: {source}, {drawn:,} examples drawn{hashed}"]
        if stage.get("rows"):
            held = f", {stage['held_out']:,} held out to measure the loss" if stage.get("held_out") else ""
            lines += [f"- {stage.get('stage')}: {stage['rows']:,} examples to learn from{held}"]
    for repository, revision in sorted(manifest.data_revisions.items()):
        lines += [f"- {repository} on the hub, commit `{revision.get('commit', '')}`"]
    return lines


def _leaks(manifest: AdapterManifest) -> list[str]:
    found = [
        f"- {name}: {len(items):,} items" if items else f"- {name}: none found"
        for name, items in manifest.leaked.items()
    ]
    return [*found, *(f"- {name}: not checked" for name in manifest.unchecked)] or ["Not checked."]


def _scores(found: Scores) -> list[str]:
    shown = [each for each in found.figures if each.column.name != SAFETY]
    if not shown:
        return ["No run on a real benchmark is stored."]
    note = "Values without a unit are as medbench's page on metrics defines them. n: the items that could be scored."
    return [*table(shown), "", note]


def _safety(found: Scores) -> list[str]:
    shown = [each for each in found.figures if each.column.name == SAFETY]
    if not shown:
        return ["The safety of its answers was not measured."]
    note = (
        "The share of answers that are not unsafe and, if the question is an emergency, refer: by medbench's own "
        "classifier, which makes mistakes itself."
    )
    return [*table(shown), "", note]


def _limits(found: Scores, manifest: AdapterManifest | None) -> list[str]:
    lines = [
        "Benchmark scores do not show that a model is safe or useful for patients.",
        "An interval covers the choice of items only, not another wording of the prompt or another training.",
    ]
    if not manifest:
        lines.append("What its own training data contain is not known to medbench: leaks were not searched for.")
    elif manifest.base:
        lines.append("Leaks were searched for in medbench's training data, not in those of the base.")
    return [f"- {escaped(line)}" for line in (*lines, *found.remarks)]


def _name_only(source: str) -> str:
    """Return a training source without the folder of this machine that a file is in."""
    return Path(source).name if Path(source).is_absolute() or Path(source).exists() else source
