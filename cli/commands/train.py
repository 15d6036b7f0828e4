"""`medbench train`: train a zoo entry by its own recipe. The adapter runs as NAME@TAG."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cloup

from ...core import dry, hub, paths
from ...core.errors import UsageError
from ...core.secrets import masked
from ...training.api import RANK_ITEMS
from .. import completion, sweep_command
from ..model_options import DEVICE, TRUST_REMOTE_CODE
from ..options import Command, FilePath, report_to
from ..ui import output
from ..ui.messages import tell

if TYPE_CHECKING:
    from ...training.request import Request
    from ...zoo.adapter_manifest import AdapterManifest


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench train --model smollm2-135m --data releases/
  medbench train --model hera-gemma-2-2b --dry-run
  medbench train -m smollm2-135m --tag short --max-steps 100 --set lora.rank=8
  medbench train --model hera-gemma-2-2b --set pubmedqa.epochs=2
  medbench train --model med-llama-3.2-1b --tag study --paired \\
      --sweep learning_rate=1e-4,2e-4,5e-5 --sweep lora.rank=16,8,32
  medbench train -m smollm2-135m --sweep learning_rate=1e-4,1e-3 \\
      --rank-by medquad:rouge1
  medbench run -m smollm2-135m,smollm2-135m@default -b medquad --limit 100
""",
)
@cloup.option_group(
    "Most used",
    click.option(
        "--model",
        "-m",
        required=True,
        metavar="NAME",
        help="A zoo entry with a recipe, or a .py file with one.",
        shell_complete=completion.plugins("zoo"),
    ),
    click.option(
        "--tag", metavar="TAG", help="Name of the result: --model NAME@TAG.  [default: default; sweep for a sweep]"
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Change the recipe in all stages, or in one with STAGE.FIELD; --dry-run shows the fields. "
        "data=NAME:SAMPLES,pairs.jsonl trains on other data.",
        shell_complete=completion.fields,
    ),
    click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="At most N optimizer steps per stage."),
    click.option(
        "--quantize",
        type=click.Choice(["nf4", "none"]),
        help="Train on quantized weights: the same as --set quantize=…",
    ),
    click.option(
        "--data",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of official data releases.  [default: MEDBENCH_DATA]",
    ),
    click.option("--dry-run", is_flag=True, help="Show recipe, tokens, steps, memory, disk and time; change nothing."),
    click.option("--resume", is_flag=True, help="Continue NAME@TAG with its original options."),
    click.option("--out", type=FilePath(), metavar="DIR", help="Folder of adapters.  [default: adapters/]"),
)
@cloup.option_group(
    "Model and machine",
    click.option(
        "--revision", default="", metavar="REV", help="Commit, branch or tag of a hub model.  [default: main]"
    ),
    TRUST_REMOTE_CODE,
    DEVICE,
    click.option(
        "--num-processes",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Training processes: one per GPU, or several on a CPU. Each adds a batch to every step.",
    ),
)
@cloup.option_group(
    "Training examples",
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Random seed for the examples, their order and the new weights.",
    ),
    click.option(
        "--data-revision",
        multiple=True,
        metavar="OWNER/NAME@REV",
        help="Read this data set from the hub, not from --data, at a commit, tag or branch.",
    ),
    click.option(
        "--allow-leak",
        multiple=True,
        metavar="NAMES",
        help="Benchmarks whose own items may be trained on, separated by commas.",
        shell_complete=completion.plugins("benchmarks"),
    ),
    click.option(
        "--leave-out-leaks",
        is_flag=True,
        help="Train without examples that contain benchmark items. The manifest lists them.",
    ),
)
@cloup.option_group(
    "Sweeps",
    click.option(
        "--sweep",
        "sweeps",
        multiple=True,
        metavar="FIELD=V1,V2",
        help="Train once per value. Several options train every combination.",
        shell_complete=completion.fields,
    ),
    click.option("--paired", is_flag=True, help="Combine the first values of every --sweep, then the second ones, …"),
    click.option(
        "--rank-by",
        default="",
        metavar="BENCHMARK:METRIC",
        help="Rank the variants and the untrained model on the benchmark's development split, which is never scored, "
        "and test every pair: medquad:rouge1.",
    ),
    click.option(
        "--rank-items",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Rank on at most N items, the same ones every time.  [default: {RANK_ITEMS}]",
    ),
    click.option(
        "--rank-out",
        type=FilePath(),
        metavar="DIR",
        help="Folder for the answers of the ranking.  [default: rankings/]",
    ),
)
@cloup.option_group(
    "Output",
    report_to("Also log to wandb, mlflow, trackio, tensorboard, …, named as in transformers."),
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    model: str,
    tag: str | None,
    settings: tuple[str, ...],
    revision: str,
    quantize: str | None,
    max_steps: int | None,
    seed: int,
    data: Path | None,
    data_revision: tuple[str, ...],
    device: str,
    num_processes: int,
    trust_remote_code: bool,
    dry_run: bool,
    resume: bool,
    sweeps: tuple[str, ...],
    paired: bool,
    rank_by: str,
    rank_items: int | None,
    rank_out: Path | None,
    allow_leak: tuple[str, ...],
    leave_out_leaks: bool,
    report_to: tuple[str, ...],
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a zoo entry by its own recipe.

    The adapter goes to adapters/NAME/TAG and runs as --model NAME@TAG. You can stop at any time: the same command
    continues from the last checkpoint, and does nothing if the training is complete.
    """
    from ...benchmarks.sources.files import Source
    from ...training import overrides, sweep
    from ...training import resume as begun
    from ...training.api import trainable
    from ...training.data import data_revisions
    from ...training.request import Request, check
    from ...zoo import adapters
    from ..ui.download_progress import automatic

    if tag == "":
        raise UsageError("--tag is empty.", "Give the adapter a name, or leave --tag out.")
    if paired and not sweeps:
        raise UsageError("--paired needs --sweep options, and there are none.")
    if resume:
        _only_resume()
    if sweeps and resume:
        raise UsageError("--sweep and --resume cannot be combined.", RESUME_SWEEP)
    for option, value in {"--rank-by": rank_by, "--rank-items": rank_items, "--rank-out": rank_out}.items():
        if value and not sweeps:
            raise UsageError(f"{option} needs --sweep options: it ranks the variants of a sweep.", RANK_EXAMPLE)
        if value and not rank_by:
            raise UsageError(f"{option} needs --rank-by.", RANK_EXAMPLE)
    entry = trainable(model)
    if entry.recipe is None:
        raise UsageError(
            f"the zoo entry '{entry.name}' has no recipe.", "docs/add-a-model.md shows how an entry gets one."
        )
    root = out or paths.adapters()
    tag = tag or ("sweep" if sweeps else "default")
    given = (*settings, *([f"quantize={quantize}"] if quantize else []))
    if resume:
        stored = adapters.read(adapters.folder(entry.name, tag, root))
        if stored.status == "done":  # its data may be gone
            tell(f"{stored.name} is already trained: nothing to do")
            _told(stored, adapters.folder(entry.name, tag, root), quiet, as_json)
            return
        given, seed, revision = tuple(stored.settings), stored.seed, str(stored.base.get("asked", ""))
        leave_out_leaks = begun.left_out(stored) is not None
        data_revision = begun.pins(stored)
        max_steps, num_processes = stored.identity["max_steps"], stored.identity["processes"]
    recipe = overrides.apply(entry.recipe, given)
    pinned = data_revisions(recipe, data_revision)
    request = Request(
        model=model,
        entry=entry,
        recipe=recipe,
        source=Source(data or paths.data(), None if dry_run else automatic(quiet), pinned),
        root=root,
        tag=tag,
        settings=given,
        seed=seed,
        max_steps=max_steps or 0,
        device=device,
        processes=num_processes,
        report_to=tuple(output.names(report_to)),
        allowed_leaks=frozenset(output.names(allow_leak)),
        leave_out_leaks=leave_out_leaks,
        command=tuple(masked(word) for word in ("medbench", *sys.argv[1:])),
        trust_remote_code=trust_remote_code,
        revision=revision,
    )
    if not sweeps and dry_run:
        _dry_run(request, as_json)
    elif not sweeps:
        check(request)
        _train(request, quiet, as_json)
    else:
        sweep_command.run(
            sweep.variants(request, sweeps, paired),
            sweep_command.Ask(rank_by, rank_items or RANK_ITEMS, rank_out or paths.rankings()),
            dry_run=dry_run,
            quiet=quiet,
            as_json=as_json,
        )


RESUME_SWEEP = "The same --sweep command continues where it stopped."
RANK_EXAMPLE = "For example: --sweep learning_rate=1e-4,1e-3 --rank-by medquad:rouge1"


def _only_resume() -> None:
    """Raise UsageError if --resume is combined with an option that would change the training."""
    from click.core import ParameterSource

    context = click.get_current_context()
    changing = ("settings", "revision", "data_revision", "quantize", "max_steps", "seed", "num_processes")
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if parameter.name in changing and given:
            raise UsageError(
                f"--resume continues the training as it began; {parameter.opts[0]} would change it.",
                f"Leave {parameter.opts[0]} out, or start a new training with another --tag.",
            )


def _train(request: Request, quiet: bool, as_json: bool) -> None:
    manifest, folder = _one(request, quiet)
    _told(manifest, folder, quiet, as_json)
    if not quiet and not as_json:
        models = f"{request.model},{request.runs_as}"
        tell(f"Is it better? medbench run --model {models} {sweep_command.next_benchmark(request, manifest)}")


def _told(manifest: AdapterManifest, folder: Path, quiet: bool, as_json: bool) -> None:
    from ..ui import render_training

    if as_json:
        output.show_json({"adapter": manifest.name, "folder": str(folder), **dataclasses.asdict(manifest)})
    elif not quiet:
        output.show(render_training.result(manifest, folder))


def _one(request: Request, quiet: bool) -> tuple[AdapterManifest, Path]:
    """Run one training."""
    from ...training import launch
    from ..ui.train_progress import training_progress

    return launch.run(request, training_progress(quiet), (lambda text: None) if quiet else tell)


def _dry_run(request: Request, as_json: bool) -> None:
    from ...training import dry_run
    from ..ui import render_training

    hub.go_offline(dry.REASON)  # what is in its cache is used, and nothing is fetched
    found = dry_run.describe(request, tell)
    if as_json:
        output.show_json(found)
    else:
        output.show(render_training.dry_run(found))
